//! The channels that this node keeps, and where their epochs come from.
//!
//! An unwritten channel costs nothing: its epoch is a keyed hash of its name and a generation, so that it can be
//! forgotten and made again without anybody noticing. A written one is alive while somebody uses it or while it retains
//! something; then a [`Remnant`] of it is kept, for a day after it was last asked for. When that is forgotten too its
//! generation changes, so that the channel's next life has another epoch.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::{DashMap, Entry};
use siphasher::sip::SipHasher24;
use tricast_core::backplane::{BackplaneError, Events, News, Uncertain};
use tricast_core::cache::Cache;
use tricast_core::channel::{ChannelName, Kind, Topic};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::log::{Head, Log, Remnant};
use tricast_core::position::{Epoch, Seq};

use super::feed::{Account, Feed};
use super::place::{self, Place};
use crate::wake::Sweeper;

/// How long a written channel that retains nothing is remembered after it was last asked for; and how long a state
/// without keys remembers its deletions after the last of them.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

/// Generations are kept per group of channels, so that forgetting one ends few unwritten epochs: with 100,000 channels
/// forgotten a day, one in two and a half days. A mebibyte of them.
const GROUPS: usize = 1 << 18;

/// At its most of channels, or of memory, a node frees this part of it, of what has been idle longest.
const FREED_PART: usize = 16;

/// How long a node that could not free enough refuses, before it looks again: a look costs all channels.
const FULL_FOR: Duration = Duration::from_secs(1);

/// How much a node keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// Alive or idle.
    pub(crate) channels: usize,
    /// Bytes of all logs, with what each channel costs by being kept.
    pub(crate) bytes: u64,
}

/// What this node knows of a channel.
pub(crate) enum Known {
    /// All of it.
    Alive(Arc<Feed>),
    /// Where it stands, and that nothing of it is retained.
    Empty(Head),
}

pub(crate) struct Feeds {
    map: DashMap<ChannelName, Place>,
    capacity: Capacity,
    account: Arc<Account>,
    clock: Arc<dyn Clock>,
    key: (u64, u64),
    generations: Box<[AtomicU32]>,
    /// Held by who frees memory, so that one does; until when looking again is no use.
    full_until: Mutex<Duration>,
    sweeper: Sweeper,
    /// Whether a channel's log is a copy of a store's.
    copies: bool,
}

impl Feeds {
    /// No channels yet, and never more than the capacity; copies of a store's.
    pub(crate) fn of_copies(
        capacity: Capacity,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        sweeper: Sweeper,
    ) -> Self {
        Self { copies: true, generations: Box::default(), ..Self::new(capacity, clock, entropy, sweeper) }
    }

    /// No channels yet, and never more than the capacity.
    pub(crate) fn new(capacity: Capacity, clock: Arc<dyn Clock>, entropy: &dyn Entropy, sweeper: Sweeper) -> Self {
        Self {
            copies: false,
            map: DashMap::new(),
            capacity,
            account: Arc::default(),
            clock,
            key: (entropy.next_u64(), entropy.next_u64()),
            generations: std::iter::repeat_with(AtomicU32::default).take(GROUPS).collect(),
            full_until: Mutex::default(),
            sweeper,
        }
    }

    /// The channel, if it is alive.
    pub(crate) fn get(&self, name: &ChannelName) -> Option<Arc<Feed>> {
        self.map.get(name)?.alive().cloned()
    }

    /// The channel as it is, which is not made alive by asking.
    pub(crate) fn known(&self, name: &ChannelName) -> Known {
        match self.map.get(name).as_deref() {
            Some(Place::Alive(feed)) => Known::Alive(Arc::clone(feed)),
            Some(Place::Idle(idle)) => Known::Empty(idle.used(self.clock.monotonic())),
            None => Known::Empty(self.unwritten(name)),
        }
    }

