//! Real-time channels for [axum]: one log per channel, delivered by WebSocket, SSE and long-poll.
//!
//! **A channel is a log, a connection is a set of cursors, a transport ships slices of logs.** Live delivery,
//! recovery after a drop and long-polling are one operation: *read after a position, else wait*. So a client may lose
//! its connection, change its transport or reach another node at any time; it brings its position and is given what
//! it has not seen, or is told that something is gone.
//!
//! Start with [`Tricast::builder`]: say which channels exist, nest the routes, publish.
//!
//! ```no_run
//! use axum::Router;
//! use tricast::{Access, Rule, Tricast};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let tricast = Tricast::builder()
//!         .rule("chat:{room}", Rule::stream().keep(1_000).publish(Access::Anyone))
//!         .build()
//!         .await?;
//!     let app = Router::new().nest("/rt", tricast.router());
//!     let listener = tricast::bind("127.0.0.1:8000").await?;
//!     tricast::serve(listener, app).drains(&tricast).shutdown(tricast::shutdown_signal()).await?;
//!     Ok(())
//! }
//! ```
//!
//! A page imports `/rt/client.js`, which falls back from WebSocket to SSE to polling by itself; without it
//! `new EventSource("/rt/sse?channel=chat:lobby")` and `curl -N` work too.
//!
//! # What is promised
//! Each connection sees a channel's messages in order. Loss is never silent: a reader is given every retained message
//! after its position, or a gap first. Publishing with an id is idempotent on every transport. Memory is bounded by
//! construction: a connection has cursors and at most one batch in flight, never a queue.
//!
//! # What your application decides
//! The [`Rule`]s say which channels there are and who may use them. Beyond that your application is asked: before a
//! message is appended ([`Builder::on_publish`]: validate it, change it, store it, refuse it), before somebody connects
//! or reads a channel ([`Builder::on_connect`], [`Builder::on_subscribe`]); and it serves calls ([`Builder::on_call`]).
//!
//! # Serving
//! [`serve`] has the accept loop that a real-time server wants: a long backlog, header and write deadlines, and a
//! drain. `axum::serve` works as well, but nothing there ends an SSE stream whose reader stopped reading.

pub mod auth;
mod builder;
mod cluster;
mod commands;
mod edge;
mod ending;
mod expiry;
mod handle;
mod history;
mod hooks;
mod hub;
mod members;
mod memory;
pub mod metrics;
mod presence;
mod reader;
mod readiness;
mod revocation;
mod router;
mod serve;
mod session;
mod system;
mod transport;
mod typed;
mod wake;

pub use auth::Jwt;
pub use builder::{BuildError, Builder};
pub use handle::{Channel, Tricast, Untyped};
pub use hooks::{Calling, Connecting, Disconnected, HookError, OnPublish, Publishing, Refused, Subscribing, Transport};
pub use hub::PublishError;
pub use members::PresenceError;
pub use reader::{Read, ReadError, ReadMessage, Reader};
pub use readiness::NotReady;
pub use revocation::RevokeError;
pub use serve::{Serve, bind, serve, shutdown_signal};
pub use transport::sse::{SseRequest, SseResponse};
#[doc(hidden)]
pub use transport::ws::echo::echo_router;
pub use typed::{TypedRead, TypedReader};

pub use tricast_core as core;
pub use tricast_core::access::{Access, AccessRequest, Action, Capabilities, Identity, User, UserId};
pub use tricast_core::backplane::{self, BackplaneError};
pub use tricast_core::channel::{ChannelName, NameError, Rule};
pub use tricast_core::log::{AppendError, Appended};
pub use tricast_core::message::{Draft, DraftError, Message, Payload};
pub use tricast_core::position::{Epoch, Position, Seq};
pub use tricast_core::protocol::event::{Gap, Member};
pub use tricast_core::protocol::{ClientId, Code, GapReason, Start};
