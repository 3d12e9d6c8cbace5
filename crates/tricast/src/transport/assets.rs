//! The browser client, served from beside the endpoints that it speaks to.

use std::hash::Hasher as _;
use std::sync::OnceLock;

use axum::extract::Request;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderValue, Method, StatusCode};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use super::preflight;
use super::refusal::Refusal;

const METHODS: &str = "GET, OPTIONS";

static CLIENT: Asset = Asset::new(include_str!("../../assets/client.js"));

static SHARE: Asset = Asset::new(include_str!("../../assets/share.js"));

/// Answers `GET client.js`.
pub(crate) async fn client(request: Request) -> Response {
    CLIENT.answer(&request)
}

/// Answers `GET share.js`, which the client loads when it is to share its connection with other tabs.
pub(crate) async fn share(request: Request) -> Response {
    SHARE.answer(&request)
}

/// A script, and a tag that changes with its bytes, so that a deployed page's next load has the one of its server.
struct Asset {
    text: &'static str,
    tag: OnceLock<HeaderValue>,
}

impl Asset {
    const fn new(text: &'static str) -> Self {
        Self { text, tag: OnceLock::new() }
    }

    fn answer(&self, request: &Request) -> Response {
        match *request.method() {
            Method::OPTIONS => return preflight(METHODS),
            Method::GET => {}
            _ => return Refusal::method(METHODS).response(),
        }
        let tag = self.tag.get_or_init(|| tag_of(self.text));
        let known = request.headers().get_all(IF_NONE_MATCH).iter().any(|tags| names(tags, tag));
        let mut response = Response::new(if known { "" } else { self.text }.into());
        if known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
        headers.insert(ETAG, tag.clone());
        response
    }
}

fn tag_of(text: &str) -> HeaderValue {
    let mut hash = SipHasher24::new();
    hash.write(text.as_bytes());
    let tag = format!("\"{:032x}\"", hash.finish128().as_u128());
    HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"tricast\""))
}

fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(tags), Ok(etag)) = (tags.to_str(), etag.to_str()) else { return false };
    tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == etag)
}
