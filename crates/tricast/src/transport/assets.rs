//! The browser client, served from beside the endpoints that it speaks to.

use std::hash::Hasher as _;
use std::sync::LazyLock;

use axum::extract::Request;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::preflight;
use super::refusal::Refusal;

const METHODS: &str = "GET, OPTIONS";

const CLIENT: &str = include_str!("../../assets/client.js");

/// Changes with the bytes, so that a deployed page's next load has the client of its server.
static CLIENT_ETAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let mut hash = SipHasher24::new();
    hash.write(CLIENT.as_bytes());
    let etag = format!("\"{:032x}\"", hash.finish128().as_u128());
    HeaderValue::from_str(&etag).unwrap_or(HeaderValue::from_static("\"tricast\""))
});

/// Answers `GET client.js`.
pub(crate) async fn client(request: Request) -> Response {
    match *request.method() {
        Method::OPTIONS => return preflight(METHODS),
        Method::GET => {}
        _ => return Refusal::method(METHODS).response(),
    }
    let known = request.headers().get_all(IF_NONE_MATCH).iter().any(|tags| names(tags, &CLIENT_ETAG));
    let mut response = Response::new(if known { "" } else { CLIENT }.into());
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    headers.insert(ETAG, CLIENT_ETAG.clone());
    response
}

fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else { return false };
    tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == etag)
}
