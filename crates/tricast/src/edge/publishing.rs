//! How often one caller may publish: so many a second on average, and twice as many in a burst.
//!
//! A WebSocket has an allowance of its own ([`Allowance`]). What comes by `send` is counted for the user, or for the
//! address of an anonymous caller, among a bounded number of them.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tricast_core::access::{Identity, UserId};
use tricast_core::clock::Clock;

use super::connections::Place;

/// Callers of `send` whose allowances are remembered at a time. Beyond them newcomers share one, until others have been
/// silent for [`FULL_AFTER`].
const MOST_CALLERS: usize = 100_000;

/// After what silence an allowance is whole again, and need not be remembered: a burst is what two seconds give.
const FULL_AFTER: Duration = Duration::from_secs(2);

/// What a caller may still publish.
type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>;

/// When to publish again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub(crate) Duration);

/// The node's limit of publishes.
#[derive(Debug)]
pub(crate) struct Publishing {
    quota: Option<Quota>,
    ticks: Ticks,
    /// Guards nothing but itself.
    callers: Mutex<Callers>,
}

/// The allowance of one connection. It takes no memory before it is first used.
#[derive(Debug, Default)]
pub(crate) struct Allowance(Option<Box<Limiter>>);

/// Whose publishes by `send` are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    User(UserId),
    Anonymous(Option<Place>),
}

#[derive(Debug, Default)]
struct Callers {
    known: HashMap<Caller, Known>,
    /// For those for whom there was no room.
    shared: Option<Limiter>,
    /// When room was last made.
    pruned: Duration,
}

#[derive(Debug)]
struct Known {
    limiter: Limiter,
    used: Duration,
}

impl Publishing {
    /// As many a second; 0: as many as there come.
    pub(crate) fn new(per_second: u32, clock: Arc<dyn Clock>) -> Self {
        let quota = NonZeroU32::new(per_second);
        let quota = quota.map(|rate| Quota::per_second(rate).allow_burst(rate.saturating_mul(BURST)));
        Self { quota, ticks: Ticks(clock), callers: Mutex::default() }
    }

    /// Counts a publish on a connection of this caller. A back end that may do anything may do so as often as it likes.
    ///
    /// # Errors
    /// When there is something left again; nothing was counted.
    pub(crate) fn check_connection(&self, allowance: &mut Allowance, who: &Identity) -> Result<(), RetryAfter> {
        let Some(quota) = self.quota.filter(|_| !who.is_server()) else { return Ok(()) };
        self.check(allowance.0.get_or_insert_with(|| Box::new(self.limiter(quota))))
    }

    /// Counts a publish by `send`.
    ///
    /// # Errors
    /// When there is something left again; nothing was counted.
    pub(crate) fn check_caller(&self, who: &Identity, address: Option<IpAddr>) -> Result<(), RetryAfter> {
        let Some(quota) = self.quota.filter(|_| !who.is_server()) else { return Ok(()) };
        let caller = match who.user_id() {
            Some(user) => Caller::User(user.clone()),
            None => Caller::Anonymous(address.map(Place::from)),
        };
        let now = self.ticks.0.monotonic();
        // Counting does not panic half-way.
        let mut callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = callers.known.get_mut(&caller) {
            known.used = now;
            return self.check(&known.limiter);
        }
        callers.prune(now);
        if callers.known.len() >= MOST_CALLERS {
            return self.check(callers.shared.get_or_insert_with(|| self.limiter(quota)));
        }
        let known = Known { limiter: self.limiter(quota), used: now };
        self.check(&callers.known.entry(caller).or_insert(known).limiter)
    }

    fn limiter(&self, quota: Quota) -> Limiter {
        RateLimiter::direct_with_clock(quota, self.ticks.clone())
    }

    fn check(&self, limiter: &Limiter) -> Result<(), RetryAfter> {
        limiter.check().map_err(|until| {
            let left = until.wait_time_from(clock::Clock::now(&self.ticks));
            // Clients wait in milliseconds, and must not be early.
            RetryAfter(Duration::from_millis(u64::try_from(left.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)))
        })
    }
}

impl Callers {
    /// Forgets those who have been silent for long enough, at most once in that time.
    fn prune(&mut self, now: Duration) {
        if now < self.pruned + FULL_AFTER {
            return;
        }
        self.pruned = now;
        self.known.retain(|_, known| now < known.used + FULL_AFTER);
        self.known.shrink_to(self.known.len() * 2);
    }
}

/// The node's clock, as the limiter reads it.
#[derive(Clone)]
struct Ticks(Arc<dyn Clock>);

impl clock::Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl fmt::Debug for Ticks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticks")
    }
}

/// How many seconds' worth may come at once.
const BURST: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

#[cfg(test)]
mod tests {
    use tricast_core::access::{Capabilities, User};
    use tricast_testkit::clock::VirtualClock;

    use super::*;

    fn of(per_second: u32) -> (Publishing, Arc<VirtualClock>) {
        let clock = Arc::new(VirtualClock::default());
        (Publishing::new(per_second, Arc::clone(&clock) as _), clock)
    }

    fn user(id: &str) -> Identity {
        User::new(id.parse().unwrap()).into()
    }

    fn address(n: u32) -> Option<IpAddr> {
        Some(IpAddr::V4(n.into()))
    }

