//! What a state keeps: the newest message of each key, in the order of their numbers.
//!
//! A key that changes moves to the end, so a reader who goes through the numbers in order never misses it: it meets
//! the key where it stood, or later where it stands now. A deletion is an entry like another, under the number it was
//! given, until a newer message of its key takes its place or until it is one of too many deletions and is forgotten;
//! the highest number so forgotten is the log's floor.

mod part;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::{Extent, Limit, within};
use crate::limits::{HOLDERS_PER_KEY, STATE_DELETIONS};
use crate::message::{Draft, Hold, Message};
use crate::position::Seq;

#[derive(Debug)]
pub(super) struct State {
    entries: BTreeMap<Seq, Arc<Message>>,
    /// Where each key's newest message is, deletions included.
    keys: HashMap<Arc<str>, Seq>,
    deletions: BTreeSet<Seq>,
    /// When keys leave by themselves: the time, and the message that said so.
    expiries: BTreeSet<(u64, Seq)>,
    /// The keys that somebody holds.
    held: HashMap<Arc<str>, Held>,
    floor: Seq,
    most_deletions: usize,
    /// Keys that are present in the whole of which this is an excerpt, and not here.
    elsewhere: usize,
}

#[derive(Debug, Clone)]
struct Held {
    shows: Option<u64>,
    holders: VecDeque<Arc<str>>,
}

/// Why a draft appends nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    /// It deletes what is not there.
    Absent,
    /// It deletes what others hold.
    HeldByOthers,
    /// The key shows that already.
    Shown(Seq),
}

impl Default for State {
    fn default() -> Self {
        Self::remembering(STATE_DELETIONS)
    }
}

