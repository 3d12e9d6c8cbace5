//! Who is told that a log grew.
//!
//! Each channel has a list of the bells of its readers. Few readers are rung by the publisher itself; many are left to
//! the [`Sweeper`], one task that rings them in chunks and yields in between, so that a publish returns at once and
//! publishes that arrive during a sweep merge into what later readers get. A dispatcher that writes to sockets takes
//! this place one day: same list, same sweep, only what is done to each reader differs.
//!
//! # Why a sweep misses nobody
//! Readers are kept in the order in which they joined, under numbers that are never used again. A sweep goes through
//! the numbers in order, so who stays is rung; who leaves needs no ring; who joins meanwhile comes last, and registered
//! before reading the log, so it has seen what this sweep is about.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tricast_core::wake::Bell;

use crate::hub::Feed;

/// Readers rung in one go: by the publisher itself where there are no more, else between two yields of a sweep.
const CHUNK: usize = 64;

/// The bells of a channel's readers.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    /// Guards the list only; nobody is woken under it.
    list: Mutex<List>,
    /// Set while the channel waits for a sweep, so that it waits once.
    queued: AtomicBool,
}

#[derive(Debug, Default)]
struct List {
    bells: BTreeMap<u64, Arc<Bell>>,
    next: u64,
}

impl Readers {
    /// Adds a reader; it must read the log after this. Returns its place.
    pub(crate) fn join(&self, bell: Arc<Bell>) -> u64 {
        let mut list = self.lock();
        let place = list.next;
        list.next += 1;
        list.bells.insert(place, bell);
        place
    }

    /// Removes the reader at a place; returns how many are left.
    pub(crate) fn leave(&self, place: u64) -> usize {
        let mut list = self.lock();
        list.bells.remove(&place);
        list.bells.len()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().bells.len()
    }

    /// Rings one chunk of readers; returns where the next begins, if this one was full.
    fn ring_chunk(&self, begin: u64) -> Option<u64> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut last = begin;
        for (place, bell) in self.lock().bells.range(begin..).take(CHUNK) {
            chunk.push(Arc::clone(bell));
            last = *place;
        }
        for bell in &chunk {
            bell.ring();
        }
        (chunk.len() == CHUNK).then_some(last + 1)
    }

    fn ring_all(&self) {
        let mut next = Some(0);
        while let Some(begin) = next {
            next = self.ring_chunk(begin);
        }
    }

    fn lock(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
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
                // Before the first ring: what is published from here on asks for another sweep. Taking the list's lock
                // after it orders this store against whoever publishes meanwhile.
                feed.readers().queued.store(false, Ordering::Release);
                let mut next = Some(0);
                while let Some(begin) = next {
                    next = feed.readers().ring_chunk(begin);
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
            1..=CHUNK => readers.ring_all(),
            _ if readers.queued.swap(true, Ordering::AcqRel) => {}
            _ => {
                // The task is gone if the runtime that built this node is.
                if self.queue.send(Arc::clone(feed)).is_err() {
                    readers.queued.store(false, Ordering::Release);
                    readers.ring_all();
                }
            }
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
        let log = Log::new(rule.kind(), Epoch::from_bits(1), rule.retention());
        Arc::new(Feed::new(Topic { name: "a".parse().unwrap(), rule: Arc::new(rule) }, log, Arc::default()))
    }

    fn join(feed: &Feed, count: usize) -> Vec<(u64, Arc<Bell>)> {
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

    #[test]
    fn readers_are_rung_when_the_sweeping_task_is_gone() {
        let feed = feed();
        let readers = join(&feed, 2 * CHUNK);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sweeper = runtime.block_on(async { Sweeper::start() });
        drop(runtime);
        for _ in 0..2 {
            sweeper.tell(&feed);
            assert!(readers.iter().all(|(_, bell)| heard(bell)));
        }
    }
}
