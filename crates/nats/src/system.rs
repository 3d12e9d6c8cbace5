//! The system's clock and randomness, where a [`crate::Builder`] is given no others.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tricast_core::clock::{Clock, Entropy};

#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn wall_ms(&self) -> u64 {
        // Before 1970 the clock is broken, and 0 as good as any.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl SystemEntropy {
    /// # Errors
    /// The operating system has no randomness to give.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        getrandom::u64().map(|_| Self)
    }
}

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        // Once the generator is seeded it does not fail; were it to, nothing here could go on safely.
        #[expect(clippy::expect_used, reason = "seeded at start, cannot fail after")]
        getrandom::u64().expect("the system's random generator failed after it was seeded")
    }
}

/// Tags of messages. They tell one life of a log from another, no more, so they need not ask the system each time: steps of
/// SplitMix64 (Steele, Lea and Flood, 2014) from a random start.
#[derive(Debug)]
pub(crate) struct Tags(AtomicU64);

impl Tags {
    pub(crate) fn new(start: u64) -> Self {
        Self(AtomicU64::new(start))
    }

    pub(crate) fn next(&self) -> u32 {
        let mut bits = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from(bits >> 32).unwrap_or(0)
    }
}
