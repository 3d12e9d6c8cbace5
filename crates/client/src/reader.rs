//! One channel's position and the rules that move it, without any I/O.
//!
//! Source: protocol, sections 5.1 and 5.3.

use tricast_core::channel::Kind;
use tricast_core::position::Position;
use tricast_core::protocol::MessageEvent;
use tricast_core::protocol::event::{Gap, Subscribed};

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is the application's.
    Deliver,
    /// It is not new.
    Drop,
    /// Something before it is missing and nobody said so: the reader must ask again.
    Fault,
}

/// Where one channel is read.
///
/// Each method moves the position before it answers, so whatever becomes of a delivered event, no other connection can
/// bring the same message again.
#[derive(Debug)]
pub(crate) struct Reader {
    position: Option<Position>,
    kind: Option<Kind>,
    /// A snapshot of a state is being read, and the application has not been told that it is complete.
    awaits_live: bool,
}

impl Reader {
    /// A reader who has this already; nothing where there is none.
    pub(crate) fn new(position: Option<Position>) -> Self {
        Self { position, kind: None, awaits_live: position.is_some_and(|position| position.base.is_some()) }
    }

    /// Where reading goes on; `None` until the server has said where it starts.
    pub(crate) fn position(&self) -> Option<Position> {
        self.position
    }

    /// A reader who has a position keeps it: only a gap may replace it.
    pub(crate) fn subscribed(&mut self, event: &Subscribed) -> Verdict {
        self.kind = Some(event.kind);
        if self.position.is_none() {
            self.begin(event.position, event.head);
        }
        Verdict::Deliver
    }

    /// Replaces the position, also backwards.
    pub(crate) fn gap(&mut self, event: &Gap) -> Verdict {
        self.begin(event.position, event.head);
        Verdict::Deliver
    }

    pub(crate) fn message(&mut self, event: &MessageEvent) -> Verdict {
        let Some(position) = self.position else { return Verdict::Fault };
        if position.epoch != event.epoch {
            return Verdict::Fault;
        }
        if !position.is_before(event.epoch, event.seq) {
            return Verdict::Drop;
        }
        // Only what is on a state has a key, and states have holes.
        if event.key.is_none() && position.seq.next() != Some(event.seq) {
            return Verdict::Fault;
        }
        self.position = Some(position.advanced(event.seq));
        Verdict::Deliver
    }

    /// Moves up to where everything has been considered. It is not delivered: [`Reader::became_live`] tells.
    pub(crate) fn live(&mut self, told: Position) -> Verdict {
        match self.position {
            Some(position) if position.epoch == told.epoch => {
                self.position = Some(position.advanced(position.seq.max(told.seq)));
                Verdict::Drop
            }
            _ => Verdict::Fault,
        }
    }

    /// Whether a snapshot has become complete since this was asked last: a position without a base holds all of it,
    /// though the `live` that says so was lost with its connection.
    pub(crate) fn became_live(&mut self) -> bool {
        let complete = self.awaits_live && self.position.is_some_and(|position| position.base.is_none());
        self.awaits_live &= !complete;
        complete
    }

    fn begin(&mut self, position: Position, head: Position) {
        let is_state = self.kind == Some(Kind::State);
        let from_the_start = is_state && position.seq.get() == 0;
        self.position = Some(if from_the_start { Position::snapshot(position.epoch, head.seq) } else { position });
        self.awaits_live = is_state;
    }
}

#[cfg(test)]
mod tests {
    use tricast_core::protocol::Event;

    use super::*;

    fn take(reader: &mut Reader, text: &str) -> Verdict {
        match Event::parse(text).unwrap().unwrap() {
            Event::Subscribed(event) => reader.subscribed(&event),
            Event::Gap(event) => reader.gap(&event),
            Event::Message(event) => reader.message(&event),
            Event::Live { position, .. } => reader.live(position),
            other => panic!("{other:?}"),
        }
    }

    fn subscribed(position: u64, head: u64) -> String {
        format!(
            r#"{{"type":"subscribed","channel":"a","kind":"state","position":"aaaaaaaaaaaa-{position}","head":"aaaaaaaaaaaa-{head}"}}"#
        )
    }

