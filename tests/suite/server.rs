//! A node under test, on a free port.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::task::JoinHandle;
use tricast::{Access, Appended, Builder, Draft, Rule, Serve, Tricast};
use tricast_testkit::clock::VirtualClock;

/// Where the logs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backplane {
    /// In the node's own memory.
    Memory,
}

impl Backplane {
    /// A builder on this backplane, empty but for the rules of [`rules`].
    fn builder(self) -> Builder {
        match self {
            Self::Memory => rules(Tricast::builder()),
        }
    }
}

/// What `few:` channels keep, and how many keys `small:` ones may have.
pub(crate) const FEW: u64 = 3;

/// How many bytes the keys of `light:` channels may have.
pub(crate) const LIGHT: u64 = 10_000;

/// How long `brief:` channels keep a message, and `typing:` ones a key.
pub(crate) const BRIEF: Duration = Duration::from_secs(60);

/// `chat:` is open and keeps all that a test writes, `map:` is its like among the states; the others are named after
/// what is different.
fn rules(builder: Builder) -> Builder {
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

/// A running node. It ends, and its connections are cut, when this value goes.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) tricast: Tricast,
    pub(crate) address: SocketAddr,
    clock: Arc<VirtualClock>,
    backplane: Backplane,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(backplane: Backplane) -> Self {
        Self::start_with(backplane, |builder| builder, |serve| serve).await
    }

    /// Starts a node with settings of its own.
    pub(crate) async fn start_with(
        backplane: Backplane,
        build: impl FnOnce(Builder) -> Builder,
        settle: impl FnOnce(Serve) -> Serve,
    ) -> Self {
        let mount = |tricast: &Tricast| Router::new().nest("/rt", tricast.router());
        Self::start_app(backplane, build, settle, mount).await
    }

    /// Starts an application around a node.
    pub(crate) async fn start_app(
        backplane: Backplane,
        build: impl FnOnce(Builder) -> Builder,
        settle: impl FnOnce(Serve) -> Serve,
        app: impl FnOnce(&Tricast) -> Router,
    ) -> Self {
        let clock = Arc::new(VirtualClock::default());
        let builder = build(backplane.builder().clock(Arc::clone(&clock) as _));
        let tricast = builder.build().await.unwrap();
        let listener = tricast::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = settle(tricast::serve(listener, app(&tricast)));
        let task = tokio::spawn(async move { serve.await.unwrap() });
        Self { tricast, address, clock, backplane, task }
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
        self.clock.advance(time);
    }

    /// Lets time pass on the node's clock and on the runtime's: a second of the one is a second of the other.
    pub(crate) async fn let_really_pass(&self, time: Duration) {
        self.let_pass(time);
        pass_on_timers(time).await;
    }

    /// The authority that a browser on this machine would call it by.
    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// Lets time pass by which timers go off, but not the node's clock.
pub(crate) async fn pass_on_timers(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
