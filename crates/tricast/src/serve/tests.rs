use std::convert::Infallible;
use std::sync::Arc;

use axum::response::Response;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::*;

/// No wait of these tests takes longer unless something is broken.
const WATCHDOG: Duration = Duration::from_secs(30);

/// Short enough to wait for in a test; nothing here must be faster than it.
const SOON: Duration = Duration::from_millis(200);

struct Running {
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<io::Result<()>>,
}

impl Running {
    /// Serves `app` on a free port, configured by `configure`. By default no timeout ends what a test waits for.
    async fn start(app: Router, configure: impl FnOnce(Serve) -> Serve) -> Self {
        let listener = bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let server = configure(patient(serve(listener, app))).shutdown(async {
            let _ = stopped.await;
        });
        let ended = tokio::spawn(server.into_future());
        Self { addr, stop, ended }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    /// Sends `GET path` on a connection of its own.
    async fn request(&self, path: &str) -> TcpStream {
        let mut stream = self.connect().await;
        send(&mut stream, path).await;
        stream
    }

    fn stop(self) -> JoinHandle<io::Result<()>> {
        self.stop.send(()).unwrap();
        self.ended
    }
}

fn patient(serve: Serve) -> Serve {
    serve.header_timeout(WATCHDOG * 2).write_timeout(WATCHDOG * 2).drain_timeout(WATCHDOG * 2)
}

async fn send(stream: &mut TcpStream, path: &str) {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
}

/// Reads up to the end of stream, or what came before a reset.
async fn rest_of(stream: &mut TcpStream) -> String {
    let mut seen = Vec::new();
    let _ = watched(stream.read_to_end(&mut seen)).await;
    String::from_utf8(seen).unwrap()
}

/// Reads up to and including `end`.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        seen.push(watched(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(seen).unwrap()
}

async fn watched<F: Future>(wait: F) -> F::Output {
    timeout(WATCHDOG, wait).await.expect("the watchdog")
}

fn hello() -> Router {
    Router::new().route("/", get("hello"))
}

