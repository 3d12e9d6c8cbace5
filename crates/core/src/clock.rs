//! Time and randomness as traits, so that all of Tricast runs on a clock and on chances that a test chooses.
//!
//! Nothing else in Tricast asks the system for the time or for random bits.

use std::time::Duration;

/// Tells the time, twice over: the wall's, for what travels, and a monotonic one, for what is measured.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. May jump when the machine's clock is set.
    fn wall_ms(&self) -> u64;

    /// Time since an arbitrary start. Never goes back.
    fn monotonic(&self) -> Duration;
}

/// Gives random bits, good enough for epochs, tags, ids and jitter.
pub trait Entropy: Send + Sync {
    /// 64 fresh random bits.
    fn next_u64(&self) -> u64;

    /// A whole number below `bound` (0 for a bound of 0), for jitter; its bias is below 2^-32 for bounds under 2^32.
    fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }
}