    fn set(seq: u64) -> String {
        format!(
            r#"{{"type":"message","channel":"a","epoch":"aaaaaaaaaaaa","seq":{seq},"at":1,"key":"k{seq}","data":1}}"#
        )
    }

    fn at(reader: &Reader) -> String {
        reader.position().unwrap().to_string()
    }

    #[test]
    fn a_snapshot_bears_its_base_until_its_last_message_and_is_live_once() {
        let mut reader = Reader::new(None);
        assert_eq!(take(&mut reader, &subscribed(0, 9)), Verdict::Deliver);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-0-9", false));
        assert_eq!(take(&mut reader, &set(4)), Verdict::Deliver);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-4-9", false));
        assert_eq!(take(&mut reader, &set(11)), Verdict::Deliver);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-11", true));
        let live = r#"{"type":"live","channel":"a","position":"aaaaaaaaaaaa-9"}"#;
        assert_eq!(take(&mut reader, live), Verdict::Drop);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-11", false));
    }

    #[test]
    fn live_completes_a_snapshot_whose_newest_entries_were_deletions() {
        let mut reader = Reader::new(None);
        take(&mut reader, &subscribed(0, 9));
        take(&mut reader, &set(4));
        take(&mut reader, r#"{"type":"live","channel":"a","position":"aaaaaaaaaaaa-9"}"#);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-9", true));
    }

    #[test]
    fn an_empty_state_and_one_read_from_its_head_are_live_at_once() {
        for seq in [0, 9] {
            let mut reader = Reader::new(None);
            take(&mut reader, &subscribed(seq, seq));
            assert!(reader.became_live());
        }
    }

    #[test]
    fn a_resumed_snapshot_keeps_the_base_it_had_and_a_gap_begins_another() {
        let mut reader = Reader::new(Some("aaaaaaaaaaaa-4-9".parse().unwrap()));
        take(&mut reader, &subscribed(4, 20));
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-4-9", false));
        let gap =
            r#"{"type":"gap","channel":"a","position":"bbbbbbbbbbbb-0","head":"bbbbbbbbbbbb-3","reason":"epoch"}"#;
        take(&mut reader, gap);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("bbbbbbbbbbbb-0-3", false));
    }

    #[test]
    fn who_was_live_and_resumes_is_not_told_so_again() {
        let mut reader = Reader::new(Some("aaaaaaaaaaaa-9".parse().unwrap()));
        take(&mut reader, &subscribed(9, 12));
        take(&mut reader, r#"{"type":"live","channel":"a","position":"aaaaaaaaaaaa-12"}"#);
        assert_eq!((at(&reader).as_str(), reader.became_live()), ("aaaaaaaaaaaa-12", false));
    }

    #[derive(serde::Deserialize)]
    struct Delivery {
        steps: Vec<Step>,
        expect: Expected,
    }

    #[derive(serde::Deserialize)]
    struct Step {
        event: Box<serde_json::value::RawValue>,
    }

    #[derive(serde::Deserialize, Debug, PartialEq)]
    struct Expected {
        delivered: Vec<u64>,
        gaps: Vec<String>,
        faults: Vec<usize>,
        position: Option<String>,
    }

    #[test]
    fn a_reader_moves_as_the_vectors_say() {
        tricast_testkit::vectors::each("delivery", |case: Delivery| {
            let mut reader = Reader::new(None);
            let mut got = Expected { delivered: Vec::new(), gaps: Vec::new(), faults: Vec::new(), position: None };
            for (index, step) in case.steps.iter().enumerate() {
                let text = step.event.get();
                // What cannot be read ends the connection, and the next one asks from the position.
                let Ok(event) = Event::parse(text) else {
                    got.faults.push(index);
                    continue;
                };
                match (take(&mut reader, text), event) {
                    (Verdict::Fault, _) => got.faults.push(index),
                    (Verdict::Deliver, Some(Event::Message(message))) => got.delivered.push(message.seq.get()),
                    (Verdict::Deliver, Some(Event::Gap(gap))) => got.gaps.push(gap.position.to_string()),
                    _ => {}
                }
            }
            got.position = reader.position().map(|position| position.to_string());
            assert_eq!(got, case.expect);
        });
    }
}
