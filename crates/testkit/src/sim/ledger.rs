//! What is true of a channel, kept without the code under test: every message ever appended, and by the letter of the
//! protocol what its log may have forgotten, which ids it must know, and whether a reader lost anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tricast_core::channel::Kind;
use tricast_core::limits::DEDUP_MS;
use tricast_core::log::Head;
use tricast_core::message::{Message, Payload};
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::protocol::GapReason;
use tricast_core::replay::Decision;

use super::violation::{Checked, ensure};

/// Something that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Which set of ids its publisher uses.
    pub(super) scope: usize,
    pub(super) id: Option<String>,
    pub(super) key: Option<u8>,
    /// `None` deletes the key.
    pub(super) value: Option<u32>,
    pub(super) ttl: Option<u64>,
}

/// What an append must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Appended(u64),
    Duplicate(u64),
    /// The key that it deletes is absent: nothing is appended, and the head is answered.
    Nothing(u64),
    Full,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Keeps {
    pub(super) kind: Kind,
    /// Messages, or keys.
    pub(super) most: u64,
    pub(super) ttl: u64,
    /// Deletions that a state remembers.
    pub(super) deletions: usize,
}

pub(super) struct Ledger {
    keeps: Keeps,
    eras: Vec<Era>,
}

/// One epoch.
struct Era {
    epoch: Epoch,
    entries: Vec<Entry>,
    /// How many of a stream's messages are forgotten.
    forgotten: usize,
    ids: HashMap<(usize, String), (u64, u64)>,
    last_at: u64,
    /// Of each key ever used: what changed it last.
    keys: BTreeMap<u8, Holding>,
    deletions: BTreeSet<u64>,
    floor: u64,
}

struct Entry {
    at: u64,
    item: Item,
}

#[derive(Debug, Clone, Copy)]
struct Holding {
    seq: u64,
    present: bool,
    until: Option<u64>,
}

impl Ledger {
    pub(super) fn new(keeps: Keeps, epoch: Epoch) -> Self {
        Self { keeps, eras: vec![Era::new(epoch)] }
    }

    /// The log was lost, and begins again.
    pub(super) fn restart(&mut self, epoch: Epoch) {
        self.eras.push(Era::new(epoch));
    }

    pub(super) fn kind(&self) -> Kind {
        self.keeps.kind
    }

    pub(super) fn head(&self) -> u64 {
        self.present().head()
    }

    fn era(&mut self) -> (&mut Era, Keeps) {
        let keeps = self.keeps;
        (self.eras.last_mut().expect("the first era is never taken away"), keeps)
    }

    fn present(&self) -> &Era {
        self.eras.last().expect("the first era is never taken away")
    }

    pub(super) fn append(&mut self, item: &Item, now: u64) -> Outcome {
        let (era, keeps) = self.era();
        let id = item.id.clone().map(|id| (item.scope, id));
        if let Some((seq, at)) = id.as_ref().and_then(|id| era.ids.get(id))
            && now.saturating_sub(*at) < DEDUP_MS
        {
            return Outcome::Duplicate(*seq);
        }
        if let Some(key) = item.key {
            let present = era.keys.get(&key).is_some_and(|holding| holding.present);
            let keys = era.keys.values().filter(|holding| holding.present).count() as u64;
            match item.value {
                None if !present => return era.write_nothing(id, now),
                Some(_) if !present && keys >= keeps.most => return Outcome::Full,
                _ => {}
            }
        }
        let at = now.max(era.last_at);
        let seq = era.write(item.clone(), at, keeps);
        if let Some(id) = id {
            era.ids.insert(id, (seq, at));
        }
        self.forget(at);
        Outcome::Appended(seq)
    }

    /// Forgets the ids whose time is over, and a stream's messages from the oldest on, for as long as there are too many
    /// or the oldest is too old. What is forgotten stays so, even if the clock is set back.
    pub(super) fn forget(&mut self, now: u64) {
        let (era, keeps) = self.era();
        era.ids.retain(|_, (_, at)| now.saturating_sub(*at) < DEDUP_MS);
        if keeps.kind == Kind::State {
            return;
        }
        while let Some(oldest) = era.entries.get(era.forgotten) {
            let many = era.entries.len() - era.forgotten;
            let crowded = many as u64 > keeps.most && many > 1;
            if !crowded && now.saturating_sub(oldest.at) < keeps.ttl {
                return;
            }
            era.forgotten += 1;
        }
    }

