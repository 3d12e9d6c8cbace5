//! What happens at the server.

use super::{EPOCH_MS, Happening, Link, Transport, World};
use crate::sim::flaw::Flaw;
use crate::sim::node::{Told, Want};
use crate::sim::publisher::Publish;
use crate::sim::violation::Checked;

impl World {
    pub(super) fn subscribe(&mut self, link: usize, wants: &[Want], cursor: &str) -> Checked {
        let Link { transport, broken, .. } = self.links[link];
        if broken {
            return Ok(());
        }
        let now = self.wall();
        let polls = transport == Transport::Poll;
        // A poll that arrives twice is answered twice.
        let open = self.node.session_of(link).filter(|_| !polls);
        let session = open.unwrap_or_else(|| self.node.open(link, polls));
        let mut told = self.node.subscribe(session, wants, cursor, now)?;
        if polls {
            told.extend(self.node.take(session, now)?);
            if told.is_empty() {
                self.later(3_000, Happening::Waited { session });
            } else {
                self.answer(session, told);
            }
            return Ok(());
        }
        // The events that begin a subscription are written at once, whatever else is being written.
        self.send_on(link, Happening::Hears { link, told });
        self.pump(session)
    }

    /// Writes a batch to a reader that can take one.
    fn pump(&mut self, session: u64) -> Checked {
        let now = self.wall();
        let Some((link, polls)) = self.node.session(session).filter(|it| !it.busy).map(|it| (it.link, it.polls)) else {
            return Ok(());
        };
        let told = self.node.take(session, now)?;
        if told.is_empty() {
            return Ok(());
        }
        if polls {
            self.answer(session, told);
            return Ok(());
        }
        if let Some(session) = self.node.session(session) {
            session.busy = true;
        }
        let loses = self.flaw == Some(Flaw::LosesBatches) && self.random.chance(20);
        if !loses {
            self.send_on(link, Happening::Hears { link, told });
        }
        // Some readers are slow, and some now and then.
        let slow = self.random.pick(&[0, 5, 300]);
        self.later(slow, Happening::Writable { session });
        Ok(())
    }

    fn answer(&mut self, session: u64, told: Vec<Told>) {
        let Some(link) = self.node.session(session).map(|it| it.link) else { return };
        self.node.end_session(session);
        for at in self.arrivals() {
            self.agenda.note(at, Happening::Hears { link, told: told.clone() });
        }
    }

    pub(super) fn writable(&mut self, session: u64) -> Checked {
        match self.node.session(session) {
            Some(it) => it.busy = false,
            None => return Ok(()),
        }
        self.pump(session)
    }

    pub(super) fn waited(&mut self, session: u64) -> Checked {
        self.answer(session, Vec::new());
        Ok(())
    }

    pub(super) fn published(&mut self, publish: Publish) -> Checked {
        let now = self.wall();
        let position = self.node.append(publish.channel, &publish.item, now)?;
        for at in self.arrivals() {
            self.agenda.note(at, Happening::Answered { publish: publish.clone(), position });
        }
        self.grew(publish.channel)
    }

    fn grew(&mut self, channel: usize) -> Checked {
        if let Some(at) = self.node.next_expiry(channel) {
            let wait = at.saturating_sub(self.wall()) + self.random.between(0..=100);
            self.agenda.note(self.agenda.now() + wait, Happening::Expire { channel });
        }
        for session in self.node.idle_readers(channel) {
            self.pump(session)?;
        }
        Ok(())
    }

    pub(super) fn expire(&mut self, channel: usize) -> Checked {
        let now = self.wall();
        if self.node.expire(channel, now)? { self.grew(channel) } else { Ok(()) }
    }

    /// Something becomes of the server: it is started anew, loses a log, or its clock is set.
    pub(super) fn upset(&mut self) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.later(400, Happening::Upset);
        if self.random.chance(10) {
            self.skew = EPOCH_MS - 1_000 + self.random.between(0..=600_000);
        }
        if !self.random.chance(self.plan.restarts) {
            return Ok(());
        }
        if self.random.chance(70) {
            for link in self.node.restart() {
                self.cut(link);
            }
            return Ok(());
        }
        let channel = self.random.below(self.kinds.len());
        self.node.lose(channel);
        for session in self.node.idle_readers(channel) {
            self.pump(session)?;
        }
        Ok(())
    }
}
