//! The client against real servers, over real sockets.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod support;

mod proxies;
mod publishing;
mod reading;
mod states;
#[cfg(feature = "tls")]
mod tls;
mod tokens;
