//! Going away. Protocol, 6 and 7: `bye` goes out at once and `after` carries the spread; a parked poll is released
//! with `bye` as its last event; what comes later is turned away such that it comes back.

use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tricast_testkit::WATCHDOG;

use crate::client::http::Request;
use crate::client::{Answer, Block, Closed, Poll, Query, Reader, Sse, Transport, Ws, eventually, type_of, watchdog};
use crate::server::{Backplane, Server};

/// Begins to drain; the task ends when every connection has.
fn drain(server: &Server) -> JoinHandle<()> {
    let tricast = server.tricast.clone();
    tokio::spawn(async move { tricast.drain(WATCHDOG * 2).await })
}

async fn assert_drained(server: &Server, draining: JoinHandle<()>) {
    watchdog("the drain", draining).await.unwrap();
    assert_eq!(server.connections(), 0);
}

fn assert_bye(bye: &Value) {
    assert_eq!((type_of(bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("draining"), &json!(true)), "{bye}");
    assert!(bye["after"].is_u64(), "{bye}");
    assert!(bye["reason"].is_string(), "{bye}");
}

#[tokio::test]
async fn a_socket_is_told_when_to_come_back_and_closed() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    ws.until("subscribed").await;
    let draining = drain(&server);
    assert_bye(&ws.next_event().await);
    assert_eq!(ws.closed().await, Closed { code: 1001, reason: "draining".to_owned() });
    drop(ws);
    assert_drained(&server, draining).await;
}

/// When an open GET stream is drained, a `retry:` equal to `after` goes out with `bye`.
#[tokio::test]
async fn a_stream_is_told_when_to_come_back_and_ends() {
    for transport in [Transport::RawSse, Transport::SseGet, Transport::SsePost] {
        let server = Server::start(Backplane::Memory).await;
        server.publish("chat:a", 1).await;
        let query = Query::of("chat:a").from("earliest");
        let mut sse = Sse::open(transport, server.address, &query).await;
        while type_of(&sse.next_event().await) != "message" {}
        let id = sse.last_id().map(str::to_owned);
        let draining = drain(&server);

        let block = sse.block().await;
        let bye = block.json();
        assert_bye(&bye);
        let (retry, event) = match transport {
            Transport::RawSse => (bye["after"].as_u64(), Some("tricast:bye")),
            Transport::SseGet => (bye["after"].as_u64(), None),
            _ => (None, None),
        };
        let Block { id: None, event: named, retry: said, .. } = &block else { panic!("{block:?}") };
        assert_eq!((*said, named.as_deref()), (retry, event), "{transport:?}");
        assert_eq!(sse.last_id(), id.as_deref(), "the reader's place is kept");
        assert_eq!(sse.try_block().await, None);
        assert_drained(&server, draining).await;
    }
}

#[tokio::test]
async fn a_parked_poll_is_released_with_bye_as_its_last_event() {
    for transport in [Transport::PollGet, Transport::PollPost] {
        let server = Server::start(Backplane::Memory).await;
        let position = server.publish("chat:a", 1).await;
        let query = Query::of("chat:a").cursor(&position).wait(60.0);
        let (request, address) = (Poll::new(transport, server.address, query).request(), server.address);
        let parked = tokio::spawn(async move { Answer::read(request.send(address).await).await });
        eventually("the poll is held", || server.connections() == 1).await;
        let draining = drain(&server);
        let answer = parked.await.unwrap();
        assert_eq!((answer.events.len(), &answer.cursor), (1, &position));
        assert_bye(&answer.events[0]);
        assert_drained(&server, draining).await;
    }
}

#[tokio::test]
async fn who_comes_while_draining_is_turned_away_and_told_to_come_back() {
    let server = Server::start(Backplane::Memory).await;
    assert_drained(&server, drain(&server)).await;

    for transport in [Transport::PollGet, Transport::PollPost, Transport::SsePost] {
        let response = Query::of("chat:a").request(transport).send(server.address).await;
        assert_eq!(response.status, 503, "{transport:?}");
        assert!(response.header("retry-after").is_some_and(|after| after.parse::<u64>().is_ok()));
        assert_eq!(response.json().await["code"], "draining");
    }
    // Any other status would end an `EventSource` for good.
    for transport in [Transport::RawSse, Transport::SseGet] {
        let mut sse = Sse::open(transport, server.address, &Query::of("chat:a")).await;
        let block = sse.block().await;
        assert!((1_000..=30_000).contains(&block.retry.unwrap()), "{block:?}");
        let bye = block.json();
        assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("draining"), &json!(true)));
        assert_eq!(sse.try_block().await, None);
    }
    // A browser could not see why an upgrade failed.
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    assert_bye(&ws.next_event().await);
    assert_eq!(ws.closed().await, Closed { code: 1001, reason: "draining".to_owned() });
}

/// The way of a program: a signal, then `Serve` drains together with Tricast, and its future resolves.
#[tokio::test]
async fn a_served_application_ends_every_transport_and_then_itself() {
    let tricast = tricast::Tricast::builder().rule("chat:{room}", tricast::Rule::stream()).build().await.unwrap();
    let listener = tricast::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, signal) = oneshot::channel::<()>();
    let app = axum::Router::new().nest("/rt", tricast.router());
    let draining = tricast.clone();
    let serve = tricast::serve(listener, app)
        .drain_timeout(WATCHDOG * 2)
        .shutdown(async move { drop(signal.await) })
        .draining(move |within| async move { draining.drain(within).await });
    let serving = tokio::spawn(async move { serve.await.unwrap() });

    let query = Query::of("chat:a");
    let streams = [Transport::Ws, Transport::SseGet, Transport::SsePost, Transport::RawSse];
    let mut readers = Vec::new();
    for transport in streams {
        readers.push(Reader::open_at(transport, address, &query).await);
    }
    let mut poll = Poll::new(Transport::PollGet, address, query);
    poll.answer().await;
    let parked = tokio::spawn(async move { poll.answer().await });
    eventually("all are there", || tricast.connections() == streams.len() + 1).await;

    stop.send(()).unwrap();
    for mut reader in readers {
        assert_bye(&reader.next_of_log().await);
    }
    assert_bye(parked.await.unwrap().events.last().unwrap());
    watchdog("the end of serving", serving).await.unwrap();
    assert_eq!(tricast.connections(), 0);
    let late = tokio::net::TcpStream::connect(address).await;
    assert!(late.is_err(), "nobody listens any more");
}

/// Protocol, 5.1: who was drained brings its cursor, and has lost nothing. What came before the `bye` has no hole.
#[tokio::test]
async fn a_stream_that_is_drained_while_busy_ends_at_a_place_to_resume_from() {
    let server = Server::start(Backplane::Memory).await;
    let mut sse = Sse::of(Request::get("/rt/sse?channel=chat:a"), server.address).await;
    while sse.last_id().is_none() {
        sse.block().await;
    }
    let start = sse.last_id().unwrap().to_owned();
    let positions = server.publish_all("chat:a", 1..=3).await;
    let draining = drain(&server);
    let (mut ids, mut last) = (Vec::new(), None);
    while let Some(block) = sse.try_block().await {
        ids.extend(block.id.clone());
        last = Some(block);
    }
    assert_eq!(last.unwrap().event.as_deref(), Some("tricast:bye"));
    assert!(positions.starts_with(&ids), "in order, from the first on: {ids:?}");
    assert_eq!(sse.last_id(), Some(ids.last().unwrap_or(&start).as_str()));
    assert_drained(&server, draining).await;
}
