//! Finding a channel's end: following its entries, reading it anew, beginning it.

use tokio::time::Instant;
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::Kind;
use tricast_core::log::Log;
use tricast_core::position::{Epoch, Seq};

use super::Channel;
use crate::bytes::DecodeError;
use crate::checkpoint;
use crate::entry::{Checkpoint, Entry, What};
use crate::limits::{READING, SAY_MS, SILENCE, TRIES};
use crate::replica::{Replica, Tail};
use crate::shared::unavailable;
use crate::store::{StoreError, Stored, within};

/// Where a step towards the end led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The replica was where the channel ended, at a moment after the step began.
    Arrived,
    /// Something changed meanwhile.
    Again,
}

/// What a channel was before it is read anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Before {
    epoch: Epoch,
    tail: Tail,
}

impl Channel {
    /// Makes the replica what the channel was at a moment after this was called, in the store's present life.
    pub(super) async fn confirm(&mut self, deadline: Instant) -> Result<(), BackplaneError> {
        for _ in 0..TRIES {
            if self.follow(deadline).await? == Step::Arrived && self.belongs(deadline).await? == Step::Arrived {
                (self.behind, self.unconfirmed) = (false, false);
                return self.say_that_it_is_asked_for(deadline).await;
            }
        }
        Err(unavailable("the channel changes faster than it can be read"))
    }

    async fn follow(&mut self, deadline: Instant) -> Result<Step, BackplaneError> {
        let last = self.shared.store.last(&self.stream, &self.subject, deadline).await.map_err(unavailable)?;
        let Some(last) = last else {
            self.replica = None;
            return self.begin(0, 0, deadline).await;
        };
        let Some(tail) = self.replica.as_ref().map(|replica| replica.tail) else {
            return self.read_from(&last, deadline).await;
        };
        if last.sequence < tail.sequence {
            return self.read_anew_instead().await;
        }
        let entry = match Entry::decode(&last.payload) {
            Ok(entry) => entry,
            Err(error) => return self.begin_after_damage(&last, error, deadline).await,
        };
        if (last.sequence, entry.id) == (tail.sequence, tail.id) {
            return Ok(Step::Arrived);
        }
        if last.sequence > tail.sequence && entry.previous == tail.id {
            self.apply(&entry, &last);
            return Ok(Step::Arrived);
        }
        if last.sequence == tail.sequence {
            return self.read_anew_instead().await;
        }
        let missed = self.shared.store.range(&self.stream, &self.subject, tail.sequence + 1, deadline).await;
        for stored in missed.map_err(unavailable)? {
            match Entry::decode(&stored.payload) {
                Ok(entry) if self.replica.as_ref().is_some_and(|replica| replica.is_next(&entry)) => {
                    self.apply(&entry, &stored);
                }
                Ok(_) | Err(_) => return self.read_anew_instead().await,
            }
        }
        Ok(Step::Arrived)
    }

    /// Reads what is stored, whose last entry this is.
    async fn read_from(&mut self, last: &Stored, deadline: Instant) -> Result<Step, BackplaneError> {
        // What was before it has to be looked for among what is stored.
        let entry = Entry::decode(&last.payload).ok().filter(|_| self.before.is_none());
        if let Some(entry) = entry.filter(|entry| entry.what.needs_none_before())
            && self.begin_with(&entry, last, deadline).await? == Step::Arrived
        {
            return Ok(Step::Arrived);
        }
        self.read_anew().await
    }

    /// Reads what is stored in place of what was believed.
    async fn read_anew_instead(&mut self) -> Result<Step, BackplaneError> {
        let before = self.replica.take().map(|replica| Before { epoch: replica.log.head().epoch, tail: replica.tail });
        self.before = before.or(self.before);
        self.read_anew().await
    }

