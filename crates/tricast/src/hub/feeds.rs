//! The channels alive on this node, and where their epochs come from.
//!
//! An unwritten channel costs nothing: its epoch is a keyed hash of its name and a generation, so that it can be
//! forgotten and made again without anybody noticing. A written one stays, with its head, for a day after its last
//! message; when it is forgotten its generation changes, so that its next life has another epoch.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use siphasher::sip::SipHasher24;
use tricast_core::backplane::{BackplaneError, Events, News, Uncertain};
use tricast_core::channel::{ChannelName, Kind, Topic};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::log::{Head, Log};
use tricast_core::position::{Epoch, Seq};

use super::feed::{Account, Feed};
use crate::wake::Sweeper;

/// Milliseconds that a written channel is remembered after its last message.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;

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
    pub(crate) channels: usize,
    /// Bytes of all logs, with what each channel costs by being alive.
    pub(crate) bytes: u64,
}

pub(crate) struct Feeds {
    map: DashMap<ChannelName, Arc<Feed>>,
    capacity: Capacity,
    account: Arc<Account>,
    clock: Arc<dyn Clock>,
    key: (u64, u64),
    generations: Box<[AtomicU32]>,
    /// Held by who frees memory, so that one does; until when looking again is no use.
    full_until: Mutex<Duration>,
    sweeper: Sweeper,
}

