//! What a plain `EventSource` reads. Protocol, 6 "SSE", raw mode: byte for byte.

use serde_json::json;
use tricast::Draft;

use crate::client::http::Request;
use crate::client::{Query, Sse, Transport, eventually};
use crate::server::{Backplane, Server};

async fn open(server: &Server, target: &str) -> Sse {
    Sse::of(Request::get(target), server.address).await
}

/// Passes over `retry:`, which each stream begins with.
async fn after_retry(server: &Server, request: Request) -> Sse {
    let mut sse = Sse::of(request, server.address).await;
    let block = sse.block().await;
    let milliseconds = block.retry.unwrap_or_else(|| panic!("{block:?}"));
    assert_eq!(block.text, format!("retry: {milliseconds}"));
    sse
}

#[tokio::test]
async fn the_head_keeps_caches_and_proxies_from_interfering() {
    let server = Server::start(Backplane::Memory).await;
    let sse = open(&server, "/rt/sse?channel=chat:a").await;
    assert_eq!(sse.response.header("content-type"), Some("text/event-stream"));
    assert_eq!(sse.response.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(sse.response.header("x-accel-buffering"), Some("no"));
    assert_eq!(sse.response.header("content-length"), None);
}

#[tokio::test]
async fn it_begins_with_retry_and_the_starting_id_and_goes_on_with_payloads() {
    let server = Server::start(Backplane::Memory).await;
    let mut sse = after_retry(&server, Request::get("/rt/sse?channel=chat:a")).await;
    let epoch = server.epoch("chat:a").await;
    assert_eq!(sse.block().await.text, format!("id: {epoch}-0"));

    server.append("chat:a", Draft::json(&json!({"a": [1, "\n"]})).unwrap().event("order.created").id("x")).await;
    server.append("chat:a", Draft::json_text("  [ 1 ,\r\n 2 ]").unwrap()).await;
    server.append("chat:a", Draft::json_text("null").unwrap()).await;
    server.append("chat:a", Draft::binary([0u8, 255])).await;
    let expected = [
        format!("id: {epoch}-1\nevent: order.created\ndata: {{\"a\":[1,\"\\n\"]}}"),
        format!("id: {epoch}-2\ndata: [1,2]"),
        format!("id: {epoch}-3\ndata: null"),
        format!("id: {epoch}-4\ndata: {{\"data64\":\"AP8=\"}}"),
    ];
    for block in expected {
        assert_eq!(sse.block().await.text, block);
    }
}

/// The times differ between streams, so that readers who lost the same server do not come back together.
#[tokio::test]
async fn retry_is_jittered_around_two_seconds() {
    let server = Server::start(Backplane::Memory).await;
    let mut times = Vec::new();
    for _ in 0..20 {
        let mut sse = open(&server, "/rt/sse?channel=chat:a").await;
        times.push(sse.block().await.retry.unwrap());
    }
    assert!(times.iter().all(|time| (1_000..=3_000).contains(time)), "{times:?}");
    times.dedup();
    assert!(times.len() > 1, "{times:?}");
}

/// "Stop it, publish three, bring the last id: exactly those three."
#[tokio::test]
async fn a_reader_that_comes_back_with_its_last_id_gets_exactly_what_it_missed() {
    let server = Server::start(Backplane::Memory).await;
    let mut sse = open(&server, "/rt/sse?channel=chat:a").await;
    server.publish("chat:a", 1).await;
    while sse.block().await.data.is_none() {}
    let last = sse.last_id().unwrap().to_owned();
    drop(sse);
    let missed = server.publish_all("chat:a", 2..=4).await;

    let request = Request::get("/rt/sse?channel=chat:a").header("Last-Event-ID", &last);
    let mut sse = after_retry(&server, request).await;
    assert_eq!(sse.block().await.text, format!("id: {last}"));
    for (position, data) in missed.iter().zip(2..) {
        assert_eq!(sse.block().await.text, format!("id: {position}\ndata: {data}"));
    }
    let next = server.publish("chat:a", 5).await;
    assert_eq!(sse.block().await.text, format!("id: {next}\ndata: 5"));
}

#[tokio::test]
async fn last_event_id_wins_over_cursor_and_an_empty_one_does_not() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("chat:a", 1..=5).await;
    let target = format!("/rt/sse?channel=chat:a&cursor={}", positions[0]);
    for (header, first) in [(positions[3].as_str(), 5), ("", 2)] {
        let mut sse = after_retry(&server, Request::get(&target).header("Last-Event-ID", header)).await;
        sse.block().await;
        assert_eq!(sse.block().await.text, format!("id: {}\ndata: {first}", positions[first - 1]));
    }
}

