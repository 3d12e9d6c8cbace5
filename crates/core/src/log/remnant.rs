//! What is kept of a log that retains nothing.

use super::{Head, Kept, Log, State, Stream};
use crate::channel::{Kind, Retention};
use crate::dedup::Dedup;
use crate::position::{Epoch, Seq};

/// What remains of a log without messages: enough to go on in its epoch, and to tell whoever comes back to it what the
/// log itself would.
///
/// # Examples
/// ```
/// use tricast_core::access::Identity;
/// use tricast_core::channel::{Kind, Retention};
/// use tricast_core::log::{Log, Stamp};
/// use tricast_core::message::Draft;
/// use tricast_core::position::Epoch;
///
/// let retention = Retention { ttl_ms: 1_000, ..Retention::stream() };
/// let mut log = Log::new(Kind::Stream, Epoch::from_bits(1), retention);
/// let publisher = Identity::Server.scope();
/// log.append(Draft::json("hello")?, &publisher, Stamp { now_ms: 0, tag: 0 })?;
/// assert!(log.remnant().is_none());
///
/// log.forget(1_000);
/// let remnant = log.remnant().ok_or("something is retained")?;
/// let mut log = Log::resume(Kind::Stream, retention, &remnant);
/// let second = log.append(Draft::json("again")?, &publisher, Stamp { now_ms: 2_000, tag: 1 })?;
/// assert_eq!((second.position.epoch, second.position.seq.get()), (Epoch::from_bits(1), 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remnant {
    epoch: Epoch,
    head: Seq,
    floor: Seq,
    last_append_ms: u64,
}

impl Remnant {
    /// Where the log stands.
    #[must_use]
    pub fn head(&self) -> Head {
        let Self { epoch, head, floor, .. } = *self;
        Head { epoch, first: head.next().unwrap_or(head), head, floor }
    }

    /// As [`Log::last_append_ms`].
    #[must_use]
    pub fn last_append_ms(&self) -> u64 {
        self.last_append_ms
    }
}

impl Log {
    /// What remains of it; `None` while it retains a message or remembers an id. [`Log::forget`] first where age
    /// matters.
    ///
    /// The deletions that a state remembers are no part of that, and become its floor: readers whom they would have
    /// been told are told of a gap instead. Where there are none ([`Log::bytes`] is 0) nobody notices a difference.
    #[must_use]
    pub fn remnant(&self) -> Option<Remnant> {
        let floor = match &self.kept {
            Kept::Stream(_) => Seq::ZERO,
            Kept::State(state) => state.last_deletion(),
        };
        let Self { epoch, head, last_append_ms, .. } = *self;
        let nothing_is_kept = self.is_empty() && self.dedup.is_empty();
        nothing_is_kept.then_some(Remnant { epoch, head, floor, last_append_ms })
    }

    /// The log of which this remains.
    #[must_use]
    pub fn resume(kind: Kind, retention: Retention, remnant: &Remnant) -> Self {
        let Remnant { epoch, head, floor, last_append_ms } = *remnant;
        let kept = match kind {
            Kind::Stream => Kept::Stream(Stream::default()),
            Kind::State => Kept::State(State::default().above(floor)),
        };
        Self { epoch, retention, head, kept, bytes: 0, dedup: Dedup::default(), last_append_ms }
    }
}
