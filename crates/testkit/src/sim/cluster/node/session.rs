//! One reader of a channel, as a node knows it: a position, and what is written to it.

use tricast_core::channel::Kind;
use tricast_core::log::Head;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::protocol::{GapReason, Start};
use tricast_core::replay::{self, Decision, decide};

use super::Comes;
use crate::sim::node::Told;

pub(super) struct Session {
    pub(super) channel: usize,
    pub(super) polls: bool,
    asked: Option<Position>,
    start: Start,
    pub(super) state: State,
    /// Its position is known.
    pub(super) begun: bool,
    pub(super) position: Position,
    /// The life of the log that it was in when it last read.
    pub(super) life: u32,
    live_at: Option<Seq>,
    /// What is to be written next.
    pub(super) told: Vec<Told>,
    /// Something could not be read for it.
    pub(super) owed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It waits to be told where the log stands, or for what it reads.
    Waiting,
    Idle,
    Writing,
}

impl Session {
    pub(super) fn new(comes: Comes, life: u32) -> Self {
        let Comes { channel, polls, asked, start, .. } = comes;
        let position = Position::new(Epoch::from_bits(0), Seq::ZERO);
        let (state, told) = (State::Waiting, Vec::new());
        Self { channel, polls, asked, start, state, begun: false, position, life, live_at: None, told, owed: false }
    }

    /// It begins to read a log that stands there.
    pub(super) fn begin(&mut self, kind: Kind, head: &Head) {
        let channel = self.channel;
        let (position, gap) = match self.asked.map(|asked| (asked, decide(kind, Some(asked), head))) {
            Some((asked, Decision::Continue)) => (asked, None),
            Some((_, Decision::Gap { reason, position })) => (position, Some(reason)),
            None => (replay::start(kind, self.start, head), None),
        };
        let resumed = self.asked.is_some() && gap.is_none();
        (self.position, self.begun) = (position, true);
        // A poll that goes on is told nothing, so that it can wait.
        if !(self.polls && resumed) {
            self.told.push(Told::Subscribed { channel, position, head: head.position() });
        }
        if let Some(reason) = gap {
            self.told.push(Told::Gap { channel, position, head: head.position(), reason });
        }
        self.starts(kind, head, resumed, !self.polls);
    }

    /// Its position cannot be continued.
    pub(super) fn lost(&mut self, kind: Kind, head: &Head, reason: GapReason, position: Position) {
        self.position = position;
        self.told.push(Told::Gap { channel: self.channel, position, head: head.position(), reason });
        self.starts(kind, head, false, true);
    }

    fn starts(&mut self, kind: Kind, head: &Head, resumed: bool, live_for_all: bool) {
        if kind == Kind::Stream {
            return;
        }
        if !resumed && self.position.seq == Seq::ZERO {
            self.position = Position::snapshot(head.epoch, head.head);
        }
        let told = live_for_all || !resumed || self.position.base.is_some();
        self.live_at = told.then(|| self.position.base.unwrap_or(head.head));
    }

    /// Whether there may be something for it on a copy in this life, with this head.
    pub(super) fn has_news(&self, life: u32, head: Seq) -> bool {
        let is_live = self.live_at.is_some_and(|live| live <= self.position.seq);
        self.life != life || head > self.position.seq || is_live
    }

    /// It has been told everything up to here.
    pub(super) fn advance(&mut self, to: Seq) {
        self.position = self.position.advanced(to);
    }

    pub(super) fn live(&mut self) {
        let position = self.position;
        if self.live_at.take_if(|live| *live <= position.seq).is_some() {
            self.told.push(Told::Live { channel: self.channel, position });
        }
    }
}
