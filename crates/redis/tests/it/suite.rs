//! What every backplane does, on each arrangement of servers.

use std::sync::{Arc, Mutex, Weak};

use tricast_core::backplane::{Backplane, BoxFuture};
use tricast_redis::Redis;
use tricast_testkit::redis::{self, Cluster, Sentinels};
use tricast_testkit::suite::Servers;

use crate::support::{cluster_url, sentinel_url};

fn connect(url: String) -> BoxFuture<'static, Arc<dyn Backplane>> {
    Box::pin(async {
        let redis = Redis::connect(url).await;
        Arc::new(redis.unwrap_or_else(|error| panic!("{error:?}"))) as Arc<dyn Backplane>
    })
}

mod plain {
    use super::*;

    static SERVER: Mutex<Weak<redis::Redis>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&SERVER, redis::Redis::start, redis::Redis::url, connect));
}

mod with_login {
    use super::*;

    static SERVER: Mutex<Weak<redis::Redis>> = Mutex::new(Weak::new());

    fn start() -> redis::Redis {
        redis::Redis::options().user("ann", "secret").start()
    }

    tricast_testkit::backplane_suite!(Servers::share(&SERVER, start, redis::Redis::url, connect));
}

mod cluster {
    use super::*;

    static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&CLUSTER, || Cluster::start(false), cluster_url, connect));
}

mod sentinel {
    use super::*;

    static SENTINELS: Mutex<Weak<Sentinels>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&SENTINELS, || Sentinels::start(1), sentinel_url, connect));
}