    /// Deletes the keys whose time is over, the earliest first; returns whether there were any.
    pub(super) fn expire(&mut self, now: u64) -> bool {
        let (era, keeps) = self.era();
        let mut over: Vec<(u64, u64, u8)> = era
            .keys
            .iter()
            .filter_map(|(key, holding)| Some((holding.until.filter(|until| *until <= now)?, holding.seq, *key)))
            .collect();
        over.sort_unstable();
        for (_, _, key) in &over {
            let at = now.max(era.last_at);
            era.write(Item { scope: 0, id: None, key: Some(*key), value: None, ttl: None }, at, keeps);
        }
        !over.is_empty()
    }

    /// Where the log must begin and end.
    pub(super) fn check_head(&self, head: &Head) -> Checked {
        let era = self.present();
        ensure(head.epoch == era.epoch && head.head.get() == era.head(), || {
            format!("the head is {}, not {}-{}", head.position(), era.epoch, era.head())
        })?;
        match self.keeps.kind {
            Kind::Stream => ensure(head.first.get() == era.forgotten as u64 + 1, || {
                format!("the log begins at {}, where {} messages are to be forgotten", head.first, era.forgotten)
            }),
            Kind::State => ensure(head.floor.get() == era.floor, || {
                format!("the floor is {}, where {} was forgotten last", head.floor, era.floor)
            }),
        }
    }

    /// Whether a reader who stands here may be continued, may be told of a gap, and from where it goes on.
    pub(super) fn judge(&self, asked: Position, decision: Decision) -> Checked {
        let era = self.present();
        let held = asked.base.unwrap_or(asked.seq).get();
        let cause = match self.keeps.kind {
            _ if asked.epoch != era.epoch => Some(GapReason::Epoch),
            _ if held > era.head() => Some(GapReason::Unknown),
            Kind::Stream if asked.seq.get() < era.forgotten as u64 => Some(GapReason::Expired),
            Kind::State if asked.seq > Seq::ZERO && held < era.floor => Some(GapReason::Expired),
            Kind::Stream | Kind::State => None,
        };
        match (cause, decision) {
            (None, Decision::Continue) => Ok(()),
            (None, Decision::Gap { reason, .. }) => {
                Err(format!("a gap ({}) without cause at {asked}", reason.as_str()).into())
            }
            (Some(cause), Decision::Continue) => {
                Err(format!("{asked} is continued without a gap ({})", cause.as_str()).into())
            }
            (Some(cause), Decision::Gap { reason, position }) => {
                ensure(cause == reason, || format!("the gap at {asked} says {}", reason.as_str()))?;
                self.check_start(position)
            }
        }
    }

    /// Whether there was a cause, by now, for telling a reader who stood there of a gap.
    pub(super) fn check_gap(&self, asked: Position, position: Position, reason: GapReason) -> Checked {
        let nth = |epoch| self.eras.iter().position(|era| era.epoch == epoch);
        let (Some(was), Some(is)) = (nth(asked.epoch), nth(position.epoch)) else {
            return Err(format!("{asked} or {position} never was").into());
        };
        let (before, after) = (&self.eras[was], &self.eras[is]);
        let held = asked.base.unwrap_or(asked.seq).get();
        let (forgotten, oldest) = match self.keeps.kind {
            Kind::Stream => (asked.seq.get() < before.forgotten as u64, after.forgotten as u64),
            // A server may know of one at zero that there was nothing to tell it, up to a number that no message bore.
            Kind::State => (held < before.floor, 0),
        };
        let has_cause = match reason {
            GapReason::Epoch => was < is,
            GapReason::Expired => was == is && forgotten,
            GapReason::Unknown => false,
        };
        ensure(has_cause, || format!("a gap ({}) without cause at {asked}, to {position}", reason.as_str()))?;
        ensure(position.seq.get() <= oldest, || format!("the gap at {asked} leads to {position}, beyond {oldest}"))
    }

    /// Whether what was told is as of this moment or later.
    pub(super) fn check_truth(&self, told: Position, moment: Position) -> Checked {
        let nth = |epoch| self.eras.iter().position(|era| era.epoch == epoch);
        let holds = (nth(told.epoch), told.seq) >= (nth(moment.epoch), moment.seq);
        ensure(holds, || format!("{told} is told for the present, to one who came at {moment}"))
    }

    /// Where the log stands.
    pub(super) fn position(&self) -> Position {
        Position::new(self.present().epoch, Seq::new(self.head()).unwrap_or_default())
    }

    /// What was written after a number: each with its number, and when.
    pub(super) fn written_after(&self, seq: u64) -> impl Iterator<Item = (u64, u64, &Item)> {
        let known = usize::try_from(seq).unwrap_or(usize::MAX);
        self.present().entries.iter().zip(1..).skip(known).map(|(entry, nth)| (nth, entry.at, &entry.item))
    }

