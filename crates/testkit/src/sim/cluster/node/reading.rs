//! How a reader gets what it reads: from the copy, or from the store where the copy does not have it.

use std::mem;
use std::sync::Arc;

use tricast_core::backplane::Slice;
use tricast_core::cache::{Filled, Serves};
use tricast_core::log::Head;
use tricast_core::message::Message;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::protocol::GapReason;
use tricast_core::replay::{Decision, decide};

use super::session::State;
use super::{Ends, Fetch, Flaw, Node, Out};
use crate::sim::cluster::question::{Purpose, Question, Waiter};
use crate::sim::node::Told;

/// What a reader is given.
enum Got {
    Nothing { to: Seq },
    Messages { epoch: Epoch, messages: Vec<Arc<Message>>, to: Seq },
    Gap { head: Head, reason: GapReason, position: Position },
}

impl Node {
    /// The store said where the log stands after a reader came; or nothing.
    pub(super) fn entered(&mut self, session: u64, head: Option<Head>) {
        let Some(it) = self.sessions.get_mut(&session) else { return };
        let (Some(head), Some(copy)) = (head, &self.copies[it.channel]) else {
            self.sessions.remove(&session);
            self.out.push(Out::Refuse { session });
            return;
        };
        it.begin(copy.kind, &head);
        it.state = State::Idle;
        if self.flaw == Some(Flaw::MissesLives) {
            it.life = copy.life;
        }
        if !it.polls {
            let told = mem::take(&mut it.told);
            self.out.push(Out::Tell { session, told, ends: None });
        }
        self.pump(session);
    }

    /// Takes what is new for a reader, if it can be written to.
    pub(super) fn pump(&mut self, session: u64) {
        let Some(it) = self.sessions.get(&session).filter(|it| it.state == State::Idle) else { return };
        let Some(copy) = &self.copies[it.channel] else { return };
        if it.has_news(copy.life, copy.cache.log().head().head) {
            self.take(session);
        } else if it.polls && !it.told.is_empty() {
            self.write(session);
        }
    }

    fn take(&mut self, session: u64) {
        let Some(it) = self.sessions.get_mut(&session) else { return };
        let Some(copy) = &self.copies[it.channel] else { return };
        // Before reading: what ends a life from here on is seen the next time.
        it.life = copy.life;
        let (channel, after) = (it.channel, it.position);
        match self.read_here(channel, after) {
            Some(got) => self.got(session, got),
            None => {
                self.sessions.entry(session).and_modify(|it| it.state = State::Waiting);
                self.watch(channel, Waiter::Read(session));
            }
        }
    }

    fn read_here(&self, channel: usize, after: Position) -> Option<Got> {
        let cache = &self.copies[channel].as_ref()?.cache;
        let head = cache.log().head();
        match cache.serves(after) {
            Serves::Yes => {}
            Serves::Ahead => return Some(Got::Nothing { to: after.seq }),
            Serves::No => {
                let begins = self.flaw == Some(Flaw::ServesPastItsBeginning) && after.epoch == head.epoch;
                let strange = self.flaw == Some(Flaw::AdoptsOldEpochs) && after.epoch != head.epoch;
                if strange && cache.is_begun() {
                    let kind = self.plan.channels[channel].kind;
                    if let Decision::Gap { reason, position } = decide(kind, Some(after), &head) {
                        return Some(Got::Gap { head, reason, position });
                    }
                }
                if !begins || head.head <= after.seq {
                    return None;
                }
            }
        }
        let (extent, messages) = (cache.log().extent(after, self.plan.batch), cache.log().read(after, self.plan.batch));
        Some(if messages.is_empty() {
            Got::Nothing { to: extent.to }
        } else {
            Got::Messages { epoch: head.epoch, messages, to: extent.to }
        })
    }

    /// Where the log stands was asked for a reader whom the copy cannot serve.
    pub(super) fn may_read(&mut self, channel: usize, session: u64, head: Option<Head>) {
        let Some(it) = self.sessions.get(&session) else { return };
        let Some(head) = head else {
            self.owe(session);
            return;
        };
        let kind = self.plan.channels[channel].kind;
        if let Decision::Gap { reason, position } = decide(kind, Some(it.position), &head) {
            self.got(session, Got::Gap { head, reason, position });
            return;
        }
        let copy = self.obtain(channel);
        copy.fetch_next.push_back(session);
        if copy.fetching.is_none() {
            self.fetch_next(channel);
        }
    }

