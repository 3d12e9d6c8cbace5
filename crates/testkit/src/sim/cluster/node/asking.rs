//! Who asks the store where a log stands and what was missed, so that one does for all who want to know.

use tricast_core::backplane::Slice;
use tricast_core::cache::Learned;
use tricast_core::log::Head;
use tricast_core::position::Position;

use super::{Caller, Flaw, Node, Out, Turn};
use crate::sim::cluster::question::{Errand, Purpose, Question, Waiter};

impl Node {
    /// Asks where a log stands, for somebody who has come just now.
    pub(super) fn watch(&mut self, channel: usize, waiter: Waiter) {
        let alone = self.flaw == Some(Flaw::AsksForEachReader);
        let copy = self.obtain(channel);
        if alone {
            copy.watched = true;
            self.out.push(Out::Ask(Purpose::Alone(channel, waiter), Question::Watch { channel }));
            return;
        }
        copy.next.push(waiter);
        self.take_turn(channel);
    }

    /// Asks for all who wait, unless somebody asks already: that question may be older than they are.
    pub(super) fn take_turn(&mut self, channel: usize) {
        let Some(copy) = &mut self.copies[channel] else { return };
        if copy.turn.is_some() || copy.next.is_empty() {
            return;
        }
        let (waiters, watches) = (std::mem::take(&mut copy.next), !copy.watched);
        copy.turn = Some(Turn { waiters, head: None, watches });
        let question = if watches { Question::Watch { channel } } else { Question::Open { channel } };
        self.out.push(Out::Ask(Purpose::Turn(channel), question));
    }

    pub(super) fn turn_answered(&mut self, channel: usize, head: Option<Head>) {
        let Some(copy) = &mut self.copies[channel] else { return };
        if let Some(turn) = &mut copy.turn {
            turn.head = head;
            copy.watched = if turn.watches { head.is_some() } else { copy.watched };
        }
        match head {
            Some(head) if self.learn(channel, &head) => self.catch_up(channel, Caller::Turn),
            head => self.end_turn(channel, head),
        }
    }

    fn end_turn(&mut self, channel: usize, head: Option<Head>) {
        let Some(turn) = self.copies[channel].as_mut().and_then(|copy| copy.turn.take()) else { return };
        self.take_turn(channel);
        for waiter in turn.waiters {
            self.resolve(channel, waiter, head);
        }
    }

    /// Tells one who waited where the log stands; `None`: the store does not answer.
    pub(super) fn resolve(&mut self, channel: usize, waiter: Waiter, head: Option<Head>) {
        match waiter {
            Waiter::Enter(session) => self.entered(session, head),
            Waiter::Read(session) => self.may_read(channel, session, head),
            Waiter::Errand => {}
        }
    }

    pub(super) fn learn_alone(&mut self, channel: usize, head: &Head) {
        if self.learn(channel, head) {
            self.catch_up(channel, Caller::Errand);
        }
    }

    /// Returns whether something is missing in the copy.
    pub(super) fn learn(&mut self, channel: usize, head: &Head) -> bool {
        let Some(copy) = &mut self.copies[channel] else { return false };
        let (learned, is_behind) = copy.change(|cache| (cache.learn(head), cache.wants().is_some()));
        if learned == Learned::Anew {
            self.tell(channel);
        }
        is_behind
    }

    pub(super) fn catch_up(&mut self, channel: usize, caller: Caller) {
        let Some(copy) = &mut self.copies[channel] else { return };
        if copy.catching.is_some() {
            copy.catch_next.push_back(caller);
            return;
        }
        copy.catching = Some(caller);
        self.catch_on(channel);
    }

    /// Reads what was missed, until nothing is known to be missing.
    pub(super) fn catch_on(&mut self, channel: usize) {
        let Some(copy) = &self.copies[channel] else { return };
        match copy.cache.wants() {
            Some(after) => {
                self.out.push(Out::Ask(Purpose::CatchUp(channel, after), Question::Read { channel, after }));
            }
            None => self.caught_up(channel, true),
        }
    }

    pub(super) fn missed(&mut self, channel: usize, after: Position, slice: &Slice) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let before = (copy.cache.log().head(), Some(after));
        let forked = copy.change(|cache| cache.catch_up(after, slice)).err();
        let progress = (copy.cache.log().head(), copy.cache.wants()) != before;
        match forked.filter(|_| self.flaw != Some(Flaw::IgnoresForks)) {
            Some(fork) => {
                let question = Question::Renew { channel, epoch: fork.position.epoch };
                self.out.push(Out::Ask(Purpose::EndEpoch { channel, catches_up: true }, question));
            }
            None if progress => self.catch_on(channel),
            // A store that answers less than it told of is asked again when it tells more.
            None => self.caught_up(channel, true),
        }
    }

    pub(super) fn caught_up(&mut self, channel: usize, done: bool) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let (caller, next) = (copy.catching.take(), copy.catch_next.pop_front());
        let head = copy.turn.as_ref().and_then(|turn| turn.head).filter(|_| done);
        if let Some(next) = next {
            self.catch_up(channel, next);
        }
        if done {
            self.tell(channel);
        }
        if caller == Some(Caller::Turn) {
            self.end_turn(channel, head);
        }
    }

    /// Sends somebody, unless somebody is on the way.
    pub(super) fn send(&mut self, channel: usize, errand: Errand) {
        let Some(copy) = &mut self.copies[channel] else { return };
        if !std::mem::replace(&mut copy.behind, true) {
            self.out.push(Out::Send { channel, errand });
        }
    }

    /// Who was sent has come.
    pub(in super::super) fn arrives(&mut self, channel: usize, errand: Errand) {
        let Some(copy) = &mut self.copies[channel] else { return };
        copy.behind = false;
        match errand {
            Errand::CatchUp => self.catch_up(channel, Caller::Errand),
            Errand::Ask => self.watch(channel, Waiter::Errand),
            Errand::EndEpoch(fork) => {
                let question = Question::Renew { channel, epoch: fork.position.epoch };
                self.out.push(Out::Ask(Purpose::EndEpoch { channel, catches_up: false }, question));
            }
        }
    }
}
