//! What every backplane does, on each arrangement of servers.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tricast_core::backplane::{Backplane, BoxFuture};
use tricast_redis::Redis;
use tricast_testkit::redis::{self, Cluster, Sentinels};
use tricast_testkit::suite::Factory;

use crate::support::cluster_url;

/// Servers that the scenarios share which run at a time. They end with the last of those.
struct Servers<T> {
    _servers: Arc<T>,
    url: String,
}

impl<T> Servers<T> {
    fn share(of: &Mutex<Weak<T>>, start: impl FnOnce() -> T, url: impl FnOnce(&T) -> String) -> Self {
        let mut shared = of.lock().unwrap_or_else(PoisonError::into_inner);
        let servers = shared.upgrade().unwrap_or_else(|| Arc::new(start()));
        *shared = Arc::downgrade(&servers);
        Self { url: url(&servers), _servers: servers }
    }
}

impl<T: Send + Sync> Factory for Servers<T> {
    fn node(&self) -> BoxFuture<'_, Arc<dyn Backplane>> {
        Box::pin(async {
            let redis = Redis::connect(self.url.as_str()).await;
            Arc::new(redis.unwrap_or_else(|error| panic!("{error:?}"))) as Arc<dyn Backplane>
        })
    }
}

mod plain {
    use super::*;

    static SERVER: Mutex<Weak<redis::Redis>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&SERVER, redis::Redis::start, redis::Redis::url));
}

mod with_login {
    use super::*;

    static SERVER: Mutex<Weak<redis::Redis>> = Mutex::new(Weak::new());

    fn start() -> redis::Redis {
        redis::Redis::options().user("ann", "secret").start()
    }

    tricast_testkit::backplane_suite!(Servers::share(&SERVER, start, redis::Redis::url));
}

mod cluster {
    use super::*;

    static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&CLUSTER, || Cluster::start(false), cluster_url));
}

mod sentinel {
    use super::*;

    static SENTINELS: Mutex<Weak<Sentinels>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&SENTINELS, || Sentinels::start(1), crate::support::sentinel_url));
}
