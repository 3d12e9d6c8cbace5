//! In an application: its own routes and state, another path, another server, and reading from Rust.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tricast::{Draft, Read, ReadError, Rule, SseRequest, Start, Tricast};

use crate::client::http::Request as HttpRequest;
use crate::client::{Poll, Query, Reader, Sse, Transport, Ws, eventually, type_of, upgrade, watchdog};
use crate::server::{BRIEF, Backplane, Server};

/// What an application has besides Tricast.
#[derive(Clone)]
struct App {
    tricast: Tricast,
    greeting: Arc<str>,
}

impl FromRef<App> for Tricast {
    fn from_ref(app: &App) -> Self {
        app.tricast.clone()
    }
}

async fn notifications(State(t): State<Tricast>, Path(channels): Path<String>, request: SseRequest) -> Response {
    channels.split('+').fold(t.sse(request), tricast::SseResponse::channel).respond()
}

async fn from_the_beginning(State(t): State<Tricast>, Path(channel): Path<String>, request: SseRequest) -> Response {
    t.sse(request).channel(channel).start(Start::Earliest).envelope().respond()
}

async fn greet(State(app): State<App>) -> String {
    app.greeting.to_string()
}

fn app(tricast: &Tricast) -> Router {
    Router::new()
        .route("/greeting", get(greet))
        .route("/notifications/{channels}", get(notifications))
        .route("/all/{channel}", get(from_the_beginning))
        .nest("/deep/er", tricast.router())
        .with_state(App { tricast: tricast.clone(), greeting: "hello".into() })
}

async fn start(app: impl FnOnce(&Tricast) -> Router) -> Server {
    Server::start_app(|builder| builder, |serve| serve, app).await
}

/// The application has decided that the caller may read: the rule's `subscribe` is not asked.
#[tokio::test]
async fn an_application_streams_from_its_own_route() {
    let server = start(app).await;
    let mut sse = Sse::of(HttpRequest::get("/notifications/secret:42"), server.address).await;
    assert!(sse.block().await.retry.is_some());
    let epoch = server.epoch("secret:42").await;
    assert_eq!(sse.block().await.text, format!("id: {epoch}-0"));
    server.append("secret:42", Draft::json("hi").unwrap().event("order.created")).await;
    assert_eq!(sse.block().await.text, format!("id: {epoch}-1\nevent: order.created\ndata: \"hi\""));
    drop(sse);

    server.publish("secret:42", 2).await;
    let request = HttpRequest::get("/notifications/secret:42").header("Last-Event-ID", format!("{epoch}-1"));
    let mut resumed = Sse::of(request, server.address).await;
    while resumed.block().await.data.as_deref() != Some("2") {}
    assert_eq!(HttpRequest::get("/greeting").send(server.address).await.text().await, "hello");
}

#[tokio::test]
async fn an_applications_route_can_stream_several_channels_and_the_past() {
    let server = start(app).await;
    server.publish("secret:1", "past").await;
    let mut several = Sse::of(HttpRequest::get("/notifications/secret:1+chat:b"), server.address).await;
    several.expect_envelopes();
    assert_eq!(type_of(&several.next_event().await), "welcome");
    let mut past = Sse::of(HttpRequest::get("/all/secret:1"), server.address).await;
    past.expect_envelopes();
    let message = loop {
        let event = past.next_event().await;
        if type_of(&event) == "message" {
            break event;
        }
    };
    assert_eq!((&message["channel"], &message["data"]), (&json!("secret:1"), &json!("past")));
}

#[tokio::test]
async fn an_applications_route_is_refused_by_the_rules() {
    let server = start(app).await;
    for (channels, status, code) in [
        ("nowhere", 404, "unknown_channel"),
        ("chat:a+nowhere", 404, "unknown_channel"),
        ("a%20b", 400, "bad_request"),
        ("chat:a+chat:a", 400, "bad_request"),
    ] {
        let response = HttpRequest::get(format!("/notifications/{channels}")).send(server.address).await;
        assert_eq!(response.status, status, "{channels}");
        assert_eq!(response.json().await["code"], code);
    }
}

