//! It does what every backplane does.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::backplane::{Backplane, BoxFuture};
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::entropy::Seeded;
use tricast_testkit::store::Store;
use tricast_testkit::suite::Factory;

struct InProcess {
    store: Store,
    clock: Arc<VirtualClock>,
}

impl Factory for InProcess {
    fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>> {
        Box::pin(async { self.store.node() as _ })
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(async move { self.clock.advance(time) })
    }

    fn is_time_virtual(&self) -> bool {
        true
    }
}

fn in_process() -> InProcess {
    let clock = Arc::new(VirtualClock::default());
    InProcess { store: Store::new(Arc::clone(&clock) as _, Arc::new(Seeded::new(1))), clock }
}

tricast_testkit::backplane_suite!(in_process());