    /// The channel, made alive if it was not.
    pub(crate) fn obtain(&self, topic: &Topic) -> Result<Arc<Feed>, BackplaneError> {
        if let Some(feed) = self.get(&topic.name) {
            return Ok(feed);
        }
        let kept = || self.map.contains_key(&topic.name);
        let may_free = || !self.copies && self.free();
        if self.map.len() >= self.capacity.channels && !kept() && !may_free() {
            return Err(full(format!("this node keeps its most of {} channels", self.capacity.channels)));
        }
        if self.copies {
            return Ok(self.obtain_copy(topic));
        }
        let alive = |log| Arc::new(Feed::new(topic.clone(), log, Arc::clone(&self.account)));
        let (kind, retention) = (topic.rule.kind(), topic.rule.retention());
        match self.map.entry(topic.name.clone()) {
            Entry::Vacant(vacant) => {
                let feed = alive(Log::new(kind, self.epoch(&topic.name), retention));
                self.account.add(place::cost(&topic.name));
                vacant.insert(Place::Alive(Arc::clone(&feed)));
                Ok(feed)
            }
            Entry::Occupied(mut occupied) => {
                let place = occupied.get_mut();
                let feed = match place {
                    Place::Alive(feed) => return Ok(Arc::clone(feed)),
                    Place::Idle(idle) => alive(Log::resume(kind, retention, &idle.remnant)),
                };
                *place = Place::Alive(Arc::clone(&feed));
                Ok(feed)
            }
        }
    }

    fn obtain_copy(&self, topic: &Topic) -> Arc<Feed> {
        let place = self.map.entry(topic.name.clone()).or_insert_with(|| {
            self.account.add(place::cost(&topic.name));
            Place::Alive(Arc::new(Feed::copy(topic.clone(), Arc::clone(&self.account))))
        });
        // A copy never rests.
        place.alive().cloned().unwrap_or_else(|| Arc::new(Feed::copy(topic.clone(), Arc::clone(&self.account))))
    }

    /// All channels, where their logs are copies.
    pub(crate) fn copies(&self) -> Vec<Arc<Feed>> {
        self.map.iter().filter_map(|place| place.alive().cloned()).collect()
    }

    /// Forgets a copy, unless somebody uses it by now besides who calls this.
    pub(crate) fn give_up(&self, feed: &Arc<Feed>) {
        self.forget_if(&feed.topic().name, |place| {
            place.alive().is_some_and(|held| Arc::ptr_eq(held, feed) && Arc::strong_count(held) == 2)
        });
    }

    /// Whether there is no room for another channel.
    pub(crate) fn is_crowded(&self) -> bool {
        self.map.len() >= self.capacity.channels
    }

    /// Whether there is memory left for more of what a store keeps anyhow.
    pub(crate) fn has_memory(&self) -> bool {
        self.account.bytes() < self.capacity.bytes
    }

    /// Lets copies go, the largest first, until they fit into the memory that they may have.
    pub(crate) fn keep_to_memory(&self) {
        if self.has_memory() {
            return;
        }
        let mut copies: Vec<_> =
            self.copies().into_iter().map(|feed| (feed.with_log(|log| log.memory()), feed)).collect();
        copies.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let light = self.capacity.bytes - self.capacity.bytes / FREED_PART as u64;
        for (_, feed) in copies {
            if self.account.bytes() <= light {
                return;
            }
            feed.with_cache(Cache::let_go);
        }
    }

    /// The time since this node began.
    pub(crate) fn now(&self) -> Duration {
        self.clock.monotonic()
    }

    /// The channel, for a message to be appended: refused when the node has no memory left.
    pub(crate) fn obtain_to_append(&self, topic: &Topic) -> Result<Arc<Feed>, BackplaneError> {
        if self.account.bytes() >= self.capacity.bytes && !self.free() {
            return Err(full(format!("this node keeps its most of {} bytes", self.capacity.bytes)));
        }
        self.obtain(topic)
    }

