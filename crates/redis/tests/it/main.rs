//! The backplane on real servers.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic that names the culprit is how a test fails")]

mod access;
mod clusters;
mod lives;
mod outages;
mod suite;
mod support;
