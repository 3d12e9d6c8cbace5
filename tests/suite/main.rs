//! One suite over every transport and every backplane: what `docs/protocol.md` promises, seen from outside.
//!
//! [`server`] runs a node on a free port. [`client`] holds clients of our own that know no more than the protocol:
//! [`client::Reader`] is one way to read channels over any [`client::Transport`]. [`board`] is a state together with
//! what must be in it. Everything else is scenarios, a module per behaviour. [`over_every_transport!`] makes a test of
//! each scenario on each transport, and on each backplane there is.
//!
//! Every wait is for something that must happen, and none is longer than [`tricast_testkit::WATCHDOG`].

#![allow(clippy::panic, clippy::unwrap_used, reason = "a panic that names the culprit is how a test fails")]

#[macro_use]
mod matrix;

mod board;
mod client;
mod server;

mod auth;
mod catch_up;
mod codes;
mod cross_site;
mod crowd;
mod cursors;
mod decision;
mod drain;
mod embedding;
mod envelope_sse;
mod eviction;
mod fairness;
mod faults;
mod fuzz;
mod heartbeat;
mod history;
mod hooks;
mod limits;
mod long_poll;
mod metrics;
mod order;
mod presence;
mod presence_rights;
mod proxies;
mod public;
mod publish;
mod raw_sse;
mod refused;
mod resume;
mod rust_client;
mod send;
mod slow_reader;
mod states;
mod states_publish;
mod states_resume;
mod typed;
mod ws_commands;
mod ws_faults;
mod ws_handshake;
