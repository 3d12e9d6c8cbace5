//! Who is told that a log grew.
//!
//! Each channel has a list of the bells of its readers. Few readers are rung by the publisher itself; many are left to
//! the [`Sweeper`], one task that rings them in chunks and yields in between, so that a publish returns at once and
//! publishes that arrive during a sweep merge into what later readers get. A dispatcher that writes to sockets takes
//! this place one day: same list, same sweep, only what is done to each reader differs.
//!
//! # Why a sweep misses nobody
//! The list is a slab: a reader keeps its place for as long as it stays, and a place is never moved. A sweep goes
//! through the places in order, so who stays is rung; who leaves needs no ring; who joins meanwhile registered before
//! reading the log, so it has seen what this sweep is about.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use slab::Slab;
use tokio::sync::mpsc;
use tricast_core::wake::Bell;

use crate::hub::Feed;

/// Readers rung in one go: by the publisher itself where there are no more, else between two yields of a sweep.
const CHUNK: usize = 64;

/// The bells of a channel's readers.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// Guards the list only; nobody is woken under it.
    bells: Mutex<Slab<Arc<Bell>>>,
    /// Set while the channel waits for a sweep, so that it waits once.
    queued: AtomicBool,
}

impl Readers {
    /// Adds a reader; it must read the log after this. Returns its place.
    pub(crate) fn join(&self, bell: Arc<Bell>) -> usize {
        self.lock().insert(bell)
    }

    /// Removes the reader at a place; returns how many are left.
    pub(crate) fn leave(&self, place: usize) -> usize {
        let mut bells = self.lock();
        bells.try_remove(place);
        if bells.is_empty() {
            // A slab never shrinks by itself.
            *bells = Slab::new();
        }
        bells.len()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Rings the readers of one chunk of places; returns where the next chunk begins.
    fn ring_chunk(&self, begin: usize) -> Option<usize> {
        let (chunk, next) = {
            let bells = self.lock();
            let end = bells.capacity().min(begin + CHUNK);
            let chunk: Vec<_> = (begin..end).filter_map(|place| bells.get(place).cloned()).collect();
            (chunk, (end < bells.capacity()).then_some(end))
        };
        for bell in chunk {
            bell.ring();
        }
        next
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slab<Arc<Bell>>> {
        self.bells.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Rings the readers of channels that have many.
#[derive(Debug, Clone)]
pub(crate) struct Sweeper {
    /// Holds each channel at most once, so it is bounded by the channels of this node.
    queue: mpsc::UnboundedSender<Arc<Feed>>,
}

impl Sweeper {
    /// Starts the sweeping task; it ends when the last handle is dropped.
    pub(crate) fn start() -> Self {
        let (queue, mut feeds) = mpsc::unbounded_channel::<Arc<Feed>>();
        tokio::spawn(async move {
            while let Some(feed) = feeds.recv().await {
                // Before the first ring: what is published from here on asks for another sweep.
                feed.readers().queued.store(false, Ordering::Release);
                let mut place = Some(0);
                while let Some(begin) = place {
                    place = feed.readers().ring_chunk(begin);
                    tokio::task::yield_now().await;
                }
            }
        });
        Self { queue }
    }

    /// Sees to it that every reader of this channel is rung.
    pub(crate) fn tell(&self, feed: &Arc<Feed>) {
        let readers = feed.readers();
        match readers.len() {
            0 => {}
            1..=CHUNK => {
                let mut place = Some(0);
                while let Some(begin) = place {
                    place = readers.ring_chunk(begin);
                }
            }
            _ if readers.queued.swap(true, Ordering::AcqRel) => {}
            // The task outlives every handle, so there is somebody to receive.
            _ => drop(self.queue.send(Arc::clone(feed))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use tricast_core::channel::{Rule, Topic};
    use tricast_core::log::Log;
    use tricast_core::position::Epoch;

    fn feed() -> Arc<Feed> {
        let rule = Rule::stream();
        let log = Log::new(Epoch::from_bits(1), rule.retention());
        Arc::new(Feed::new(Topic { name: "a".parse().unwrap(), rule: Arc::new(rule) }, log))
    }

    fn join(feed: &Feed, count: usize) -> Vec<(usize, Arc<Bell>)> {
        let bells = std::iter::repeat_with(Arc::<Bell>::default).take(count);
        bells.map(|bell| (feed.readers().join(Arc::clone(&bell)), bell)).collect()
    }

    fn heard(bell: &Bell) -> bool {
        bell.rung().now_or_never().is_some()
    }

    #[tokio::test]
    async fn few_readers_are_rung_before_tell_returns() {
        let (sweeper, feed) = (Sweeper::start(), feed());
        let readers = join(&feed, CHUNK);
        sweeper.tell(&feed);
        assert!(readers.iter().all(|(_, bell)| heard(bell)));
    }

    #[tokio::test]
    async fn many_readers_are_all_rung_by_the_sweep() {
        let (sweeper, feed) = (Sweeper::start(), feed());
        let readers = join(&feed, 10 * CHUNK + 1);
        sweeper.tell(&feed);
        for (_, bell) in &readers {
            bell.rung().await;
        }
        assert!(!readers.iter().any(|(_, bell)| heard(bell)), "once each");
    }

    #[tokio::test]
    async fn readers_that_leave_in_mid_sweep_make_it_skip_nobody() {
        let (sweeper, feed) = (Sweeper::start(), feed());
        let readers = join(&feed, 3 * CHUNK);
        sweeper.tell(&feed);
        // The first chunk has been rung when its last bell has.
        readers[CHUNK - 1].1.rung().await;
        for (place, _) in readers.iter().step_by(2) {
            feed.readers().leave(*place);
        }
        for (_, bell) in readers.iter().skip(CHUNK + 1).step_by(2) {
            bell.rung().await;
        }
    }

    #[tokio::test]
    async fn what_is_told_during_a_sweep_is_swept_again() {
        let (sweeper, feed) = (Sweeper::start(), feed());
        let readers = join(&feed, 3 * CHUNK);
        sweeper.tell(&feed);
        readers[0].1.rung().await;
        sweeper.tell(&feed);
        for (_, bell) in &readers[..1] {
            bell.rung().await;
        }
    }
}
