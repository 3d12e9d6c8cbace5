//! The lives that the store has had: an incarnation for each of its streams.
//!
//! A store that comes back with less than it had begins another life, and with it the epochs of its channels are over: what
//! was numbered after the lost part may be numbered again. It shows in the time when a stream was created, or in a last
//! sequence below the highest that any node saw. That highest is kept in memory, and in a stream of its own beside the
//! incarnation, for nodes that start later.
//!
//! Each entry names the incarnation in which its channel's epoch began. Whoever touches a channel of an earlier one begins
//! a new epoch on top: nothing is rewritten at once.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tricast_core::channel::Kind;
use tricast_core::clock::{Clock, Entropy};

use crate::limits::TRIES;
use crate::store::{Store, StoreError, StreamInfo};

#[derive(Debug, Default)]
pub(crate) struct Lives {
    streams: Mutex<Life>,
    states: Mutex<Life>,
}

/// What this node knows of a stream's present life.
#[derive(Debug, Default, Clone, Copy)]
struct Life {
    incarnation: u64,
    /// The highest sequence that this node saw in it.
    highest: u64,
}

/// What is stored of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Record {
    incarnation: u64,
    created: String,
    highest: u64,
}

/// How long it takes a stream's new leader to say what it has.
const LEADER: Duration = Duration::from_millis(300);

/// Random bits at the end of an incarnation; before them is the time at which it began, so that later ones are higher.
const RANDOM_BITS: u32 = 20;

impl Lives {
    pub(crate) fn incarnation(&self, kind: Kind) -> u64 {
        self.get(kind).incarnation
    }

    /// Tells that a sequence was seen in this incarnation.
    pub(crate) fn saw(&self, kind: Kind, incarnation: u64, sequence: u64) {
        let mut life = self.of(kind).lock().unwrap_or_else(PoisonError::into_inner);
        if life.incarnation == incarnation {
            life.highest = life.highest.max(sequence);
        }
    }

    /// Looks whether both streams still live the life that is known, or begins another. Says whether one changed.
    pub(crate) async fn check(
        &self,
        store: &Store,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let mut changed = false;
        for kind in [Kind::Stream, Kind::State] {
            let fresh = (clock.wall_ms() << RANDOM_BITS) | (entropy.next_u64() >> (64 - RANDOM_BITS));
            changed |= self.check_one(store, kind, fresh, deadline).await?;
        }
        Ok(changed)
    }

    async fn check_one(&self, store: &Store, kind: Kind, fresh: u64, deadline: Instant) -> Result<bool, StoreError> {
        for _ in 0..TRIES {
            let (at, record) = read(store, kind, deadline).await?;
            // In this order: a last sequence that is asked for later than the highest is not below it.
            let own = self.get(kind);
            let mut info = store.info(kind, deadline).await?;
            store.takes_replicas(info.config.num_replicas)?;
            if has_lost(record.as_ref(), own, &info) == Some(Loss::Tail) {
                tokio::time::sleep(LEADER).await;
                info = store.info(kind, deadline).await?;
            }
            let next = match record.clone() {
                Some(record) if has_lost(Some(&record), own, &info).is_none() => {
                    if record.highest == info.state.last_seq {
                        return Ok(self.adopt(kind, &record, &info));
                    }
                    Record { highest: info.state.last_seq, ..record }
                }
                last => {
                    if last.is_some() || own.incarnation > 0 {
                        tracing::warn!(stream = info.config.name, "the store lost what it had: new epochs begin");
                    }
                    let incarnation = fresh.max(last.map_or(0, |last| last.incarnation + 1));
                    Record { incarnation, created: info.created.clone(), highest: info.state.last_seq }
                }
            };
            let bytes = serde_json::to_vec(&next).map_err(|error| StoreError::Refused(error.to_string()))?;
            match store.publish(store.names.life(kind), bytes.into(), Some(at), deadline).await {
                Ok(_) => return Ok(self.adopt(kind, &next, &info)),
                // Another node wrote what it saw.
                Err(StoreError::Behind) => {}
                Err(error) => return Err(error),
            }
        }
        Err(StoreError::Unknown("what is known of the store's life changes too fast".to_owned()))
    }

    fn adopt(&self, kind: Kind, record: &Record, info: &StreamInfo) -> bool {
        let mut life = self.of(kind).lock().unwrap_or_else(PoisonError::into_inner);
        let changed = life.incarnation != record.incarnation;
        let before = if changed { 0 } else { life.highest };
        *life = Life { incarnation: record.incarnation, highest: before.max(info.state.last_seq) };
        changed
    }

    fn get(&self, kind: Kind) -> Life {
        *self.of(kind).lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, kind: Kind) -> &Mutex<Life> {
        match kind {
            Kind::Stream => &self.streams,
            Kind::State => &self.states,
        }
    }
}

/// The record and its sequence; 0 where there is none. One that cannot be read says nothing.
async fn read(store: &Store, kind: Kind, deadline: Instant) -> Result<(u64, Option<Record>), StoreError> {
    let last = store.last(&store.names.lives(), &store.names.life(kind), deadline).await?;
    Ok(last.map_or((0, None), |last| (last.sequence, serde_json::from_slice(&last.payload).ok())))
}

/// What a stream lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    All,
    Tail,
}

fn has_lost(record: Option<&Record>, own: Life, info: &StreamInfo) -> Option<Loss> {
    let Some(record) = record.filter(|record| record.created == info.created) else { return Some(Loss::All) };
    let seen = if own.incarnation == record.incarnation { own.highest } else { 0 };
    (info.state.last_seq < record.highest.max(seen)).then_some(Loss::Tail)
}
