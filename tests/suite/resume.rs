//! Going on elsewhere. Protocol, 1: nothing a node remembers about a connection is needed to resume; 5.1: a handler
//! runs at most once per message, whatever the transports did.

use serde_json::json;

use crate::client::{Query, Reader, Transport, type_of};
use crate::matrix::Case;
use crate::server::{Backplane, Server};

over_every_transport!(
    a_reader_that_left_goes_on_over_any_transport,
    a_reader_that_left_before_the_first_message_misses_none,
    a_reader_that_missed_nothing_is_told_of_no_gap,
);

/// From this transport to each of them.
async fn a_reader_that_left_goes_on_over_any_transport(case: Case) {
    let server = Server::start(case.backplane).await;
    for (round, other) in Transport::ALL.into_iter().enumerate() {
        let channel = format!("chat:{round}");
        server.publish_all(&channel, 1..=10).await;
        let mut left = Reader::open(case.transport, &server, &Query::of(&channel).from("earliest")).await;
        // A poller's cursor stands behind the whole answer; the others may leave in the middle.
        let read = if case.transport.is_poll() { 10 } else { 4 };
        assert_eq!(left.seqs(usize::try_from(read).unwrap()).await, (1..=read).collect::<Vec<_>>());
        let cursor = left.cursor();
        drop(left);
        server.publish_all(&channel, 11..=15).await;

        let mut resumed = Reader::open(other, &server, &Query::of(&channel).cursor(&cursor)).await;
        server.publish(&channel, 16).await;
        let rest: Vec<u64> = (read + 1..=16).collect();
        assert_eq!(resumed.seqs(rest.len()).await, rest, "{:?} to {other:?}", case.transport);
    }
}

async fn a_reader_that_left_before_the_first_message_misses_none(case: Case) {
    let server = Server::start(case.backplane).await;
    for (round, other) in Transport::ALL.into_iter().enumerate() {
        let channel = format!("chat:{round}");
        let mut left = Reader::open(case.transport, &server, &Query::of(&channel)).await;
        if case.transport != Transport::RawSse {
            while type_of(&left.next_event().await) != "subscribed" {}
        }
        let cursor = left.cursor();
        drop(left);
        assert!(cursor.ends_with("-0"), "{cursor}");
        server.publish_all(&channel, 1..=3).await;
        let mut resumed = Reader::open(other, &server, &Query::of(&channel).cursor(&cursor)).await;
        assert_eq!(resumed.seqs(3).await, [1, 2, 3], "{:?} to {other:?}", case.transport);
    }
}

/// From transport to transport, while messages come: each once, in order.
#[tokio::test]
async fn a_reader_that_hops_between_transports_under_load_gets_everything_once() {
    const MESSAGES: u64 = 2_000;
    let server = Server::start(Backplane::Memory).await;
    let epoch = server.epoch("chat:a").await;
    let channel = server.tricast.channel("chat:a").unwrap();
    let publisher = tokio::spawn(async move {
        for number in 1..=MESSAGES {
            channel.publish(tricast::Draft::json(&number).unwrap()).await.unwrap();
            // Some of it live, some of it caught up.
            tokio::task::yield_now().await;
        }
    });
    let (mut cursor, mut next, mut hops) = (format!("{epoch}-0"), 1, 0);
    while next <= MESSAGES {
        let transport = Transport::ALL[hops % Transport::ALL.len()];
        let mut reader = Reader::open(transport, &server, &Query::of("chat:a").cursor(&cursor)).await;
        let stay = next + 7;
        while next <= MESSAGES && (next < stay || !reader.is_at_rest()) {
            assert_eq!(reader.message().await["seq"], json!(next), "hop {hops}, {transport:?}");
            next += 1;
        }
        (cursor, hops) = (reader.cursor(), hops + 1);
    }
    publisher.await.unwrap();
    assert!(hops >= Transport::ALL.len(), "every transport had its turn: {hops}");
}

/// Protocol, 3: `recovered` is true if a position was continued without loss.
async fn a_reader_that_missed_nothing_is_told_of_no_gap(case: Case) {
    let server = Server::start(case.backplane).await;
    server.publish_all("few:a", 1..=10).await;
    let head = format!("{}-10", server.epoch("few:a").await);
    let mut reader = Reader::open(case.transport, &server, &Query::of("few:a").cursor(&head)).await;
    if case.transport.tells_subscribed() {
        assert_eq!(type_of(&reader.next_event().await), "welcome");
        let expected = json!({"type": "subscribed", "channel": "few:a", "kind": "stream",
            "position": head, "head": head, "recovered": true});
        assert_eq!(reader.next_event().await, expected);
    }
    server.publish("few:a", 11).await;
    assert_eq!(reader.seqs(1).await, [11]);
}
