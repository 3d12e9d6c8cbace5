//! An echo endpoint on the real [`Socket`], for conformance suites.
//!
//! Autobahn's cases judge framing, close codes and limits through it.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use hyper::upgrade::OnUpgrade;
use tricast_core::frame;

use super::handshake::{Io, accept, io_of};
use super::socket::{Limits, Received, Socket, WriteError};

/// A router whose `/echo` sends every message back.
#[doc(hidden)]
pub fn echo_router() -> Router {
    Router::new().route("/echo", get(echo))
}

async fn echo(mut request: Request) -> Response {
    match accept(&mut request) {
        Ok(accepted) => {
            tokio::spawn(serve(accepted.upgrade));
            accepted.response
        }
        Err(refusal) => refusal.response(refusal.to_string()),
    }
}

async fn serve(upgrade: OnUpgrade) {
    let Ok(upgraded) = upgrade.await else {
        return;
    };
    let mut socket = Socket::new(io_of(upgraded), LIMITS);
    loop {
        let written = match socket.receive().await {
            Ok(Received::Text(text)) => reply(&mut socket, frame::put_text_header, text.as_bytes()).await,
            Ok(Received::Binary(bytes)) => reply(&mut socket, frame::put_binary_header, &bytes).await,
            Ok(Received::Ping | Received::Pong) => Ok(()),
            Err(end) => return socket.finish(end).await,
        };
        if written.is_err() {
            return;
        }
    }
}

async fn reply(socket: &mut Socket<Io>, put_header: fn(&mut Vec<u8>, usize), payload: &[u8]) -> Result<(), WriteError> {
    let mut out = Vec::with_capacity(frame::MAX_HEADER_LEN + payload.len());
    put_header(&mut out, payload.len());
    out.extend_from_slice(payload);
    socket.write(Bytes::from(out)).await
}

/// Autobahn's longest messages have 16 MiB; none of its cases is slow.
const LIMITS: Limits = Limits { message: 32 << 20, write_timeout: Duration::from_secs(10) };