    /// Whether a reader who begins here begins with the oldest there is.
    pub(super) fn check_start(&self, position: Position) -> Checked {
        let era = self.present();
        let oldest = match self.keeps.kind {
            Kind::Stream => era.forgotten as u64,
            Kind::State => 0,
        };
        ensure(position.epoch == era.epoch && position.seq.get() == oldest, || {
            format!("a reader begins at {position}, not at {}-{oldest}", era.epoch)
        })
    }

    /// Where a reader begins who wants what comes, or the newest so many.
    pub(super) fn check_newest(&self, position: Position, newest: u64) -> Checked {
        let era = self.present();
        let start = era.head().saturating_sub(newest).max(era.forgotten as u64);
        ensure(position.epoch == era.epoch && position.seq.get() == start, || {
            format!("a reader of the newest {newest} begins at {position}, not at {}-{start}", era.epoch)
        })
    }

    /// Whether this message is what was appended in its place.
    pub(super) fn check_message(&self, epoch: Epoch, message: &Message) -> Checked {
        let entry = self.era_of(epoch).and_then(|era| era.entry(message.seq.get()));
        let value = message.payload.as_ref().and_then(value_of);
        let key = message.key.as_deref();
        let same = entry.is_some_and(|entry| {
            entry.at == message.at
                && entry.item.value == value
                && entry.item.key.map(|key| key.to_string()).as_deref() == key
        });
        ensure(same, || format!("{epoch}-{} is not the message that was appended there", message.seq))
    }

    /// Whether what was acknowledged is in the log.
    pub(super) fn check_published(&self, item: &Item, position: Position) -> Checked {
        let entry = self.era_of(position.epoch).and_then(|era| era.entry(position.seq.get()));
        ensure(entry.is_some_and(|entry| entry.item == *item), || {
            format!("{position} was answered for {item:?}, which is not there")
        })
    }

    /// Whether a map holds what the log held at a position, but for the keys that changed after it.
    pub(super) fn check_map(&self, position: Position, map: &BTreeMap<u8, u64>) -> Checked {
        let Some(era) = self.era_of(position.epoch) else { return Err(format!("{position} never was").into()) };
        for (key, holding) in era.keys.iter().filter(|(_, holding)| holding.seq <= position.seq.get()) {
            let expected = holding.present.then_some(holding.seq);
            let held = map.get(key).copied();
            ensure(held == expected, || format!("at {position} key {key} is {held:?}, not {expected:?}"))?;
        }
        Ok(())
    }

    fn era_of(&self, epoch: Epoch) -> Option<&Era> {
        self.eras.iter().rev().find(|era| era.epoch == epoch)
    }
}

impl Era {
    fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            entries: Vec::new(),
            forgotten: 0,
            ids: HashMap::new(),
            last_at: 0,
            keys: BTreeMap::new(),
            deletions: BTreeSet::new(),
            floor: 0,
        }
    }

    fn head(&self) -> u64 {
        self.entries.len() as u64
    }

    fn entry(&self, seq: u64) -> Option<&Entry> {
        self.entries.get(usize::try_from(seq).ok()?.checked_sub(1)?)
    }

    /// A repeat of what found nothing to delete deletes nothing either, whatever was set meanwhile.
    fn write_nothing(&mut self, id: Option<(usize, String)>, now: u64) -> Outcome {
        if let Some(id) = id {
            self.last_at = now.max(self.last_at);
            self.ids.insert(id, (self.head(), self.last_at));
        }
        Outcome::Nothing(self.head())
    }

    fn write(&mut self, item: Item, at: u64, keeps: Keeps) -> u64 {
        let seq = self.head() + 1;
        if let Some(key) = item.key {
            let present = item.value.is_some();
            let ttl = item.ttl.or(Some(keeps.ttl).filter(|ttl| *ttl != u64::MAX));
            let until = ttl.filter(|_| present).map(|ttl| at + ttl);
            if let Some(before) = self.keys.insert(key, Holding { seq, present, until }) {
                self.deletions.remove(&before.seq);
            }
            if !present {
                self.deletions.insert(seq);
            }
            while self.deletions.len() > keeps.deletions {
                self.floor = self.deletions.pop_first().unwrap_or_default();
            }
        }
        self.entries.push(Entry { at, item });
        self.last_at = at;
        seq
    }
}

/// The payload that carries a value.
pub(super) fn payload(value: u32) -> Payload {
    Payload::Binary(value.to_be_bytes().into())
}

fn value_of(payload: &Payload) -> Option<u32> {
    match payload {
        Payload::Binary(bytes) => Some(u32::from_be_bytes(bytes.as_ref().try_into().ok()?)),
        Payload::Json(_) => None,
    }
}
