//! The log against a naive one that forgets nothing: what is retained, what is read, and when a reader is told of a
//! gap.

use std::collections::HashMap;

use proptest::prelude::*;
use tricast_core::access::Identity;
use tricast_core::channel::{Kind, Retention};
use tricast_core::limits::DEDUP_MS;
use tricast_core::log::{Limit, Log, Stamp};
use tricast_core::message::{Draft, Message, Payload};
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

#[derive(Debug, Clone)]
enum Step {
    Append {
        bytes: usize,
        id: Option<u8>,
        server: bool,
    },
    Advance {
        ms: u64,
    },
    Read {
        back: u64,
        messages: usize,
        bytes: usize,
    },
    /// The node needs the memory.
    LetGo,
    /// Where nothing is retained, what remains of the log takes its place.
    Rest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..200_usize, prop::option::of(0..6_u8), any::<bool>())
            .prop_map(|(bytes, id, server)| Step::Append { bytes, id, server }),
        1 => prop_oneof![0..50_u64, Just(DEDUP_MS - 1), Just(DEDUP_MS)].prop_map(|ms| Step::Advance { ms }),
        2 => (0..30_u64, 0..10_usize, 0..1_000_usize)
            .prop_map(|(back, messages, bytes)| Step::Read { back, messages, bytes }),
        1 => Just(Step::LetGo),
        1 => Just(Step::Rest),
    ]
}

fn retention() -> impl Strategy<Value = Retention> {
    let ttl = prop_oneof![1..200_u64, Just(u64::MAX)];
    (1..20_u64, prop_oneof![1..3_000_u64, Just(u64::MAX)], ttl).prop_map(|(keep, keep_bytes, ttl_ms)| Retention {
        keep,
        keep_bytes,
        ttl_ms,
    })
}

/// Every message ever appended, and the ids by the letter of protocol 5.1.
#[derive(Default)]
struct Naive {
    messages: Vec<(u64, usize)>,
    ids: HashMap<(bool, u8), (u64, u64)>,
    first: u64,
}

impl Naive {
    fn known(&self, server: bool, id: u8, now: u64) -> Option<u64> {
        self.ids.get(&(server, id)).filter(|(_, at)| now - at < DEDUP_MS).map(|(seq, _)| *seq)
    }

    fn append(&mut self, now: u64, cost: usize) -> u64 {
        self.messages.push((now, cost));
        self.messages.len() as u64
    }

    /// Forgets from the oldest on for as long as a bound is exceeded; the newest goes by age only.
    fn retain(&mut self, now: u64, retention: Retention) {
        loop {
            let retained = &self.messages[usize::try_from(self.first).unwrap()..];
            let Some((at, _)) = retained.first() else { return };
            let bytes: u64 = retained.iter().map(|(_, cost)| *cost as u64).sum();
            let crowded = retained.len() as u64 > retention.keep || bytes > retention.keep_bytes;
            if now - at < retention.ttl_ms && !(crowded && retained.len() > 1) {
                return;
            }
            self.first += 1;
        }
    }
}

fn cost(bytes: usize, id: Option<u8>) -> usize {
    let payload = Some(Payload::Binary(vec![0; bytes].into()));
    let id = id.map(|id| id.to_string().into());
    Message { payload, id, ..Message::deletion(Seq::ZERO, 0, 0) }.cost()
}

proptest! {
    #[test]
    fn a_log_is_what_the_naive_one_says(retention in retention(), steps in prop::collection::vec(step(), 1..80)) {
        let epoch = Epoch::from_bits(7);
        let (mut log, mut naive, mut now) = (Log::new(Kind::Stream, epoch, retention), Naive::default(), 1_000_u64);
        for step in steps {
            match step {
                Step::Append { bytes, id, server } => {
                    let who = if server { Identity::Server } else { Identity::Anonymous };
                    let draft = Draft::binary(vec![0; bytes]);
                    let draft = match id { Some(id) => draft.id(id.to_string()), None => draft };
                    let appended = log.append(draft, &who.scope(), Stamp { now_ms: now, tag: 0 }).unwrap();
                    let known = id.and_then(|id| naive.known(server, id, now));
                    prop_assert_eq!(appended.duplicate, known.is_some());
                    let seq = known.unwrap_or_else(|| {
                        let seq = naive.append(now, cost(bytes, id));
                        if let Some(id) = id { naive.ids.insert((server, id), (seq, now)); }
                        seq
                    });
                    prop_assert_eq!(appended.position, Position::new(epoch, Seq::new(seq).unwrap()));
                }
                Step::Advance { ms } => now += ms,
                Step::Read { back, messages, bytes } => {
                    log.forget(now);
                    naive.retain(now, retention);
                    check_read(&log, &naive, back, Limit { messages, bytes })?;
                }
                Step::LetGo => {
                    prop_assert_eq!(log.let_go(), naive.first < naive.messages.len() as u64);
                    naive.first = naive.messages.len() as u64;
                }
                Step::Rest => {
                    if let Some(remnant) = log.remnant() {
                        prop_assert_eq!(remnant.head(), log.head());
                        log = Log::resume(Kind::Stream, retention, &remnant);
                    }
                }
            }
            log.forget(now);
            naive.retain(now, retention);
            let head = log.head();
            prop_assert_eq!((head.first.get() - 1, head.head.get()), (naive.first, naive.messages.len() as u64));
            let retained = &naive.messages[usize::try_from(naive.first).unwrap()..];
            prop_assert_eq!(log.bytes(), retained.iter().map(|(_, cost)| *cost as u64).sum::<u64>());
        }
    }
}

/// A reader who stands `back` before the head either is told of a gap, exactly if what it misses is gone, or is given
/// the next messages in order.
fn check_read(log: &Log, naive: &Naive, back: u64, limit: Limit) -> Result<(), TestCaseError> {
    let head = log.head();
    let after = head.head.back(back);
    match decide(Kind::Stream, Some(Position::new(head.epoch, after)), &head) {
        Decision::Gap { position, .. } => {
            prop_assert!(after.get() < naive.first, "a gap without cause");
            prop_assert_eq!(position.seq.get(), naive.first);
        }
        Decision::Continue => {
            prop_assert!(after.get() >= naive.first, "a loss without a gap");
            let read = log.read(Position::new(head.epoch, after), limit);
            let expected = (after.get() + 1..=head.head.get()).take(read.len());
            prop_assert!(read.iter().map(|message| message.seq.get()).eq(expected));
            let missing = head.head.since(after);
            prop_assert_eq!(read.is_empty(), missing == 0, "what is new is never withheld");
            prop_assert!(read.len() <= limit.messages.max(1));
            let bytes: usize = read.iter().map(|message| message.size()).sum();
            prop_assert!(read.len() == 1 || bytes <= limit.bytes || read.is_empty());
            prop_assert_eq!(log.extent(Position::new(head.epoch, after), limit).count, read.len());
        }
    }
    Ok(())
}