    fn known(publishing: &Publishing) -> usize {
        publishing.callers.lock().unwrap().known.len()
    }

    #[test]
    fn a_burst_is_two_seconds_worth_and_then_so_many_a_second() {
        let (publishing, clock) = of(5);
        let mut allowance = Allowance::default();
        let mut publish = || publishing.check_connection(&mut allowance, &Identity::Anonymous);
        (0..10).for_each(|_| publish().unwrap());
        assert_eq!(publish(), Err(RetryAfter(Duration::from_millis(200))));
        clock.advance(Duration::from_millis(150));
        assert_eq!(publish(), Err(RetryAfter(Duration::from_millis(50))), "a refusal costs nothing");
        clock.advance(Duration::from_millis(50));
        publish().unwrap();
        publish().unwrap_err();
        clock.advance(FULL_AFTER);
        (0..10).for_each(|_| publish().unwrap());
        publish().unwrap_err();
    }

    #[test]
    fn who_waits_as_long_as_told_is_not_refused_again() {
        let (publishing, clock) = of(3);
        let mut allowance = Allowance::default();
        for _ in 0..20 {
            if let Err(RetryAfter(time)) = publishing.check_connection(&mut allowance, &Identity::Anonymous) {
                clock.advance(time);
                publishing.check_connection(&mut allowance, &Identity::Anonymous).unwrap();
            }
        }
    }

    #[test]
    fn connections_have_allowances_of_their_own() {
        let (publishing, _) = of(1);
        let [mut one, mut other] = [(); 2].map(|()| Allowance::default());
        let ann = user("ann");
        (0..2).for_each(|_| publishing.check_connection(&mut one, &ann).unwrap());
        publishing.check_connection(&mut one, &ann).unwrap_err();
        publishing.check_connection(&mut other, &ann).unwrap();
        assert!(Allowance::default().0.is_none(), "one that is not used is not there");
    }

    #[test]
    fn by_send_a_user_is_one_caller_and_so_is_an_address() {
        let (publishing, _) = of(1);
        let (ann, anonymous) = (user("ann"), Identity::Anonymous);
        (0..2).for_each(|n| publishing.check_caller(&ann, address(n)).unwrap());
        publishing.check_caller(&ann, address(2)).unwrap_err();
        (0..2).for_each(|_| publishing.check_caller(&anonymous, address(1)).unwrap());
        publishing.check_caller(&anonymous, address(1)).unwrap_err();
        publishing.check_caller(&anonymous, address(2)).unwrap();
        (0..2).for_each(|_| publishing.check_caller(&anonymous, None).unwrap());
        publishing.check_caller(&anonymous, None).unwrap_err();
    }

    #[test]
    fn a_back_end_and_a_node_without_a_limit_publish_as_they_like() {
        let (limited, _) = of(1);
        let back_end: Identity = User::new("cron".parse().unwrap()).with(Capabilities::server()).into();
        let (unlimited, _) = of(0);
        for _ in 0..100 {
            limited.check_caller(&back_end, None).unwrap();
            limited.check_connection(&mut Allowance::default(), &Identity::Server).unwrap();
            unlimited.check_caller(&Identity::Anonymous, None).unwrap();
        }
        assert_eq!((known(&limited), known(&unlimited)), (0, 0));
    }

    #[test]
    fn callers_who_are_silent_are_forgotten_and_others_are_not() {
        let (publishing, clock) = of(1);
        (0..1_000).for_each(|n| publishing.check_caller(&Identity::Anonymous, address(n)).unwrap());
        clock.advance(FULL_AFTER - Duration::from_millis(1));
        let ann = user("ann");
        (0..2).for_each(|_| publishing.check_caller(&ann, None).unwrap());
        publishing.check_caller(&Identity::Anonymous, address(0)).unwrap();
        assert_eq!(known(&publishing), 1_001);
        clock.advance(Duration::from_millis(1));
        publishing.check_caller(&user("bob"), None).unwrap();
        assert_eq!(known(&publishing), 3, "but for one, the thousand have gone");
        publishing.check_caller(&ann, None).unwrap_err();
        assert!(publishing.callers.lock().unwrap().known.capacity() < 100);
    }

    #[test]
    fn nobody_gains_by_being_forgotten() {
        let (publishing, clock) = of(1);
        let ann = user("ann");
        clock.advance(Duration::from_secs(1));
        (0..2).for_each(|_| publishing.check_caller(&ann, None).unwrap());
        clock.advance(Duration::from_secs(1));
        publishing.check_caller(&user("bob"), None).unwrap();
        publishing.check_caller(&ann, None).unwrap();
        publishing.check_caller(&ann, None).unwrap_err();
    }

    #[test]
    fn beyond_the_most_callers_newcomers_share_an_allowance_until_there_is_room() {
        let (publishing, clock) = of(1);
        let most = u32::try_from(MOST_CALLERS).unwrap();
        let publish = |n| publishing.check_caller(&Identity::Anonymous, address(n));
        (0..most).for_each(|n| publish(n).unwrap());
        (most..most + 2).for_each(|n| publish(n).unwrap());
        publish(most + 2).unwrap_err();
        publish(0).unwrap();
        assert_eq!(known(&publishing), MOST_CALLERS, "who was there keeps what they had");
        clock.advance(FULL_AFTER);
        publish(most + 2).unwrap();
        assert_eq!(known(&publishing), 1);
    }
}
