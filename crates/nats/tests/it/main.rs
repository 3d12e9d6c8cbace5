//! The backplane on real servers.

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic that names the culprit is how a test fails")]

mod clusters;
mod connecting;
mod keeping;
mod losing;
mod several;
mod suite;
mod support;
