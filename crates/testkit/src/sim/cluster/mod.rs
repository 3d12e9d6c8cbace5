//! A simulation of a cluster: nodes with copies of the logs that one store keeps, on bad networks.
//!
//! In a [history](run) clients read streams and states over connections and polls, and go to another node at any moment
//! with nothing but their position; publishers repeat under their ids, by any node, what was not acknowledged. Between the
//! nodes and the store news are lost, late, repeated and reordered; questions are lost before they are heard, or their
//! answers are; nodes are cut off, and end and begin with nothing; the store begins anew with its data, without it, or as
//! a replica that lags. In some histories it breaks the contract, and gives numbers of an epoch twice. Then the network
//! heals, and all have to catch up within 20 seconds.
//!
//! Real are the copies ([`tricast_core::cache`]), the logs of the store and the decision about a position. Small models are
//! who drives a copy in a server, and what a session does. Beside each log of the store stands the same ledger as in the
//! [simulation of one server](super), by which it is checked that
//! - readers are told of messages in their order, once, and of a gap where something is missing, and only there: whoever
//!   moves faster than news has lost nothing;
//! - the head that a reader is told, that there is nothing new for a poll, and that a state is live, is as of a moment
//!   after it came;
//! - a reader of a state holds what the log holds;
//! - an id is appended once in its time, and what is acknowledged is in the log;
//! - what many want to know at once is asked by one;
//! - an epoch ends of which a node has seen two lives, and all of its readers are told. What they were told of it before is
//!   held against nothing;
//! - everybody catches up.
//!
//! `TRICAST_SIM_SEED` and `TRICAST_SIM_HISTORIES` are read as there.

mod flaw;
mod node;
mod plan;
mod question;
mod reader;
mod store;
mod world;

pub use flaw::Flaw;

use super::random::Random;
use super::tally::Tally;
use super::violation::Violation;
use super::{Label, check_histories};
use plan::Plan;
use world::{Trace, World};

/// Runs the history of a seed, with something wrong in it if a flaw is asked for.
///
/// # Errors
/// A promise was broken.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Result<Tally, Violation> {
    let _label = Label { seed };
    World::new(seed, flaw, Trace::Off).run()
}

/// What happens while so many readers come to one stream on three nodes at once, and nothing goes wrong.
///
/// # Errors
/// A promise was broken.
pub fn crowd(readers: usize) -> Result<Tally, Violation> {
    World::of(Plan::crowd(readers), Random::new(0), None, Trace::Off).run()
}

/// What happens in the history of a seed, step by step, with something wrong in it if a flaw is asked for.
pub fn tell(seed: u64, flaw: Option<Flaw>) -> Vec<String> {
    let mut world = World::new(seed, flaw, Trace::Keep(Vec::new()));
    let end = world.run();
    let Trace::Keep(mut lines) = world.trace else { return Vec::new() };
    lines.push(format!("{end:?}"));
    lines
}

/// Runs the histories of as many seeds, from 0 on, or the one that `TRICAST_SIM_SEED` names.
///
/// # Panics
/// A promise was broken; says by which seed.
pub fn check(histories: u64) -> Tally {
    check_histories(histories, &|seed| run(seed, None), &|seed| World::new(seed, None, Trace::Print).run())
}
