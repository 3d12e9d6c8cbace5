use proptest::prelude::*;
use serde::Deserialize;
use tricast_core::position::{Cursor, Epoch, Place, Position, PositionError, Seq, cursor_text};
use tricast_testkit::vectors;

use crate::any;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Parsed {
    text: String,
    position: Option<Parts>,
    error: Option<String>,
}

#[derive(Deserialize, Debug, PartialEq)]
#[serde(deny_unknown_fields)]
struct Parts {
    epoch: String,
    seq: u64,
    base: Option<u64>,
}

#[test]
fn positions_are_as_the_vectors_say() {
    for case in vectors::load::<Parsed>("positions") {
        let Parsed { text, position, error } = &case.data;
        match text.parse::<Position>() {
            Ok(read) => {
                let base = read.base.map(Seq::get);
                let parts = Parts { epoch: read.epoch.to_string(), seq: read.seq.get(), base };
                assert_eq!(Some(&parts), position.as_ref(), "{}", case.name);
                assert_eq!(&read.to_string(), text, "{}", case.name);
            }
            Err(problem) => {
                let problem = match problem {
                    PositionError::Epoch => "epoch",
                    PositionError::Seq => "seq",
                    PositionError::Trailing => "trailing",
                };
                assert_eq!(Some(problem), error.as_deref(), "{}", case.name);
            }
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Placed {
    cursor: String,
    max_bytes: Option<usize>,
    epochs: Vec<String>,
    places: Vec<String>,
}

#[test]
fn cursors_are_placed_as_the_vectors_say() {
    for case in vectors::load::<Placed>("cursors") {
        let Placed { cursor, max_bytes, epochs, places } = &case.data;
        let cursor = match max_bytes {
            Some(max_bytes) => Cursor::parse(cursor, *max_bytes),
            None => Cursor::parse_get(cursor),
        };
        let epochs: Vec<Epoch> = epochs.iter().map(|epoch| epoch.parse().unwrap()).collect();
        let found: Vec<String> = cursor.place(&epochs).into_iter().map(place_text).collect();
        assert_eq!(&found, places, "{}", case.name);
    }
}

fn place_text(place: Place) -> String {
    match place {
        Place::At(position) => position.to_string(),
        Place::Fresh => "fresh".into(),
        Place::Lost { unreadable: false } => "gap epoch".into(),
        Place::Lost { unreadable: true } => "gap unknown".into(),
    }
}

proptest! {
    #[test]
    fn a_position_reads_back(position in any::position()) {
        prop_assert_eq!(position.to_string().parse(), Ok(position));
    }

    #[test]
    fn no_text_makes_a_parser_panic_and_what_is_read_prints_alike(text in "[0-9a-z-]{10,30}|.{0,40}") {
        if let Ok(position) = text.parse::<Position>() {
            prop_assert_eq!(position.to_string(), text);
        }
    }

    #[test]
    fn every_channel_finds_its_own_position_in_a_cursor_of_any_order(
        positions in prop::collection::vec(any::position(), 1..20),
        rotation in 0..20_usize,
    ) {
        let epochs: Vec<Epoch> = positions.iter().map(|position| position.epoch).collect();
        prop_assume!(epochs.iter().collect::<std::collections::HashSet<_>>().len() == epochs.len());
        let mut written = positions.clone();
        written.rotate_left(rotation % positions.len());
        let text = cursor_text(written.into_iter().map(Some));
        let places = Cursor::parse(&text, usize::MAX).place(&epochs);
        prop_assert_eq!(places, positions.into_iter().map(Place::At).collect::<Vec<_>>());
    }
}