    /// Takes its time, for who cannot wait asks again: a channel that is not read is not served.
    async fn read_anew(&mut self) -> Result<Step, BackplaneError> {
        (self.replica, self.skipped) = (None, true);
        let (before, deadline) = (self.before, within(READING));
        let all = self.shared.store.range(&self.stream, &self.subject, 1, deadline).await.map_err(unavailable)?;
        let (Some(first), Some(last)) = (all.first(), all.last()) else { return Ok(Step::Again) };
        let mut met = before.is_none_or(|before| first.sequence > before.tail.sequence);
        let mut last_id = 0;
        for stored in &all {
            let entry = match Entry::decode(&stored.payload) {
                Ok(entry) => entry,
                Err(error) => return self.begin_after_damage(last, error, deadline).await,
            };
            met |= before.is_some_and(|before| (before.tail.sequence, before.tail.id) == (stored.sequence, entry.id));
            last_id = entry.id;
            match &mut self.replica {
                Some(replica) if replica.is_next(&entry) => self.apply(&entry, stored),
                Some(replica) if entry.what != What::Begins => {
                    let gap = (replica.tail.sequence, stored.sequence);
                    return self.miss(gap, &all, deadline).await;
                }
                _ => {
                    if self.begin_with(&entry, stored, deadline).await? == Step::Again {
                        return self.miss((stored.sequence, stored.sequence), &all, deadline).await;
                    }
                }
            }
        }
        (self.before, self.gap) = (None, None);
        let forked = before.filter(|before| !met && self.epoch() == Some(before.epoch));
        if forked.is_some() {
            tracing::warn!(channel = %self.topic.name, "the store lost entries of a channel: a new epoch begins");
            return self.begin(last.sequence, last_id, deadline).await;
        }
        Ok(Step::Arrived)
    }

    /// Something is missing between two entries, or of a checkpoint. It may have been deleted while it was read, because
    /// something newer took its place: then it is not missed again.
    async fn miss(&mut self, gap: (u64, u64), all: &[Stored], deadline: Instant) -> Result<Step, BackplaneError> {
        self.replica = None;
        if self.gap != Some(gap) {
            self.gap = Some(gap);
            return Ok(Step::Again);
        }
        tracing::warn!(channel = %self.topic.name, "entries of a channel are missing: a new epoch begins");
        let last = all.last().map_or(0, |last| last.sequence);
        (self.before, self.gap) = (None, None);
        self.begin(last, last_id_of(all), deadline).await
    }

    /// Makes a replica of the first entry that is stored.
    async fn begin_with(&mut self, entry: &Entry, stored: &Stored, deadline: Instant) -> Result<Step, BackplaneError> {
        let (kind, retention) = (self.kind(), self.topic.rule.retention());
        let replica = match entry.what {
            What::Begins | What::Changes(_) => Replica::beginning_at(kind, retention, entry, stored.sequence),
            What::Checkpoint(of) => match self.read_checkpoint(of, deadline).await? {
                Some(log) => Replica::restored(log, entry, stored.sequence),
                None => return Ok(Step::Again),
            },
        };
        let incarnation = replica.incarnation;
        self.replica = Some(replica);
        self.applied(entry, stored.sequence, incarnation);
        Ok(Step::Arrived)
    }

    /// The log that a checkpoint kept; `None` where parts of it are missing, or damaged.
    async fn read_checkpoint(&mut self, of: Checkpoint, deadline: Instant) -> Result<Option<Log>, BackplaneError> {
        let subjects = self.shared.store.names.parts(&self.topic.name, of.id);
        let parts = self.shared.store.range(&self.stream, &subjects, 1, deadline).await.map_err(unavailable)?;
        if parts.len() != of.parts {
            return Ok(None);
        }
        let bytes: Vec<u8> = parts.iter().flat_map(|part| part.payload.iter().copied()).collect();
        match checkpoint::decode(&bytes) {
            Ok(snapshot) => Ok(Some(Log::restore(Kind::State, self.topic.rule.retention(), snapshot))),
            Err(error @ DecodeError::Version(_)) => {
                Err(unavailable(format!("a checkpoint of the channel cannot be read: {error}")))
            }
            Err(_) => Ok(None),
        }
    }

