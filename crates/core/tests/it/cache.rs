//! A copy of a log against the log itself: whatever is appended, told, lost, repeated, reordered, asked and answered late,
//! what the copy says it has is what the log has.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tricast_core::access::Identity;
use tricast_core::backplane::Slice;
use tricast_core::cache::{Cache, Filled, Filling, Heard, Learned, Serves};
use tricast_core::channel::{Kind, Retention};
use tricast_core::log::{Head, Limit, Log, Stamp};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

#[derive(Debug, Clone)]
enum Step {
    /// Something is appended, of which news is on its way.
    Append {
        key: u8,
        deletes: bool,
    },
    /// One of the news on their way arrives, and maybe stays on its way as well.
    News {
        nth: usize,
        repeats: bool,
    },
    Lose {
        nth: usize,
    },
    Head,
    /// A head that was read before arrives.
    StaleHead {
        nth: usize,
    },
    AskMissed {
        messages: usize,
    },
    Missed,
    AskLacked {
        after: u64,
    },
    Lacked {
        messages: usize,
    },
    Fill,
    LetGo,
    Close,
    /// The store loses everything.
    Anew,
}

fn step() -> impl Strategy<Value = Step> {
    let (nth, messages) = (0..9_usize, 1..5_usize);
    prop_oneof![
        8 => (0..6_u8, prop::bool::weighted(0.4)).prop_map(|(key, deletes)| Step::Append { key, deletes }),
        6 => (nth.clone(), any::<bool>()).prop_map(|(nth, repeats)| Step::News { nth, repeats }),
        2 => nth.clone().prop_map(|nth| Step::Lose { nth }),
        2 => Just(Step::Head),
        1 => nth.prop_map(|nth| Step::StaleHead { nth }),
        2 => messages.clone().prop_map(|messages| Step::AskMissed { messages }),
        2 => Just(Step::Missed),
        2 => (0..30_u64).prop_map(|after| Step::AskLacked { after: after.saturating_sub(10) }),
        3 => messages.prop_map(|messages| Step::Lacked { messages }),
        2 => Just(Step::Fill),
        1 => prop_oneof![4 => Just(Step::LetGo), 1 => Just(Step::Close), 1 => Just(Step::Anew)],
    ]
}

/// A log with all that was ever in it, and its copy.
struct Both {
    log: Log,
    kind: Kind,
    deletions: usize,
    keep: u64,
    epochs: u64,
    copy: Cache,
    /// Everything that was appended in the present epoch.
    all: Vec<Arc<Message>>,
    news: Vec<(Epoch, Arc<Message>)>,
    heads: Vec<Head>,
    missed: Option<(Position, Slice)>,
    lacked: Option<Filling>,
    whole: bool,
}

impl Both {
    fn new(kind: Kind, keep: u64, deletions: usize, copy_remembers: usize) -> Self {
        let retention = Retention { keep, ttl_ms: u64::MAX, ..Retention::stream() };
        let copy = Cache::remembering(copy_remembers, kind, retention);
        let log = Self::log(kind, keep, deletions, 1);
        let (all, news, heads) = (Vec::new(), Vec::new(), Vec::new());
        let (missed, lacked, whole, epochs) = (None, None, false, 1);
        Self { log, kind, deletions, keep, epochs, copy, all, news, heads, missed, lacked, whole }
    }

    fn log(kind: Kind, keep: u64, deletions: usize, epoch: u64) -> Log {
        let epoch = Epoch::from_bits(epoch);
        match kind {
            Kind::Stream => Log::new(kind, epoch, Retention { keep, ttl_ms: u64::MAX, ..Retention::stream() }),
            Kind::State => Log::remembering(deletions, epoch, Retention::state()),
        }
    }

