//! What the tests of Tricast share. Start at the module that bears the noun you need:
//!
//! - [`vectors`]: the language-neutral cases of `tests/vectors`,
//! - [`clock`] and [`entropy`]: time and randomness that a test moves by hand,
//! - [`process`]: a server program, started on a free port and stopped by its id,
//! - [`net`]: a TCP proxy that misbehaves on demand,
//! - [`nginx`]: the real proxy, in the configurations that people run,
//! - [`redis`] and [`nats`]: the real stores, alone or several together, killed, stopped and emptied on demand,
//! - [`suite`]: what every backplane does, as one suite of tests for all of them,
//! - [`fixtures`] and [`heard`]: what tests say to a backplane, and what it tells them,
//! - [`store`]: a store in this process that several nodes share, and what may go wrong with one,
//! - [`sim`]: thousands of histories of readers and publishers on a bad network, with one server or a cluster,
//! - [`fuzz`]: functions that take any bytes, and a driver for them.
//!
//! # Panics
//!
//! This is test code: what goes wrong here panics and names the culprit, and nothing waits longer than [`WATCHDOG`].

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic that names the culprit is how a test fails")]

pub mod clock;
mod daemon;
pub mod entropy;
pub mod fixtures;
pub mod fuzz;
pub mod heard;
pub mod nats;
pub mod net;
pub mod nginx;
mod port;
pub mod process;
pub mod redis;
pub mod sim;
pub mod store;
pub mod suite;
pub mod vectors;

use std::time::Duration;

/// The longest that anything here waits for what should come at once.
pub const WATCHDOG: Duration = Duration::from_secs(30);