#[tokio::test]
async fn the_routes_work_under_any_path() {
    let server = start(app).await;
    let send = HttpRequest::post("/deep/er/send", r#"{"type":"publish","channel":"chat:a","data":1}"#);
    assert_eq!(send.send(server.address).await.status, 200);
    let mut ws = Ws::plain(server.address, "/deep/er/ws?channel=chat:a&from=earliest").await;
    assert_eq!(ws.until("message").await["data"], 1);
    let mut sse = Sse::of(HttpRequest::get("/deep/er/sse?channel=chat:a&from=earliest"), server.address).await;
    while sse.block().await.data.as_deref() != Some("1") {}
    let poll = HttpRequest::get("/deep/er/poll?channel=chat:a&from=earliest").send(server.address).await;
    assert_eq!(poll.json().await["events"][1]["data"], 1);
    assert_eq!(HttpRequest::get("/rt/poll?channel=chat:a").send(server.address).await.status, 404);
}

/// The same middleware guards all transports.
#[tokio::test]
async fn the_applications_middleware_stands_before_every_endpoint() {
    async fn guard(request: Request, next: Next) -> Response {
        if request.headers().contains_key("x-session") {
            return next.run(request).await;
        }
        StatusCode::UNAUTHORIZED.into_response()
    }
    let guarded = |tricast: &Tricast| Router::new().nest("/rt", tricast.router()).layer(middleware::from_fn(guard));
    let server = start(guarded).await;
    let requests = || {
        [
            (upgrade("/rt/ws"), 101),
            (HttpRequest::get("/rt/sse?channel=chat:a"), 200),
            (HttpRequest::get("/rt/poll?channel=chat:a"), 200),
            (HttpRequest::post("/rt/send", r#"{"type":"ping"}"#), 200),
            (HttpRequest::get("/rt/client.js"), 200),
            (HttpRequest::get("/rt/share.js"), 200),
        ]
    };
    for (request, status) in requests() {
        assert_eq!(request.clone().send(server.address).await.status, 401, "{request:?}");
        let admitted = request.header("X-Session", "yes").send(server.address).await;
        assert_eq!(admitted.status, status);
    }
}

/// `tricast::serve` is better, `axum::serve` stays supported.
#[tokio::test]
async fn plain_axum_serve_works_for_every_transport() {
    let rule = Rule::stream().publish(tricast::Access::Anyone);
    let tricast = Tricast::builder().rule("chat:{room}", rule).build().await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().nest("/rt", tricast.router());
    let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    for transport in Transport::ALL {
        let mut reader = Reader::open_at(transport, address, &Query::of("chat:a")).await;
        let publish = HttpRequest::post("/rt/send", r#"{"type":"publish","channel":"chat:a","data":1}"#);
        assert_eq!(publish.send(address).await.status, 200);
        assert_eq!(reader.message().await["data"], 1, "{transport:?}");
        let seq = reader.cursor();
        let mut resumed = Reader::open_at(transport, address, &Query::of("chat:a").cursor(seq)).await;
        tricast.publish("chat:a", Draft::json(&2).unwrap()).await.unwrap();
        assert_eq!(resumed.message().await["data"], 2, "{transport:?}");
    }
    eventually("who left is forgotten", || tricast.connections() == 0).await;
    serving.abort();
}

#[tokio::test]
async fn a_channel_is_read_from_rust_as_a_stream() {
    let server = Server::start(Backplane::Memory).await;
    server.publish_all("chat:a", 1..=2).await;
    let channel = server.tricast.channel("chat:a").unwrap();
    let mut reader = channel.read(Start::Earliest).await.unwrap();
    server.publish("chat:a", 3).await;
    for number in 1..=3u64 {
        let Some(Read::Message(message)) = watchdog("a message", reader.next()).await else { panic!("a gap") };
        assert_eq!(message.json::<u64>().unwrap(), number);
        assert_eq!((message.position().seq.get(), reader.position()), (number, message.position()));
    }
    let later = tokio::spawn(async move { watchdog("a live message", reader.next()).await });
    channel.publish(Draft::binary([1u8])).await.unwrap();
    let Some(Read::Message(message)) = later.await.unwrap() else { panic!("a gap") };
    assert!(message.json::<Value>().is_err(), "a binary payload is no JSON");
}

/// It holds no queue: what it was not asked for stays in the log, and where the log forgets it, a gap says so.
#[tokio::test]
async fn a_rust_reader_that_falls_behind_is_told_of_a_gap() {
    let server = Server::start(Backplane::Memory).await;
    let channel = server.tricast.channel("few:a").unwrap();
    let mut reader = channel.read(Start::Latest).await.unwrap();
    server.publish_all("few:a", 1..=10).await;
    let Some(Read::Gap(gap)) = watchdog("a gap", reader.next()).await else { panic!("silent loss") };
    assert_eq!((gap.position.seq.get(), gap.head.seq.get(), reader.position()), (7, 10, gap.position));
    for seq in 8..=10 {
        let Some(Read::Message(message)) = watchdog("a message", reader.next()).await else { panic!("a gap") };
        assert_eq!(message.position().seq.get(), seq);
    }
    let unknown = server.tricast.channel("nowhere").unwrap().read(Start::Latest).await.err();
    assert_eq!(unknown, Some(ReadError::UnknownChannel("nowhere".parse().unwrap())));
}

/// A node that keeps as many channels as it may forgets one that nobody reads; who comes back to it is told.
#[tokio::test]
async fn a_channel_that_made_room_for_another_is_a_gap_to_its_readers() {
    let server = Server::start_with(Backplane::Memory, |builder| builder.channels(1), |serve| serve).await;
    let position = server.publish("chat:a", 1).await;
    server.publish("chat:b", 1).await;
    server.publish("chat:a", 2).await;
    let mut reader = Reader::open(Transport::Ws, &server, &Query::of("chat:a").cursor(&position)).await;
    assert_eq!(reader.gap().await["reason"], "epoch");
    assert_eq!(reader.message().await["data"], 2);
}

/// What has expired is not delivered any more, to a reader that was there in time neither.
#[tokio::test]
async fn a_rust_reader_that_comes_late_for_what_expired_is_told_of_a_gap() {
    let server = Server::start(Backplane::Memory).await;
    let mut reader = server.tricast.channel("brief:a").unwrap().read(Start::Latest).await.unwrap();
    server.publish_all("brief:a", 1..=2).await;
    server.let_pass(BRIEF * 2);
    let Some(Read::Gap(gap)) = watchdog("a gap", reader.next()).await else { panic!("old news") };
    assert_eq!((gap.position.seq.get(), gap.head.seq.get()), (2, 2));
    server.publish("brief:a", 3).await;
    let Some(Read::Message(message)) = watchdog("a message", reader.next()).await else { panic!("a gap") };
    assert_eq!(message.position().seq.get(), 3);
}

/// A request that is held is no slow request: the deadline for heads does not end it.
#[tokio::test]
async fn streams_and_held_polls_outlive_the_header_timeout() {
    const SHORT: Duration = Duration::from_millis(200);
    let server = Server::start_with(
        Backplane::Memory,
        |builder| builder.heartbeat_sse(SHORT * 3),
        |serve| serve.header_timeout(SHORT),
    )
    .await;
    let position = server.publish("chat:a", 1).await;
    let mut sse = Sse::of(HttpRequest::get("/rt/sse?channel=chat:a"), server.address).await;
    let mut ws = Ws::plain(server.address, "/rt/ws?channel=chat:a").await;
    ws.until("subscribed").await;
    let held = Query::of("chat:a").cursor(&position).wait(1.0);
    assert!(Poll::new(Transport::PollGet, server.address, held).answer().await.events.is_empty());
    let mut comments = 0;
    while comments < 2 {
        comments += usize::from(sse.block().await.is_comment());
    }
    server.publish("chat:a", 2).await;
    assert_eq!(sse.next_event().await["data"], 2);
    assert_eq!(ws.next_event().await["data"], 2);
}

#[tokio::test]
async fn the_client_and_its_add_on_are_served_and_revalidated() {
    let server = Server::start(Backplane::Memory).await;
    for path in ["/rt/client.js", "/rt/share.js"] {
        let response = HttpRequest::get(path).send(server.address).await;
        assert_eq!((response.status, response.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
        let etag = response.header("etag").unwrap().to_owned();
        assert!(!response.text().await.is_empty());
        let again = HttpRequest::get(path).header("If-None-Match", etag).send(server.address).await;
        assert_eq!(again.status, 304);
        assert_eq!(HttpRequest::new("HEAD", path).send(server.address).await.status, 405);
    }
}

/// Issue 2: the `Host` check of a developer's machine, against DNS rebinding.
#[tokio::test]
async fn a_local_server_answers_only_to_local_names() {
    let listen = "127.0.0.1:8000".parse().unwrap();
    let build = |builder: tricast::Builder| builder.local_only(listen);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let requests = || {
        [
            upgrade("/rt/ws"),
            HttpRequest::get("/rt/sse?channel=chat:a"),
            HttpRequest::get("/rt/poll?channel=chat:a"),
            HttpRequest::post("/rt/send", r#"{"type":"ping"}"#),
        ]
    };
    for request in requests() {
        let rebound = request.clone().host("evil.example:8000").send(server.address).await;
        assert_eq!(rebound.status, 403);
        assert!(rebound.text().await.contains("evil.example"), "the culprit is named");
        assert!(request.host("localhost:1234").send(server.address).await.status < 300);
    }
    let mut poll = Poll::new(Transport::PollPost, server.address, Query::of("chat:a"));
    assert_eq!(poll.answer().await.types(), ["subscribed"]);
}
