//! A simulation: readers and publishers on a bad network, thousands of histories a second, each decided by its seed.
//!
//! In a [history](run) clients read streams and states over connections of each transport, which they change at random;
//! publishers repeat under their ids what was not acknowledged. Requests and answers are lost, come twice or late;
//! connections are cut within a batch; readers are slow; logs forget, keys expire, clocks are set, and servers lose
//! everything. Then the network heals, and all have to catch up. Time is virtual, so that none passes.
//!
//! Real are the logs, the decision about a position, and cursors. The rest is small models of what stands around them:
//! the server, a client, the network. Beside each log a ledger is kept by the letter of the protocol, by which it is
//! checked that
//! - each reader is told of messages in their order, at most once, and as they were published;
//! - nothing is missing but what a gap spoke of, and there is no gap without cause;
//! - a reader of a state holds what the log holds, whenever its snapshot is complete;
//! - an id is appended once in its time, and what is acknowledged is in the log;
//! - everybody catches up.
//!
//! A history that breaks a promise is told by its seed; `TRICAST_SIM_SEED=<seed>` tells step by step what happens in
//! it, and `TRICAST_SIM_HISTORIES=<count>` checks more of them than usual.

mod agenda;
mod client;
pub mod cluster;
mod flaw;
mod ledger;
mod node;
mod plan;
mod publisher;
mod random;
pub mod reader;
mod tally;
mod violation;
mod witness;
mod world;

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

pub use flaw::Flaw;
pub use tally::Tally;
pub use violation::Violation;

use world::World;

/// Runs the history of a seed, with something wrong in it if a flaw is asked for.
///
/// # Errors
/// A promise was broken.
pub fn run(seed: u64, flaw: Option<Flaw>) -> Result<Tally, Violation> {
    let _label = Label { seed };
    World::new(seed, flaw, false).run()
}

/// Runs the histories of as many seeds, from 0 on, or the one that `TRICAST_SIM_SEED` names.
///
/// # Panics
/// A promise was broken; says by which seed.
pub fn check(histories: u64) -> Tally {
    check_histories(histories, &|seed| run(seed, None), &|seed| World::new(seed, None, true).run())
}

/// A history, by its seed.
type Run<'a> = &'a (dyn Fn(u64) -> Result<Tally, Violation> + Sync);

fn check_histories(histories: u64, run: Run<'_>, run_aloud: Run<'_>) -> Tally {
    if let Some(seed) = number("TRICAST_SIM_SEED") {
        return run_aloud(seed).unwrap_or_else(|violation| panic!("{violation}"));
    }
    let histories = number("TRICAST_SIM_HISTORIES").unwrap_or(histories);
    let next = AtomicU64::new(0);
    let work = || {
        let mut tally = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= histories {
                return tally;
            }
            tally += run(seed).unwrap_or_else(|violation| panic!("{violation}\nTRICAST_SIM_SEED={seed}"));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let tallies = workers.into_iter().map(|worker| worker.join().expect("a worker says by itself what went wrong"));
        tallies.fold(Tally::default(), |mut sum, tally| {
            sum += tally;
            sum
        })
    })
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, not a number")))
}

/// Says on stderr which history ran when a panic ended it.
struct Label {
    seed: u64,
}

impl Drop for Label {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in the history of TRICAST_SIM_SEED={}", self.seed);
        }
    }
}
