//! Logs that are kept alike in several places.
//!
//! One place decides, on an [`Log::excerpt`] that can be thrown away, what a few appends change; when that is agreed,
//! every place applies the same [`Change`]s in the same order, and holds the same log. Decided is what
//! [`Log::append`] decides: numbers, ids, conditions, holders, room. Nothing is decided again where it is applied.
//!
//! A place that comes later begins with a [`Snapshot`].

use std::sync::Arc;

use super::{AppendError, Stamp};
use super::{Appended, Kept, Limit, Log, State, Stream};
use crate::access::Scope;
use crate::channel::{Kind, Retention};
use crate::dedup::Dedup;
use crate::message::{Draft, Hold, Message};
use crate::position::{Epoch, Position, Seq};

/// What an append changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A message was appended.
    Appended {
        /// The message.
        message: Arc<Message>,
        /// To whom its id belongs, where it has one that is remembered.
        publisher: Option<Scope>,
        /// Who holds its key from now on.
        hold: Option<Hold>,
    },
    /// Nothing was, and something is known that was not.
    Noted(Note),
}

/// What is known of a draft that appended nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When, by the log's clock.
    pub at: u64,
    /// What it was answered.
    pub seq: Seq,
    /// Its publisher and id, if it has one.
    pub id: Option<(Scope, Box<str>)>,
    /// Its key, and who holds that or lets go of it.
    pub hold: Option<(Arc<str>, Hold)>,
    /// It was a deletion: its holder lets go.
    pub lets_go: bool,
}

/// All of a log, as values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The incarnation.
    pub epoch: Epoch,
    /// The newest seq.
    pub head: Seq,
    /// The highest seq of a deletion that a state has forgotten.
    pub floor: Seq,
    /// As [`Log::last_append_ms`].
    pub last_append_ms: u64,
    /// What is retained, a state's deletions included, in the order of the numbers.
    pub messages: Vec<Arc<Message>>,
    /// The ids that are remembered, of each publisher the oldest first.
    pub ids: Vec<KnownId>,
    /// The keys that somebody holds.
    pub held: Vec<HeldKey>,
}

/// An id that is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownId {
    /// To whom it belongs.
    pub publisher: Scope,
    /// The id.
    pub id: Box<str>,
    /// What its draft was answered.
    pub seq: Seq,
    /// When, by the log's clock.
    pub at: u64,
}

/// Who holds a key of a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// The key.
    pub key: Arc<str>,
    /// Stands for what its message shows.
    pub shows: Option<u64>,
    /// Who holds it, the first first.
    pub holders: Vec<Arc<str>>,
}