    /// The next who waits to fetch has the turn.
    fn fetch_next(&mut self, channel: usize) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let Some(session) = copy.fetch_next.pop_front() else {
            copy.page = None;
            return;
        };
        let Some(it) = self.sessions.get(&session) else { return self.fetch_next(channel) };
        // Whoever fetched before may have fetched this.
        let mut filling = copy.cache.lacks(it.position);
        let mut reused = false;
        if self.flaw == Some(Flaw::FillsWithOldPages)
            && let Some(filling) = &mut filling
        {
            reused = mem::take(&mut copy.old_pages).into_iter().any(|page| filling.take(page) == Filled::Whole);
        }
        if reused {
            copy.change(|cache| filling.take().is_some_and(|filling| cache.fill(filling)));
        } else if filling.is_some() {
            filling = copy.cache.lacks(it.position);
        }
        let at = filling.as_ref().map(tricast_core::cache::Filling::at);
        copy.fetching = Some(Fetch { session, filling, pages: Vec::new() });
        match at {
            Some(after) => self.out.push(Out::Ask(Purpose::Fill(channel), Question::Read { channel, after })),
            None => self.filled(channel),
        }
    }

    /// A page of what a reader lacks.
    pub(super) fn lacked(&mut self, channel: usize, slice: Slice) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let Some(fetch) = &mut copy.fetching else { return };
        let Some(mut filling) = fetch.filling.take() else { return };
        fetch.pages.push(slice.clone());
        match filling.take(slice) {
            Filled::More => {
                let after = filling.at();
                fetch.filling = Some(filling);
                self.out.push(Out::Ask(Purpose::Fill(channel), Question::Read { channel, after }));
                return;
            }
            Filled::Unfit => {}
            Filled::Whole => {
                let pages = mem::take(&mut fetch.pages);
                let filled = copy.change(|cache| cache.fill(filling));
                if self.flaw == Some(Flaw::FillsWithOldPages) {
                    copy.old_pages = pages;
                }
                self.fills += u64::from(filled);
            }
        }
        self.filled(channel);
    }

    /// What could become part of the copy has become it: the rest is read for this reader alone, and who is there.
    fn filled(&mut self, channel: usize) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let Some(session) = copy.fetching.as_ref().map(|fetch| fetch.session) else { return };
        let after = self.sessions.get(&session).map(|it| it.position);
        let Some(after) = after else { return self.end_fetch(channel) };
        if let Some(got) = self.read_here(channel, after) {
            self.end_fetch(channel);
            self.got(session, got);
            return;
        }
        let page = self.copies[channel].as_ref().and_then(|copy| copy.page.clone());
        match page.filter(|(at, _)| *at == after) {
            Some((_, slice)) => self.fetched(channel, after, slice),
            None => self.out.push(Out::Ask(Purpose::Page(channel, after), Question::Read { channel, after })),
        }
    }

    pub(super) fn fetched(&mut self, channel: usize, after: Position, slice: Slice) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let Some(session) = copy.fetching.as_ref().map(|fetch| fetch.session) else { return };
        copy.page = Some((after, slice.clone()));
        self.end_fetch(channel);
        let Slice { head, mut messages, mut to } = slice;
        let kind = self.plan.channels[channel].kind;
        if let Decision::Gap { reason, position } = decide(kind, Some(after), &head) {
            self.got(session, Got::Gap { head, reason, position });
            return;
        }
        if messages.len() > self.plan.batch.messages {
            messages.truncate(self.plan.batch.messages);
            to = messages.last().map_or(to, |last| last.seq);
        }
        let epoch = head.epoch;
        self.got(
            session,
            if messages.is_empty() { Got::Nothing { to } } else { Got::Messages { epoch, messages, to } },
        );
    }

    pub(super) fn fetch_failed(&mut self, channel: usize) {
        let Some(copy) = &self.copies[channel] else { return };
        let session = copy.fetching.as_ref().map(|fetch| fetch.session);
        self.end_fetch(channel);
        session.inspect(|session| self.owe(*session));
    }

    fn end_fetch(&mut self, channel: usize) {
        let Some(copy) = &mut self.copies[channel] else { return };
        copy.fetching = None;
        self.fetch_next(channel);
    }

    /// The store does not answer: the reader is rung when it does again.
    fn owe(&mut self, session: u64) {
        let Some(it) = self.sessions.get_mut(&session) else { return };
        (it.state, it.owed, it.life) = (State::Idle, true, it.life.wrapping_sub(1));
        if let Some(copy) = &mut self.copies[it.channel] {
            copy.owed = true;
        }
        self.owed += 1;
        if it.polls && !it.told.is_empty() {
            self.write(session);
        }
    }

    fn got(&mut self, session: u64, got: Got) {
        let Some(it) = self.sessions.get_mut(&session) else { return };
        (it.state, it.owed) = (State::Idle, false);
        let kind = self.plan.channels[it.channel].kind;
        match got {
            Got::Nothing { to } => it.advance(to),
            Got::Messages { epoch, messages, to } => {
                let channel = it.channel;
                it.told.extend(messages.into_iter().map(|message| Told::Message { channel, epoch, message }));
                it.advance(to);
            }
            Got::Gap { head, reason, position } => it.lost(kind, &head, reason, position),
        }
        it.live();
        if it.told.is_empty() {
            self.out.push(Out::Look { session });
        } else {
            self.write(session);
        }
    }

    fn write(&mut self, session: u64) {
        let Some(it) = self.sessions.get_mut(&session) else { return };
        let told = mem::take(&mut it.told);
        if it.polls {
            let ends = Some(Ends { position: Some(it.position), owed: it.owed });
            self.sessions.remove(&session);
            self.out.push(Out::Tell { session, told, ends });
            return;
        }
        it.state = State::Writing;
        self.out.push(Out::Tell { session, told, ends: None });
    }
}
