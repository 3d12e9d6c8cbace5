//! What a reader lacks before the beginning of a copy, fetched page by page.

use std::sync::Arc;

use crate::backplane::Slice;
use crate::channel::Kind;
use crate::limits::{FILL_BYTES, FILL_MESSAGES};
use crate::log::{Head, Limit};
use crate::message::Message;
use crate::position::{Position, Seq};
use crate::replay::{Decision, decide};

/// A part of a log that is being fetched. Begun by [`super::Cache::lacks`], and taken by [`super::Cache::fill`].
#[derive(Debug)]
pub struct Filling {
    kind: Kind,
    pub(super) after: Position,
    /// The copy has everything after this.
    pub(super) from: Seq,
    /// Where the copy stood when this began: what is fetched is read as of that or later.
    pub(super) begun_at: Seq,
    at: Seq,
    pub(super) messages: Vec<Arc<Message>>,
    bytes: usize,
    /// The newest head that was seen.
    head: Seq,
    /// Deletions up to this seq are missing.
    pub(super) floor: Seq,
}

/// What a page did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filled {
    /// There is more to fetch, after [`Filling::at`].
    More,
    /// It reaches the copy.
    Whole,
    /// It cannot become part of the copy: it is too much, or the log does not continue there.
    Unfit,
}

impl Filling {
    pub(super) const MESSAGES: u64 = FILL_MESSAGES as u64;

    /// How much one page is to have.
    pub const PAGE: Limit = Limit { messages: 1_024, bytes: 1024 * 1024 };

    pub(super) fn new(kind: Kind, after: Seq, from: Seq, copy: &Head) -> Self {
        let Head { epoch, head, floor, .. } = *copy;
        let (position, seen) = (Position::new(epoch, after), head.max(floor));
        let messages = Vec::new();
        Self { kind, after: position, from, begun_at: head, at: after, messages, bytes: 0, head: seen, floor }
    }

    /// After which position the next page is to be read.
    #[must_use]
    pub fn at(&self) -> Position {
        // Where deletions are forgotten, a position without a base could not be continued.
        let is_snapshot = self.kind == Kind::State && Seq::ZERO < self.at && self.at < self.floor;
        Position { epoch: self.after.epoch, seq: self.at, base: is_snapshot.then_some(self.head) }
    }

    /// Takes the page that was read after [`Filling::at`].
    pub fn take(&mut self, slice: Slice) -> Filled {
        let Slice { head, messages, to } = slice;
        let at = self.at();
        if decide(self.kind, Some(at), &head) != Decision::Continue || !self.is_dense(&messages, to) {
            return Filled::Unfit;
        }
        // To a position with a base no deletion up to it is told; the copy has those after `from`.
        let untold = at.base.map_or(Seq::ZERO, |base| base.min(self.from));
        (self.head, self.floor) = (self.head.max(head.head), self.floor.max(head.floor).max(untold));
        let needed = messages.into_iter().filter(|message| message.seq <= self.from);
        for message in needed {
            self.bytes += message.size();
            self.messages.push(message);
        }
        if self.bytes > FILL_BYTES || self.messages.len() > FILL_MESSAGES {
            return Filled::Unfit;
        }
        match to {
            _ if to >= self.from => Filled::Whole,
            // A page without progress would be asked for again for ever.
            _ if to <= self.at => Filled::Unfit,
            _ => {
                self.at = to;
                Filled::More
            }
        }
    }

    fn is_dense(&self, messages: &[Arc<Message>], to: Seq) -> bool {
        let mut expected = self.at.get() + 1..=to.get();
        let dense = messages.iter().all(|message| Some(message.seq.get()) == expected.next());
        self.kind == Kind::State || (dense && expected.next().is_none())
    }
}
