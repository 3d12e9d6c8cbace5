//! A client: it reads some channels, and knows nothing but its positions.
//!
//! It may ask a new connection while it still hears the old one, which then goes on to move the positions that the new
//! one was asked with. So that no message is told twice and no deletion missed, there are three rules for what the new
//! one brings:
//! - An answer is void, and has to be asked for again, if the position was replaced since it was asked (by a `gap`, or
//!   because there was none).
//! - So is the answer to a reader of a state who stood at zero, if it was told of anything since: to one who has nothing
//!   no deletion is owed.
//! - A stream's `gap` for what expired is dropped if the reader stands beyond it already ([`Reader::gap`]).

use tricast_core::channel::Kind;
use tricast_core::position::{Seq, cursor_text};
use tricast_core::protocol::Start;

use super::flaw::Flaw;
use super::node::{Node, Told, Want};
use super::random::Random;
use super::reader::{Reader, Verdict};
use super::tally::Tally;
use super::violation::Checked;
use super::witness::Witness;

pub(super) struct Client {
    subscriptions: Vec<Subscription>,
    /// The connection that it reads from.
    pub(super) current: Option<usize>,
    /// One that is to take its place.
    pub(super) next: Option<usize>,
    pub(super) tally: Tally,
    flaw: Option<Flaw>,
}

struct Subscription {
    channel: usize,
    start: Start,
    reader: Reader,
    witness: Witness,
    /// The connection whose word counts.
    owner: Option<usize>,
    /// How often its position was replaced.
    replaced: u64,
    /// The connections that were asked to continue, and how often its position had been replaced then.
    asked: Vec<(usize, u64)>,
}

impl Subscription {
    /// Takes the word of a connection, unless it speaks of a position that was replaced since it was asked.
    fn give_to(&mut self, link: usize) -> bool {
        let holds = self.asked.contains(&(link, self.replaced));
        if holds {
            self.owner = Some(link);
        }
        holds
    }
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Well,
    /// The connection answers a question that is no longer the client's.
    Void,
    /// Something is missing before it.
    Fault,
}

impl Client {
    pub(super) fn new(channels: &[Kind], random: &mut Random, flaw: Option<Flaw>) -> Self {
        let mut subscriptions: Vec<Subscription> = (0..)
            .zip(channels)
            .filter_map(|(channel, kind)| {
                let newest = random.between(1..=5);
                let start = match kind {
                    Kind::Stream => random.pick(&[Start::Latest, Start::Earliest, Start::Last(newest)]),
                    Kind::State => Start::Earliest,
                };
                let (reader, witness) = (Reader::new(*kind), Witness::default());
                let (owner, replaced, asked) = (None, 0, Vec::new());
                let subscription = Subscription { channel, start, reader, witness, owner, replaced, asked };
                random.chance(80).then_some(subscription)
            })
            .collect();
        if random.chance(50) {
            subscriptions.reverse();
        }
        Self { subscriptions, current: None, next: None, tally: Tally::default(), flaw }
    }

    /// Asks a connection to continue, with [`Client::cursor`]; returns the channels.
    pub(super) fn ask(&mut self, link: usize) -> Vec<Want> {
        let ask = |it: &mut Subscription| {
            it.asked.push((link, it.replaced));
            (it.channel, it.start)
        };
        self.subscriptions.iter_mut().map(ask).collect()
    }

    pub(super) fn cursor(&self) -> String {
        cursor_text(self.subscriptions.iter().map(|it| it.reader.position()))
    }

    /// A connection is its own, and alive as far as it knows.
    pub(super) fn listens_to(&self, link: usize) -> bool {
        self.current == Some(link) || self.next == Some(link)
    }

    /// Takes a connection's word for all channels, as that of a poll's answer is.
    pub(super) fn give_all_to(&mut self, link: usize) {
        for subscription in &mut self.subscriptions {
            subscription.give_to(link);
        }
    }

