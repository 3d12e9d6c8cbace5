//! Continue, or gap: the one decision of recovery, written once (protocol, 5.2), and where a fresh reader starts.

use crate::channel::Kind;
use crate::log::Head;
use crate::position::{Place, Position, Seq};
use crate::protocol::{GapReason, Start};

/// What becomes of a reader who comes with a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It is continued: everything after its position is there.
    Continue,
    /// It cannot be continued without loss.
    Gap {
        /// Why.
        reason: GapReason,
        /// Replaces the reader's position, also backwards.
        position: Position,
    },
}

/// Decides whether a reader's position can be continued on a log; `None` is a position that could not be read.
///
/// # Examples
/// ```
/// use tricast_core::channel::{Kind, Retention};
/// use tricast_core::log::Log;
/// use tricast_core::position::{Epoch, Position, Seq};
/// use tricast_core::replay::{decide, Decision};
/// let log = Log::new(Kind::Stream, Epoch::from_bits(1), Retention::stream());
/// let nothing_yet = Position::new(Epoch::from_bits(1), Seq::ZERO);
/// assert_eq!(decide(Kind::Stream, Some(nothing_yet), &log.head()), Decision::Continue);
/// assert!(matches!(decide(Kind::Stream, None, &log.head()), Decision::Gap { .. }));
/// ```
#[must_use]
pub fn decide(kind: Kind, asked: Option<Position>, head: &Head) -> Decision {
    let start = oldest(kind, head);
    let gap = |reason| Decision::Gap { reason, position: start };
    let Some(Position { epoch, seq, base }) = asked else { return gap(GapReason::Unknown) };
    let held = base.unwrap_or(seq);
    match kind {
        // Only a snapshot has a base.
        Kind::Stream if base.is_some() => gap(GapReason::Unknown),
        _ if epoch != head.epoch => gap(GapReason::Epoch),
        Kind::Stream if seq > head.head => Decision::Gap { reason: GapReason::Unknown, position: head.position() },
        Kind::State if seq > head.head || held > head.head => gap(GapReason::Unknown),
        Kind::Stream if seq < head.first.back(1) => gap(GapReason::Expired),
        Kind::State if seq != Seq::ZERO && held < head.floor => gap(GapReason::Expired),
        Kind::Stream | Kind::State => Decision::Continue,
    }
}

/// Whether the log may have given this position to somebody: it is of this epoch, and not beyond the head.
#[must_use]
pub fn is_given(kind: Kind, position: Position, head: &Head) -> bool {
    let Position { epoch, seq, base } = position;
    // Only a snapshot has a base.
    let base_is_given = base.is_none_or(|base| kind == Kind::State && base <= head.head);
    epoch == head.epoch && seq <= head.head && base_is_given
}

/// Where a reader begins who brought something to continue from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beginning {
    /// What it is given comes after this: its own position where it is continued, else what replaces it.
    pub position: Position,
    /// Why it is not continued.
    pub gap: Option<GapReason>,
}

/// What becomes of a reader whose cursor said this of the channel.
///
/// `None` where the channel is left to its [`Start`].
#[must_use]
pub fn decide_place(kind: Kind, place: Place, head: &Head) -> Option<Beginning> {
    match place {
        Place::Fresh => None,
        Place::At(asked) => Some(match decide(kind, Some(asked), head) {
            Decision::Continue => Beginning { position: asked, gap: None },
            Decision::Gap { reason, position } => Beginning { position, gap: Some(reason) },
        }),
        Place::Lost { unreadable } => {
            let reason = if unreadable { GapReason::Unknown } else { GapReason::Epoch };
            Some(Beginning { position: oldest(kind, head), gap: Some(reason) })
        }
    }
}

/// The position after which a reader without one starts.
#[must_use]
pub fn start(kind: Kind, start: Start, head: &Head) -> Position {
    match (kind, start) {
        (_, Start::At(position)) => position,
        (_, Start::Latest) => head.position(),
        (Kind::Stream, Start::Last(newest)) => {
            Position::new(head.epoch, head.head.back(newest).max(head.first.back(1)))
        }
        (_, Start::Earliest) | (Kind::State, Start::Last(_)) => oldest(kind, head),
    }
}

fn oldest(kind: Kind, head: &Head) -> Position {
    match kind {
        Kind::Stream => head.before_first(),
        Kind::State => Position::new(head.epoch, Seq::ZERO),
    }
}
