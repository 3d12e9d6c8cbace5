//! The gate before accept: how many connections there may be, and how fast they come in.
//!
//! Whoever has to wait does so in the kernel's backlog, and costs this process nothing.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

/// Connections unless configured: more than a node takes by default, for there are other requests.
const CONNECTIONS: usize = 131_072;

/// The fastest rate that can be counted.
const FASTEST: u32 = 1_000_000;

/// How often it is logged that there is no room.
const REMINDER: Duration = Duration::from_secs(60);

/// What the gate was set to. 0: no limit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Width {
    pub(super) connections: usize,
    pub(super) per_second: u32,
}

impl Default for Width {
    fn default() -> Self {
        Self { connections: CONNECTIONS, per_second: 0 }
    }
}

/// Lets connections in.
pub(super) struct Gate {
    room: Option<Arc<Semaphore>>,
    pace: Option<RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Duration>>>,
    warned: Option<Instant>,
}

/// A connection's place among those that there may be. It is free again when this is dropped.
#[derive(Debug, Default)]
pub(crate) struct Place(#[expect(dead_code, reason = "held to be dropped")] Option<OwnedSemaphorePermit>);

impl Gate {
    pub(super) fn new(width: Width) -> Self {
        let room = (width.connections > 0).then(|| width.connections.min(Semaphore::MAX_PERMITS));
        let pace = NonZeroU32::new(width.per_second.min(FASTEST));
        Self {
            room: room.map(|room| Arc::new(Semaphore::new(room))),
            pace: pace.map(|rate| RateLimiter::direct_with_clock(Quota::per_second(rate), Ticks(Instant::now()))),
            warned: None,
        }
    }

    /// Resolves when one more may come in.
    ///
    /// # Cancel safety
    /// A dropped call may have taken its turn from the rate, but no place.
    pub(super) async fn pass(&mut self) -> Place {
        let Some(room) = &self.room else {
            self.keep_pace().await;
            return Place::default();
        };
        let room = Arc::clone(room);
        if room.available_permits() == 0 && self.warned.is_none_or(|warned| warned.elapsed() > REMINDER) {
            self.warned = Some(Instant::now());
            tracing::warn!("there are as many connections as there may be: others wait");
        }
        // The semaphore is never closed.
        let place = Place(room.acquire_owned().await.ok());
        self.keep_pace().await;
        place
    }

    async fn keep_pace(&self) {
        let Some(pace) = &self.pace else { return };
        while let Err(until) = pace.check() {
            sleep(until.wait_time_from(pace.clock().now())).await;
        }
    }
}

/// The runtime's clock, as the limiter reads it.
#[derive(Debug, Clone)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_second_comes_in_at_once_and_then_so_many_a_second() {
        let mut gate = Gate::new(Width { per_second: 4, ..Width::default() });
        let begun = Instant::now();
        for _ in 0..4 {
            gate.pass().await;
        }
        assert!(begun.elapsed() < Duration::from_millis(1), "virtual time");
        for _ in 0..8 {
            gate.pass().await;
        }
        let paced = begun.elapsed();
        assert!(paced >= Duration::from_secs(2) && paced < Duration::from_millis(2_020), "virtual time: {paced:?}");
    }

    #[tokio::test]
    async fn there_are_never_more_than_there_may_be() {
        let mut gate = Gate::new(Width { connections: 2, ..Width::default() });
        let first = gate.pass().await;
        let _second = gate.pass().await;
        assert!(gate.pass().now_or_never().is_none());
        drop(first);
        let _third = gate.pass().await;
        assert!(gate.pass().now_or_never().is_none());
    }

    #[tokio::test]
    async fn without_limits_everybody_comes_in() {
        let mut gate = Gate::new(Width { connections: 0, per_second: 0 });
        let places = [(); 1_000].map(|()| gate.pass().now_or_never());
        assert!(places.iter().all(Option::is_some));
    }
}
