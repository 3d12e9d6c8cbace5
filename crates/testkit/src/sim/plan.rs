//! What a history is made of, drawn before it begins.

use std::ops::RangeInclusive;

use tricast_core::channel::Kind;
use tricast_core::log::Limit;

use super::ledger::Keeps;
use super::random::Random;

pub(super) struct Plan {
    pub(super) channels: Vec<Keeps>,
    pub(super) clients: usize,
    /// Readers share a batch of so many.
    pub(super) limit: Limit,
    /// How many things happen before the network heals and everybody catches up.
    pub(super) happenings: u64,
    pub(super) network: Network,
    /// Percent of the moments at which something may become of the server that it loses its logs.
    pub(super) restarts: u64,
}

/// How bad a network is, in percent.
pub(super) struct Network {
    /// Of requests and answers: they never arrive.
    pub(super) loss: u64,
    /// Of requests and answers: they arrive twice.
    pub(super) repeats: u64,
    /// Of batches: the connection ends within them.
    pub(super) cuts: u64,
    /// Milliseconds on the way.
    pub(super) delay: RangeInclusive<u64>,
}

impl Plan {
    pub(super) fn draw(random: &mut Random) -> Self {
        let channels = (0..random.between(1..=3)).map(|_| keeps(random)).collect();
        let often = [0, 0, 3, 10, 30];
        let network = Network {
            loss: random.pick(&often),
            repeats: random.pick(&often),
            cuts: random.pick(&often),
            delay: 0..=random.pick(&[2, 20, 200]),
        };
        Self {
            channels,
            clients: random.pick(&[1, 1, 2]),
            limit: Limit { messages: random.pick(&[1, 2, 4, 16]), bytes: usize::MAX },
            happenings: random.between(30..=150),
            network,
            restarts: random.pick(&[0, 0, 10, 40]),
        }
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.channels.iter().map(|keeps| keeps.kind).collect()
    }
}

fn keeps(random: &mut Random) -> Keeps {
    let for_ever = u64::MAX;
    if random.chance(60) {
        let (most, ttl) = (random.pick(&[1, 2, 3, 5, 10, 1_000]), random.pick(&[50, 1_000, for_ever, for_ever]));
        Keeps { kind: Kind::Stream, most, ttl, deletions: 0 }
    } else {
        let (most, ttl) = (random.pick(&[3, 6, 1_000]), random.pick(&[200, for_ever, for_ever]));
        Keeps { kind: Kind::State, most, ttl, deletions: random.pick(&[0, 1, 3, 1_000]) }
    }
}
