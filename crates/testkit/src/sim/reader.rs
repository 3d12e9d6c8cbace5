//! The rules by which a client reads one channel (protocol 5.1 and 5.3), without any I/O.

use tricast_core::channel::Kind;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::protocol::GapReason;

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes to the application.
    Deliver,
    /// It is not new.
    Drop,
    /// Something before it is missing and nobody said so: the reader must ask again.
    Fault,
}

/// Where a reader stands on a channel, and what moves it.
#[derive(Debug)]
pub struct Reader {
    kind: Kind,
    position: Option<Position>,
}

impl Reader {
    /// A reader that has nothing yet.
    pub fn new(kind: Kind) -> Self {
        Self { kind, position: None }
    }

    /// Where reading goes on; `None` until the server has said where it starts.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// Takes a `subscribed`: a reader that has a position keeps it, for only a gap may replace it.
    pub fn subscribed(&mut self, position: Position, head: Position) -> Verdict {
        if self.position.is_none() {
            self.start(position, head);
        }
        Verdict::Deliver
    }

    /// Takes a `gap`, which replaces the position, also backwards.
    ///
    /// Only a stream's reader who went past it has lost nothing: what it says is gone, another connection brought.
    pub fn gap(&mut self, position: Position, head: Position, reason: GapReason) -> Verdict {
        let has_it = self.kind == Kind::Stream
            && reason == GapReason::Expired
            && self.position.is_some_and(|own| own.epoch == position.epoch && own.seq >= position.seq);
        if has_it {
            return Verdict::Drop;
        }
        self.start(position, head);
        Verdict::Deliver
    }

    /// Takes a `message`.
    pub fn message(&mut self, epoch: Epoch, seq: Seq) -> Verdict {
        match &mut self.position {
            Some(position) if position.epoch == epoch => {
                if seq <= position.seq {
                    return Verdict::Drop;
                }
                if self.kind == Kind::Stream && seq.since(position.seq) > 1 {
                    return Verdict::Fault;
                }
                *position = position.advanced(seq);
                Verdict::Deliver
            }
            _ => Verdict::Fault,
        }
    }

    /// Takes a `live`: everything up to its position has been told.
    pub fn live(&mut self, told: Position) -> Verdict {
        match &mut self.position {
            Some(position) if position.epoch == told.epoch => {
                *position = position.advanced(told.seq.max(position.seq));
                Verdict::Deliver
            }
            _ => Verdict::Fault,
        }
    }

    fn start(&mut self, position: Position, head: Position) {
        let snapshot = self.kind == Kind::State && position.seq == Seq::ZERO;
        self.position = Some(if snapshot { Position::snapshot(head.epoch, head.seq) } else { position });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Position {
        text.parse().unwrap()
    }

    fn reader(kind: Kind, position: &str, head: &str) -> Reader {
        let mut reader = Reader::new(kind);
        reader.subscribed(at(position), at(head));
        reader
    }

    #[test]
    fn a_snapshot_bears_its_base_until_it_is_passed() {
        let mut state = reader(Kind::State, "aaaaaaaaaaaa-0", "aaaaaaaaaaaa-7");
        assert_eq!(state.position(), Some(at("aaaaaaaaaaaa-0-7")));
        let epoch = at("aaaaaaaaaaaa-0").epoch;
        assert_eq!(state.message(epoch, Seq::new(5).unwrap()), Verdict::Deliver, "a state has holes");
        assert_eq!(state.position(), Some(at("aaaaaaaaaaaa-5-7")));
        assert_eq!(state.live(at("aaaaaaaaaaaa-7")), Verdict::Deliver);
        assert_eq!(state.position(), Some(at("aaaaaaaaaaaa-7")));
    }

    #[test]
    fn the_end_of_a_snapshot_moves_nobody_back() {
        let mut state = reader(Kind::State, "aaaaaaaaaaaa-0", "aaaaaaaaaaaa-2");
        assert_eq!(state.message(at("aaaaaaaaaaaa-0").epoch, Seq::new(9).unwrap()), Verdict::Deliver);
        assert_eq!(state.live(at("aaaaaaaaaaaa-4")), Verdict::Deliver);
        assert_eq!(state.position(), Some(at("aaaaaaaaaaaa-9")));
    }
}
