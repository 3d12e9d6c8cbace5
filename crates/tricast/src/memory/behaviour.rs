//! It does what every backplane does.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::backplane::{Backplane, BoxFuture};
use tricast_core::clock::Clock;
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::entropy::Seeded;
use tricast_testkit::suite::Factory;

use super::Memory;
use crate::hub::{Capacity, Feeds};
use crate::wake::Sweeper;

#[derive(Default)]
struct Embedded {
    clock: Arc<VirtualClock>,
}

impl Factory for Embedded {
    fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>> {
        let (clock, entropy): (Arc<dyn Clock>, _) = (Arc::clone(&self.clock) as _, Seeded::new(1));
        let capacity = Capacity { channels: 1_000, bytes: u64::MAX };
        let feeds = Arc::new(Feeds::new(capacity, Arc::clone(&clock), &entropy, Sweeper::start()));
        Box::pin(async move { Arc::new(Memory::new(feeds, clock, &entropy)) as _ })
    }

    fn is_shared(&self) -> bool {
        false
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.clock.advance(time) })
    }

    fn is_time_virtual(&self) -> bool {
        true
    }
}

tricast_testkit::backplane_suite!(Embedded::default());
