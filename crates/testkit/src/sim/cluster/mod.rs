//! A simulation of a cluster: nodes with copies of the logs that one store keeps, on bad networks.

mod flaw;
mod node;
mod plan;
mod question;
mod reader;
mod store;
mod world;

pub use flaw::Flaw;

use super::tally::Tally;
use super::violation::Violation;
use super::{Label, check_histories};
use world::{Trace, World};

/// Runs the history of a seed, with something wrong in it if a flaw is asked for.
///
/// # Errors
/// A promise was broken.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Result<Tally, Violation> {
    let _label = Label { seed };
    World::new(seed, flaw, Trace::Off).run()
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
