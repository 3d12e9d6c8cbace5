//! What a node knows of a channel: its log, and up to which entry.

use std::collections::VecDeque;

use tricast_core::channel::{Kind, Retention};
use tricast_core::log::{Change, Log, Snapshot};
use tricast_core::position::Seq;

use crate::entry::{Entry, What};
use crate::limits::{CHECKPOINT_BYTES, CHECKPOINT_ENTRIES, TRIM_ENTRIES};

/// The last entry that was applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tail {
    /// Its number in the JetStream stream.
    pub(crate) sequence: u64,
    pub(crate) id: u64,
    pub(crate) written_ms: u64,
}

#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) log: Log,
    pub(crate) incarnation: u64,
    pub(crate) tail: Tail,
    /// Of a stream: the entries that are stored, and the newest number of each.
    stored: VecDeque<(u64, Seq)>,
    /// How many entries may be stored before it is worth a look which of them are needed.
    look_at: usize,
    /// Of a state: what is stored since its last checkpoint.
    since: Since,
}

#[derive(Debug, Clone, Copy, Default)]
struct Since {
    entries: usize,
    bytes: u64,
}

impl Replica {
    /// What begins with this entry, whatever was before it.
    pub(crate) fn beginning_at(kind: Kind, retention: Retention, entry: &Entry, sequence: u64) -> Self {
        let log = match entry.what {
            What::Begins => Log::new(kind, entry.epoch, retention),
            What::Changes(_) | What::Checkpoint(_) => Log::restore(kind, retention, forgotten(kind, entry)),
        };
        let mut replica = Self::restored(log, entry, sequence);
        replica.apply_changes(entry);
        replica
    }

    /// What a checkpoint kept, up to its entry.
    pub(crate) fn restored(log: Log, entry: &Entry, sequence: u64) -> Self {
        let tail = Tail { sequence, id: entry.id, written_ms: entry.written_ms };
        let stored = VecDeque::from([(sequence, log.head().head)]);
        let (incarnation, since) = (entry.incarnation, Since::default());
        Self { log, incarnation, tail, stored, look_at: 2 * TRIM_ENTRIES, since }
    }

    /// Whether this entry is the one after the last.
    pub(crate) fn is_next(&self, entry: &Entry) -> bool {
        entry.previous == self.tail.id
    }

    /// Applies the next entry, of so many bytes.
    pub(crate) fn apply(&mut self, entry: &Entry, sequence: u64, bytes: usize) {
        if entry.what == What::Begins {
            let (kind, retention) = (self.log.kind(), self.log.retention());
            *self = Self::beginning_at(kind, retention, entry, sequence);
            return;
        }
        self.tail = Tail { sequence, id: entry.id, written_ms: entry.written_ms };
        self.apply_changes(entry);
        if self.log.kind() == Kind::Stream {
            self.stored.push_back((sequence, self.log.head().head));
        }
        self.since = match entry.what {
            What::Checkpoint(_) => Since::default(),
            _ => Since { entries: self.since.entries + 1, bytes: self.since.bytes + bytes as u64 },
        };
    }

    fn apply_changes(&mut self, entry: &Entry) {
        entry.changes().iter().for_each(|change| self.log.apply(change));
        if let Some(last) = self.stored.back_mut()
            && last.0 == self.tail.sequence
        {
            last.1 = self.log.head().head;
        }
    }

    /// Bytes that it costs.
    pub(crate) fn memory(&self) -> u64 {
        let places = self.stored.capacity() * size_of::<(u64, Seq)>();
        self.log.memory() + (places + size_of::<Self>()) as u64
    }

    /// Whether a state has so many entries that a checkpoint is due.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        let Since { entries, bytes } = self.since;
        self.log.kind() == Kind::State
            && (entries > CHECKPOINT_ENTRIES.max(2 * self.log.len())
                || bytes > CHECKPOINT_BYTES.max(2 * self.log.bytes()))
    }

    /// The sequence below which a stream's entries are needed no more, if there are so many of them that deleting them
    /// is worth it. Needed is what has a message that is retained, or an id that is remembered.
    pub(crate) fn trim(&mut self) -> Option<u64> {
        if self.log.kind() == Kind::State || self.stored.len() < self.look_at {
            return None;
        }
        let ids = self.log.oldest_id().unwrap_or(self.log.head().head);
        let needed = self.log.head().first.min(ids);
        // The last entry always stays.
        let over = self.stored.iter().take(self.stored.len() - 1).take_while(|(_, newest)| *newest < needed).count();
        let left = self.stored.len() - over;
        if over < TRIM_ENTRIES.max(left) {
            self.look_at = (2 * left).max(self.stored.len() + TRIM_ENTRIES);
            return None;
        }
        self.stored.drain(..over);
        self.look_at = 2 * left.max(TRIM_ENTRIES);
        self.stored.front().map(|(sequence, _)| *sequence)
    }
}

/// A log of which is known only where it stood before an entry: what was in it is forgotten.
fn forgotten(kind: Kind, entry: &Entry) -> Snapshot {
    let floor = if kind == Kind::State { entry.head } else { Seq::ZERO };
    Snapshot {
        epoch: entry.epoch,
        head: entry.head,
        floor,
        last_append_ms: entry.last_append_ms,
        messages: Vec::new(),
        ids: Vec::new(),
        held: Vec::new(),
    }
}

/// The newest messages that these changes appended.
pub(crate) fn appended(changes: &[Change]) -> impl Iterator<Item = &std::sync::Arc<tricast_core::message::Message>> {
    changes.iter().filter_map(|change| match change {
        Change::Appended { message, .. } => Some(message),
        Change::Noted(_) => None,
    })
}
