//! Time that a test moves by hand.

use std::sync::Mutex;
use std::time::Duration;

use tricast_core::clock::Clock;

/// A clock that stands still until it is told otherwise. Its wall may jump while its monotonic time goes on.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use tricast_core::clock::Clock;
/// use tricast_testkit::clock::VirtualClock;
///
/// let clock = VirtualClock::at(1_000);
/// clock.advance(Duration::from_secs(5));
/// clock.set_wall_ms(500);
/// assert_eq!((clock.wall_ms(), clock.monotonic()), (500, Duration::from_secs(5)));
/// ```
#[derive(Debug)]
pub struct VirtualClock {
    now: Mutex<Now>,
}

#[derive(Debug, Clone, Copy)]
struct Now {
    wall: Duration,
    monotonic: Duration,
}

impl VirtualClock {
    /// A clock whose wall shows `wall_ms` and whose monotonic time is zero.
    pub fn at(wall_ms: u64) -> Self {
        Self { now: Mutex::new(Now { wall: Duration::from_millis(wall_ms), monotonic: Duration::ZERO }) }
    }

    /// Lets time pass, on both.
    pub fn advance(&self, time: Duration) {
        self.change(|now| {
            now.wall += time;
            now.monotonic += time;
        });
    }

    /// Sets the wall, as an administrator does, also backwards; no time passes.
    pub fn set_wall_ms(&self, wall_ms: u64) {
        self.change(|now| now.wall = Duration::from_millis(wall_ms));
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        change(&mut self.now.lock().expect("no thread panics with the lock"));
    }

    fn now(&self) -> Now {
        *self.now.lock().expect("no thread panics with the lock")
    }
}

impl Default for VirtualClock {
    /// A clock at a round time of the present, so that sums look like real ones.
    fn default() -> Self {
        Self::at(1_700_000_000_000)
    }
}

impl Clock for VirtualClock {
    fn wall_ms(&self) -> u64 {
        u64::try_from(self.now().wall.as_millis()).expect("a wall clock's milliseconds fit")
    }

    fn monotonic(&self) -> Duration {
        self.now().monotonic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_only_when_told_and_on_both() {
        let clock = VirtualClock::at(1_000);
        assert_eq!((clock.wall_ms(), clock.monotonic()), (1_000, Duration::ZERO));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!((clock.wall_ms(), clock.monotonic()), (2_500, Duration::from_millis(1_500)));
    }

    #[test]
    fn parts_of_a_millisecond_add_up() {
        let clock = VirtualClock::at(0);
        clock.advance(Duration::from_micros(600));
        clock.advance(Duration::from_micros(600));
        assert_eq!(clock.wall_ms(), 1);
    }
}
