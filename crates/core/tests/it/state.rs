//! States against a naive map: whatever is set, deleted and forgotten while readers page, are cut and resume, a reader
//! that is live holds what the log holds.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use tricast_core::access::Identity;
use tricast_core::channel::{Kind, Retention};
use tricast_core::log::{Limit, Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::protocol::GapReason;
use tricast_core::replay::{Decision, decide};

/// Deletions that the log remembers: few, so that they are forgotten in the middle of snapshots.
const DELETIONS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Set {
        key: u8,
        ttl: Option<u64>,
    },
    Delete {
        key: u8,
    },
    Advance {
        ms: u64,
    },
    Begin {
        reader: usize,
    },
    Page {
        reader: usize,
        messages: usize,
    },
    /// The reader comes back with what it printed.
    Cut {
        reader: usize,
    },
    /// Where no key is left, what remains of the log takes its place.
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    let (key, reader) = (0..8_u8, 0..3_usize);
    prop_oneof![
        4 => (key.clone(), prop::option::of(1..40_u64)).prop_map(|(key, ttl)| Step::Set { key, ttl }),
        3 => key.prop_map(|key| Step::Delete { key }),
        1 => (0..30_u64).prop_map(|ms| Step::Advance { ms }),
        1 => reader.clone().prop_map(|reader| Step::Begin { reader }),
        6 => (reader.clone(), 1..4_usize).prop_map(|(reader, messages)| Step::Page { reader, messages }),
        1 => reader.prop_map(|reader| Step::Cut { reader }),
        1 => Just(Step::Rest),
    ]
}

/// For each key ever used: the seq that last changed it, what it holds since, and until when.
type Naive = BTreeMap<u8, (u64, Option<u64>, Option<u64>)>;

struct Reader {
    position: Position,
    /// The head of the log when the snapshot began: until the reader is past it, only what is deleted later matters.
    began_at: Seq,
    live_at: Seq,
    map: HashMap<String, u64>,
}

impl Reader {
    fn fresh(log: &Log) -> Self {
        let head = log.head();
        let position = Position::snapshot(head.epoch, head.head);
        Self { position, began_at: head.head, live_at: head.head, map: HashMap::new() }
    }

    fn page(&mut self, log: &Log, messages: usize) -> Result<(), TestCaseError> {
        let head = log.head();
        if let Decision::Gap { reason, position } = decide(Kind::State, Some(self.position), &head) {
            let held = self.began_at.max(self.position.seq);
            prop_assert_eq!(reason, GapReason::Expired);
            prop_assert!(held < head.floor, "a gap without cause");
            prop_assert_eq!(position, Position::new(head.epoch, Seq::ZERO));
            *self = Self::fresh(log);
            return Ok(());
        }
        let limit = Limit { messages, bytes: 1_000 };
        let extent = log.extent(self.position, limit);
        let read = log.read(self.position, limit);
        prop_assert_eq!(read.len(), extent.count);
        for message in &read {
            prop_assert!(message.seq > self.position.seq && message.seq <= extent.to, "in order");
            let key = message.key.as_deref().unwrap().to_owned();
            match message.payload {
                Some(_) => drop(self.map.insert(key, message.seq.get())),
                None => drop(self.map.remove(&key)),
            }
        }
        self.position = self.position.advanced(extent.to);
        Ok(())
    }

    /// Once live, the reader agrees with the log about every key that did not change after its position.
    fn check(&self, naive: &Naive) -> Result<(), TestCaseError> {
        if self.position.seq < self.live_at {
            return Ok(());
        }
        for (key, (seq, value, _)) in naive.iter().filter(|(_, (seq, ..))| *seq <= self.position.seq.get()) {
            prop_assert_eq!(self.map.get(&key.to_string()), value.as_ref(), "key {} of seq {}", key, seq);
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_live_reader_holds_what_the_log_holds(steps in prop::collection::vec(step(), 1..120)) {
        let mut log = Log::remembering(DELETIONS, Epoch::from_bits(7), Retention::state());
        let (mut naive, mut now) = (Naive::new(), 0_u64);
        let mut readers: Vec<Reader> = std::iter::repeat_with(|| Reader::fresh(&log)).take(3).collect();
        for step in steps {
            match step {
                Step::Set { key, ttl } => {
                    let draft = Draft::json("x").unwrap().key(key.to_string());
                    let draft = match ttl { Some(ms) => draft.ttl(std::time::Duration::from_millis(ms)), None => draft };
                    let seq = append(&mut log, draft, now);
                    naive.insert(key, (seq, Some(seq), ttl.map(|ttl| now + ttl)));
                }
                Step::Delete { key } => {
                    let present = naive.get(&key).is_some_and(|(_, value, _)| value.is_some());
                    let head = log.head().head.get();
                    let seq = append(&mut log, Draft::delete(key.to_string()), now);
                    prop_assert_eq!(seq, if present { head + 1 } else { head });
                    if present {
                        naive.insert(key, (seq, None, None));
                    }
                }
                Step::Advance { ms } => {
                    now += ms;
                    expire(&mut log, &mut naive, now)?;
                }
                Step::Begin { reader } => readers[reader] = Reader::fresh(&log),
                Step::Page { reader, messages } => readers[reader].page(&log, messages)?,
                Step::Cut { reader } => {
                    let reader = &mut readers[reader];
                    reader.position = reader.position.to_string().parse().unwrap();
                    reader.live_at = reader.position.base.unwrap_or(log.head().head);
                }
                Step::Rest => {
                    if let Some(remnant) = log.remnant() {
                        log = Log::resume(Kind::State, Retention::state(), &remnant);
                        prop_assert_eq!(log.head(), remnant.head());
                    }
                }
            }
            for reader in &readers {
                reader.check(&naive)?;
            }
            prop_assert_eq!(log.len(), naive.values().filter(|(_, value, _)| value.is_some()).count());
        }
        for reader in &mut readers {
            // Two rounds are enough: one may be cut short by a gap, and none is told of a second.
            for _ in 0..2 {
                reader.page(&log, 1_000)?;
            }
            prop_assert!(reader.position.seq == log.head().head && reader.position.base.is_none());
            reader.live_at = reader.live_at.min(reader.position.seq);
            reader.check(&naive)?;
        }
    }
}

fn append(log: &mut Log, draft: Draft, now_ms: u64) -> u64 {
    let appended = log.append(draft, &Identity::Server.scope(), Stamp { now_ms, tag: 0 }).unwrap();
    appended.position.seq.get()
}

/// Each key whose time is over leaves by a deletion of its own, the earliest first.
fn expire(log: &mut Log, naive: &mut Naive, now: u64) -> Result<(), TestCaseError> {
    let mut over: Vec<(u64, u64, u8)> = naive
        .iter()
        .filter_map(|(key, (seq, value, until))| value.and(*until).map(|until| (until, *seq, *key)))
        .filter(|(until, ..)| *until <= now)
        .collect();
    over.sort_unstable();
    let head = log.head().head.get();
    prop_assert_eq!(log.expire(Stamp { now_ms: now, tag: 0 }), !over.is_empty());
    for (seq, (_, _, key)) in (head + 1..).zip(&over) {
        naive.insert(*key, (seq, None, None));
    }
    prop_assert_eq!(log.head().head.get(), head + over.len() as u64);
    Ok(())
}
