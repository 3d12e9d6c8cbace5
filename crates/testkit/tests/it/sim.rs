//! The promises of delivery in a hundred thousand histories, and a reader by the vectors.

use serde::Deserialize;
use tricast_core::channel::Kind;
use tricast_core::position::Seq;
use tricast_testkit::sim::reader::{Reader, Verdict};
use tricast_testkit::sim::{self, Flaw};
use tricast_testkit::vectors;

const HISTORIES: u64 = 100_000;

#[test]
fn every_promise_holds_in_every_history() {
    let tally = sim::check(HISTORIES);
    println!("{tally:?}");
    // Of fewer, asked for by hand, something may well be missing.
    if tally.histories >= HISTORIES {
        let often = [tally.delivered, tally.dropped, tally.gaps, tally.voids, tally.duplicates];
        assert!(often.iter().all(|count| *count > HISTORIES / 100), "the histories were idle: {tally:?}");
    }
}

#[test]
fn a_flaw_breaks_a_promise_that_is_checked() {
    for flaw in Flaw::ALL {
        let found = (0..20_000).find_map(|seed| sim::run(seed, Some(flaw)).err().map(|it| (seed, it)));
        let (seed, violation) = found.unwrap_or_else(|| panic!("nobody notices {flaw:?}"));
        println!("{flaw:?} is found by history {seed}: {violation}");
    }
}

#[derive(Deserialize)]
struct Case {
    steps: Vec<Step>,
    expect: Expected,
}

#[derive(Deserialize)]
struct Step {
    event: Told,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Told {
    Subscribed { position: String, head: String },
    Gap { position: String, head: String, reason: String },
    Message { epoch: String, seq: u64 },
}

impl Told {
    /// What a reader makes of it; `None` if there is something in it that cannot be read.
    fn tell(&self, reader: &mut Reader) -> Option<Verdict> {
        match self {
            Self::Subscribed { position, head } => Some(reader.subscribed(position.parse().ok()?, head.parse().ok()?)),
            Self::Gap { position, head, reason } => {
                Some(reader.gap(position.parse().ok()?, head.parse().ok()?, reason.parse().ok()?))
            }
            Self::Message { epoch, seq } => Some(reader.message(epoch.parse().ok()?, Seq::new(*seq)?)),
        }
    }
}

#[derive(Deserialize)]
struct Expected {
    delivered: Vec<u64>,
    gaps: Vec<String>,
    faults: Vec<usize>,
    position: Option<String>,
}

#[test]
fn a_reader_moves_as_the_vectors_say() {
    vectors::each("delivery", |Case { steps, expect }: Case| {
        let mut reader = Reader::new(Kind::Stream);
        let (mut delivered, mut gaps, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        for (nth, step) in steps.iter().enumerate() {
            let verdict = step.event.tell(&mut reader).unwrap_or(Verdict::Fault);
            match &step.event {
                Told::Message { seq, .. } if verdict == Verdict::Deliver => delivered.push(*seq),
                Told::Gap { position, .. } if verdict == Verdict::Deliver => gaps.push(position.clone()),
                Told::Subscribed { .. } | Told::Gap { .. } | Told::Message { .. } => {}
            }
            faults.extend((verdict == Verdict::Fault).then_some(nth));
        }
        assert_eq!((delivered, gaps, faults), (expect.delivered, expect.gaps, expect.faults));
        assert_eq!(reader.position().map(|position| position.to_string()), expect.position);
    });
}