/// No `id:` may name a position whose gap has not been written.
#[tokio::test]
async fn where_a_gap_is_due_no_id_precedes_it() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("few:a", 1..=10).await;
    let epoch = server.epoch("few:a").await;
    let request = Request::get("/rt/sse?channel=few:a").header("Last-Event-ID", &positions[1]);
    let mut sse = after_retry(&server, request).await;

    let block = sse.block().await;
    let data = json!({"type": "gap", "channel": "few:a", "position": format!("{epoch}-7"),
        "head": format!("{epoch}-10"), "reason": "expired"});
    assert_eq!((block.id, block.event.as_deref()), (Some(format!("{epoch}-7")), Some("tricast:gap")));
    assert_eq!(serde_json::from_str::<serde_json::Value>(&block.data.unwrap()).unwrap(), data);
    assert_eq!(sse.block().await.text, format!("id: {}\ndata: 8", positions[7]));
}

/// Protocol, 2: an unreadable cursor counts as unknown positions, never as an error: that would end an `EventSource`.
#[tokio::test]
async fn a_last_event_id_that_is_none_of_ours_is_a_gap() {
    let server = Server::start(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    for header in ["7".to_owned(), "\u{e9}\u{1f980}".to_owned(), "x".repeat(5_000), format!("{position},x,")] {
        let request = Request::get("/rt/sse?channel=chat:a&from=earliest").header("Last-Event-ID", &header);
        let mut sse = after_retry(&server, request).await;
        let block = sse.block().await;
        if header.starts_with(&position) {
            assert_eq!(block.text, format!("id: {position}"), "what can be read of it counts");
        } else {
            assert_eq!((block.event.as_deref(), &block.json()["reason"]), (Some("tricast:gap"), &json!("unknown")));
            assert_eq!(sse.block().await.text, format!("id: {position}\ndata: 1"));
        }
    }
}

#[tokio::test]
async fn a_single_channel_in_envelopes_is_asked_for() {
    let server = Server::start(Backplane::Memory).await;
    server.publish("chat:a", 1).await;
    let query = Query::of("chat:a").from("earliest");
    let mut raw = Sse::open(Transport::RawSse, server.address, &query).await;
    while raw.block().await.data.as_deref() != Some("1") {}
    let mut envelope = Sse::open(Transport::SseGet, server.address, &query).await;
    assert_eq!(envelope.next_event().await["type"], "welcome");
}

#[tokio::test]
async fn a_reader_that_goes_away_is_forgotten() {
    let server = Server::start(Backplane::Memory).await;
    let sse = open(&server, "/rt/sse?channel=chat:a").await;
    eventually("it is there", || server.connections() == 1).await;
    drop(sse);
    eventually("the node noticed", || server.connections() == 0).await;
}

#[tokio::test]
async fn only_get_post_and_options_are_answered() {
    let server = Server::start(Backplane::Memory).await;
    for endpoint in ["/rt/sse?channel=chat:a", "/rt/poll?channel=chat:a"] {
        for method in ["HEAD", "PUT", "DELETE"] {
            let response = Request::new(method, endpoint).send(server.address).await;
            assert_eq!((response.status, response.header("allow")), (405, Some("GET, POST, OPTIONS")), "{method}");
        }
        let options = Request::new("OPTIONS", endpoint).send(server.address).await;
        assert!((200..300).contains(&options.status));
    }
}
