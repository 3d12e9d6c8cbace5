//! When to try again.

use std::time::Duration;

use crate::random;

/// The first pause, at most.
const FIRST_MS: u64 = 50;

/// The longest pause.
const LONGEST_MS: u64 = 1_000;

/// Pauses that grow, each random by half, so that many nodes do not come back at once.
pub(crate) struct Backoff {
    next_ms: u64,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next_ms: FIRST_MS }
    }
}

impl Backoff {
    pub(crate) fn next(&mut self) -> Duration {
        let most = self.next_ms;
        self.next_ms = (2 * most).min(LONGEST_MS);
        Duration::from_millis(most / 2 + random::below(most / 2 + 1))
    }

    pub(crate) fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        assert!(backoff.next() <= Duration::from_millis(FIRST_MS));
        for _ in 0..9 {
            assert!(backoff.next() <= Duration::from_millis(LONGEST_MS));
        }
        assert!(backoff.next() >= Duration::from_millis(LONGEST_MS / 2));
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(FIRST_MS));
    }
}
