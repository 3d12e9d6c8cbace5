//! CORS: what browsers let the pages of listed origins do.
//!
//! Only a request of a listed origin meets the layer, so that every other is answered without a word about CORS.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, ORIGIN, RETRY_AFTER, VARY};
use http::{HeaderValue, Method};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_layer::Layer as _;
use tower_service::Service as _;

use crate::edge::origin_of;
use crate::hub::Hub;

/// For how long a browser may remember the answer to a preflight: the longest that any of them does.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Answers what a page asks for by `fetch`.
pub(crate) async fn cors(hub: &Hub, request: Request, next: Next) -> Response {
    let origins = &hub.edge.origins;
    if origin_of(request.headers()).is_some_and(|origin| origins.lists(&origin)) {
        let granted: Result<Response, Infallible> = layer().layer(next).call(request).await;
        return granted.unwrap_or_else(|never| match never {});
    }
    let mut answer = next.run(request).await;
    // What a cache keeps of this answer is not for a listed origin.
    answer.headers_mut().append(VARY, HeaderValue::from_static("origin"));
    answer
}

/// What a listed origin may do: everything, with its user's cookies.
fn layer() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::mirror_request())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, HeaderName::from_static("last-event-id")])
        .expose_headers([RETRY_AFTER])
        .max_age(MAX_AGE)
        .vary([ORIGIN])
}
