//! The log of a channel: append, read after, retain.
//!
//! A stream's log numbers its messages from 1 without holes and keeps the newest of them, bounded by count, bytes and
//! age. A state's log keeps the newest message of each key, in the order of their numbers, which may have holes. A
//! reader brings its position and gets the slice behind it; whether that position can still be continued is
//! [`crate::replay::decide`]'s to say, from the log's [`Head`].
//!
//! # Idempotency
//! The window of ids ([`crate::dedup`]) is part of the log, because looking an id up and appending its message must be
//! one step.
//!
//! # Forgetting
//! Forgetting moves [`Head::first`] and nothing else: the head stays, so a reader who has everything is never told of
//! a gap, whatever history expired. A stream's newest message stays even where it alone exceeds the bytes. A state
//! forgets no key: a new one that would exceed its bounds is refused, and so is a larger message for an old one.
//! It remembers its newest 1,000 deletions, and of those forgotten the highest number ([`Head::floor`]).
//!
//! # Idleness
//! Of a log that retains nothing a few numbers are enough to go on: its [`Remnant`].
//!
//! # Replication
//! A log may be kept alike in several places: one decides what an append changes, and all apply that [`Change`].

mod copy;
mod remnant;
mod replica;
mod state;
mod stream;

use std::sync::Arc;

use crate::access::Scope;
use crate::channel::{Kind, Retention};
use crate::dedup::Dedup;
use crate::limits::{BATCH_BYTES, BATCH_MESSAGES};
use crate::message::{Draft, Message};
use crate::position::{Epoch, Position, Seq};
pub use remnant::Remnant;
pub use replica::{Change, HeldKey, KnownId, Note, Snapshot};
use state::{State, There};
use stream::Stream;

/// Where a log begins and ends, in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The incarnation.
    pub epoch: Epoch,
    /// The oldest retained seq; the one after `head` when nothing is retained.
    pub first: Seq,
    /// The newest seq, 0 when nothing was ever appended. Never goes back within an epoch.
    pub head: Seq,
    /// The highest seq of a deletion that a state has forgotten; 0 on a stream.
    pub floor: Seq,
}

impl Head {
    /// The position of a reader who has everything.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.epoch, self.head)
    }

    /// The position before the oldest retained message.
    #[must_use]
    pub fn before_first(&self) -> Position {
        Position::new(self.epoch, self.first.back(1))
    }
}

/// How much one read may return. At least one message is returned where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Messages.
    pub messages: usize,
    /// Bytes of payload.
    pub bytes: usize,
}

impl Default for Limit {
    fn default() -> Self {
        Self { messages: BATCH_MESSAGES, bytes: BATCH_BYTES }
    }
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Where the message is.
    pub position: Position,
    /// It was there already, under this publisher's id: nothing was appended.
    pub duplicate: bool,
}

/// Why a draft was not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The epoch has used all numbers up to 2^53-1.
    #[error("the channel's epoch {0} has no sequence number left")]
    Exhausted(Epoch),
    /// The draft has no key, and the channel is a state.
    #[error("key is missing")]
    NoKey,
    /// The key's present message is another than the draft asked for.
    #[error("the key's present message has seq {present}, not the one that was asked for")]
    Conflict {
        /// The seq of the key's present message; 0 where the key is absent.
        present: Seq,
    },
    /// The state holds as many keys, or bytes, as it may.
    #[error("the channel holds its most of {most_keys} keys or {most_bytes} bytes")]
    Full {
        /// Keys it may hold.
        most_keys: u64,
        /// Bytes it may hold.
        most_bytes: u64,
    },
}

/// What comes with a draft into the log.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The log's clock, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Random; see [`Message::tag`].
    pub tag: u32,
}

/// How far one read goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How many messages it returns.
    pub count: usize,
    /// Where the reader stands after it: on a state this may be beyond the last of the messages.
    pub to: Seq,
}

/// A piece of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The messages, oldest first.
    pub messages: Vec<Arc<Message>>,
    /// More is retained in the direction that was asked for.
    pub more: bool,
}

