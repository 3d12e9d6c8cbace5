//! Writing: what is decided on a staged copy, and stored if nobody was faster.

use bytes::Bytes;
use tokio::time::{Duration, Instant};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::Kind;
use tricast_core::log::{AppendError, Appended, Change, Stamp};
use tricast_core::message::Draft;

use super::{Channel, Job};
use crate::entry::{CHANGE_BYTES, ENTRY_BYTES, Entry, What};
use crate::limits::{DRAFTS, ENTRY_MOST, EXPIRED};
use crate::replica::Replica;
use crate::shared::{unavailable, unknown};
use crate::store::{StoreError, Stored};

type Answers = Vec<Result<Appended, AppendError>>;

/// What drafts come to, on the log as it is.
struct Staged {
    changes: Vec<Change>,
    answers: Answers,
    /// Keys that a state has then.
    keys: usize,
    /// More keys are to leave than fit into an entry.
    unfinished: bool,
}

/// More bytes than the headers of a message have.
const HEADERS: usize = 256;

/// How many times somebody else may be faster before it is waited for a little.
const PATIENCE: u32 = 2;

impl Channel {
    /// The drafts of the next entry: as many as fit.
    pub(super) fn batch(&mut self) -> Vec<Job> {
        let most = self.shared.store.max_payload().saturating_sub(HEADERS);
        let (mut batch, mut bytes) = (Vec::new(), ENTRY_BYTES);
        while let Some(job) = self.jobs.pop_front() {
            if job.reply.is_closed() {
                continue;
            }
            let size = size(&job);
            if ENTRY_BYTES + size > most {
                let reason = format!("the message needs {size} bytes, and NATS takes {most} (max_payload)");
                drop(job.reply.send(Err(unavailable(reason))));
                continue;
            }
            if !batch.is_empty() && (batch.len() >= DRAFTS || bytes + size > most.min(ENTRY_MOST)) {
                self.jobs.push_front(job);
                break;
            }
            bytes += size;
            batch.push(job);
        }
        batch
    }

    /// Appends what there is to append, after which the replica is what the channel was at a moment after this was called.
    pub(super) async fn write(&mut self, batch: &[Job], deadline: Instant) -> Result<Answers, BackplaneError> {
        let present = self.shared.lives.incarnation(self.kind());
        let current = self.replica.as_ref().is_some_and(|replica| replica.incarnation == present);
        let mut confirmed = !current || self.behind || self.unconfirmed || batch.is_empty();
        if confirmed {
            self.confirm(deadline).await?;
        }
        for tries in 0_u32.. {
            let Some(staged) = self.replica.as_ref().map(|replica| self.stage(replica, batch)) else { break };
            let done = if staged.changes.is_empty() {
                confirmed
            } else {
                self.store_entry(staged.changes, staged.keys, deadline).await? && !staged.unfinished
            };
            if done {
                return Ok(staged.answers);
            }
            if tries >= PATIENCE {
                let most = u64::from(tries.min(8)) * 500;
                tokio::time::sleep(Duration::from_micros(self.shared.entropy.below(most))).await;
            }
            if Instant::now() >= deadline {
                break;
            }
            self.confirm(deadline).await?;
            confirmed = true;
        }
        Err(unavailable("others write to the channel faster"))
    }

    fn stage(&self, replica: &Replica, batch: &[Job]) -> Staged {
        let now_ms = self.shared.clock.wall_ms();
        let stamp = || Stamp { now_ms, tag: self.shared.tags.next() };
        let expired = replica.log.expired(now_ms, EXPIRED);
        let unfinished = expired.len() == EXPIRED;
        let keys = batch.iter().filter_map(|job| job.draft.key.as_deref()).chain(expired.iter().map(|key| &**key));
        let ids = batch.iter().filter_map(|job| Some((&job.publisher, job.draft.id.as_deref()?)));
        let mut log = replica.log.excerpt(keys, ids, now_ms);
        let mut changes = log.record_expiry(stamp());
        let mut answers = Vec::with_capacity(batch.len());
        // A draft is answered as of a log without the keys whose time is over: those first, where they are many.
        for job in batch.iter().filter(|_| !unfinished) {
            match log.record(job.draft.clone(), &job.publisher, stamp()) {
                Ok((appended, change)) => {
                    changes.extend(change);
                    answers.push(Ok(appended));
                }
                Err(error) => answers.push(Err(error)),
            }
        }
        let keys = if log.kind() == Kind::State { log.len() } else { 0 };
        Staged { changes, answers, keys, unfinished }
    }

    /// Stores what changes after the replica's last entry; false where that is not the last any more.
    async fn store_entry(
        &mut self,
        changes: Vec<Change>,
        keys: usize,
        deadline: Instant,
    ) -> Result<bool, BackplaneError> {
        let Some(tail) = self.replica.as_ref().map(|replica| replica.tail) else { return Ok(false) };
        let entry = Entry { keys, ..self.entry(What::Changes(changes)) };
        let payload = Bytes::from(entry.encode());
        let mut may_be_stored = false;
        loop {
            let subject = self.subject.clone();
            match self.shared.store.publish(subject, payload.clone(), Some(tail.sequence), deadline).await {
                Ok(sequence) => {
                    self.apply(&entry, &Stored { sequence, payload });
                    return Ok(true);
                }
                Err(StoreError::Behind) if may_be_stored => return self.find_out(entry.id, deadline).await,
                Err(StoreError::Behind) => return Ok(false),
                // The same entry again cannot be stored twice: the first of them is in the way of the second.
                Err(StoreError::Unknown(reason)) => {
                    if Instant::now() >= deadline || !self.shared.store.is_connected() {
                        return Err(unknown(reason));
                    }
                    may_be_stored = true;
                }
                Err(error) if may_be_stored => return Err(unknown(error)),
                Err(error) => return Err(unavailable(error)),
            }
        }
    }

    /// Whether an entry was stored of which that was not known. If not it never will be, for others are in its way.
    async fn find_out(&mut self, id: u64, deadline: Instant) -> Result<bool, BackplaneError> {
        (self.awaited, self.skipped) = (Some((id, false)), false);
        let confirmed = self.confirm(deadline).await;
        let stored = self.awaited.take().is_some_and(|(_, seen)| seen);
        match confirmed {
            // It may have been among what was deleted since.
            Ok(()) if !stored && self.skipped => Err(unknown("the channel had to be read anew")),
            Ok(()) => Ok(stored),
            Err(error) => Err(unknown(error)),
        }
    }
}

/// More bytes than a draft needs in an entry.
fn size(job: &Job) -> usize {
    let Draft { payload, event, id, key, user, hold, .. } = &job.draft;
    let texts = [event.as_deref(), id.as_deref(), id.as_deref(), key.as_deref(), key.as_deref()];
    let texts = texts.into_iter().flatten().map(str::len).sum::<usize>();
    let user = user.as_ref().map_or(0, |user| user.as_str().len());
    let holder = hold.as_ref().map_or(0, |hold| hold.holder.len());
    let payload = payload.as_ref().map_or(0, tricast_core::message::Payload::len);
    CHANGE_BYTES + payload + texts + user + holder + job.publisher.as_str().len()
}
