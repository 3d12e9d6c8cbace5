//! The channels alive on this node, and where their epochs come from.
//!
//! An unwritten channel costs nothing: its epoch is a keyed hash of its name and a generation, so that it can be
//! forgotten and made again without anybody noticing. A written one stays, with its head, for a day after its last
//! message; when it is forgotten its generation changes, so that its next life has another epoch.

use std::hash::Hasher as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use siphasher::sip::SipHasher24;
use tricast_core::backplane::{BackplaneError, Events, News, Uncertain};
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::clock::Entropy;
use tricast_core::log::{Head, Log};
use tricast_core::position::{Epoch, Seq};

use super::feed::Feed;
use crate::wake::Sweeper;

/// Milliseconds that a written channel is remembered after its last message.
const REMEMBERED_MS: u64 = 24 * 60 * 60 * 1_000;

/// Generations are kept per group of channels, so that forgetting one ends few unwritten epochs: with 100,000 channels
/// forgotten a day, one in two and a half days. A mebibyte of them.
const GROUPS: usize = 1 << 18;

/// At its most of channels a node forgets this part of them, the longest idle first.
const FORGOTTEN_PART: usize = 16;

#[derive(Debug)]
pub(crate) struct Feeds {
    map: DashMap<ChannelName, Arc<Feed>>,
    most: usize,
    key: (u64, u64),
    generations: Box<[AtomicU32]>,
    /// Held by who makes room, so that one does.
    making_room: Mutex<()>,
    sweeper: Sweeper,
}

impl Feeds {
    /// No channels yet, and at most this many ever.
    pub(crate) fn new(most: usize, entropy: &dyn Entropy, sweeper: Sweeper) -> Self {
        Self {
            map: DashMap::new(),
            most,
            key: (entropy.next_u64(), entropy.next_u64()),
            generations: std::iter::repeat_with(AtomicU32::default).take(GROUPS).collect(),
            making_room: Mutex::default(),
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
        if self.map.len() >= self.most {
            self.make_room();
        }
        if self.map.len() >= self.most {
            let reason = format!("this node keeps its most of {} channels", self.most);
            return Err(BackplaneError::Unavailable { reason, maybe_applied: false });
        }
        let fresh = || {
            let log = Log::new(topic.rule.kind(), self.epoch(&topic.name), topic.rule.retention());
            Arc::new(Feed::new(topic.clone(), log))
        };
        Ok(Arc::clone(&self.map.entry(topic.name.clone()).or_insert_with(fresh)))
    }

    /// Forgets the channels that have been idle longest and that nobody holds, with what they retain: their readers are
    /// told of a gap when they come back.
    fn make_room(&self) {
        let _one = self.making_room.lock().unwrap_or_else(PoisonError::into_inner);
        if self.map.len() < self.most {
            return;
        }
        let unused = self.map.iter().filter(|feed| is_unused(feed));
        let mut idle: Vec<_> =
            unused.map(|feed| (feed.with_log(|log| log.last_append_ms()), feed.key().clone())).collect();
        let count = (self.most / FORGOTTEN_PART).max(1).min(idle.len());
        if count < idle.len() {
            idle.select_nth_unstable(count);
        }
        for (_, name) in &idle[..count] {
            let forgotten = self.map.remove_if(name, |_, feed| is_unused(feed));
            if forgotten.is_some_and(|(_, feed)| !feed.with_log(|log| log.is_unwritten())) {
                self.next_generation(name);
            }
        }
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
    use tricast_testkit::entropy::Seeded;

    fn feeds(most: usize) -> Feeds {
        Feeds::new(most, &Seeded::new(1), Sweeper::start())
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