impl State {
    pub(super) fn remembering(most_deletions: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            keys: HashMap::new(),
            deletions: BTreeSet::new(),
            expiries: BTreeSet::new(),
            held: HashMap::new(),
            floor: Seq::ZERO,
            most_deletions,
            elsewhere: 0,
        }
    }

    /// The same, that has forgotten deletions up to this number.
    pub(super) fn above(self, floor: Seq) -> Self {
        Self { floor, ..self }
    }

    pub(super) fn floor(&self) -> Seq {
        self.floor
    }

    /// The highest number of a deletion, forgotten or not.
    pub(super) fn last_deletion(&self) -> Seq {
        self.deletions.last().copied().unwrap_or(self.floor)
    }

    /// The lowest number that is kept; the one after `head` where there is none.
    pub(super) fn first(&self, head: Seq) -> Seq {
        self.entries.keys().next().copied().unwrap_or(head.next().unwrap_or(head))
    }

    /// How many keys are present.
    pub(super) fn len(&self) -> usize {
        self.keys.len() - self.deletions.len() + self.elsewhere
    }

    /// The present message of a key.
    pub(super) fn present(&self, key: &str) -> Option<&Arc<Message>> {
        let message = self.entries.get(self.keys.get(key)?)?;
        message.payload.is_some().then_some(message)
    }

    /// Why there is nothing to append for this draft, if there is not. Its holder holds the key from now on, or no more.
    pub(super) fn goes_without_saying(&mut self, draft: &Draft) -> Option<There> {
        let key = draft.key.as_ref()?;
        let Some(present) = self.present(key).map(|message| message.seq) else {
            return draft.payload.is_none().then_some(There::Absent);
        };
        let hold = draft.hold.as_ref()?;
        let held = self.held.get_mut(key)?;
        if draft.payload.is_none() {
            held.holders.retain(|holder| *holder != hold.holder);
            return (!held.holders.is_empty()).then_some(There::HeldByOthers);
        }
        let same = hold.shows.is_none() || hold.shows == held.shows;
        same.then(|| {
            held.add(&hold.holder);
            There::Shown(present)
        })
    }

    /// Lets somebody hold the key of a message that was just put, with those who hold it already; or nobody any more.
    pub(super) fn hold(&mut self, key: Arc<str>, hold: Option<Hold>) {
        let Some(hold) = hold else {
            self.held.remove(&key);
            return;
        };
        let held = self.held.entry(key).or_insert_with(|| Held { shows: None, holders: VecDeque::new() });
        held.shows = hold.shows;
        held.add(&hold.holder);
    }

    /// Bytes that the newest message of a key costs, be it a deletion.
    pub(super) fn cost_of(&self, key: &str) -> u64 {
        let message = self.keys.get(key).and_then(|seq| self.entries.get(seq));
        message.map_or(0, |message| cost(message))
    }

    /// Puts a message in the place of its key's; returns by how many bytes the log grew and shrank.
    pub(super) fn put(&mut self, message: Arc<Message>) -> (u64, u64) {
        let Some(key) = message.key.clone() else { return (0, 0) };
        let (seq, grown) = (message.seq, cost(&message));
        let mut shrunk = self.remove(&key);
        if message.payload.is_none() {
            self.held.remove(&key);
            self.deletions.insert(seq);
        }
        self.keys.insert(key, seq);
        if let Some(expires) = message.expires {
            self.expiries.insert((expires, seq));
        }
        self.entries.insert(seq, message);
        while self.deletions.len() > self.most_deletions {
            shrunk += self.forget_oldest_deletion();
        }
        (grown, shrunk)
    }

    /// Puts a message where it stood, unless there is a newer one of its key; returns by how many bytes the log grew and
    /// shrank.
    pub(super) fn put_older(&mut self, message: Arc<Message>) -> (u64, u64) {
        let is_newest = message.key.as_ref().is_some_and(|key| !self.keys.contains_key(key));
        let is_forgotten = message.payload.is_none() && message.seq <= self.floor;
        if is_newest && !is_forgotten { self.put(message) } else { (0, 0) }
    }

    /// Deletions up to this seq may be missing.
    pub(super) fn raise_floor(&mut self, floor: Seq) {
        self.floor = self.floor.max(floor);
    }

    /// The message with this seq.
    pub(super) fn at(&self, seq: Seq) -> Option<&Arc<Message>> {
        self.entries.get(&seq)
    }

    /// A key whose time is over.
    pub(super) fn expired(&self, now_ms: u64) -> Option<Arc<str>> {
        let (_, seq) = self.expiries.first().filter(|(expires, _)| *expires <= now_ms)?;
        self.entries.get(seq)?.key.clone()
    }

    /// When the next key leaves by itself.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.expiries.first().map(|(expires, _)| *expires)
    }

    /// Deletions up to `base` are left out: a snapshot that began there never showed their keys.
    pub(super) fn extent(&self, after: Seq, base: Option<Seq>, head: Seq, limit: Limit) -> Extent {
        let count = within(limit, self.after(after, base).map(|message| message.size()));
        let mut rest = self.after(after, base).skip(count.max(1) - 1);
        let last = if count == 0 { None } else { rest.next() };
        let cut = rest.next().is_some();
        Extent { count, to: last.filter(|_| cut).map_or(head, |last| last.seq) }
    }

    pub(super) fn read(&self, after: Seq, base: Option<Seq>, count: usize) -> Vec<Arc<Message>> {
        self.after(after, base).take(count).cloned().collect()
    }

    /// The newest present entries before `before` (exclusive), oldest first; and whether there are older ones.
    pub(super) fn read_back(&self, before: Option<Seq>, limit: Limit) -> (Vec<Arc<Message>>, bool) {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let present =
            || self.entries.range((Bound::Unbounded, end)).rev().map(|(_, m)| m).filter(|m| m.payload.is_some());
        let count = within(limit, present().map(|message| message.size()));
        let mut messages: Vec<_> = present().take(count).cloned().collect();
        messages.reverse();
        (messages, present().nth(count).is_some())
    }

    fn after(&self, after: Seq, base: Option<Seq>) -> impl Iterator<Item = &Arc<Message>> {
        let told =
            move |message: &&Arc<Message>| message.payload.is_some() || base.is_none_or(|base| message.seq > base);
        self.entries.range((Bound::Excluded(after), Bound::Unbounded)).map(|(_, message)| message).filter(told)
    }

    fn remove(&mut self, key: &str) -> u64 {
        let Some(seq) = self.keys.remove(key) else { return 0 };
        self.deletions.remove(&seq);
        self.remove_entry(seq)
    }

    fn forget_oldest_deletion(&mut self) -> u64 {
        let Some(seq) = self.deletions.pop_first() else { return 0 };
        // A copy may forget one from before what its store has forgotten, or from before what it forgot itself.
        self.raise_floor(seq);
        if let Some(key) = self.entries.get(&seq).and_then(|message| message.key.clone()) {
            self.keys.remove(&key);
        }
        self.remove_entry(seq)
    }

    fn remove_entry(&mut self, seq: Seq) -> u64 {
        let Some(message) = self.entries.remove(&seq) else { return 0 };
        if let Some(expires) = message.expires {
            self.expiries.remove(&(expires, seq));
        }
        cost(&message)
    }
}

impl Held {
    fn add(&mut self, holder: &Arc<str>) {
        if self.holders.contains(holder) {
            return;
        }
        if self.holders.len() >= HOLDERS_PER_KEY {
            self.holders.pop_front();
        }
        self.holders.push_back(Arc::clone(holder));
    }
}

/// What an entry costs beyond its message: its place under its key, among the deletions and the expiries.
pub(super) fn cost(message: &Message) -> u64 {
    const PLACES: usize = 2 * size_of::<(u64, Seq)>() + size_of::<(Arc<str>, Seq)>();
    (message.cost() + PLACES) as u64
}
