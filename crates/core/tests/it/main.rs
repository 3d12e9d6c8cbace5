//! The core against the language-neutral vectors of `tests/vectors`, and against its own properties.
//!
//! One module a room of the core; [`any`] makes the values that the properties are tried on.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "the lints spare tests themselves, but not the functions that they share"
)]

mod any;
mod cache;
mod channel;
mod code;
mod command;
mod event;
mod json;
mod limits;
mod log;
mod position;
mod presence;
mod query;
mod replay;
mod state;