    /// Begins an epoch after the entry with this sequence and id; both are 0 where there is none.
    async fn begin(&mut self, after: u64, previous: u64, deadline: Instant) -> Result<Step, BackplaneError> {
        let entry = Entry {
            previous,
            incarnation: self.shared.lives.incarnation(self.kind()),
            epoch: Epoch::from_bits(self.shared.entropy.next_u64()),
            head: Seq::ZERO,
            last_append_ms: 0,
            keys: 0,
            ..self.entry(What::Begins)
        };
        let (payload, deadline) = (entry.encode().into(), deadline.min(within(SILENCE)));
        match self.shared.store.publish(self.subject.clone(), payload, Some(after), deadline).await {
            Ok(sequence) => {
                let replica = Replica::beginning_at(self.kind(), self.topic.rule.retention(), &entry, sequence);
                self.replica = Some(replica);
                self.applied(&entry, sequence, entry.incarnation);
                self.forget_below(sequence);
                Ok(Step::Arrived)
            }
            Err(StoreError::Behind) => Ok(Step::Again),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// What cannot be read ends the epoch; unless a later version wrote it, which can read it.
    async fn begin_after_damage(
        &mut self,
        last: &Stored,
        error: DecodeError,
        deadline: Instant,
    ) -> Result<Step, BackplaneError> {
        let what = format!("an entry of the channel cannot be read: {error}");
        if matches!(error, DecodeError::Version(_)) {
            return Err(unavailable(what));
        }
        tracing::warn!(channel = %self.topic.name, "{what}: a new epoch begins");
        let id = Entry::decode(&last.payload).map_or(0, |entry| entry.id);
        self.replica = None;
        self.begin(last.sequence, id, deadline).await
    }

    /// Begins a new epoch, where the present one is of an earlier life of the store.
    async fn belongs(&mut self, deadline: Instant) -> Result<Step, BackplaneError> {
        let Some(replica) = &self.replica else { return Ok(Step::Again) };
        let (present, tail) = (self.shared.lives.incarnation(self.kind()), replica.tail);
        if replica.incarnation == present {
            return Ok(Step::Arrived);
        }
        if replica.incarnation > present {
            // Another node noticed first.
            self.shared.check(deadline).await.map_err(unavailable)?;
            if self.shared.lives.incarnation(self.kind()) != present {
                return Ok(Step::Again);
            }
        }
        self.begin(tail.sequence, tail.id, deadline).await
    }

    /// Ends an epoch, if it is the channel's.
    pub(super) async fn renew(&mut self, epoch: Epoch, deadline: Instant) -> Result<(), BackplaneError> {
        for _ in 0..TRIES {
            self.confirm(deadline).await?;
            let Some(replica) = self.replica.as_ref().filter(|replica| replica.log.head().epoch == epoch) else {
                return Ok(());
            };
            let tail = replica.tail;
            if self.begin(tail.sequence, tail.id, deadline).await? == Step::Arrived {
                return Ok(());
            }
        }
        Err(unavailable("the channel changes faster than its epoch can be ended"))
    }

    /// A channel lives for a day after it was last asked for, whether anything is appended or not.
    async fn say_that_it_is_asked_for(&mut self, deadline: Instant) -> Result<(), BackplaneError> {
        let Some(replica) = &self.replica else { return Ok(()) };
        if self.shared.clock.wall_ms().saturating_sub(replica.tail.written_ms) < SAY_MS {
            return Ok(());
        }
        let (entry, tail) = (self.entry(What::Changes(Vec::new())), replica.tail);
        let payload = bytes::Bytes::from(entry.encode());
        match self.shared.store.publish(self.subject.clone(), payload.clone(), Some(tail.sequence), deadline).await {
            Ok(sequence) => self.apply(&entry, &Stored { sequence, payload }),
            // Then it has been said. It was confirmed all the same.
            Err(StoreError::Behind) => {}
            Err(error) => return Err(unavailable(error)),
        }
        Ok(())
    }

    /// An entry after the last, as far as that is known.
    pub(super) fn entry(&self, what: What) -> Entry {
        let replica = self.replica.as_ref();
        Entry {
            // 0 says that there is none.
            id: self.shared.entropy.next_u64().max(1),
            previous: replica.map_or(0, |replica| replica.tail.id),
            incarnation: replica.map_or(0, |replica| replica.incarnation),
            written_ms: self.shared.clock.wall_ms(),
            epoch: replica.map_or(Epoch::from_bits(0), |replica| replica.log.head().epoch),
            head: replica.map_or(Seq::ZERO, |replica| replica.log.head().head),
            last_append_ms: replica.map_or(0, |replica| replica.log.last_append_ms()),
            keys: replica.filter(|_| self.kind() == Kind::State).map_or(0, |replica| replica.log.len()),
            what,
        }
    }

    fn epoch(&self) -> Option<Epoch> {
        self.replica.as_ref().map(|replica| replica.log.head().epoch)
    }
}

fn last_id_of(all: &[Stored]) -> u64 {
    all.last().and_then(|last| Entry::decode(&last.payload).ok()).map_or(0, |entry| entry.id)
}
