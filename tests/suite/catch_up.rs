//! Where a reader without a position starts. Protocol, 2: `from` is `latest` (the default on streams), `earliest` or
//! `last:N`.

use serde_json::json;

use crate::client::http::Request;
use crate::client::{Query, Reader, Transport, type_of};
use crate::matrix::Case;
use crate::server::{FEW, Server};

over_every_transport!(
    earliest_begins_with_the_oldest_and_goes_on_live,
    last_n_begins_with_the_newest_n,
    last_more_than_there_are_is_all_there_are,
    last_none_begins_with_what_is_published_next,
    without_from_only_what_is_new_comes,
    earliest_begins_with_what_is_retained_without_a_gap,
    a_log_of_many_batches_comes_whole,
);

over_transports_of_many_channels!(subscribed_tells_where_delivery_starts);

async fn first_seqs(case: Case, from: Option<&str>, count: usize) -> Vec<u64> {
    let server = Server::start(case.backplane).await;
    server.publish_all("chat:a", 1..=5).await;
    let query = Query { from: from.map(str::to_owned), ..Query::of("chat:a") };
    let mut reader = Reader::open(case.transport, &server, &query).await;
    server.publish("chat:a", 6).await;
    reader.seqs(count).await
}

async fn earliest_begins_with_the_oldest_and_goes_on_live(case: Case) {
    assert_eq!(first_seqs(case, Some("earliest"), 6).await, [1, 2, 3, 4, 5, 6]);
}

async fn last_n_begins_with_the_newest_n(case: Case) {
    assert_eq!(first_seqs(case, Some("last:2"), 3).await, [4, 5, 6]);
}

async fn last_more_than_there_are_is_all_there_are(case: Case) {
    assert_eq!(first_seqs(case, Some("last:99"), 6).await, [1, 2, 3, 4, 5, 6]);
}

async fn last_none_begins_with_what_is_published_next(case: Case) {
    assert_eq!(first_seqs(case, Some("last:0"), 1).await, [6]);
}

async fn without_from_only_what_is_new_comes(case: Case) {
    assert_eq!(first_seqs(case, None, 1).await, [6]);
    assert_eq!(first_seqs(case, Some("latest"), 1).await, [6]);
}

async fn earliest_begins_with_what_is_retained_without_a_gap(case: Case) {
    let server = Server::start(case.backplane).await;
    server.publish_all("few:a", 1..=10).await;
    for from in ["earliest", "last:5"] {
        let mut reader = Reader::open(case.transport, &server, &Query::of("few:a").from(from)).await;
        assert_eq!(reader.seqs(3).await, [8, 9, 10], "{from} of the {FEW} that are kept");
    }
}

/// Protocol, 5.1: a connection has at most one batch in flight, 512 messages or 256 KiB; the rest follows.
async fn a_log_of_many_batches_comes_whole(case: Case) {
    let server = Server::start(case.backplane).await;
    server.publish_all("chat:a", 1..=1_200).await;
    for _ in 0..10 {
        server.publish("chat:a", "x".repeat(60_000)).await;
    }
    let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a").from("earliest")).await;
    assert_eq!(reader.seqs(1_210).await, (1..=1_210).collect::<Vec<_>>());
    server.publish("chat:a", 1).await;
    assert_eq!(reader.seqs(1).await, [1_211]);
}

/// Protocol, 3: delivery starts after `position`, a stream is caught up at `head`, `recovered` only when a position
/// was given. Raw SSE has no such event.
async fn subscribed_tells_where_delivery_starts(case: Case) {
    let server = Server::start(case.backplane).await;
    server.publish_all("chat:a", 1..=5).await;
    let epoch = server.epoch("chat:a").await;
    let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a").from("last:2")).await;
    let mut event = reader.next_event().await;
    assert_eq!(type_of(&event) == "welcome", case.transport.tells_subscribed(), "{event}");
    if type_of(&event) == "welcome" {
        event = reader.next_event().await;
    }
    let (position, head) = (format!("{epoch}-3"), format!("{epoch}-5"));
    let expected =
        json!({"type": "subscribed", "channel": "chat:a", "kind": "stream", "position": position, "head": head});
    assert_eq!(event, expected);
}

/// Protocol, 2: another form of `from` is `bad_request`; so is a position, which a URL says by `cursor`.
#[tokio::test]
async fn another_form_of_from_is_refused_by_name() {
    let server = Server::start(crate::server::Backplane::Memory).await;
    for transport in [Transport::RawSse, Transport::SsePost, Transport::PollGet, Transport::PollPost] {
        for from in ["newest", "last:", "last:-1", "last:x", "Earliest"] {
            let response = Query::of("chat:a").from(from).request(transport).send(server.address).await;
            assert_eq!(response.status, 400, "{transport:?} {from}");
            let error = response.json().await;
            assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!("bad_request")));
            assert!(error["message"].as_str().unwrap().contains("from"), "{error}");
        }
    }
}

/// Protocol, 2: in a body `from` is also a position.
#[tokio::test]
async fn a_position_in_a_body_says_where_a_channel_starts() {
    let server = Server::start(crate::server::Backplane::Memory).await;
    server.publish_all("chat:a", 1..=5).await;
    let epoch = server.epoch("chat:a").await;
    let query = Query::of("chat:a").from(&format!("{epoch}-3"));
    for transport in [Transport::SsePost, Transport::PollPost] {
        let mut reader = Reader::open(transport, &server, &query).await;
        assert_eq!(reader.seqs(2).await, [4, 5], "{transport:?}");
    }
    let refused = Request::get(format!("/rt/poll?channel=chat:a&from={epoch}-3")).send(server.address).await;
    assert_eq!(refused.status, 400);
}

/// A query is an URL's: names and positions may be escaped.
#[tokio::test]
async fn an_escaped_query_means_the_same() {
    let server = Server::start(crate::server::Backplane::Memory).await;
    let positions = server.publish_all("chat:a/b@c", 1..=3).await;
    let escaped = format!("channel=chat%3Aa%2Fb%40c&cursor={}", positions[1].replace('-', "%2D"));
    let answer = Request::get(format!("/rt/poll?{escaped}")).send(server.address).await.json().await;
    assert_eq!((&answer["cursor"], &answer["events"][0]["seq"]), (&json!(positions[2]), &json!(3)));
}
