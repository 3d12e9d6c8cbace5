//! What every backplane does.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tricast_core::backplane::{Backplane, BoxFuture};
use tricast_nats::Nats;
use tricast_testkit::nats;
use tricast_testkit::suite::Factory;

/// A server that the scenarios share which run at a time. It ends with the last of those.
struct Server(Arc<nats::Nats>);

static SERVER: Mutex<Weak<nats::Nats>> = Mutex::new(Weak::new());

impl Server {
    fn share() -> Self {
        let mut shared = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        let server = shared.upgrade().unwrap_or_else(|| Arc::new(nats::Nats::start()));
        *shared = Arc::downgrade(&server);
        Self(server)
    }
}

impl Factory for Server {
    fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>> {
        Box::pin(async {
            let nats = Nats::connect(self.0.url()).await;
            Arc::new(nats.unwrap_or_else(|error| panic!("{error:?}"))) as Arc<dyn Backplane>
        })
    }
}

tricast_testkit::backplane_suite!(Server::share());