/// A channel's log.
///
/// # Examples
/// ```
/// use tricast_core::access::Identity;
/// use tricast_core::channel::{Kind, Retention};
/// use tricast_core::log::{Limit, Log, Stamp};
/// use tricast_core::message::Draft;
/// use tricast_core::position::{Epoch, Position, Seq};
///
/// let epoch = Epoch::from_bits(1);
/// let mut log = Log::new(Kind::Stream, epoch, Retention::stream());
/// let publisher = Identity::Anonymous.scope();
/// let draft = Draft::json("hello")?.id("m1");
/// let first = log.append(draft.clone(), &publisher, Stamp { now_ms: 0, tag: 0 })?;
/// let again = log.append(draft, &publisher, Stamp { now_ms: 9, tag: 1 })?;
/// assert_eq!(first.position, again.position);
/// assert!(again.duplicate);
/// assert_eq!(log.read(Position::new(epoch, Seq::ZERO), Limit::default()).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    retention: Retention,
    head: Seq,
    kept: Kept,
    bytes: u64,
    dedup: Dedup,
    last_append_ms: u64,
}

#[derive(Debug)]
enum Kept {
    Stream(Stream),
    State(State),
}

impl Log {
    /// An empty log at the beginning of an epoch.
    #[must_use]
    pub fn new(kind: Kind, epoch: Epoch, retention: Retention) -> Self {
        let kept = match kind {
            Kind::Stream => Kept::Stream(Stream::default()),
            Kind::State => Kept::State(State::default()),
        };
        Self { epoch, retention, head: Seq::ZERO, kept, bytes: 0, dedup: Dedup::default(), last_append_ms: 0 }
    }

    /// An empty state's log that remembers so many deletions, in place of [`crate::limits::STATE_DELETIONS`].
    ///
    /// The protocol (5.3) asks for at least 1,000; fewer are for tests.
    #[must_use]
    pub fn remembering(deletions: usize, epoch: Epoch, retention: Retention) -> Self {
        Self { kept: Kept::State(State::remembering(deletions)), ..Self::new(Kind::State, epoch, retention) }
    }

