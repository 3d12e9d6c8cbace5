//! What every backplane does, on a server alone and on three.

use std::sync::{Arc, Mutex, Weak};

use tricast_core::backplane::{Backplane, BoxFuture};
use tricast_nats::Nats;
use tricast_testkit::nats;
use tricast_testkit::suite::Servers;

fn connect(url: String) -> BoxFuture<'static, Arc<dyn Backplane>> {
    Box::pin(async {
        let nats = Nats::connect(url).await;
        Arc::new(nats.unwrap_or_else(|error| panic!("{error:?}"))) as Arc<dyn Backplane>
    })
}

mod alone {
    use super::*;

    static SERVER: Mutex<Weak<nats::Nats>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&SERVER, nats::Nats::start, nats::Nats::url, connect));
}

mod cluster {
    use super::*;

    static CLUSTER: Mutex<Weak<nats::Cluster>> = Mutex::new(Weak::new());

    tricast_testkit::backplane_suite!(Servers::share(&CLUSTER, nats::Cluster::start, crate::clusters::url, connect));
}
