//! A node's copy of the newest part of a log that a store keeps: what is clustered, in one place and without I/O.
//!
//! A backplane tells news, which may repeat, reorder or vanish, and answers questions. A [`Cache`] is told both, and
//! says what has to be asked next. Readers read it as they read any log, from the place on from which it has everything.
//!
//! # What it is told
//! - *News* ([`Cache::hear`]): the next message is taken, a known one dropped, and one beyond the next tells of a hole.
//! - *Heads* ([`Cache::learn`]): one beyond its own tells of a lost tail; one of another epoch that this copy is worth
//!   nothing any more.
//! - *Slices*: what was missed after its head ([`Cache::catch_up`]), and what a reader lacks before its beginning
//!   ([`Filling`]).
//!
//! # What it may say
//! Messages. That a reader's position cannot be continued, or that nothing is new, is the backplane's to say, asked
//! after the reader came: a reader moves between nodes faster than news.
//!
//! # Order
//! Nothing behind a hole is taken before the hole is filled, so readers see no hole, but a short delay.
//!
//! # Forks
//! One seq of one epoch is one message, for ever. A copy that is told of two, or that one is there no more, has seen two
//! lives of a log, and says so ([`Fork`]): then the epoch has to end. Until it does the copy grows no more, and asks for
//! it again and again. So that a lost tail does not hide one, whoever catches up reads the message at its own head once
//! more.

mod filling;

use std::sync::Arc;

use crate::backplane::Slice;
use crate::channel::{Kind, Retention};
use crate::limits::STATE_DELETIONS;
use crate::log::{Head, Log};
use crate::message::Message;
use crate::position::{Epoch, Position, Seq};
use crate::replay::{Decision, decide};

pub use filling::{Filled, Filling};

/// A node's copy of a log. See the module.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use tricast_core::cache::{Cache, Heard, Serves};
/// use tricast_core::channel::{Kind, Retention};
/// use tricast_core::log::Head;
/// use tricast_core::message::{Draft, stored};
/// use tricast_core::position::{Epoch, Position, Seq};
///
/// let (epoch, seq) = (Epoch::from_bits(1), |seq| Seq::new(seq).unwrap());
/// let message = |at| Arc::new(stored::decode(&stored::encode(&Draft::json("x").unwrap(), 7, None), seq(at), 0).unwrap());
/// let mut cache = Cache::new(Kind::Stream, Retention::stream());
/// cache.learn(&Head { epoch, first: seq(1), head: seq(4), floor: Seq::ZERO });
/// assert_eq!(cache.serves(Position::new(epoch, seq(2))), Serves::No, "it has nothing of what was before");
/// assert_eq!(cache.hear(epoch, message(5)), Heard::Grew);
/// assert_eq!(cache.hear(epoch, message(7)), Heard::Behind);
/// assert_eq!(cache.wants(), Some(Position::new(epoch, seq(4))), "from its own head on, once more");
/// ```
#[derive(Debug)]
pub struct Cache {
    log: Log,
    kind: Kind,
    retention: Retention,
    /// Whether it was ever told of a head. Until then the log in it is nobody's.
    begun: bool,
    /// It has everything after this seq.
    from: Seq,
    /// The newest seq that it was told of.
    told: Seq,
    /// The newest that news told of in the epoch that was heard last and was not its own: it may be the next.
    told_elsewhere: Option<(Epoch, Seq)>,
    /// The message with this number was read once more, and is the one that is here.
    checked: Seq,
    /// What shows that this epoch had two lives.
    fork: Option<Fork>,
    /// Deletions that a state's copy remembers.
    deletions: usize,
}

/// What a copy made of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// It has grown: readers may read on.
    Grew,
    /// It knew that, or has nothing to put it after yet.
    Nothing,
    /// Something before it is missing: see [`Cache::wants`].
    Behind,
    /// It is of another epoch. News may be late, so which one is the present has to be asked.
    Doubt,
    /// It is another message than the one that is here, or such a one was heard and the epoch is to end.
    Fork(Fork),
}

/// What a copy made of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// It has all that there is.
    Current,
    /// Something is missing: see [`Cache::wants`].
    Behind,
    /// It begins anew at this head: what it had is worth nothing any more. News that were heard meanwhile may tell of
    /// more: see [`Cache::wants`].
    Anew,
}

/// One seq of one epoch was two messages, or is none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number {} of the epoch {} was given twice", position.seq.get(), position.epoch)]
pub struct Fork {
    /// Which number.
    pub position: Position,
}