    /// Frees channels and memory of what has been idle longest; false if that was not enough.
    ///
    /// A stream lets its messages go, which whoever has them all does not notice. A channel that nobody holds is
    /// forgotten where channels are what is short; a state, which cannot be forgotten in part, also where memory is. Who
    /// comes back to one that was forgotten is told of a gap.
    fn free(&self) -> bool {
        let mut full_until = self.full_until.lock().unwrap_or_else(PoisonError::into_inner);
        if self.has_room() || self.clock.monotonic() < *full_until {
            return self.has_room();
        }
        let Capacity { channels, bytes } = self.capacity;
        let few = channels - (channels / FREED_PART).max(1);
        let light = bytes - bytes / FREED_PART as u64;
        let (short_of_channels, short_of_bytes) = (self.map.len() >= channels, self.account.bytes() >= bytes);
        for name in self.longest_idle_first(short_of_channels) {
            let many = short_of_channels && self.map.len() > few;
            let heavy = short_of_bytes && self.account.bytes() > light;
            if !many && !heavy {
                break;
            }
            self.free_one(&name, many);
        }
        if !self.has_room() {
            *full_until = self.clock.monotonic() + FULL_FOR;
        }
        self.has_room()
    }

    /// What remains of a channel weighs little, so for memory alone it goes last.
    fn longest_idle_first(&self, short_of_channels: bool) -> impl Iterator<Item = ChannelName> {
        let mut idle: Vec<_> = self
            .map
            .iter()
            .map(|place| {
                let last = place.alive().is_none() && !short_of_channels;
                (last, place.last_append_ms(), place.key().clone())
            })
            .collect();
        idle.sort_unstable();
        idle.into_iter().map(|(.., name)| name)
    }

    fn free_one(&self, name: &ChannelName, whole: bool) {
        if let Some(feed) = self.get(name) {
            feed.with_log(Log::let_go);
        }
        let now = self.clock.monotonic();
        self.forget_if(name, |place| {
            if !place.is_unused() {
                return false;
            }
            if whole || place.alive().is_none() {
                return true;
            }
            place.rest(now, |log| log.remnant());
            place.alive().is_some_and(|feed| feed.topic().rule.kind() == Kind::State)
        });
    }

    /// Forgets a channel, so that its next life has another epoch, unless it was never written. Under the lock of its
    /// shard, so that nobody makes it alive again in between.
    fn forget_if(&self, name: &ChannelName, gone: impl FnOnce(&mut Place) -> bool) {
        self.map.remove_if_mut(name, |name, place| {
            let gone = gone(place);
            if gone {
                self.forget(name, place);
            }
            gone
        });
    }

    fn forget(&self, name: &ChannelName, place: &Place) {
        self.account.subtract(place::cost(name));
        if !self.copies && !place.is_unwritten() {
            self.next_generation(name);
        }
    }

    fn has_room(&self) -> bool {
        self.map.len() < self.capacity.channels && self.account.bytes() < self.capacity.bytes
    }

    /// Where a channel stands of which nothing is kept.
    fn unwritten(&self, name: &ChannelName) -> Head {
        let first = Seq::ZERO.next().unwrap_or(Seq::ZERO);
        Head { epoch: self.epoch(name), first, head: Seq::ZERO, floor: Seq::ZERO }
    }

    /// Ends a channel's epoch, if it is still this one.
    pub(crate) fn renew(&self, topic: &Topic, epoch: Epoch) {
        let (kind, retention) = (topic.rule.kind(), topic.rule.retention());
        let fresh = || {
            self.next_generation(&topic.name);
            Log::new(kind, self.epoch(&topic.name), retention)
        };
        match self.map.entry(topic.name.clone()) {
            Entry::Occupied(mut occupied) => match occupied.get_mut() {
                Place::Alive(feed) => feed.with_log(|log| {
                    if log.head().epoch == epoch {
                        *log = fresh();
                    }
                }),
                place @ Place::Idle(_) if place.is_of(epoch) => {
                    *place = Place::Alive(Arc::new(Feed::new(topic.clone(), fresh(), Arc::clone(&self.account))));
                }
                Place::Idle(_) => {}
            },
            Entry::Vacant(_) if self.epoch(&topic.name) == epoch => self.next_generation(&topic.name),
            Entry::Vacant(_) => {}
        }
    }

