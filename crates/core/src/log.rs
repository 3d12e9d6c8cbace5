//! The log of a channel: append, read after, retain.
//!
//! A log numbers its messages from 1 without holes and keeps the newest of them, bounded by count, bytes and age. A
//! reader brings its position and gets the slice behind it; whether that position can still be continued is
//! [`crate::replay::decide`]'s to say, from the log's [`Head`].
//!
//! # Idempotency
//! The window of ids ([`crate::dedup`]) is part of the log, because looking an id up and appending its message must be
//! one step.
//!
//! # Forgetting
//! Forgetting moves [`Head::first`] and nothing else: the head stays, so a reader who has everything is never told of
//! a gap, whatever history expired. The newest message stays even where it alone exceeds the bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::access::Scope;
use crate::channel::Retention;
use crate::dedup::Dedup;
use crate::limits::{BATCH_BYTES, BATCH_MESSAGES};
use crate::message::{Draft, Message};
use crate::position::{Epoch, Position, Seq};

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

/// The epoch has used all numbers up to 2^53-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel's epoch {epoch} has no sequence number left")]
pub struct Exhausted {
    /// The epoch that is full.
    pub epoch: Epoch,
}

/// What comes with a draft into the log.
#[derive(Debug, Clone, Copy)]
pub struct Stamp {
    /// The log's clock, in milliseconds since the Unix epoch.
    pub now_ms: u64,
    /// Random; see [`Message::tag`].
    pub tag: u32,
}

/// A stream's log.
///
/// # Examples
/// ```
/// use tricast_core::access::Identity;
/// use tricast_core::channel::Retention;
/// use tricast_core::log::{Limit, Log, Stamp};
/// use tricast_core::message::Draft;
/// use tricast_core::position::{Epoch, Seq};
///
/// let mut log = Log::new(Epoch::from_bits(1), Retention::default());
/// let publisher = Identity::Anonymous.scope();
/// let draft = Draft::json("hello")?.id("m1");
/// let first = log.append(draft.clone(), &publisher, Stamp { now_ms: 0, tag: 0 })?;
/// let again = log.append(draft, &publisher, Stamp { now_ms: 9, tag: 1 })?;
/// assert_eq!(first.position, again.position);
/// assert!(again.duplicate);
/// assert_eq!(log.read(Seq::ZERO, Limit::default()).len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Log {
    epoch: Epoch,
    retention: Retention,
    head: Seq,
    messages: VecDeque<Arc<Message>>,
    bytes: u64,
    dedup: Dedup,
    last_append_ms: u64,
}

impl Log {
    /// An empty log at the beginning of an epoch.
    #[must_use]
    pub fn new(epoch: Epoch, retention: Retention) -> Self {
        Self {
            epoch,
            retention,
            head: Seq::ZERO,
            messages: VecDeque::new(),
            bytes: 0,
            dedup: Dedup::default(),
            last_append_ms: 0,
        }
    }

    /// Where the log begins and ends. [`Log::expire`] first where age matters.
    #[must_use]
    pub fn head(&self) -> Head {
        let retained = self.messages.len() as u64;
        // Dense from `first` to `head`, so the length tells where it begins.
        let first = Seq::new(self.head.get() - retained + 1).unwrap_or(self.head);
        Head { epoch: self.epoch, first, head: self.head, floor: Seq::ZERO }
    }

    /// Appends a draft, unless this publisher's id of it is known.
    ///
    /// # Errors
    /// The epoch has no number left.
    pub fn append(&mut self, draft: Draft, publisher: &Scope, stamp: Stamp) -> Result<Appended, Exhausted> {
        let Draft { payload, event, id } = draft;
        if let Some(id) = &id
            && let Some(seq) = self.dedup.find(publisher, id, stamp.now_ms)
        {
            return Ok(Appended { position: Position::new(self.epoch, seq), duplicate: true });
        }
        let seq = self.head.next().ok_or(Exhausted { epoch: self.epoch })?;
        // A wall clock may be set back; what a log says of itself may not.
        let at = stamp.now_ms.max(self.last_append_ms);
        if let Some(id) = &id {
            self.dedup.remember(publisher, id, seq, at);
        }
        let message = Message { seq, at, tag: stamp.tag, payload, event, id };
        self.head = seq;
        self.last_append_ms = at;
        self.bytes += message.cost() as u64;
        self.messages.push_back(Arc::new(message));
        self.retain(at);
        Ok(Appended { position: Position::new(self.epoch, seq), duplicate: false })
    }

    /// The messages after `after`, oldest first, as many as `limit` allows; empty when there is nothing new.
    #[must_use]
    pub fn read(&self, after: Seq, limit: Limit) -> Vec<Arc<Message>> {
        let count = self.extent(after, limit);
        let start = self.index_after(after);
        self.messages.range(start..start + count).cloned().collect()
    }

    /// How many messages [`Log::read`] would return, without touching them.
    #[must_use]
    pub fn extent(&self, after: Seq, limit: Limit) -> usize {
        let mut bytes = 0;
        self.messages
            .range(self.index_after(after)..)
            .take(limit.messages.max(1))
            .enumerate()
            .take_while(|(index, message)| {
                bytes += message.payload.len();
                *index == 0 || bytes <= limit.bytes
            })
            .count()
    }

    /// Forgets what is older than the retention allows.
    pub fn expire(&mut self, now_ms: u64) {
        self.retain(now_ms);
        self.dedup.expire(now_ms);
    }