/// Whether a reader may be served from a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Serves {
    /// Everything after its position is here.
    Yes,
    /// It is ahead of this copy, or where it ends: there is nothing for it yet.
    Ahead,
    /// The backplane has to be asked.
    No,
}

impl Cache {
    /// A copy of a log of which nothing is known yet.
    #[must_use]
    pub fn new(kind: Kind, retention: Retention) -> Self {
        Self::remembering(STATE_DELETIONS, kind, retention)
    }

    /// One that, on a state, remembers so many deletions, in place of [`STATE_DELETIONS`]; fewer are for tests.
    #[must_use]
    pub fn remembering(deletions: usize, kind: Kind, retention: Retention) -> Self {
        let nothing = Head { epoch: Epoch::from_bits(0), first: Seq::ZERO, head: Seq::ZERO, floor: Seq::ZERO };
        let log = Log::copy_from(kind, retention, deletions, &nothing);
        let (from, told, checked) = (Seq::ZERO, Seq::ZERO, Seq::ZERO);
        let (begun, told_elsewhere, fork) = (false, None, None);
        Self { log, kind, retention, begun, from, told, told_elsewhere, checked, fork, deletions }
    }

    /// The log, as far as it is here.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The same, to let what is here be forgotten. Appending to it would make it a copy of nothing.
    pub fn log_mut(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Whether it was told of a head, so that it follows a log.
    #[must_use]
    pub fn is_begun(&self) -> bool {
        self.begun
    }

    /// Forgets everything: news are not told any more, so what is here would grow old unnoticed.
    pub fn close(&mut self) {
        *self = Self::remembering(self.deletions, self.kind, self.retention);
    }

    /// Lets what is here go, to give its memory back, and goes on from its head.
    pub fn let_go(&mut self) {
        if self.begun {
            let (head, told, fork) = (self.log.head(), self.told, self.fork);
            self.begin(&head);
            (self.told, self.fork) = (told, fork);
        }
    }

    /// Takes news.
    pub fn hear(&mut self, epoch: Epoch, message: Arc<Message>) -> Heard {
        let Head { epoch: own, head, .. } = self.log.head();
        match message.seq {
            seq if !self.begun || epoch != own => {
                let known = self.told_elsewhere.filter(|(other, _)| *other == epoch).map_or(seq, |(_, known)| known);
                self.told_elsewhere = Some((epoch, known.max(seq)));
                if self.begun { Heard::Doubt } else { Heard::Nothing }
            }
            seq if seq <= head || self.fork.is_some() => {
                self.known(&message).map_or_else(Heard::Fork, |()| Heard::Nothing)
            }
            seq if Some(seq) == head.next() => {
                self.log.adopt(message);
                self.told = self.told.max(seq);
                if self.told > seq { Heard::Behind } else { Heard::Grew }
            }
            seq => {
                self.told = self.told.max(seq);
                Heard::Behind
            }
        }
    }

    /// Takes a head that the backplane answered.
    pub fn learn(&mut self, head: &Head) -> Learned {
        if !self.begun || head.epoch != self.log.head().epoch {
            self.begin(head);
            // Told after the store had answered, and heard before its answer.
            let told = self.told_elsewhere.take().filter(|(epoch, _)| *epoch == head.epoch);
            self.told = told.map_or(head.head, |(_, seq)| seq.max(head.head));
            return Learned::Anew;
        }
        self.log.forget_with(head);
        self.told = self.told.max(head.head);
        self.learned()
    }

    fn learned(&self) -> Learned {
        if self.wants().is_some() { Learned::Behind } else { Learned::Current }
    }

    /// After which position to read, to have what was missed; `None` where nothing is known to be missing.
    #[must_use]
    pub fn wants(&self) -> Option<Position> {
        let Head { epoch, head, .. } = self.log.head();
        // Once: it may be all that a page has room for.
        let overlap = u64::from(self.log.at(head).is_some() && self.checked != head);
        let misses = self.begun && (self.told > head || self.fork.is_some());
        misses.then(|| Position::new(epoch, head.back(overlap)))
    }

    /// Takes what was read after the position that [`Cache::wants`] named.
    ///
    /// # Errors
    /// What was read is of another life of the log. The epoch has to end: until it has, this is answered again.
    pub fn catch_up(&mut self, after: Position, slice: &Slice) -> Result<Learned, Fork> {
        let head = &slice.head;
        let own = self.log.head();
        let has_left = after.epoch == head.epoch && after.epoch != own.epoch;
        if !self.begun || has_left {
            return Ok(self.learned());
        }
        if head.epoch != own.epoch || after.epoch != own.epoch || after.seq > own.head {
            return Ok(self.learn(head));
        }
        // What was there before this was read is there no more.
        if self.fork.is_some() || head.head < after.seq {
            return Err(self.forked(after.seq));
        }
        // To who stands at zero no deletion is owed, but this copy may have moved on from there.
        let is_owed = after.seq < head.floor && own.head > Seq::ZERO;
        if is_owed || decide(self.kind, Some(after), head) != Decision::Continue {
            // What was told of it meanwhile may be more.
            let told = self.told;
            self.begin(head);
            self.told = self.told.max(told);
            return Ok(Learned::Anew);
        }
        self.adopt(slice)?;
        Ok(self.learn(head))
    }

    /// Takes the messages that go on from what is here.
    fn adopt(&mut self, slice: &Slice) -> Result<(), Fork> {
        let own = self.log.head().head;
        for message in &slice.messages {
            let head = self.log.head().head;
            let dense = self.kind == Kind::State || Some(message.seq) == head.next();
            match message.seq {
                seq if seq <= own => {
                    self.known(message)?;
                    self.checked = seq;
                }
                seq if seq <= head => {}
                _ if dense => self.log.adopt(Arc::clone(message)),
                // A store that leaves out a message answered no slice: what is behind it is not taken.
                _ => return Ok(()),
            }
        }
        if self.kind == Kind::State {
            self.log.advance(slice.to);
        }
        Ok(())
    }

    /// Whether a reader who stands here may be served from this copy.
    #[must_use]
    pub fn serves(&self, position: Position) -> Serves {
        let Head { epoch, head, floor, .. } = self.log.head();
        let Position { seq, base, .. } = position;
        let has_deletions = seq == Seq::ZERO || base.unwrap_or(seq) >= floor;
        match self.kind {
            _ if !self.begun || position.epoch != epoch => Serves::No,
            Kind::Stream if base.is_some() => Serves::No,
            _ if seq >= head => Serves::Ahead,
            Kind::State if !has_deletions => Serves::No,
            // A snapshot is read as of its base or later.
            Kind::State if base.is_some_and(|base| base > head) => Serves::No,
            Kind::Stream | Kind::State if seq >= self.from() => Serves::Yes,
            Kind::Stream | Kind::State => Serves::No,
        }
    }

    /// Begins to fetch what a reader at this position lacks, if it can become part of this copy.
    #[must_use]
    pub fn lacks(&self, position: Position) -> Option<Filling> {
        let (head, from) = (self.log.head(), self.from());
        let may = self.begun && position.epoch == head.epoch && position.seq < from;
        let near = self.kind == Kind::State || from.since(position.seq) <= Filling::MESSAGES;
        (may && near).then(|| Filling::new(self.kind, position.seq, from, &head))
    }

    /// Takes what was fetched. False if that does not go before what is here any more.
    pub fn fill(&mut self, filling: Filling) -> bool {
        let Head { epoch, floor, .. } = self.log.head();
        let Filling { after, from, begun_at, .. } = filling;
        let fits = self.begun && epoch == after.epoch && from == self.from();
        // Of a key of which a newer deletion was forgotten meanwhile, an older message would come to life.
        if !fits || floor > begun_at {
            return false;
        }
        self.log.forget_with(&Head { floor: filling.floor, ..self.log.head() });
        self.log.adopt_before(filling.messages);
        self.from = after.seq;
        true
    }

    /// After which seq everything is here.
    fn from(&self) -> Seq {
        match self.kind {
            Kind::Stream => self.log.head().first.back(1),
            Kind::State => self.from,
        }
    }

    fn begin(&mut self, head: &Head) {
        self.log = Log::copy_from(self.kind, self.retention, self.deletions, head);
        (self.begun, self.from, self.told) = (true, head.head, head.head);
        (self.checked, self.fork) = (Seq::ZERO, None);
    }

    /// Checks that a message with a number that is known is the one that is here, if it still is.
    fn known(&mut self, message: &Message) -> Result<(), Fork> {
        let is_another = self.log.at(message.seq).is_some_and(|own| own.tag != message.tag);
        match self.fork {
            Some(fork) => Err(fork),
            None if is_another => Err(self.forked(message.seq)),
            None => Ok(()),
        }
    }

    /// Notes that this number shows that the epoch had two lives.
    fn forked(&mut self, seq: Seq) -> Fork {
        let fork = Fork { position: Position::new(self.log.head().epoch, seq) };
        *self.fork.get_or_insert(fork)
    }
}

#[cfg(test)]
mod tests;
