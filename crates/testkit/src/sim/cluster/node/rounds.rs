//! What is done once a second for all copies of a node.

use tricast_core::cache::Cache;
use tricast_core::log::Head;

use super::{Flaw, Node, Out, Turn};
use crate::sim::cluster::question::{Errand, Purpose, Question};

/// Milliseconds between two rounds.
const ROUND: u64 = 1_000;

impl Node {
    pub(super) fn wait_for_round(&mut self) {
        self.rounds += 1;
        self.waits = Some(self.rounds);
        let wait = if self.doubt { 0 } else { ROUND };
        self.out.push(Out::Round { wait, nth: self.rounds });
    }

    /// What was told before may be incomplete.
    pub(in super::super) fn uncertain(&mut self) {
        self.doubt = true;
        if self.waits.is_some() {
            self.wait_for_round();
        }
    }

    pub(in super::super) fn round(&mut self, nth: u64) {
        if self.waits != Some(nth) {
            return;
        }
        self.waits = None;
        let in_doubt = std::mem::take(&mut self.doubt);
        self.retire_idle();
        let compares = self.flaw != Some(Flaw::NeverCompares);
        let begun = |channel: &usize| {
            let copy = self.copies[*channel].as_ref();
            compares && copy.is_some_and(|copy| copy.cache.is_begun())
        };
        let channels: Vec<usize> = (0..self.copies.len()).filter(begun).collect();
        if channels.is_empty() {
            self.wait_for_round();
            return;
        }
        let question = Question::Heads { channels: channels.clone() };
        self.out.push(Out::Ask(Purpose::Heads { channels, in_doubt }, question));
    }

    pub(super) fn compared(&mut self, channels: &[usize], heads: &[Head]) {
        for (channel, head) in channels.iter().zip(heads) {
            if self.learn(*channel, head) {
                self.send(*channel, Errand::CatchUp);
            }
            let Some(copy) = &mut self.copies[*channel] else { continue };
            let pays = std::mem::take(&mut copy.owed) && self.flaw != Some(Flaw::NeverPays);
            if pays {
                self.tell(*channel);
            }
        }
        self.wait_for_round();
    }

    pub(super) fn not_compared(&mut self, in_doubt: bool) {
        self.wait_for_round();
        // The doubt is still there.
        self.doubt |= in_doubt;
    }

    /// Gives up the copies that nobody has read for a while.
    fn retire_idle(&mut self) {
        for channel in 0..self.copies.len() {
            let gives_up = self.flaw == Some(Flaw::GivesUpWhatIsRead);
            let is_read = self.sessions.values().any(|it| it.channel == channel) && !gives_up;
            let (now, linger) = (self.now, self.plan.linger);
            let Some(copy) = &mut self.copies[channel] else { continue };
            let works = copy.behind || copy.catching.is_some() || copy.turn.is_some() || copy.fetching.is_some();
            if is_read || works {
                copy.idle_since = None;
                continue;
            }
            let since = *copy.idle_since.get_or_insert(now);
            if now - since >= linger {
                copy.turn = Some(Turn { waiters: Vec::new(), head: None, watches: false });
                self.out.push(Out::Ask(Purpose::Retire(channel), Question::Unwatch { channel }));
            }
        }
    }

    pub(super) fn retired(&mut self, channel: usize) {
        let Some(copy) = &mut self.copies[channel] else { return };
        copy.watched = false;
        copy.change(Cache::close);
        copy.turn = None;
        let works = copy.behind || copy.catching.is_some() || copy.fetching.is_some() || !copy.next.is_empty();
        let is_wanted = works || self.sessions.values().any(|it| it.channel == channel);
        if is_wanted {
            self.take_turn(channel);
        } else {
            self.copies[channel] = None;
        }
    }
}