    /// Told when a reader leaves: what only it held is kept no longer than it has to be.
    pub(crate) fn left(&self, feed: &Arc<Feed>) {
        if self.copies {
            // Kept a while longer: see the rounds.
            return;
        }
        let now = self.clock.monotonic();
        self.forget_if(&feed.topic().name, |place| {
            // Two: the map, and the reader that is leaving.
            let unused = |held: &Arc<Feed>| Arc::ptr_eq(held, feed) && Arc::strong_count(held) == 2;
            if !place.alive().is_some_and(unused) {
                return false;
            }
            let unwritten = place.is_unwritten();
            if !unwritten {
                place.rest(now, without_loss);
            }
            unwritten
        });
    }

    /// Forgets what is over: old messages everywhere, and channels that nobody uses.
    pub(crate) fn maintain(&self, now_ms: u64) {
        let now = self.clock.monotonic();
        if self.copies {
            self.copies().iter().for_each(|feed| feed.forget_encoded());
            return;
        }
        self.map.retain(|name, place| {
            let over = match place {
                Place::Idle(idle) => idle.rested(now) >= REMEMBERED,
                Place::Alive(feed) => {
                    feed.forget_encoded();
                    feed.with_log(|log| log.forget(now_ms));
                    let unwritten = place.is_unwritten();
                    if !unwritten && place.is_unused() {
                        place.rest(now, |log| in_time(log, now_ms));
                    }
                    unwritten && place.is_unused()
                }
            };
            if over {
                self.forget(name, place);
            }
            !over
        });
    }

    /// How many channels are kept, alive or idle.
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    fn epoch(&self, name: &ChannelName) -> Epoch {
        let mut hash = SipHasher24::new_with_keys(self.key.0, self.key.1);
        hash.write_u32(self.generation(name).load(Ordering::Acquire));
        hash.write(name.as_str().as_bytes());
        Epoch::from_bits(hash.finish())
    }

    fn next_generation(&self, name: &ChannelName) {
        self.generation(name).fetch_add(1, Ordering::AcqRel);
    }

    fn generation(&self, name: &ChannelName) -> &AtomicU32 {
        let mut hash = SipHasher24::new_with_keys(self.key.1, self.key.0);
        hash.write(name.as_str().as_bytes());
        let group = hash.finish() % GROUPS as u64;
        &self.generations[usize::try_from(group).unwrap_or(0)]
    }
}

fn full(reason: String) -> BackplaneError {
    BackplaneError::Unavailable { reason, maybe_applied: false }
}

/// What remains of a log, where nobody could notice a difference.
fn without_loss(log: &mut Log) -> Option<Remnant> {
    Some(log).filter(|log| log.bytes() == 0).and_then(|log| log.remnant())
}

/// As [`without_loss`]; and of a state without keys once it has remembered its deletions for long enough.
fn in_time(log: &mut Log, now_ms: u64) -> Option<Remnant> {
    let idle = Duration::from_millis(now_ms.saturating_sub(log.last_append_ms()));
    if idle >= REMEMBERED { log.remnant() } else { without_loss(log) }
}

impl Events for Feeds {
    fn grew(&self, news: News<'_>) {
        if let Some(feed) = self.get(news.channel) {
            self.sweeper.tell(&feed);
        }
    }

    fn uncertain(&self, what: Uncertain<'_>) {
        match what {
            Uncertain::Channel(name) => {
                if let Some(feed) = self.get(name) {
                    self.sweeper.tell(&feed);
                }
            }
            Uncertain::All => {
                for feed in self.map.iter().filter_map(|place| place.alive().cloned()) {
                    self.sweeper.tell(&feed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
