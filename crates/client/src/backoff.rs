//! How long to wait between tries.

use std::time::Duration;

use tricast_core::clock::Entropy;

use crate::limits::LONGEST;

/// The bounds of a [`Backoff`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// Upper bound of the first wait; doubled for each further one.
    pub(crate) base: Duration,
    /// Upper bound of all waits.
    pub(crate) cap: Duration,
}

/// Exponential backoff with full jitter. It is reset by proof, never by a mere attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How many waits there were since the last proof.
    pub(crate) fn failures(self) -> u32 {
        self.failures
    }

    /// The next wait; never shorter than what the server asked for.
    pub(crate) fn next(&mut self, pace: Pace, entropy: &dyn Entropy, at_least: Option<Duration>) -> Duration {
        let bound = pace.base.saturating_mul(2_u32.saturating_pow(self.failures)).min(pace.cap);
        self.failures = self.failures.saturating_add(1);
        let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let wait = Duration::from_millis(entropy.below(bound_ms.saturating_add(1)));
        wait.max(at_least.unwrap_or_default()).min(LONGEST)
    }

    /// The other side has proved that it serves us.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Always the largest, or the smallest, of what may come.
    struct Extreme(bool);

    impl Entropy for Extreme {
        fn next_u64(&self) -> u64 {
            0
        }

        fn below(&self, bound: u64) -> u64 {
            if self.0 { bound - 1 } else { 0 }
        }
    }

    const PACE: Pace = Pace { base: Duration::from_millis(500), cap: Duration::from_secs(30) };

    #[test]
    fn bounds_double_up_to_the_cap_and_begin_anew_after_proof() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(PACE, &Extreme(true), None).as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next(PACE, &Extreme(true), None).as_millis(), 500);
    }

    #[test]
    fn jitter_is_full_and_what_the_server_asks_for_is_the_least() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(PACE, &Extreme(false), None), Duration::ZERO);
        let asked = Duration::from_secs(90);
        assert_eq!(backoff.next(PACE, &Extreme(true), Some(asked)), asked);
    }

    #[test]
    fn however_many_failures_no_wait_overflows() {
        let mut backoff = Backoff { failures: u32::MAX };
        assert_eq!(backoff.next(PACE, &Extreme(true), None), PACE.cap);
    }
}