impl Feeds {
    /// No channels yet, and never more than the capacity.
    pub(crate) fn new(capacity: Capacity, clock: Arc<dyn Clock>, entropy: &dyn Entropy, sweeper: Sweeper) -> Self {
        Self {
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
        self.map.get(name).map(|feed| Arc::clone(&feed))
    }

    /// The channel, made alive if it was not.
    pub(crate) fn obtain(&self, topic: &Topic) -> Result<Arc<Feed>, BackplaneError> {
        if let Some(feed) = self.get(&topic.name) {
            return Ok(feed);
        }
        if self.map.len() >= self.capacity.channels && !self.free() {
            return Err(full(format!("this node keeps its most of {} channels", self.capacity.channels)));
        }
        let fresh = || {
            let log = Log::new(topic.rule.kind(), self.epoch(&topic.name), topic.rule.retention());
            Arc::new(Feed::new(topic.clone(), log, Arc::clone(&self.account)))
        };
        Ok(Arc::clone(&self.map.entry(topic.name.clone()).or_insert_with(fresh)))
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
        let mut idle: Vec<_> =
            self.map.iter().map(|feed| (feed.with_log(|log| log.last_append_ms()), feed.key().clone())).collect();
        idle.sort_unstable();
        let Capacity { channels, bytes } = self.capacity;
        let few = channels - (channels / FREED_PART).max(1);
        let light = bytes - bytes / FREED_PART as u64;
        let (short_of_channels, short_of_bytes) = (self.map.len() >= channels, self.account.bytes() >= bytes);
        for (_, name) in &idle {
            let many = short_of_channels && self.map.len() > few;
            let heavy = short_of_bytes && self.account.bytes() > light;
            if !many && !heavy {
                break;
            }
            self.free_one(name, many);
        }
        if !self.has_room() {
            *full_until = self.clock.monotonic() + FULL_FOR;
        }
        self.has_room()
    }

    fn free_one(&self, name: &ChannelName, whole: bool) {
        let Some(feed) = self.get(name) else { return };
        feed.with_log(Log::let_go);
        let whole = whole || feed.topic().rule.kind() == Kind::State;
        drop(feed);
        if whole {
            // Under the lock of its shard, so that nobody makes it alive again before its generation has changed.
            self.map.remove_if(name, |name, feed| {
                let gone = is_unused(feed);
                if gone && !feed.with_log(|log| log.is_unwritten()) {
                    self.next_generation(name);
                }
                gone
            });
        }
    }

    fn has_room(&self) -> bool {
        self.map.len() < self.capacity.channels && self.account.bytes() < self.capacity.bytes
    }

    /// Where a channel stands that is not alive: unwritten.
    pub(crate) fn unwritten(&self, name: &ChannelName) -> Head {
        let first = Seq::ZERO.next().unwrap_or(Seq::ZERO);
        Head { epoch: self.epoch(name), first, head: Seq::ZERO, floor: Seq::ZERO }
    }

    /// Told when a reader leaves: an unwritten channel that only it held is forgotten.
    pub(crate) fn left(&self, feed: &Arc<Feed>) {
        // Two: the map, and the reader that is leaving.
        let unused = |held: &Arc<Feed>| Arc::ptr_eq(held, feed) && Arc::strong_count(held) == 2;
        self.map.remove_if(&feed.topic().name, |_, held| unused(held) && held.with_log(|log| log.is_unwritten()));
    }

    /// Forgets what is over: old messages everywhere, and channels that nobody holds.
    pub(crate) fn maintain(&self, now_ms: u64) {
        self.map.retain(|name, feed| {
            feed.forget_encoded();
            let (unwritten, over) = feed.with_log(|log| {
                log.forget(now_ms);
                let idle = now_ms.saturating_sub(log.last_append_ms());
                (log.is_unwritten(), log.bytes() == 0 && idle >= REMEMBERED_MS)
            });
            if !is_unused(feed) || !(unwritten || over) {
                return true;
            }
            if !unwritten {
                self.next_generation(name);
            }
            false
        });
    }

    /// How many channels are alive.
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

/// Only the map holds it. Whoever obtains a channel does so under the lock of its shard, which the caller holds too.
fn is_unused(feed: &Arc<Feed>) -> bool {
    Arc::strong_count(feed) == 1
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
                for feed in &self.map {
                    self.sweeper.tell(&feed);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricast_core::access::Identity;
    use tricast_core::channel::Rule;
    use tricast_core::log::Stamp;
    use tricast_core::message::Draft;
    use tricast_testkit::clock::VirtualClock;
    use tricast_testkit::entropy::Seeded;

    fn feeds(channels: usize) -> Feeds {
        with_capacity(Capacity { channels, bytes: u64::MAX })
    }

    fn with_capacity(capacity: Capacity) -> Feeds {
        Feeds::new(capacity, Arc::new(VirtualClock::default()), &Seeded::new(1), Sweeper::start())
    }

    fn topic(name: &str) -> Topic {
        Topic { name: name.parse().unwrap(), rule: Arc::new(Rule::stream()) }
    }

    fn write(feed: &Feed, now_ms: u64) {
        let draft = Draft::json("x").unwrap();
        let stamp = Stamp { now_ms, tag: 0 };
        feed.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap();
    }

    fn epoch(feed: &Feed) -> Epoch {
        feed.with_log(|log| log.head().epoch)
    }

    #[tokio::test]
    async fn an_unwritten_channel_is_forgotten_with_its_last_reader_and_keeps_its_epoch() {
        let feeds = feeds(10);
        let feed = feeds.obtain(&topic("a")).unwrap();
        let before = epoch(&feed);
        feeds.left(&feed);
        drop(feed);
        assert_eq!(feeds.len(), 0);
        assert_eq!(feeds.unwritten(&topic("a").name).epoch, before);
        assert_eq!(epoch(&feeds.obtain(&topic("a")).unwrap()), before);
        assert_ne!(epoch(&feeds.obtain(&topic("b")).unwrap()), before);
    }

    #[tokio::test]
    async fn a_channel_that_somebody_holds_is_never_forgotten() {
        let feeds = feeds(10);
        let (reader, other) = (feeds.obtain(&topic("a")).unwrap(), feeds.obtain(&topic("a")).unwrap());
        feeds.left(&reader);
        feeds.maintain(u64::MAX);
        assert_eq!(feeds.len(), 1);
        drop(other);
    }

    #[tokio::test]
    async fn a_written_channel_is_remembered_for_a_day_and_its_next_life_has_another_epoch() {
        let feeds = feeds(10);
        let feed = feeds.obtain(&topic("a")).unwrap();
        write(&feed, 1_000);
        let before = epoch(&feed);
        feeds.left(&feed);
        drop(feed);
        feeds.maintain(1_000 + REMEMBERED_MS - 1);
        assert_eq!(epoch(&feeds.obtain(&topic("a")).unwrap()), before);
        feeds.maintain(1_000 + REMEMBERED_MS);
        assert_eq!(feeds.len(), 0);
        assert_ne!(epoch(&feeds.obtain(&topic("a")).unwrap()), before);
    }

    #[tokio::test]
    async fn at_its_most_of_memory_a_node_lets_the_longest_idle_go_and_keeps_their_heads() {
        let feeds = with_capacity(Capacity { channels: 100, bytes: 100_000 });
        let payload = "x".repeat(1_000);
        let append = |name: &str, now_ms: u64| {
            let feed = feeds.obtain_to_append(&topic(name))?;
            let draft = Draft::json(&payload).unwrap();
            let stamp = Stamp { now_ms, tag: 0 };
            Ok::<_, BackplaneError>(feed.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap())
        };
        let idle: Vec<_> = (0..10).map(|n| append("idle", n).unwrap().position).collect();
        for n in 10..500 {
            append("busy", n).unwrap();
            assert!(feeds.account.bytes() < 102_000);
        }
        let head = feeds.get(&topic("idle").name).unwrap().with_log(|log| log.head());
        assert_eq!((head.position(), head.first.get()), (idle[9], 11), "who had everything misses nothing");
        assert!(feeds.get(&topic("busy").name).unwrap().with_log(|log| log.len()) > 10);
    }

    #[tokio::test]
    async fn a_state_in_use_is_never_dropped_and_refuses_when_memory_is_out() {
        let clock = Arc::new(VirtualClock::default());
        let capacity = Capacity { channels: 100, bytes: 50_000 };
        let feeds = Feeds::new(capacity, Arc::clone(&clock) as _, &Seeded::new(1), Sweeper::start());
        let state = Topic { rule: Arc::new(Rule::state()), ..topic("s") };
        let held = feeds.obtain(&state).unwrap();
        let put = |n: u64| {
            let draft = Draft::json(&"x".repeat(1_000)).unwrap().key(n.to_string());
            let stamp = Stamp { now_ms: n, tag: 0 };
            held.with_log(|log| log.append(draft, &Identity::Server.scope(), stamp)).unwrap()
        };
        let positions: Vec<_> = (0..60).map(put).collect();
        let refused = feeds.obtain_to_append(&topic("a")).unwrap_err();
        assert!(matches!(refused, BackplaneError::Unavailable { maybe_applied: false, .. }));
        assert_eq!(held.with_log(|log| log.len()), 60);
        drop(held);
        // A look that was no use is not repeated at once.
        assert!(feeds.obtain_to_append(&topic("a")).is_err());
        clock.advance(FULL_FOR);
        feeds.obtain_to_append(&topic("a")).unwrap();
        assert_ne!(feeds.unwritten(&state.name).epoch, positions[0].position.epoch, "dropped whole, its epoch ended");
    }

    #[tokio::test]
    async fn what_is_dropped_is_taken_off_the_account() {
        let feeds = feeds(10);
        let empty = feeds.account.bytes();
        for name in ["a", "b"] {
            write(&feeds.obtain(&topic(name)).unwrap(), 1_000);
        }
        assert!(feeds.account.bytes() > empty);
        feeds.maintain(1_000 + 2 * REMEMBERED_MS);
        assert_eq!((feeds.len(), feeds.account.bytes()), (0, empty));
    }

    #[tokio::test]
    async fn one_channel_too_many_is_unavailable_while_all_others_are_held() {
        let feeds = feeds(1);
        let _held = feeds.obtain(&topic("a")).unwrap();
        let refused = feeds.obtain(&topic("b")).unwrap_err();
        assert!(matches!(refused, BackplaneError::Unavailable { maybe_applied: false, .. }));
        assert!(feeds.obtain(&topic("a")).is_ok());
    }

    #[tokio::test]
    async fn the_longest_idle_channel_makes_room_and_its_next_life_has_another_epoch() {
        let feeds = feeds(3);
        let mut epochs = Vec::new();
        for (name, now_ms) in [("a", 20), ("b", 10), ("c", 30)] {
            let feed = feeds.obtain(&topic(name)).unwrap();
            write(&feed, now_ms);
            epochs.push(epoch(&feed));
        }
        feeds.obtain(&topic("d")).unwrap();
        let now = ["a", "c"].map(|name| epoch(&feeds.obtain(&topic(name)).unwrap()));
        assert_eq!(now, [epochs[0], epochs[2]]);
        assert_ne!(feeds.unwritten(&topic("b").name).epoch, epochs[1]);
    }
}
