//! Randomness that repeats.

use std::sync::atomic::{AtomicU64, Ordering};

use tricast_core::clock::Entropy;

/// The same bits for the same seed, in the same order, good enough to be spread evenly (`SplitMix64`).
///
/// # Examples
///
/// ```
/// use tricast_core::clock::Entropy;
/// use tricast_testkit::entropy::Seeded;
///
/// assert_eq!(Seeded::new(7).next_u64(), Seeded::new(7).next_u64());
/// ```
#[derive(Debug)]
pub struct Seeded {
    state: AtomicU64,
}

impl Seeded {
    /// Starts the sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }
}

impl Entropy for Seeded {
    fn next_u64(&self) -> u64 {
        let state = self.state.fetch_add(GOLDEN, Ordering::Relaxed).wrapping_add(GOLDEN);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_that_of_the_published_algorithm() {
        let entropy = Seeded::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!([(); 3].map(|()| entropy.next_u64()), expected);
    }

    #[test]
    fn another_seed_gives_another_sequence() {
        assert_ne!(Seeded::new(1).next_u64(), Seeded::new(2).next_u64());
    }
}
