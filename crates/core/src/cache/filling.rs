//! What a reader lacks before the beginning of a copy, fetched page by page.

use std::sync::Arc;

use crate::backplane::Slice;
use crate::channel::Kind;
use crate::limits::{FILL_BYTES, FILL_MESSAGES};
use crate::log::Limit;
use crate::message::Message;
use crate::position::{Position, Seq};
use crate::replay::{Decision, decide};

/// A part of a log that is being fetched. Begun by [`super::Cache::lacks`], and taken by [`super::Cache::fill`].
#[derive(Debug)]
pub struct Filling {
    kind: Kind,
    after: Position,
    /// The copy has everything after this.
    from: Seq,
    at: Seq,
    messages: Vec<Arc<Message>>,
    bytes: usize,
    floor: Seq,
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

    pub(super) fn new(kind: Kind, after: Position, from: Seq) -> Self {
        Self { kind, after, from, at: after.seq, messages: Vec::new(), bytes: 0, floor: Seq::ZERO }
    }

    /// After which position the next page is to be read.
    #[must_use]
    pub fn at(&self) -> Position {
        Position::new(self.after.epoch, self.at)
    }

    /// Takes the page that was read after [`Filling::at`].
    pub fn take(&mut self, slice: Slice) -> Filled {
        let Slice { head, messages, to } = slice;
        if decide(self.kind, Some(self.at()), &head) != Decision::Continue || !self.is_dense(&messages) {
            return Filled::Unfit;
        }
        self.floor = self.floor.max(head.floor);
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

    fn is_dense(&self, messages: &[Arc<Message>]) -> bool {
        let expected = self.at.get() + 1..;
        self.kind == Kind::State || messages.iter().zip(expected).all(|(message, seq)| message.seq.get() == seq)
    }

    pub(super) fn range(&self) -> (Position, Seq) {
        (self.after, self.from)
    }

    pub(super) fn into_parts(self) -> (Vec<Arc<Message>>, Seq) {
        (self.messages, self.floor)
    }
}
