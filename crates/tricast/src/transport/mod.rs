//! The adapters: how slices of logs and the answers to commands travel.
//!
//! They know neither each other nor the inside of a log. Each drives a [`crate::session::Session`] and writes what it
//! is given; what they share is reading the request ([`query`]), judging where it comes from ([`origin`], [`cors`]) and
//! refusing it ([`refusal`]).

mod cors;
mod origin;
mod query;
mod refusal;

pub(crate) mod assets;
pub(crate) mod poll;
pub(crate) mod send;
pub(crate) mod sse;
pub(crate) mod ws;

pub(crate) use cors::cors;
pub(crate) use origin::local_only;
pub(crate) use refusal::count;

use axum::response::Response;
use http::header::ALLOW;
use http::{HeaderValue, StatusCode};

/// Answers `OPTIONS` of whoever CORS has nothing to grant to.
fn preflight(allow: &'static str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