    /// What it keeps.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.kept {
            Kept::Stream(_) => Kind::Stream,
            Kept::State(_) => Kind::State,
        }
    }

    /// Where the log begins and ends. [`Log::forget`] first where age matters.
    #[must_use]
    pub fn head(&self) -> Head {
        let (first, floor) = match &self.kept {
            Kept::Stream(stream) => (stream.first(self.head), Seq::ZERO),
            Kept::State(state) => (state.first(self.head), state.floor()),
        };
        Head { epoch: self.epoch, first, head: self.head, floor }
    }

    /// Where the message with this publisher's id is, if it is remembered.
    #[must_use]
    pub fn find(&self, publisher: &Scope, id: &str, now_ms: u64) -> Option<Position> {
        self.dedup.find(publisher, id, now_ms).map(|seq| Position::new(self.epoch, seq))
    }

    /// Appends a draft, unless this publisher's id of it is known.
    ///
    /// Deleting a key that is absent appends nothing, and answers the head; its id is remembered all the same. What holds
    /// a key is in [`crate::message::Hold`].
    ///
    /// # Errors
    /// The epoch has no number left; on a state, the key is missing, its condition does not hold, or there is no room.
    pub fn append(&mut self, draft: Draft, publisher: &Scope, stamp: Stamp) -> Result<Appended, AppendError> {
        if let Some(id) = &draft.id
            && let Some(position) = self.find(publisher, id, stamp.now_ms)
        {
            return Ok(Appended { position, duplicate: true });
        }
        if let Kept::State(state) = &mut self.kept {
            check_state(state, &draft)?;
            if let Some(there) = state.goes_without_saying(&draft) {
                return Ok(self.append_nothing(there, &draft, publisher, stamp));
            }
        }
        let seq = self.head.next().ok_or(AppendError::Exhausted(self.epoch))?;
        // A wall clock may be set back; what a log says of itself may not.
        let at = stamp.now_ms.max(self.last_append_ms);
        let (id, hold) = (draft.id.clone(), draft.hold.clone());
        let key = draft.key.clone().filter(|_| draft.payload.is_some());
        self.keep(self.message(draft, seq, at, stamp.tag))?;
        if let (Kept::State(state), Some(key)) = (&mut self.kept, key) {
            state.hold(key, hold);
        }
        if let Some(id) = &id {
            self.dedup.remember(publisher, id, seq, at);
        }
        self.head = seq;
        self.last_append_ms = at;
        self.forget(at);
        Ok(Appended { position: Position::new(self.epoch, seq), duplicate: false })
    }

    /// Remembers the id of what is done without an append, so that a repeat does not delete what was set meanwhile.
    fn append_nothing(&mut self, there: There, draft: &Draft, publisher: &Scope, stamp: Stamp) -> Appended {
        let (seq, duplicate) = match there {
            There::Absent | There::HeldByOthers => (self.head, false),
            There::Shown(seq) => (seq, true),
        };
        if let Some(id) = &draft.id {
            self.last_append_ms = stamp.now_ms.max(self.last_append_ms);
            self.dedup.remember(publisher, id, seq, self.last_append_ms);
        }
        Appended { position: Position::new(self.epoch, seq), duplicate }
    }

    /// The messages after a position that can be continued, as many as `limit` allows; none when nothing is new.
    #[must_use]
    pub fn read(&self, after: Position, limit: Limit) -> Vec<Arc<Message>> {
        let Extent { count, .. } = self.extent(after, limit);
        match &self.kept {
            Kept::Stream(stream) => stream.read(after.seq, self.head, count),
            Kept::State(state) => state.read(after.seq, after.base, count),
        }
    }

    /// How far [`Log::read`] would go, without touching the messages.
    #[must_use]
    pub fn extent(&self, after: Position, limit: Limit) -> Extent {
        match &self.kept {
            Kept::Stream(stream) => stream.extent(after.seq, self.head, limit),
            Kept::State(state) => state.extent(after.seq, after.base, self.head, limit),
        }
    }

    /// The newest retained messages before a seq (exclusive; all of them without one), oldest first. On a state: its
    /// present entries.
    #[must_use]
    pub fn read_back(&self, before: Option<Seq>, limit: Limit) -> Page {
        let (messages, more) = match &self.kept {
            Kept::Stream(stream) => stream.read_back(before, self.head, limit),
            Kept::State(state) => state.read_back(before, limit),
        };
        Page { messages, more }
    }

    /// Forgets what is older than the retention allows, and returns by how many bytes [`Log::memory`] shrank. A state's
    /// keys do not leave this way: see [`Log::expire`].
    pub fn forget(&mut self, now_ms: u64) -> u64 {
        let messages = match &mut self.kept {
            Kept::Stream(stream) => stream.retain(self.retention, self.bytes, now_ms),
            Kept::State(_) => 0,
        };
        self.bytes -= messages;
        messages + self.dedup.expire(now_ms) as u64
    }

    /// Appends a deletion for each of a state's keys whose time is over; true if there were any.
    pub fn expire(&mut self, stamp: Stamp) -> bool {
        let before = self.head;
        while let Kept::State(state) = &self.kept
            && let Some(key) = state.expired(stamp.now_ms)
            && let Some(seq) = self.head.next()
        {
            let at = stamp.now_ms.max(self.last_append_ms);
            let message = Message { key: Some(key), ..Message::deletion(seq, at, stamp.tag) };
            self.put(Arc::new(message));
            self.head = seq;
            self.last_append_ms = at;
        }
        self.head > before
    }

    /// When the next of a state's keys leaves by itself: milliseconds since the Unix epoch.
    #[must_use]
    pub fn next_expiry(&self) -> Option<u64> {
        match &self.kept {
            Kept::Stream(_) => None,
            Kept::State(state) => state.next_expiry(),
        }
    }

    /// Whether nothing was ever appended, nor an id is remembered: an unwritten log can be dropped and made again.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.head == Seq::ZERO && self.dedup.is_empty()
    }

    /// When the newest message was appended, or an id remembered without one, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn last_append_ms(&self) -> u64 {
        self.last_append_ms
    }

    /// Bytes that the retained messages cost.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes that the log costs in all: its messages, and the ids that it remembers.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.bytes + self.dedup.bytes() as u64
    }

    /// Forgets a stream's messages all at once, to give their memory back; a state's entries stay. Returns whether
    /// anything was forgotten. The head stays, so who had everything misses nothing.
    pub fn let_go(&mut self) -> bool {
        let Kept::Stream(stream) = &mut self.kept else { return false };
        *stream = Stream::default();
        std::mem::take(&mut self.bytes) > 0
    }

    /// Whether a state holds this key.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        match &self.kept {
            Kept::Stream(_) => false,
            Kept::State(state) => state.present(key).is_some(),
        }
    }

    /// How many keys a state holds, or messages a stream.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.kept {
            Kept::Stream(stream) => {
                usize::try_from(self.head.next().unwrap_or(self.head).since(stream.first(self.head))).unwrap_or(0)
            }
            Kept::State(state) => state.len(),
        }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn message(&self, draft: Draft, seq: Seq, at: u64, tag: u32) -> Message {
        let Draft { payload, event, id, key, user, ttl_ms, .. } = draft;
        let ttl_ms = match self.kept {
            Kept::State(_) => ttl_ms.or(Some(self.retention.ttl_ms).filter(|ttl| *ttl != u64::MAX)),
            Kept::Stream(_) => None,
        };
        // A deletion stays deleted.
        let expires = ttl_ms.filter(|_| payload.is_some()).map(|ttl| at.saturating_add(ttl));
        Message { seq, at, tag, payload, event, id, key, user, expires }
    }

    fn keep(&mut self, message: Message) -> Result<(), AppendError> {
        match &mut self.kept {
            Kept::Stream(stream) => {
                self.bytes += message.cost() as u64;
                stream.push(Arc::new(message));
            }
            Kept::State(state) => {
                let key = message.key.as_deref().unwrap_or_default();
                let Retention { keep, keep_bytes, .. } = self.retention;
                let crowded = state.present(key).is_none() && state.len() as u64 >= keep;
                let (old, new) = (state.cost_of(key), state::cost(&message));
                let heavy = new > old && self.bytes - old + new > keep_bytes;
                // A deletion is always taken: it is how room is made.
                if message.payload.is_some() && (crowded || heavy) {
                    return Err(AppendError::Full { most_keys: keep, most_bytes: keep_bytes });
                }
                self.put(Arc::new(message));
            }
        }
        Ok(())
    }

    fn put(&mut self, message: Arc<Message>) {
        if let Kept::State(state) = &mut self.kept {
            let (grown, shrunk) = state.put(message);
            self.bytes = self.bytes + grown - shrunk;
        }
    }
}

/// Bytes that keeping a message costs a log of this kind, as [`Retention::keep_bytes`] counts them.
#[must_use]
pub fn cost(kind: Kind, message: &Message) -> u64 {
    match kind {
        Kind::Stream => message.cost() as u64,
        Kind::State => state::cost(message),
    }
}

fn check_state(state: &State, draft: &Draft) -> Result<(), AppendError> {
    let key = draft.key.as_deref().ok_or(AppendError::NoKey)?;
    let present = state.present(key).map_or(Seq::ZERO, |message| message.seq);
    match draft.condition {
        Some(asked) if asked != present => Err(AppendError::Conflict { present }),
        _ => Ok(()),
    }
}

/// How many messages of these sizes a read returns: at least one, where there is one.
fn within(limit: Limit, sizes: impl Iterator<Item = usize>) -> usize {
    let mut bytes = 0;
    sizes
        .take(limit.messages.max(1))
        .enumerate()
        .take_while(|(index, size)| {
            bytes += size;
            *index == 0 || bytes <= limit.bytes
        })
        .count()
}

#[cfg(test)]
mod tests;
