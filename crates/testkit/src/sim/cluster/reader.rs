//! Somebody who reads one channel, and knows nothing but a position: one connection at a time, to any node.

use tricast_core::channel::Kind;
use tricast_core::position::Position;
use tricast_core::protocol::Start;

use super::store::Store;
use crate::sim::node::Told;
use crate::sim::random::Random;
use crate::sim::reader::{Reader as Rules, Verdict};
use crate::sim::violation::Checked;
use crate::sim::witness::Witness;

pub(super) struct Reader {
    pub(super) channel: usize,
    pub(super) start: Start,
    rules: Rules,
    witness: Witness,
    /// The connection that it hears.
    pub(super) link: Option<usize>,
    pub(super) delivered: u64,
    pub(super) dropped: u64,
    pub(super) gaps: u64,
}

impl Reader {
    pub(super) fn new(kinds: &[Kind], random: &mut Random) -> Self {
        let channel = random.below(kinds.len());
        let newest = random.between(1..=3);
        let start = match kinds[channel] {
            Kind::Stream => random.pick(&[Start::Latest, Start::Earliest, Start::Last(newest)]),
            Kind::State => Start::Earliest,
        };
        let (rules, witness) = (Rules::new(kinds[channel]), Witness::default());
        Self { channel, start, rules, witness, link: None, delivered: 0, dropped: 0, gaps: 0 }
    }

    pub(super) fn position(&self) -> Option<Position> {
        self.rules.position()
    }

    /// Hears what its connection brings; false: something is missing before it.
    pub(super) fn hear(&mut self, told: &Told, store: &Store) -> Checked<bool> {
        let (channel, ledger) = (self.channel, store.ledger(self.channel));
        let before = self.position();
        let verdict = match told {
            Told::Subscribed { position, head, .. } => {
                let verdict = self.rules.subscribed(*position, *head);
                if before.is_none() {
                    self.witness.starts(ledger.kind(), *position);
                }
                verdict
            }
            Told::Gap { position, head, reason, .. } => {
                let is_void = |at: &Position| store.is_void(channel, at.epoch);
                if let Some(asked) = before.filter(|asked| !is_void(asked) && !is_void(position)) {
                    ledger.check_gap(asked, *position, *reason)?;
                }
                self.gaps += 1;
                let verdict = self.rules.gap(*position, *head, *reason);
                self.witness.starts(ledger.kind(), *position);
                verdict
            }
            Told::Message { epoch, message, .. } => {
                let verdict = self.rules.message(*epoch, message.seq);
                self.delivered += u64::from(verdict == Verdict::Deliver);
                self.dropped += u64::from(verdict == Verdict::Drop);
                if verdict == Verdict::Deliver && !store.is_void(channel, *epoch) {
                    self.witness.message(ledger, *epoch, message)?;
                }
                verdict
            }
            Told::Live { position, .. } => self.rules.live(*position),
        };
        let complete = self.position().filter(|position| position.base.is_none());
        if let Some(position) = complete.filter(|position| !store.is_void(channel, position.epoch)) {
            self.witness.complete(ledger, position)?;
        }
        Ok(verdict != Verdict::Fault)
    }

    /// Whether it has everything; if so, what it was told is held against what there is.
    pub(super) fn is_settled(&self, store: &Store) -> Checked<bool> {
        let Some(position) = self.position() else { return Ok(false) };
        if store.is_void(self.channel, position.epoch) && position.epoch == store.epoch(self.channel) {
            // Nobody has seen both lives, so nobody can tell.
            return Ok(true);
        }
        if self.witness.waits() || !store.is_caught_up(self.channel, position) {
            return Ok(false);
        }
        self.witness.check_end(store.ledger(self.channel), position)?;
        Ok(true)
    }
}
