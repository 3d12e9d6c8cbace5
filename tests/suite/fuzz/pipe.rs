//! A node behind pipes in memory, on a clock that jumps over whatever it waits for.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::ConnectInfo;
use axum::serve::Listener;
use axum::{Extension, Router};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tricast::{Access, Jwt, Rule, Tricast};

/// More than a poll waits, and than a WebSocket's two heartbeats. No second of it passes.
const LONGEST: Duration = Duration::from_secs(120);

/// More than an answer to anything that is tried, so that writing it never waits.
const PIPE: usize = 8 << 20;

thread_local! {
    static NODE: Node = Node::start();
}

/// What a server writes to a connection on which this arrives.
pub(super) fn exchange(input: &[u8]) -> Vec<u8> {
    NODE.with(|node| node.runtime.block_on(node.exchange(input)))
}

struct Node {
    runtime: Runtime,
    connect: mpsc::UnboundedSender<DuplexStream>,
}

impl Node {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (connect, incoming) = mpsc::unbounded_channel();
        runtime.block_on(async {
            let open = |rule: Rule| rule.keep(20).publish(Access::Anyone);
            let builder = Tricast::builder().rule("chat:{room}", open(Rule::stream()).presence());
            let builder = builder.rule("map:{board}", open(Rule::state())).rule("news:{topic}", Rule::stream());
            let builder = builder.rule("own:{user}", Rule::stream().subscribe(Access::Owner));
            // Whatever a head may say of who somebody is and where they come from is looked at.
            let builder = builder.authenticate(Jwt::hs256([7; 32]).cookie("session").optional());
            let builder = builder.allowed_origins(["https://app.example"]).trusted_proxies(["127.0.0.0/8"]);
            let tricast = builder.connections_per_ip(1_000_000).build().await.unwrap();
            let peer = ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1)));
            let app = Router::new().nest("/rt", tricast.router()).layer(Extension(peer));
            tokio::spawn(axum::serve(Pipes(incoming), app).into_future());
        });
        Self { runtime, connect }
    }

    async fn exchange(&self, input: &[u8]) -> Vec<u8> {
        let (mut mine, theirs) = duplex(PIPE);
        assert!(self.connect.send(theirs).is_ok(), "the server has ended");
        // A server that refuses early does not read to the end.
        let _ = mine.write_all(input).await;
        let mut output = Vec::new();
        // Some connections are kept open.
        let _ = timeout(LONGEST, mine.read_to_end(&mut output)).await;
        output
    }
}

struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Pipes {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(pipe) => (pipe, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}