    fn append(&mut self, key: u8, deletes: bool) {
        let mut draft = if deletes { Draft::delete("") } else { Draft::json("x").unwrap() };
        let key = (self.kind == Kind::State).then(|| Arc::from(key.to_string()));
        if self.kind == Kind::Stream && deletes {
            return;
        }
        let head = self.log.head().head;
        let tag = u32::try_from(head.get()).unwrap();
        let stamp = Stamp { now_ms: 0, tag };
        let publisher = Identity::Server.scope();
        draft.key.clone_from(&key);
        let seq = self.log.append(draft.clone(), &publisher, stamp).unwrap().position.seq;
        if seq > head {
            let Draft { payload, .. } = draft;
            let expires = None;
            let message = Arc::new(Message { payload, key, expires, ..Message::deletion(seq, 0, tag) });
            self.all.push(Arc::clone(&message));
            self.news.push((self.log.head().epoch, message));
        }
    }

    fn read(&self, after: Position, messages: usize) -> Slice {
        let (head, limit) = (self.log.head(), Limit { messages, bytes: usize::MAX });
        if decide(self.kind, Some(after), &head) != Decision::Continue {
            return Slice { head, messages: Vec::new(), to: after.seq };
        }
        Slice { head, messages: self.log.read(after, limit), to: self.log.extent(after, limit).to }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Append { key, deletes } => self.append(key, deletes),
            Step::News { nth, repeats } if nth < self.news.len() => {
                let (epoch, message) = if repeats { self.news[nth].clone() } else { self.news.remove(nth) };
                let heard = self.copy.hear(epoch, message);
                assert!(!matches!(heard, Heard::Fork(_)), "there was one life of each epoch");
            }
            Step::Lose { nth } if nth < self.news.len() => drop(self.news.remove(nth)),
            Step::News { .. } | Step::Lose { .. } => {}
            Step::Head => {
                self.heads.push(self.log.head());
                self.copy.learn(&self.log.head());
            }
            Step::StaleHead { nth } => {
                // Of an epoch that is over it would lead astray until the next round, and be none of the copy's fault.
                let stale = self.heads.get(nth).filter(|head| head.epoch == self.log.head().epoch);
                stale.inspect(|head| {
                    self.copy.learn(head);
                });
            }
            Step::AskMissed { messages } => {
                self.missed = self.copy.wants().map(|after| (after, self.read(after, messages)));
            }
            Step::Missed => {
                if let Some((after, slice)) = self.missed.take() {
                    self.copy.catch_up(after, &slice).expect("there was one life of each epoch");
                }
            }
            Step::AskLacked { after } => {
                let after = Position::new(self.log.head().epoch, Seq::new(after).unwrap());
                (self.lacked, self.whole) = (self.copy.lacks(after), false);
            }
            Step::Lacked { messages } => self.fetch(messages),
            Step::Fill => {
                if let Some(filling) = self.lacked.take().filter(|_| self.whole) {
                    self.copy.fill(filling);
                }
            }
            Step::LetGo => self.copy.let_go(),
            Step::Close => self.copy.close(),
            Step::Anew => {
                self.epochs += 1;
                self.log = Self::log(self.kind, self.keep, self.deletions, self.epochs);
                self.all.clear();
            }
        }
    }

    fn fetch(&mut self, messages: usize) {
        let Some(mut filling) = self.lacked.take() else { return };
        if !self.whole {
            match filling.take(self.read(filling.at(), messages)) {
                Filled::More => {}
                Filled::Whole => self.whole = true,
                Filled::Unfit => return,
            }
        }
        self.lacked = Some(filling);
    }

    /// Whatever the copy serves is what the log would give, up to where the copy ends.
    fn check(&self) -> Result<(), TestCaseError> {
        let own = self.copy.log().head();
        if own.epoch != self.log.head().epoch {
            return Ok(());
        }
        prop_assert!(own.head <= self.log.head().head);
        for seq in 0..=self.log.head().head.get() {
            let plain = Position::new(own.epoch, Seq::new(seq).unwrap());
            self.check_at(plain)?;
            let bases = (seq + 1..=self.log.head().head.get()).filter(|_| self.kind == Kind::State);
            for base in bases {
                self.check_at(Position { base: Seq::new(base), ..plain })?;
            }
        }
        Ok(())
    }

    fn check_at(&self, position: Position) -> Result<(), TestCaseError> {
        let own = self.copy.log().head().head;
        match self.copy.serves(position) {
            Serves::No => return Ok(()),
            Serves::Ahead => {
                prop_assert!(position.seq >= own);
                return Ok(());
            }
            Serves::Yes => {}
        }
        let all = Limit { messages: usize::MAX, bytes: usize::MAX };
        let given = self.copy.log().read(position, all);
        prop_assert!(given.iter().all(|message| message.seq > position.seq && message.seq <= own));
        prop_assert!(given.is_sorted_by_key(|message| message.seq));
        let known = |message: &Arc<Message>| **message == *self.all[usize::try_from(message.seq.get()).unwrap() - 1];
        prop_assert!(given.iter().all(known));
        match self.kind {
            Kind::Stream => {
                let expected: Vec<u64> = (position.seq.get() + 1..=own.get()).collect();
                prop_assert_eq!(given.iter().map(|message| message.seq.get()).collect::<Vec<_>>(), expected);
            }
            Kind::State => self.check_map(position, &given)?,
        }
        Ok(())
    }

    /// Who held what the log held at its position, or nothing, then holds what it held where the copy ends, but for the
    /// keys that changed after that.
    fn check_map(&self, position: Position, given: &[Arc<Message>]) -> Result<(), TestCaseError> {
        let own = self.copy.log().head().head;
        // A snapshot never showed what was gone when it began, but may show what has left since.
        let began = position.base.unwrap_or(position.seq);
        let mut map = if position.seq == Seq::ZERO { BTreeMap::new() } else { self.map(began) };
        map.retain(|_, seq| *seq <= position.seq.get());
        for message in given {
            let key = message.key.clone().unwrap();
            match message.payload {
                Some(_) => drop(map.insert(key, message.seq.get())),
                None => drop(map.remove(&key)),
            }
        }
        let later = self.all.iter().filter(|message| message.seq > own).filter_map(|message| message.key.clone());
        let (later, mut expected): (Vec<_>, _) = (later.collect(), self.map(own));
        map.retain(|key, _| !later.contains(key));
        expected.retain(|key, _| !later.contains(key));
        prop_assert_eq!(map, expected, "from {} to {}", position, own);
        Ok(())
    }

    /// What a state held at a seq.
    fn map(&self, at: Seq) -> BTreeMap<Arc<str>, u64> {
        let mut map = BTreeMap::new();
        for message in self.all.iter().filter(|message| message.seq <= at) {
            let key = message.key.clone().unwrap();
            match message.payload {
                Some(_) => drop(map.insert(key, message.seq.get())),
                None => drop(map.remove(&key)),
            }
        }
        map
    }

    /// Once it is told of the head, a copy has all that there is.
    fn catch_up(&mut self) -> Result<(), TestCaseError> {
        let mut learned = self.copy.learn(&self.log.head());
        for _ in 0..100 {
            match self.copy.wants() {
                Some(after) => learned = self.copy.catch_up(after, &self.read(after, 3)).unwrap(),
                None => break,
            }
        }
        prop_assert_ne!(learned, Learned::Behind);
        prop_assert_eq!(self.copy.log().head().position(), self.log.head().position());
        self.check()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]
    #[test]
    fn what_a_copy_serves_is_what_the_log_has(
        is_state in any::<bool>(),
        (keep, deletions, copy_remembers) in (1..12_u64, 0..6_usize, 0..6_usize),
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let kind = if is_state { Kind::State } else { Kind::Stream };
        let mut both = Both::new(kind, keep, deletions, copy_remembers);
        for step in steps {
            both.step(step);
            both.check()?;
        }
        both.catch_up()?;
    }
}
