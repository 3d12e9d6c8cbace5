//! A node under test, on a free port.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::task::JoinHandle;
use tricast::{Access, Appended, Builder, Draft, Rule, Serve, Tricast};
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::entropy::Seeded;
use tricast_testkit::nats::Nats;
use tricast_testkit::redis::Redis;
use tricast_testkit::store::Store;

use crate::balancer::Balancer;

/// Where the logs are kept. On any but the first a server is two nodes behind a load balancer, which gives each
/// connection to the other node than the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backplane {
    /// In the node's own memory.
    Memory,
    /// In a store in this process.
    Store,
    /// In a Redis server.
    Redis,
    /// In a NATS server.
    Nats,
}

impl Backplane {
    /// Whether the logs are in this process.
    pub(crate) fn is_in_process(self) -> bool {
        matches!(self, Self::Memory | Self::Store)
    }
}

/// Servers that are only held: they end with this.
type Kept = Vec<Box<dyn Debug + Send + Sync>>;

/// How many stores there were: no two have the same epochs.
static STORES: AtomicU64 = AtomicU64::new(1);

/// What `few:` channels keep, and how many keys `small:` ones may have.
pub(crate) const FEW: u64 = 3;

/// How many bytes the keys of `light:` channels may have.
pub(crate) const LIGHT: u64 = 10_000;

/// How long `brief:` channels keep a message, and `typing:` ones a key.
pub(crate) const BRIEF: Duration = Duration::from_secs(60);

/// `chat:` is open and keeps all that a test writes, `map:` is its like among the states; the others are named after
/// what is different.
pub(crate) fn rules(builder: Builder) -> Builder {
    let open = || Rule::stream().keep(10_000).publish(Access::Anyone);
    let state = || Rule::state().publish(Access::Anyone);
    builder
        .rule("chat:{room}", open())
        .rule("few:{room}", open().keep(FEW))
        .rule("brief:{room}", open().ttl(BRIEF))
        .rule("news:{topic}", open().publish(Access::Server))
        .rule("secret:{topic}", open().subscribe(Access::Server))
        .rule("map:{board}", state())
        .rule("small:{board}", state().keep(FEW))
        .rule("light:{board}", state().keep_bytes(LIGHT))
        .rule("typing:{room}", state().ttl(BRIEF))
}

/// A running node, or two. It ends, and its connections are cut, when this value goes.
#[derive(Debug)]
pub(crate) struct Server {
    /// The node, or the first of the two.
    pub(crate) tricast: Tricast,
    pub(crate) address: SocketAddr,
    addresses: Vec<SocketAddr>,
    nodes: Vec<Tricast>,
    /// That of the nodes, and of their logs; a server of its own has the machine's, and so have then its nodes.
    clock: Option<Arc<VirtualClock>>,
    backplane: Backplane,
    _kept: Kept,
    /// Before more than one node.
    balancer: Option<Balancer>,
    /// What serves each node.
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    pub(crate) async fn start(backplane: Backplane) -> Self {
        Self::start_with(backplane, |builder| builder, |serve| serve).await
    }

    /// Starts a node with settings of its own.
    pub(crate) async fn start_with(
        backplane: Backplane,
        build: impl FnOnce(Builder) -> Builder,
        settle: impl Fn(Serve) -> Serve,
    ) -> Self {
        Self::start_nodes(backplane, build, settle, mount).await
    }

    /// Starts an application around a node, which is alone.
    pub(crate) async fn start_app(
        build: impl FnOnce(Builder) -> Builder,
        settle: impl Fn(Serve) -> Serve,
        app: impl FnOnce(&Tricast) -> Router,
    ) -> Self {
        let app = Mutex::new(Some(app));
        let once = |tricast: &Tricast| app.lock().unwrap().take().map(|app| app(tricast)).unwrap_or_default();
        Self::start_nodes(Backplane::Memory, build, settle, once).await
    }

    async fn start_nodes(
        backplane: Backplane,
        build: impl FnOnce(Builder) -> Builder,
        settle: impl Fn(Serve) -> Serve,
        mount: impl Fn(&Tricast) -> Router,
    ) -> Self {
        let mut clock = Some(Arc::new(VirtualClock::default()));
        let builder = build(rules(Tricast::builder()));
        let (builders, kept) = match (backplane, &clock) {
            (Backplane::Memory, Some(clock)) => (vec![builder.clock(Arc::clone(clock) as _)], Kept::new()),
            (Backplane::Store, Some(clock)) => {
                let builder = builder.clock(Arc::clone(clock) as _);
                let seed = STORES.fetch_add(1, Ordering::Relaxed);
                let store = Store::new(Arc::clone(clock) as _, Arc::new(Seeded::new(seed)));
                (vec![builder.clone().backplane(store.node()), builder.backplane(store.node())], Kept::new())
            }
            (Backplane::Nats, _) => {
                clock = None;
                let nats = Nats::start();
                let node = async || tricast_nats::Nats::connect(nats.url()).await.unwrap();
                (
                    vec![builder.clone().backplane(node().await), builder.backplane(node().await)],
                    vec![Box::new(nats) as _],
                )
            }
            _ => {
                clock = None;
                let redis = Redis::start();
                let node = async || tricast_redis::Redis::connect(redis.url()).await.unwrap();
                (
                    vec![builder.clone().backplane(node().await), builder.backplane(node().await)],
                    vec![Box::new(redis) as _],
                )
            }
        };
        let mut server = Self::serve(builders, settle, mount).await;
        (server.clock, server.backplane, server._kept) = (clock, backplane, kept);
        server
    }

