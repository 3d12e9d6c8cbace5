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

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::header::ALLOW;
use http::{HeaderValue, StatusCode};

use crate::hooks::Transport;
use crate::hub::Hub;

/// What stands before every endpoint: one middleware, for each costs memory for as long as a connection lives.
pub(crate) async fn front(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let endpoint = match request.uri().path().rsplit('/').next() {
        Some("ws") => Some(Transport::Ws),
        Some("sse") => Some(Transport::Sse),
        Some("poll") => Some(Transport::Poll),
        Some("send") => Some(Transport::Send),
        // The client is a file.
        _ => None,
    };
    // No browser asks CORS about a WebSocket: the endpoint judges the origin itself.
    let asks_cors = endpoint != Some(Transport::Ws) && !hub.edge.origins.is_empty();
    let response = match origin::check_host(&hub, &request) {
        Err(refusal) => refusal.response(),
        Ok(()) if asks_cors => Box::pin(cors::cors(&hub, request, next)).await,
        Ok(()) => next.run(request).await,
    };
    if let Some(transport) = endpoint {
        refusal::count(&response, transport);
    }
    poll::share(response)
}

/// Answers `OPTIONS` of whoever CORS has nothing to grant to.
fn preflight(allow: &'static str) -> Response {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}