    /// Once the next connection owns every channel, it is the only one; returns the one to close.
    pub(super) fn promote(&mut self) -> Option<usize> {
        let next = self.next.filter(|next| self.subscriptions.iter().all(|it| it.owner == Some(*next)))?;
        self.next = None;
        self.current.replace(next)
    }

    /// A connection is gone; returns another that has to be given up with it, because it lost channels to it.
    pub(super) fn lost(&mut self, link: usize) -> Option<usize> {
        if self.next == Some(link) {
            self.next = None;
            let took = self.subscriptions.iter().any(|it| it.owner == Some(link));
            return self.current.take_if(|_| took);
        }
        self.current = None;
        None
    }

    /// Hears what a connection brings; returns what became of it.
    pub(super) fn hear(&mut self, link: usize, told: &Told, node: &Node) -> Checked<Heard> {
        let Some(it) = self.subscriptions.iter_mut().find(|it| it.channel == told.channel()) else {
            return Ok(Heard::Well);
        };
        // What was asked before the position was replaced has to be asked again.
        let void = matches!(told, Told::Subscribed { .. }) && !it.give_to(link);
        if void && self.flaw == Some(Flaw::BelievesVoidAnswers) {
            it.owner = Some(link);
        } else if void {
            self.tally.voids += 1;
            return Ok(Heard::Void);
        }
        if it.owner != Some(link) && self.flaw != Some(Flaw::HearsEveryConnection) {
            return Ok(Heard::Well);
        }
        let ledger = node.ledger(it.channel);
        let verdict = match told {
            Told::Subscribed { position, head, .. } => {
                if it.reader.position().is_none() {
                    it.replaced += 1;
                    it.witness.starts(ledger.kind(), *position);
                }
                it.reader.subscribed(*position, *head)
            }
            Told::Gap { position, head, reason, .. } => {
                let verdict = it.reader.gap(*position, *head, *reason);
                if verdict == Verdict::Deliver {
                    it.replaced += 1;
                    it.witness.starts(ledger.kind(), *position);
                    self.tally.gaps += 1;
                }
                verdict
            }
            Told::Message { epoch, message, .. } => {
                let had_nothing = it.reader.position().is_some_and(|position| position.seq == Seq::ZERO);
                let verdict = it.reader.message(*epoch, message.seq);
                // No deletion is owed to a reader of a state who has nothing, and now it has something.
                let owed = had_nothing && ledger.kind() == Kind::State;
                it.replaced += u64::from(owed && verdict == Verdict::Deliver);
                self.tally.delivered += u64::from(verdict == Verdict::Deliver);
                self.tally.dropped += u64::from(verdict == Verdict::Drop);
                let repeats = verdict == Verdict::Drop && self.flaw == Some(Flaw::DeliversRepeats);
                if verdict == Verdict::Deliver || repeats {
                    it.witness.message(ledger, *epoch, message)?;
                }
                verdict
            }
            Told::Live { position, .. } => it.reader.live(*position),
        };
        // Without a base a snapshot is complete. To wait for `live` would be to wait for good where it was cut off: the
        // next connection sees a position like any other.
        if let Some(position) = it.reader.position().filter(|position| position.base.is_none()) {
            it.witness.complete(ledger, position)?;
        }
        Ok(if verdict == Verdict::Fault { Heard::Fault } else { Heard::Well })
    }

    /// Whether it has everything; if so, what it was told is held against what there is.
    pub(super) fn is_settled(&self, node: &mut Node, now: u64) -> Checked<bool> {
        for it in &self.subscriptions {
            let Some(position) = it.reader.position() else { return Ok(false) };
            if it.witness.waits() || !node.is_caught_up(it.channel, position, now)? {
                return Ok(false);
            }
        }
        for it in &self.subscriptions {
            if let Some(position) = it.reader.position() {
                it.witness.check_end(node.ledger(it.channel), position)?;
            }
        }
        Ok(true)
    }
}
