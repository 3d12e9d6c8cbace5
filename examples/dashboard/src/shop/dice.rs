//! Chance that can be repeated: a generator with a seed (xorshift64*, by Vigna). Good for a shop, not for secrets.

/// Dice.
pub(crate) struct Dice {
    state: u64,
}

impl Dice {
    /// The same seed gives the same throws.
    pub(crate) fn new(seed: u64) -> Self {
        Self { state: seed | 1 }
    }

    /// A number below `bound`, or 0 where there is none.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).unwrap_or(u64::MAX).min(u64::from(u32::MAX));
        usize::try_from((self.throw() * bound) >> 32).unwrap_or(0)
    }

    /// True once in so many times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Somewhere near `value`, at most `step` away, and within bounds.
    pub(crate) fn wander(&mut self, value: u32, step: u32, low: u32, high: u32) -> u32 {
        let moved = u32::try_from(self.below(2 * step as usize + 1)).unwrap_or(step);
        (value + moved).saturating_sub(step).clamp(low, high)
    }

    /// Puts things into any order.
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }

    /// 32 bits.
    fn throw(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32
    }
}
