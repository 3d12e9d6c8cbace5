//! What travels: commands in, events out, and the codes in which refusals are told.
//!
//! Begin with [`command::parse`] on a server and [`Event::parse`] on a client; both print as well, so that tests and
//! clients speak the same words. [`SubscribeQuery`] is the one question that all three transports begin with.
//!
//! # What is refused, and what is ignored
//! Everything here is bounded ([`crate::limits`]) and nothing recurses. A field that is missing, malformed or of the
//! wrong type is an error that names the field; so is `null` where a field is not any JSON value. An unknown field is
//! ignored, for that is how version 1 grows; of two fields with one name the last counts. An unknown type of event
//! is ignored as well, an unknown type of command is an error.
//!
//! Source: protocol, sections 2, 3, 4 and 7.

pub mod client;
pub mod code;
pub mod command;
pub mod event;
pub mod query;
mod read;
pub mod reference;
pub mod secret;
pub mod start;
mod write;

pub use client::ClientId;
pub use code::{Code, Retry};
pub use command::{Batch, Command, CommandError, HistoryFrom, Publish, SubscribeTo};
pub use event::{Event, GapReason, MessageEvent};
pub use query::{Endpoint, QueryError, SubscribeQuery};
pub use reference::Ref;
pub use secret::Secret;
pub use start::Start;

/// The version of the protocol that `welcome` names.
pub const VERSION: u64 = 1;

/// The WebSocket subprotocol that our clients offer.
pub const SUBPROTOCOL: &str = "tricast.v1";
