//! What testkit promises to the tests that use it, and the tests that are nothing but testkit.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]

mod cluster;
mod fuzz;
mod nats;
mod nginx;
mod redis;
mod sim;
mod store;