    /// Starts nodes that have what keeps their logs, behind a load balancer.
    pub(crate) async fn of_nodes(builders: Vec<Builder>) -> Self {
        Self::serve(builders, |serve| serve, mount).await
    }

    async fn serve(
        builders: Vec<Builder>,
        settle: impl Fn(Serve) -> Serve,
        mount: impl Fn(&Tricast) -> Router,
    ) -> Self {
        let mut nodes = Vec::new();
        for builder in builders {
            nodes.push(builder.build().await.unwrap());
        }
        let (mut tasks, mut addresses) = (Vec::new(), Vec::new());
        for tricast in &nodes {
            let listener = tricast::bind("127.0.0.1:0").await.unwrap();
            addresses.push(listener.local_addr().unwrap());
            let serve = settle(tricast::serve(listener, mount(tricast)));
            tasks.push(tokio::spawn(async move { serve.await.unwrap() }));
        }
        let balancer = match addresses[..] {
            [_] => None,
            _ => Some(Balancer::start(addresses.clone()).await),
        };
        let address = balancer.as_ref().map_or(addresses[0], |balancer| balancer.address);
        let (tricast, clock, backplane) = (nodes[0].clone(), None, Backplane::Memory);
        Self { tricast, address, addresses, nodes, clock, backplane, _kept: Kept::new(), balancer, tasks }
    }

    /// Restarts one of several nodes as it is done in a deployment: it drains, and then another takes its place.
    pub(crate) async fn replace(&mut self, nth: usize, builder: Builder) {
        let balancer = self.balancer.as_ref().unwrap();
        balancer.remove(self.addresses[nth]);
        self.nodes[nth].drain(Duration::from_secs(2)).await;
        self.tasks[nth].abort();
        let mut other = Self::serve(vec![builder], |serve| serve, mount).await;
        balancer.add(other.address);
        self.addresses[nth] = other.address;
        self.nodes[nth] = other.nodes.remove(0);
        self.tasks[nth] = other.tasks.remove(0);
        self.tricast = self.nodes[0].clone();
    }

    /// A node that keeps one channel, `chat:a`, and has no room for a second as long as the reader is held.
    pub(crate) async fn start_full(backplane: Backplane) -> (Self, tricast::Reader) {
        let server = Self::start_with(backplane, |builder| builder.channels(1), |serve| serve).await;
        let reader = server.tricast.channel("chat:a").unwrap().read(tricast::Start::Latest).await.unwrap();
        (server, reader)
    }

    /// A node whose logs begin anew: what readers meet after the embedded backplane's process was restarted.
    pub(crate) async fn begin_anew(self) -> Self {
        let backplane = self.backplane;
        drop(self);
        Self::start(backplane).await
    }

    /// Publishes as the server; returns the position.
    pub(crate) async fn publish(&self, channel: &str, data: impl Into<Value>) -> String {
        self.append(channel, Draft::json(&data.into()).unwrap()).await.position.to_string()
    }

    /// Publishes the numbers of a range, each as its own message; returns their positions.
    pub(crate) async fn publish_all(&self, channel: &str, numbers: impl IntoIterator<Item = u64>) -> Vec<String> {
        let mut positions = Vec::new();
        for number in numbers {
            positions.push(self.publish(channel, number).await);
        }
        positions
    }

    pub(crate) async fn append(&self, channel: &str, draft: Draft) -> Appended {
        self.tricast.publish(channel, draft).await.unwrap()
    }

    /// The epoch of a channel that has been written to.
    pub(crate) async fn epoch(&self, channel: &str) -> String {
        let reader = self.tricast.channel(channel).unwrap().read(tricast::Start::Latest).await.unwrap();
        reader.position().epoch.to_string()
    }

    /// Lets time pass on the node's clock, by which messages age.
    pub(crate) fn let_pass(&self, time: Duration) {
        self.clock.as_ref().expect("a scenario by the clock").advance(time);
    }

    /// Lets time pass on the node's clock and on the runtime's: a second of the one is a second of the other.
    pub(crate) async fn let_really_pass(&self, time: Duration) {
        self.let_pass(time);
        pass_on_timers(time).await;
    }

    /// Where each of two nodes is.
    pub(crate) fn addresses(&self) -> [SocketAddr; 2] {
        [self.addresses[0], self.addresses[1]]
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.nodes.iter().map(Tricast::connections).sum()
    }

    /// The authority that a browser on this machine would call it by.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn mount(tricast: &Tricast) -> Router {
    Router::new().nest("/rt", tricast.router())
}

/// Lets time pass by which timers go off, but not the node's clock.
pub(crate) async fn pass_on_timers(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
