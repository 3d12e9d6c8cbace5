//! Two nodes on a server of its own, each behind a proxy that misbehaves on demand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tricast::backplane::Backplane;
use tricast::{Draft, NotReady, PublishError, Tricast};
use tricast_testkit::net::Proxy;
use tricast_testkit::redis::Redis;

use crate::client::watchdog;
use crate::server::{Server, rules};

/// Which server.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Redis,
}

/// A server that keeps logs.
pub(crate) enum Keeper {
    Redis(Redis),
}

impl Keeper {
    fn start(kind: Kind) -> Self {
        match kind {
            Kind::Redis => Self::Redis(Redis::options().append_only().start()),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Redis(redis) => redis.address(),
        }
    }

    pub(crate) async fn node(&self, address: SocketAddr) -> Box<dyn Backplane> {
        match self {
            Self::Redis(_) => Box::new(tricast_redis::Redis::connect(format!("redis://{address}")).await.unwrap()),
        }
    }

    pub(crate) fn kill(&mut self) {
        match self {
            Self::Redis(redis) => redis.kill(),
        }
    }

    pub(crate) fn restart(&mut self) {
        match self {
            Self::Redis(redis) => redis.restart(),
        }
    }

    pub(crate) fn restart_empty(&mut self) {
        match self {
            Self::Redis(redis) => redis.restart_empty(),
        }
    }

    pub(crate) fn pause(&self) {
        match self {
            Self::Redis(redis) => redis.pause(),
        }
    }

    pub(crate) fn resume(&self) {
        match self {
            Self::Redis(redis) => redis.resume(),
        }
    }
}

/// Two nodes on a server.
pub(crate) struct Shared {
    nodes: Server,
    /// What stands between each node and the server.
    pub(crate) proxies: Vec<Proxy>,
    pub(crate) server: Keeper,
}

impl Shared {
    pub(crate) async fn start(kind: Kind) -> Self {
        let server = Keeper::start(kind);
        let proxies = vec![Proxy::start(server.address()), Proxy::start(server.address())];
        let mut nodes = Vec::new();
        for proxy in &proxies {
            nodes.push(rules(Tricast::builder()).backplane(server.node(proxy.address()).await));
        }
        Self { nodes: Server::of_nodes(nodes).await, proxies, server }
    }

    /// Where a load balancer passes connections on to either.
    pub(crate) fn address(&self) -> SocketAddr {
        self.nodes.address
    }

    /// Waits until a node says that it should be given no connections.
    pub(crate) async fn is_unready(&self) -> bool {
        let unready = async {
            while !matches!(self.nodes.tricast.ready().await, Err(NotReady::Backplane(_))) {
                // Asked again and again, as a load balancer does.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        watchdog("a node says that its backplane is down", unready).await;
        true
    }

    /// Publishes to a server that does not answer: is told so, no later than the bound that backplanes state.
    pub(crate) async fn publishes_fail_in_time(&self) {
        let begun = Instant::now();
        let draft = Draft::json("in time").unwrap();
        let answer = watchdog("an answer", self.nodes.tricast.publish("chat:other", draft)).await;
        assert!(matches!(answer, Err(PublishError::Backplane(_))), "{answer:?}");
        // Two seconds are the bound, and a machine may be slow.
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}