impl Log {
    /// A log that takes drafts for these keys and ids as this one would, and costs no more than they do. What it is given
    /// is for [`Log::record`]; it retains nothing else, so it is not for reading.
    ///
    /// # Examples
    /// ```
    /// use tricast_core::access::Identity;
    /// use tricast_core::channel::{Kind, Retention};
    /// use tricast_core::log::{Log, Stamp};
    /// use tricast_core::message::Draft;
    /// use tricast_core::position::Epoch;
    ///
    /// let mut log = Log::new(Kind::State, Epoch::from_bits(1), Retention::state());
    /// let mut staged = log.excerpt(["a"], [], 0);
    /// let draft = Draft::json("x")?.key("a");
    /// let (appended, change) = staged.record(draft, &Identity::Server.scope(), Stamp { now_ms: 0, tag: 0 })?;
    /// assert_eq!((appended.position.seq.get(), log.head().head.get()), (1, 0));
    /// log.apply(&change.ok_or("a message was appended")?);
    /// assert!(log.holds("a"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn excerpt<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        ids: impl IntoIterator<Item = (&'a Scope, &'a str)>,
        now_ms: u64,
    ) -> Self {
        let kept = match &self.kept {
            Kept::Stream(_) => Kept::Stream(Stream::default()),
            Kept::State(state) => Kept::State(state.excerpt(keys)),
        };
        // A stream's bytes are those of what it retains, a state's are judged against all that it may hold.
        let bytes = if self.kind() == Kind::State { self.bytes } else { 0 };
        let mut dedup = Dedup::default();
        for (publisher, id) in ids {
            if let Some((seq, at)) = self.dedup.since(publisher, id, now_ms) {
                dedup.remember(publisher, id, seq, at);
            }
        }
        let Self { epoch, retention, head, last_append_ms, .. } = *self;
        Self { epoch, retention, head, kept, bytes, dedup, last_append_ms }
    }

    /// Appends as [`Log::append`] does, and says what that changed: `None` where it changed nothing.
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn record(
        &mut self,
        draft: Draft,
        publisher: &Scope,
        stamp: Stamp,
    ) -> Result<(Appended, Option<Change>), AppendError> {
        let before = Position::new(self.epoch, self.head);
        let known = draft.id.as_deref().and_then(|id| self.find(publisher, id, stamp.now_ms));
        let id = draft.id.clone().map(|id| (publisher.clone(), id));
        let (hold, lets_go) = (draft.key.clone().zip(draft.hold.clone()), draft.payload.is_none());
        let holders = self.holders(hold.as_ref());
        let appended = self.append(draft, publisher, stamp)?;
        if known.is_some() {
            return Ok((appended, None));
        }
        let newest = self.read(before, Limit { messages: 1, bytes: 0 }).pop();
        let change = match newest {
            Some(message) => {
                let hold = hold.map(|(_, hold)| hold).filter(|_| !lets_go);
                Some(Change::Appended { message, publisher: id.map(|(publisher, _)| publisher), hold })
            }
            None if id.is_none() && holders == self.holders(hold.as_ref()) => None,
            None => {
                let (at, seq) = (self.last_append_ms.max(stamp.now_ms), appended.position.seq);
                Some(Change::Noted(Note { at, seq, id, hold, lets_go }))
            }
        };
        Ok((appended, change))
    }

    /// Lets the keys leave whose time is over, as [`Log::expire`] does, and says what that changed.
    pub fn record_expiry(&mut self, stamp: Stamp) -> Vec<Change> {
        let before = Position::new(self.epoch, self.head);
        self.expire(stamp);
        let all = Limit { messages: usize::MAX, bytes: usize::MAX };
        let deletions = self.read(before, all).into_iter();
        deletions.map(|message| Change::Appended { message, publisher: None, hold: None }).collect()
    }

    /// The first keys whose time is over, at most so many.
    #[must_use]
    pub fn expired(&self, now_ms: u64, most: usize) -> Vec<Arc<str>> {
        match &self.kept {
            Kept::Stream(_) => Vec::new(),
            Kept::State(state) => state.all_expired(now_ms, most),
        }
    }

    /// Does what was decided elsewhere. Changes come in the order in which they were decided.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Appended { message, publisher, hold } => {
                self.apply_message(message, publisher.as_ref(), hold.clone());
            }
            Change::Noted(note) => self.note(note),
        }
    }

    fn apply_message(&mut self, message: &Arc<Message>, publisher: Option<&Scope>, hold: Option<Hold>) {
        match &mut self.kept {
            Kept::Stream(stream) => {
                self.bytes += message.cost() as u64;
                stream.push(Arc::clone(message));
            }
            Kept::State(state) => {
                let (grown, shrunk) = state.put(Arc::clone(message));
                self.bytes = self.bytes + grown - shrunk;
                if let Some(key) = message.key.clone().filter(|_| message.payload.is_some()) {
                    state.hold(key, hold);
                }
            }
        }
        if let (Some(publisher), Some(id)) = (publisher, &message.id) {
            self.dedup.remember(publisher, id, message.seq, message.at);
        }
        self.head = message.seq;
        self.last_append_ms = message.at.max(self.last_append_ms);
        self.forget(self.last_append_ms);
    }

    fn note(&mut self, note: &Note) {
        if let (Kept::State(state), Some((key, hold))) = (&mut self.kept, &note.hold) {
            state.note_hold(key, hold, note.lets_go);
        }
        if let Some((publisher, id)) = &note.id {
            self.last_append_ms = note.at.max(self.last_append_ms);
            self.dedup.remember(publisher, id, note.seq, self.last_append_ms);
        }
    }

    /// What it keeps at most, and for how long.
    #[must_use]
    pub fn retention(&self) -> Retention {
        self.retention
    }

    /// The lowest seq that an id is remembered with. Goes through all of them.
    #[must_use]
    pub fn oldest_id(&self) -> Option<Seq> {
        self.dedup.entries().map(|(_, _, seq, _)| seq).min()
    }

    /// All of it, as values.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let (messages, held) = match &self.kept {
            Kept::Stream(stream) => (stream.all().cloned().collect(), Vec::new()),
            Kept::State(state) => (state.all().cloned().collect(), state.held_keys().collect()),
        };
        let known = |(publisher, id, seq, at): (&Scope, &str, Seq, u64)| KnownId {
            publisher: publisher.clone(),
            id: Box::from(id),
            seq,
            at,
        };
        Snapshot {
            epoch: self.epoch,
            head: self.head,
            floor: self.head().floor,
            last_append_ms: self.last_append_ms,
            messages,
            ids: self.dedup.entries().map(known).collect(),
            held,
        }
    }

    /// The log of which this is all.
    #[must_use]
    pub fn restore(kind: Kind, retention: Retention, snapshot: Snapshot) -> Self {
        let Snapshot { epoch, head, floor, last_append_ms, messages, ids, held } = snapshot;
        let kept = match kind {
            Kind::Stream => Kept::Stream(Stream::default()),
            Kind::State => Kept::State(State::default().above(floor)),
        };
        let mut log = Self { epoch, retention, head, kept, bytes: 0, dedup: Dedup::default(), last_append_ms };
        for message in &messages {
            // An id is remembered by what follows, not by the messages.
            log.apply_message(message, None, None);
        }
        log.head = head;
        for KnownId { publisher, id, seq, at } in &ids {
            log.dedup.remember(publisher, id, *seq, *at);
        }
        if let Kept::State(state) = &mut log.kept {
            held.into_iter().for_each(|held| state.restore_held(held));
        }
        log
    }

    fn holders(&self, hold: Option<&(Arc<str>, Hold)>) -> Vec<Arc<str>> {
        match (&self.kept, hold) {
            (Kept::State(state), Some((key, _))) => state.holders(key).into_iter().flatten().cloned().collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
