//! The system's clock and random generator; nobody else here asks for either.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

use tricast_core::clock::Entropy;

/// Time since the client was made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(self) -> Duration {
        self.0.elapsed()
    }

    /// The instant of a time that this stopwatch shows.
    pub(crate) fn instant(self, at: Duration) -> Instant {
        self.0 + at
    }
}

/// The system's random generator.
#[derive(Debug)]
pub(crate) struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn next_u64(&self) -> u64 {
        // Where the system gives nothing, the keys of a hasher, which the standard library had to get somewhere.
        getrandom::u64().unwrap_or_else(|_| RandomState::new().hash_one(Instant::now()))
    }
}