/// A handler that says when it was called, and answers when it is let go.
fn held() -> (Router, Arc<Notify>, Arc<Notify>) {
    let (called, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (tell, wait) = (called.clone(), go.clone());
    let handler = move || async move {
        tell.notify_one();
        wait.notified().await;
        "held"
    };
    (Router::new().route("/", get(handler)), called, go)
}

#[tokio::test]
async fn a_half_sent_head_is_cut() {
    let server = Running::start(hello(), |serve| serve.header_timeout(SOON)).await;
    let mut stream = server.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    let seen = rest_of(&mut stream).await;
    assert!(!seen.contains("200 OK"), "{seen}");
}

#[tokio::test]
async fn a_burst_of_connections_waits_in_the_backlog() {
    let listener = bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let mut streams = Vec::new();
    // Nobody accepts yet: beyond the backlog a connect would hang.
    for _ in 0..400 {
        streams.push(watched(TcpStream::connect(addr)).await.unwrap());
    }
    let server = tokio::spawn(serve(listener, hello()).into_future());
    for stream in &mut streams {
        send(stream, "/").await;
        assert!(read_until(stream, "hello").await.contains("200 OK"));
    }
    server.abort();
}

/// Tells of its end by closing the channel.
struct Alive(#[expect(dead_code, reason = "held to be dropped")] oneshot::Sender<()>);

#[tokio::test]
async fn a_reader_that_takes_nothing_is_disconnected() {
    let (alive, gone) = oneshot::channel();
    let alive = Arc::new(std::sync::Mutex::new(Some(Alive(alive))));
    let app = Router::new().route(
        "/",
        get(move || async move {
            let alive = alive.lock().unwrap().take();
            let chunk = Bytes::from(vec![b'x'; 64 << 10]);
            let endless = stream::repeat_with(move || {
                let _ = &alive;
                Ok::<_, Infallible>(chunk.clone())
            });
            Response::new(Body::from_stream(endless))
        }),
    );
    let server = Running::start(app, |serve| serve.write_timeout(SOON)).await;
    let stream = server.request("/").await;
    assert!(watched(gone).await.is_err(), "the body was dropped");
    drop(stream);
}

#[tokio::test]
async fn a_reader_that_takes_its_time_between_events_stays() {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let app = Router::new().route(
        "/",
        get(move || async move {
            let events = stream::unfold(wait, |wait| async move {
                wait.notified().await;
                Some((Ok::<_, Infallible>(Bytes::from("event\n")), wait))
            });
            Response::new(Body::from_stream(events))
        }),
    );
    let server = Running::start(app, |serve| serve.write_timeout(SOON)).await;
    let mut stream = server.request("/").await;
    read_until(&mut stream, "\r\n\r\n").await;
    for _ in 0..2 {
        // Longer than the write timeout: idle is not slow.
        sleep(SOON * 2).await;
        go.notify_one();
        read_until(&mut stream, "event\n").await;
    }
}

#[tokio::test]
async fn a_response_in_flight_is_finished_before_the_server_ends() {
    let (app, called, go) = held();
    let server = Running::start(app, |serve| serve).await;
    let addr = server.addr;
    let mut stream = server.request("/").await;
    watched(called.notified()).await;
    let ended = server.stop();
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    go.notify_one();
    let seen = rest_of(&mut stream).await;
    assert!(seen.contains("200 OK") && seen.ends_with("held"), "{seen}");
    watched(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn idle_connections_do_not_hold_up_the_end() {
    let server = Running::start(hello(), |serve| serve).await;
    let mut silent = server.connect().await;
    let mut kept_alive = server.request("/").await;
    read_until(&mut kept_alive, "hello").await;
    watched(server.stop()).await.unwrap().unwrap();
    assert_eq!(rest_of(&mut silent).await, "");
    assert_eq!(rest_of(&mut kept_alive).await, "");
}

#[tokio::test]
async fn what_outlasts_the_drain_is_cut() {
    let (app, called, _go) = held();
    let server = Running::start(app, |serve| serve.drain_timeout(SOON)).await;
    let mut stream = server.request("/").await;
    watched(called.notified()).await;
    watched(server.stop()).await.unwrap().unwrap();
    assert_eq!(rest_of(&mut stream).await, "");
}

#[tokio::test]
async fn the_draining_step_runs_beside_the_connections() {
    let (app, called, go) = held();
    let (told, limit) = oneshot::channel();
    let server = Running::start(app, |serve| {
        serve.drain_timeout(WATCHDOG).draining(move |limit| async move {
            told.send(limit).unwrap();
            // What ends the long-lived connections.
            go.notify_one();
        })
    })
    .await;
    let mut stream = server.request("/").await;
    watched(called.notified()).await;
    watched(server.stop()).await.unwrap().unwrap();
    assert_eq!(limit.await.unwrap(), WATCHDOG);
    assert!(rest_of(&mut stream).await.ends_with("held"));
}

#[tokio::test]
async fn the_server_waits_for_the_draining_step() {
    let go = Arc::new(Notify::new());
    let wait = go.clone();
    let server = Running::start(hello(), |serve| serve.draining(move |_| async move { wait.notified().await })).await;
    let addr = server.addr;
    let ended = server.stop();
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ended.is_finished());
    go.notify_one();
    watched(ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn handlers_learn_who_connected() {
    let whoami = |ConnectInfo(peer): ConnectInfo<SocketAddr>| async move { peer.to_string() };
    let server = Running::start(Router::new().route("/", get(whoami)), |serve| serve).await;
    let mut stream = server.request("/").await;
    let local = stream.local_addr().unwrap().to_string();
    assert!(read_until(&mut stream, &local).await.contains("200 OK"));
}

#[tokio::test]
async fn an_address_in_use_is_an_error() {
    let first = bind("127.0.0.1:0").await.unwrap();
    let error = bind(first.local_addr().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

/// Slow-loris: whoever never finishes a head costs the others nothing.
#[tokio::test]
async fn fifty_half_sent_requests_are_cut_while_others_are_served() {
    let server = Running::start(hello(), |serve| serve.header_timeout(SOON)).await;
    let mut half_sent = Vec::new();
    for _ in 0..50 {
        let mut stream = server.connect().await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
        half_sent.push(stream);
    }
    for _ in 0..10 {
        let mut other = server.request("/").await;
        assert!(read_until(&mut other, "hello").await.contains("200 OK"));
    }
    for stream in &mut half_sent {
        let seen = rest_of(stream).await;
        assert!(!seen.contains("200 OK"), "{seen}");
    }
}

#[tokio::test]
async fn who_finds_no_room_waits_until_a_half_sent_request_is_cut() {
    let server = Running::start(hello(), |serve| serve.connections(2).header_timeout(SOON)).await;
    let mut half_sent = [server.connect().await, server.connect().await];
    for stream in &mut half_sent {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await.unwrap();
    }
    let mut other = server.request("/").await;
    assert!(read_until(&mut other, "hello").await.contains("200 OK"));
    for stream in &mut half_sent {
        rest_of(stream).await;
    }
}

#[tokio::test]
async fn an_upgraded_connection_keeps_its_place() {
    let (ended, has_ended) = oneshot::channel();
    let ended = Arc::new(std::sync::Mutex::new(Some(ended)));
    let upgrade = move |mut request: axum::extract::Request| async move {
        let ended = ended.lock().unwrap().take();
        let upgraded = hyper::upgrade::on(&mut request);
        tokio::spawn(async move {
            let mut io = TokioIo::new(upgraded.await.unwrap());
            let _ = io.read_to_end(&mut Vec::new()).await;
            let _ = ended.map(|ended| ended.send(()));
        });
        http::Response::builder()
            .status(101)
            .header("upgrade", "x")
            .header("connection", "upgrade")
            .body(Body::empty())
            .unwrap()
    };
    let has_ended = Arc::new(std::sync::Mutex::new(has_ended));
    let second = move || async move { has_ended.lock().unwrap().try_recv().map_or("too early", |()| "in turn") };
    let app = Router::new().route("/upgrade", get(upgrade)).route("/", get(second));
    let server = Running::start(app, |serve| serve.connections(1)).await;
    let mut upgraded = server.connect().await;
    upgraded.write_all(b"GET /upgrade HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n").await.unwrap();
    read_until(&mut upgraded, "\r\n\r\n").await;
    let mut other = server.request("/").await;
    // Time enough for the other to be served too early.
    sleep(SOON).await;
    drop(upgraded);
    let seen = read_until(&mut other, "n").await;
    assert!(!seen.contains("too early"), "{seen}");
    read_until(&mut other, "turn").await;
}

#[tokio::test]
async fn who_comes_too_fast_is_served_in_turn() {
    let server = Running::start(hello(), |serve| serve.accept_rate(10)).await;
    let mut crowd = Vec::new();
    for _ in 0..15 {
        crowd.push(server.request("/").await);
    }
    for stream in &mut crowd {
        assert!(read_until(stream, "hello").await.contains("200 OK"));
    }
}
