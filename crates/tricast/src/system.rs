//! The system's clock and randomness: the only place that asks for either.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tricast_core::clock::{Clock, Entropy};

/// The machine's clocks.
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

/// The operating system's random generator, tried once at start so that it cannot fail later.
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
