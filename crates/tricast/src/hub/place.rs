//! What a node keeps of a channel: all of it, or, of one that nobody uses and that retains nothing, what remains.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::log::{Head, Log, Remnant};
use tricast_core::position::Epoch;

use super::feed::Feed;

/// A channel in the map of those that a node keeps. Changed under the lock of its shard.
pub(super) enum Place {
    Alive(Arc<Feed>),
    Idle(Idle),
}

/// What remains of a channel, and since when nobody has asked for it.
pub(super) struct Idle {
    pub(super) remnant: Remnant,
    /// Milliseconds of the monotonic clock, so that a wall clock that is set ends no epoch.
    since: AtomicU64,
}

impl Idle {
    pub(super) fn new(remnant: Remnant, now: Duration) -> Self {
        Self { remnant, since: AtomicU64::new(millis(now)) }
    }

    /// Where the channel stands, for somebody who asks.
    pub(super) fn used(&self, now: Duration) -> Head {
        self.since.store(millis(now), Ordering::Relaxed);
        self.remnant.head()
    }

    /// For how long nobody has asked.
    pub(super) fn rested(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_millis(self.since.load(Ordering::Relaxed)))
    }
}

impl Place {
    /// The channel, if it is alive.
    pub(super) fn alive(&self) -> Option<&Arc<Feed>> {
        match self {
            Self::Alive(feed) => Some(feed),
            Self::Idle(_) => None,
        }
    }

    /// Only the map holds it. Whoever obtains a channel does so under the lock of its shard, which the caller holds too.
    pub(super) fn is_unused(&self) -> bool {
        self.alive().is_none_or(|feed| Arc::strong_count(feed) == 1)
    }

    /// Whether anything was ever appended to it.
    pub(super) fn is_unwritten(&self) -> bool {
        self.alive().is_some_and(|feed| feed.with_log(|log| log.is_unwritten()))
    }

    /// Whether it is in this epoch.
    pub(super) fn is_of(&self, epoch: Epoch) -> bool {
        match self {
            Self::Alive(feed) => feed.with_log(|log| log.head().epoch == epoch),
            Self::Idle(idle) => idle.remnant.head().epoch == epoch,
        }
    }

    /// When its newest message was appended.
    pub(super) fn last_append_ms(&self) -> u64 {
        match self {
            Self::Alive(feed) => feed.with_log(|log| log.last_append_ms()),
            Self::Idle(idle) => idle.remnant.last_append_ms(),
        }
    }

    /// Keeps no more of a channel than remains of its log, if `rest` finds that it may rest. For one that is not used.
    pub(super) fn rest(&mut self, now: Duration, rest: impl FnOnce(&mut Log) -> Option<Remnant>) {
        if let Self::Alive(feed) = self
            && let Some(remnant) = feed.with_log(rest)
        {
            *self = Self::Idle(Idle::new(remnant, now));
        }
    }
}

/// Bytes that a channel costs by being kept: its name and its place among the others.
pub(super) fn cost(name: &ChannelName) -> u64 {
    const SHARED: usize = 2 * size_of::<usize>();
    // A hash table keeps an eighth of its places empty.
    const PLACE: usize = (size_of::<(ChannelName, Place)>() + 1) * 8 / 7;
    (PLACE + name.as_str().len() + SHARED) as u64
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
