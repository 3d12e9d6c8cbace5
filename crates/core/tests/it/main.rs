//! The core against the language-neutral vectors of `tests/vectors`, and against its own properties.
//!
//! One module a room of the core; [`any`] makes the values that the properties are tried on.

mod any;
mod channel;
mod code;
mod command;
mod event;
mod json;
mod position;
mod query;
mod replay;
