//! Live delivery. Protocol, 5.1: each connection sees a channel's messages in `seq` order; a reader gets every
//! retained message after its position; a message is delivered after it is in the log.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::{Query, Reader};
use crate::matrix::Case;
use crate::server::Server;

over_every_transport!(
    a_live_reader_gets_everything_in_order_once,
    concurrent_publishers_make_one_order_that_all_readers_see
);
over_every_transport_by_the_clock!(a_message_carries_what_was_published);

over_transports_of_many_channels!(every_channel_of_a_connection_is_delivered_in_its_own_order);

async fn a_live_reader_gets_everything_in_order_once(case: Case) {
    const MESSAGES: u64 = 600;
    let server = Server::start(case.backplane).await;
    let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
    let publish = async {
        server.publish_all("chat:a", 1..=MESSAGES).await;
    };
    let read = async {
        for seq in 1..=MESSAGES {
            let message = reader.message().await;
            assert_eq!((&message["seq"], &message["data"]), (&json!(seq), &json!(seq)));
        }
    };
    tokio::join!(publish, read);
}

async fn concurrent_publishers_make_one_order_that_all_readers_see(case: Case) {
    let server = Server::start(case.backplane).await;
    let query = Query::of("chat:a");
    let mut readers =
        [Reader::open(case.transport, &server, &query).await, Reader::open(case.transport, &server, &query).await];
    let publishers = (0..4u64).map(|publisher| server.publish_all("chat:a", (0..25).map(move |n| publisher * 100 + n)));
    join_all(publishers).await;
    let mut seen = Vec::new();
    for reader in &mut readers {
        let mut messages = Vec::new();
        for seq in 1..=100 {
            let message = reader.message().await;
            assert_eq!(message["seq"], json!(seq));
            messages.push(message["data"].as_u64().unwrap());
        }
        seen.push(messages);
    }
    assert_eq!(seen[0], seen[1]);
    for publisher in 0..4 {
        let own: Vec<u64> = seen[0].iter().copied().filter(|data| data / 100 == publisher).collect();
        assert!(own.is_sorted() && own.len() == 25, "a publisher's own order: {own:?}");
    }
}

/// Protocol, 3: the fields of `message`. Payloads are stored compacted (4); `data: null` is a payload.
async fn a_message_carries_what_was_published(case: Case) {
    use tricast::Draft;
    let server = Server::start(case.backplane).await;
    let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
    let spaced = Draft::json_text("{ \"a\" :\r\n [ 1, \"\\n \u{e9}\" ] }").unwrap();
    let first = server.append("chat:a", spaced.event("order.created").id("one")).await;
    server.append("chat:a", Draft::json(&Value::Null).unwrap()).await;
    server.append("chat:a", Draft::binary([0u8, 1, 254, 255])).await;

    let message = reader.message().await;
    assert_eq!(message["data"], json!({"a": [1, "\n \u{e9}"]}));
    assert_eq!(message["event"], "order.created");
    assert_eq!(message["channel"], "chat:a");
    assert_eq!(message["epoch"], json!(first.position.epoch.to_string()));
    if message.get("at").is_some() {
        // A raw stream has no room for these two.
        assert_eq!((&message["id"], &message["at"]), (&json!("one"), &json!(1_700_000_000_000u64)));
    }
    let null = reader.message().await;
    assert_eq!(null.get("data"), Some(&Value::Null), "{null}");
    assert_eq!(null.get("event"), None);
    let binary = reader.message().await;
    assert_eq!((&binary["data64"], binary.get("data")), (&json!("AAH+/w=="), None));
}

/// Protocol, 5.1: nothing is promised between channels, everything within each.
async fn every_channel_of_a_connection_is_delivered_in_its_own_order(case: Case) {
    let server = Server::start(case.backplane).await;
    let names = ["chat:a", "chat:b", "chat:c"];
    let mut reader = Reader::open(case.transport, &server, &Query::of_all(&names)).await;
    join_all(names.map(|name| server.publish_all(name, 1..=200))).await;
    let mut next = [1; 3];
    for _ in 0..600 {
        let message = reader.message().await;
        let channel = names.iter().position(|name| message["channel"] == *name).unwrap();
        assert_eq!(message["seq"], json!(next[channel]), "{}", names[channel]);
        next[channel] += 1;
    }
    assert_eq!(next, [201; 3]);
}
