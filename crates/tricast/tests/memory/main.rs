//! What a connection costs, by the allocator: while nothing happens, and while its peer reads nothing.
//!
//! The peers are bare sockets of this thread that allocate nothing, so whatever is allocated is the server's. The
//! kernel's buffers are not counted: a connection that stalls fills those first.

#![allow(clippy::panic, clippy::unwrap_used, reason = "the lints spare tests, but not the functions that they share")]

mod hostile;

use std::alloc::System;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tricast::{Access, Draft, Rule, Start, Tricast};
use tricast_testkit::WATCHDOG;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What a connection may cost. The numbers stand in `docs/guarantees.md`.
struct Way {
    name: &'static str,
    /// While nothing happens.
    idle: i64,
    /// The request, and what the answer to it must have told before the connection is idle.
    head: &'static str,
    target: &'static str,
    told: &'static str,
    /// How many requests make it stall: the kernel takes the answers to the first ones.
    requests: usize,
}

const KIB: i64 = 1024;

/// What a peer that reads nothing may cost above that: one batch, which is 256 KiB of payload and here 64 KiB of
/// envelopes.
const STALLED: i64 = 320 * KIB;

const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: tricast.v1\r\n";

const WAYS: [Way; 4] = [
    Way { name: "ws", idle: 5 * KIB, head: UPGRADE, target: "ws?", told: "\"subscribed\"", requests: 1 },
    Way { name: "raw sse", idle: 28 * KIB, head: "", target: "sse?", told: "id: ", requests: 1 },
    Way { name: "sse", idle: 28 * KIB, head: "", target: "sse?envelope=1&", told: "\"subscribed\"", requests: 1 },
    // A poll that waits is told nothing.
    Way { name: "poll", idle: 28 * KIB, head: "", target: "poll?wait=60&", told: "", requests: 40 },
];

/// Messages of the size that makes a batch's envelopes heavy, and still fills it by bytes.
const MESSAGE: usize = 600;

/// What the log keeps, which is many batches and more than the kernel takes for a connection.
const KEPT: u64 = 30_000;

struct Node {
    runtime: Runtime,
    tricast: Tricast,
    address: SocketAddr,
}

impl Node {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (tricast, address) = runtime.block_on(async {
            let flood = Rule::stream().keep(KEPT).keep_bytes(1 << 30).publish(Access::Server);
            // Nobody is to be cut, or told anything, before all has been counted.
            let never = WATCHDOG * 10;
            let builder = Tricast::builder().rule("quiet", Rule::stream()).rule("flood", flood);
            let builder = builder.write_timeout(never).heartbeat_ws(never).heartbeat_sse(never);
            let tricast = builder.build().await.unwrap();
            let listener = tricast::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let app = axum::Router::new().nest("/rt", tricast.router());
            tokio::spawn(tricast::serve(listener, app).write_timeout(never).into_future());
            (tricast, address)
        });
        Self { runtime, tricast, address }
    }

    /// Where the next message of a channel comes after.
    fn position(&self, channel: &str) -> tricast::Position {
        let channel = self.tricast.channel(channel).unwrap();
        self.runtime.block_on(async { channel.read(Start::Latest).await.unwrap().position() })
    }

    fn flood(&self, messages: u64) {
        let payload = "x".repeat(MESSAGE);
        self.runtime.block_on(async {
            for _ in 0..messages {
                self.tricast.publish("flood", Draft::json(&payload).unwrap()).await.unwrap();
            }
        });
    }

    /// A connection whose kernel holds as little as it may of what is not read.
    fn connect(&self, way: &Way, query: &str, times: usize) -> TcpStream {
        let stream = self.runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.connect(self.address).await.unwrap().into_std().unwrap()
        });
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        let request = format!("GET /rt/{}{query} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", way.target, way.head);
        (&stream).write_all(request.repeat(times).as_bytes()).unwrap();
        stream
    }

    /// Waits until so many connections are there, and nothing is done for any of them any more.
    fn settle(&self, connections: usize) -> i64 {
        let begun = Instant::now();
        let (mut before, mut quiet) = (in_use(), 0);
        while quiet < 10 || self.tricast.connections() != connections {
            assert!(begun.elapsed() < WATCHDOG, "{} connections, not {connections}", self.tricast.connections());
            // Nothing tells when a server has done all that it can.
            sleep(Duration::from_millis(20));
            let now = in_use();
            quiet = if now == before { quiet + 1 } else { 0 };
            before = now;
        }
        before
    }
}

