//! What a history of a cluster is made of, drawn before it begins.

use std::ops::RangeInclusive;

use tricast_core::channel::{Kind, Retention};
use tricast_core::log::Limit;

use crate::sim::ledger::Keeps;
use crate::sim::random::Random;

pub(super) struct Plan {
    pub(super) channels: Vec<Keeps>,
    pub(super) nodes: usize,
    pub(super) readers: usize,
    /// Messages in a batch for a reader, and in a page from the store.
    pub(super) batch: usize,
    pub(super) page: usize,
    /// Milliseconds until the network heals, and nobody has whims.
    pub(super) trouble: u64,
    pub(super) network: Network,
    /// Percent of the moments at which something may become of a node, or of the store.
    pub(super) node_upsets: u64,
    pub(super) store_upsets: u64,
    /// Whether the store breaks the contract: it gives numbers twice.
    pub(super) forks: bool,
    /// Milliseconds for which a copy is kept that nobody reads.
    pub(super) linger: u64,
    /// Deletions that copies of states remember.
    pub(super) copies_remember: usize,
    /// Percent of connections that are polls.
    pub(super) polls: u64,
    /// Whether readers leave for another node.
    pub(super) moves: bool,
}

/// How bad the network between the nodes and the store is, in percent.
pub(super) struct Network {
    pub(super) news_lost: u64,
    pub(super) news_repeated: u64,
    /// Of questions: nobody hears them, or nobody hears the answer.
    pub(super) questions_lost: u64,
    /// Milliseconds on the way.
    pub(super) delay: RangeInclusive<u64>,
}

impl Plan {
    pub(super) fn draw(random: &mut Random) -> Self {
        let often = [0, 0, 5, 20, 60];
        let channels = (0..random.between(1..=2)).map(|_| keeps(random)).collect();
        let network = Network {
            news_lost: random.pick(&often),
            news_repeated: random.pick(&often),
            questions_lost: random.pick(&[0, 0, 5, 20]),
            delay: 0..=random.pick(&[2, 20, 200]),
        };
        Self {
            channels,
            nodes: random.pick(&[2, 2, 3, 4]),
            readers: random.pick(&[1, 2, 3, 4]),
            batch: random.pick(&[1, 2, 16]),
            page: random.pick(&[1, 2, 4, 64]),
            trouble: random.between(500..=4_000),
            network,
            node_upsets: random.pick(&[0, 10, 30]),
            store_upsets: random.pick(&[0, 0, 10, 30]),
            forks: random.chance(15),
            linger: random.pick(&[500, 2_000, 60_000]),
            copies_remember: random.pick(&[0, 1, 3, 1_000]),
            polls: 40,
            moves: true,
        }
    }

    /// Nothing goes wrong, and so many readers come to one stream at once and stay.
    pub(super) fn crowd(readers: usize) -> Self {
        let keeps = Keeps { kind: Kind::Stream, most: 1_000, ttl: u64::MAX, deletions: 0 };
        Self {
            channels: vec![keeps],
            nodes: 3,
            readers,
            batch: 16,
            page: 64,
            trouble: 2_000,
            network: Network { news_lost: 0, news_repeated: 0, questions_lost: 0, delay: 10..=10 },
            node_upsets: 0,
            store_upsets: 0,
            forks: false,
            linger: 60_000,
            copies_remember: 1_000,
            polls: 0,
            moves: false,
        }
    }

    pub(super) fn kinds(&self) -> Vec<Kind> {
        self.channels.iter().map(|keeps| keeps.kind).collect()
    }

    /// How much one question reads.
    pub(super) fn page(&self) -> Limit {
        Limit { messages: self.page, bytes: usize::MAX }
    }
}

pub(super) fn retention(keeps: Keeps) -> Retention {
    Retention { keep: keeps.most, keep_bytes: u64::MAX, ttl_ms: keeps.ttl }
}

fn keeps(random: &mut Random) -> Keeps {
    let for_ever = u64::MAX;
    if random.chance(55) {
        let (most, ttl) = (random.pick(&[1, 3, 8, 1_000, 1_000]), random.pick(&[300, for_ever, for_ever]));
        Keeps { kind: Kind::Stream, most, ttl, deletions: 0 }
    } else {
        let (most, ttl) = (random.pick(&[4, 1_000]), random.pick(&[400, for_ever, for_ever]));
        Keeps { kind: Kind::State, most, ttl, deletions: random.pick(&[0, 1, 3, 1_000]) }
    }
}