    /// Whether anything was ever appended: an unwritten log can be dropped and made again.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.head == Seq::ZERO
    }

    /// When the newest message was appended, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn last_append_ms(&self) -> u64 {
        self.last_append_ms
    }

    /// Bytes that the retained messages cost.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn index_after(&self, after: Seq) -> usize {
        let skipped = after.since(self.head().first.back(1));
        usize::try_from(skipped).unwrap_or(usize::MAX).min(self.messages.len())
    }

    fn retain(&mut self, now_ms: u64) {
        let Retention { keep, keep_bytes, ttl_ms } = self.retention;
        while let Some(oldest) = self.messages.front() {
            let expired = now_ms.saturating_sub(oldest.at) >= ttl_ms;
            let crowded = self.messages.len() > 1 && (self.messages.len() as u64 > keep || self.bytes > keep_bytes);
            if !expired && !crowded {
                break;
            }
            self.bytes -= oldest.cost() as u64;
            self.messages.pop_front();
        }
        if self.messages.is_empty() {
            // A deque never shrinks by itself.
            self.messages = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Identity;
    use crate::message::Payload;

    fn log(retention: Retention) -> Log {
        Log::new(Epoch::from_bits(1), retention)
    }

    fn draft(text: &str) -> Draft {
        Draft::json(text).unwrap()
    }

    fn append(log: &mut Log, text: &str, now_ms: u64) -> Appended {
        log.append(draft(text), &Identity::Server.scope(), Stamp { now_ms, tag: 0 }).unwrap()
    }

    fn texts(messages: &[Arc<Message>]) -> Vec<String> {
        let text = |message: &Arc<Message>| match &message.payload {
            Payload::Json(json) => json.to_string(),
            Payload::Binary(bytes) => format!("{bytes:?}"),
        };
        messages.iter().map(text).collect()
    }

    #[test]
    fn seqs_are_dense_from_one() {
        let mut log = log(Retention::default());
        assert_eq!((log.head().first.get(), log.head().head.get()), (1, 0));
        for seq in 1..=5 {
            assert_eq!(append(&mut log, "x", 0).position.seq.get(), seq);
        }
        assert_eq!((log.head().first.get(), log.head().head.get()), (1, 5));
    }

    #[test]
    fn reading_starts_behind_the_position_and_is_paged() {
        let mut log = log(Retention::default());
        for text in ["a", "b", "c", "d"] {
            append(&mut log, text, 0);
        }
        let at = |seq| Seq::new(seq).unwrap();
        assert_eq!(texts(&log.read(at(2), Limit::default())), ["\"c\"", "\"d\""]);
        assert_eq!(texts(&log.read(at(0), Limit { messages: 2, bytes: 99 })), ["\"a\"", "\"b\""]);
        assert_eq!(texts(&log.read(at(0), Limit { messages: 9, bytes: 7 })), ["\"a\"", "\"b\""]);
        assert_eq!(texts(&log.read(at(0), Limit { messages: 0, bytes: 0 })), ["\"a\""]);
        assert!(log.read(at(4), Limit::default()).is_empty());
        assert!(log.read(at(99), Limit::default()).is_empty());
    }

    #[test]
    fn each_bound_forgets_the_oldest_and_never_moves_the_head() {
        let by_count = Retention { keep: 2, ..Retention::default() };
        let by_age = Retention { ttl_ms: 10, ..Retention::default() };
        let mut counted = log(by_count);
        let mut aged = log(by_age);
        for (now, text) in ["a", "b", "c"].into_iter().enumerate() {
            append(&mut counted, text, 0);
            append(&mut aged, text, now as u64 * 5);
        }
        assert_eq!(texts(&counted.read(Seq::ZERO, Limit::default())), ["\"b\"", "\"c\""]);
        assert_eq!(texts(&aged.read(Seq::ZERO, Limit::default())), ["\"b\"", "\"c\""]);
        aged.expire(1_000);
        assert_eq!((aged.head().first.get(), aged.head().head.get()), (4, 3));
        assert_eq!(aged.bytes(), 0);

        let mut sized = log(Retention { keep_bytes: 1, ..Retention::default() });
        append(&mut sized, "a", 0);
        append(&mut sized, "b", 0);
        assert_eq!(texts(&sized.read(Seq::ZERO, Limit::default())), ["\"b\""], "the newest always stays");
    }

    #[test]
    fn a_clock_set_back_moves_no_message_back() {
        let mut log = log(Retention { ttl_ms: 100, ..Retention::default() });
        append(&mut log, "a", 1_000);
        append(&mut log, "b", 1);
        assert_eq!(log.read(Seq::ZERO, Limit::default())[1].at, 1_000);
    }

    #[test]
    fn a_repeat_appends_nothing_even_when_its_message_was_forgotten() {
        let mut log = log(Retention { keep: 1, ..Retention::default() });
        let anonymous = Identity::Anonymous.scope();
        let publish = |log: &mut Log, scope: &Scope, id: &str| {
            log.append(draft("x").id(id), scope, Stamp { now_ms: 0, tag: 0 }).unwrap()
        };
        let first = publish(&mut log, &anonymous, "1");
        publish(&mut log, &anonymous, "2");
        let again = publish(&mut log, &anonymous, "1");
        assert_eq!((again.position, again.duplicate), (first.position, true));
        assert!(!publish(&mut log, &Identity::Server.scope(), "1").duplicate, "ids belong to their publisher");
    }

    #[test]
    fn an_epoch_without_numbers_refuses() {
        let mut log = log(Retention::default());
        log.head = Seq::new(crate::limits::MAX_SEQ).unwrap();
        let full = log.append(draft("x"), &Identity::Server.scope(), Stamp { now_ms: 0, tag: 0 });
        assert_eq!(full, Err(Exhausted { epoch: log.epoch }));
        assert_eq!(log.head().head.get(), crate::limits::MAX_SEQ);
    }
}