/// Bytes that are allocated now.
fn in_use() -> i64 {
    let stats = ALLOCATOR.stats();
    i64::try_from(stats.bytes_allocated).unwrap() - i64::try_from(stats.bytes_deallocated).unwrap()
}

/// Reads up to what must come, and nothing after it.
fn read_until(mut stream: &TcpStream, wanted: &str) {
    let (mut seen, mut length) = ([0; 4096], 0);
    while !seen[..length].windows(wanted.len().max(1)).any(|window| window == wanted.as_bytes()) {
        let read = stream.read(&mut seen[length..]).unwrap();
        assert!(read > 0, "the connection ended after {:?}", String::from_utf8_lossy(&seen[..length]));
        length += read;
    }
}

fn assert_idle(node: &Node, way: &Way) {
    const CONNECTIONS: usize = 200;
    let query = format!("channel=quiet&cursor={}", node.position("quiet"));
    let open = || {
        let stream = node.connect(way, &query, 1);
        if !way.told.is_empty() {
            read_until(&stream, way.told);
        }
        stream
    };
    // What the first ones make the server set up is none of the others' cost.
    let first: Vec<TcpStream> = (0..8).map(|_| open()).collect();
    let mut idle = Vec::with_capacity(CONNECTIONS);
    let before = node.settle(first.len());
    idle.extend((0..CONNECTIONS).map(|_| open()));
    let each = (node.settle(first.len() + CONNECTIONS) - before) / i64::try_from(CONNECTIONS).unwrap();
    println!("{}: {each} bytes for a connection that is idle", way.name);
    assert!(each <= way.idle, "{}: an idle connection costs {each} bytes", way.name);
    drop((first, idle));
    node.settle(0);
}

fn assert_stalled(node: &Node, way: &Way) {
    const CONNECTIONS: u32 = 12;
    let before = node.settle(0);
    let head = node.position("flood");
    // Each at a place of its own, so that no two share a batch.
    let stalled: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|nth| {
            let from = tricast::Position::new(head.epoch, head.seq.back(KEPT - 1_000 - u64::from(nth) * 37));
            node.connect(way, &format!("channel=flood&cursor={from}"), way.requests)
        })
        .collect();
    // A poll is over when its answer is made.
    let connections = if way.requests == 1 { stalled.len() } else { 0 };
    node.settle(connections);
    node.flood(KEPT);
    let each = (node.settle(connections) - before) / i64::from(CONNECTIONS);
    println!("{}: {each} bytes for a connection that stalls", way.name);
    assert!(each <= way.idle + STALLED, "{}: a connection that stalls costs {each} bytes", way.name);
    assert!(each > 128 * KIB, "{}: with {each} bytes none holds a batch, so none has stalled", way.name);
    drop(stalled);
    node.settle(0);
}

/// One test, for two at a time would count each other's.
#[test]
fn a_connection_costs_no_more_than_is_promised_and_gives_it_back() {
    let node = Node::start();
    for way in &WAYS {
        assert_idle(&node, way);
    }
    // Full twice over, so that what is forgotten makes room for what comes, and the log costs the same from here on.
    node.flood(2 * KEPT);
    for way in &WAYS {
        assert_stalled(&node, way);
    }
    hostile::assert_given_back(&node);
}
