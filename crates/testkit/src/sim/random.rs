//! What the simulation draws from its seed.

use std::ops::RangeInclusive;

use tricast_core::clock::Entropy as _;

use crate::entropy::Seeded;

pub(super) struct Random(Seeded);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(Seeded::new(seed))
    }

    pub(super) fn between(&mut self, range: RangeInclusive<u64>) -> u64 {
        let width = u128::from(range.end() - range.start()) + 1;
        // The high half of the product: as even as the bits are.
        let drawn = (u128::from(self.0.next_u64()) * width) >> 64;
        range.start() + u64::try_from(drawn).expect("less than a width of 64 bits")
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.between(0..=end as u64 - 1)).expect("less than a usize")
    }

    pub(super) fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.between(0..=99) < percent
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
