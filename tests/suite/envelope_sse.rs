//! Envelope mode. Protocol, 6 "SSE": `data:` is the event of section 3; by GET each message and gap carries the whole
//! cursor as its `id:`, by POST nothing does.

use serde_json::json;

use crate::client::http::Request;
use crate::client::{Query, Sse, Transport, type_of};
use crate::server::{Backplane, Server};

async fn open(server: &Server, transport: Transport, query: &Query) -> Sse {
    let mut sse = Sse::open(transport, server.address, query).await;
    let block = sse.block().await;
    assert!(block.retry.is_some() && block.id.is_none(), "{block:?}");
    sse
}

#[tokio::test]
async fn welcome_comes_first_and_tells_the_terms() {
    let server = Server::start(Backplane::Memory).await;
    for transport in [Transport::SseGet, Transport::SsePost] {
        let mut sse = open(&server, transport, &Query::of("chat:a").client("a-client-1")).await;
        let expected = json!({"type": "welcome", "version": 1, "client": "a-client-1", "heartbeat": 15,
            "time": 1_700_000_000_000u64, "limits": {"message": 65_536, "channels": 128, "batch": 64}});
        assert_eq!(sse.next_event().await, expected, "{transport:?}");
    }
    let mut anonymous = open(&server, Transport::SseGet, &Query::of("chat:a")).await;
    let client = anonymous.next_event().await["client"].as_str().unwrap().to_owned();
    assert!((8..=64).contains(&client.len()), "{client:?}");
}

#[tokio::test]
async fn by_get_each_message_carries_the_whole_cursor() {
    let server = Server::start(Backplane::Memory).await;
    server.publish_all("chat:a", 1..=2).await;
    let (a, b) = (server.epoch("chat:a").await, server.epoch("chat:b").await);
    let mut sse = open(&server, Transport::SseGet, &Query::of_all(&["chat:b", "chat:a"])).await;
    assert_eq!(sse.block().await.text, format!("id: {b}-0,{a}-2"));
    for event in ["welcome", "subscribed", "subscribed"] {
        let block = sse.block().await;
        assert_eq!((type_of(&block.json()), block.id, block.event), (event, None, None));
    }
    server.publish("chat:a", 3).await;
    assert_eq!(sse.block().await.id, Some(format!("{b}-0,{a}-3")));
    server.publish("chat:b", 1).await;
    let block = sse.block().await;
    assert_eq!(block.id, Some(format!("{b}-1,{a}-3")));
    let message = block.json();
    assert_eq!((&message["channel"], &message["seq"], &message["data"]), (&json!("chat:b"), &json!(1), &json!(1)));
}

#[tokio::test]
async fn by_post_nothing_carries_an_id() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("few:a", 1..=10).await;
    let query = Query::of("few:a").cursor(&positions[0]);
    let mut sse = open(&server, Transport::SsePost, &query).await;
    for event in ["welcome", "subscribed", "gap", "message", "message", "message"] {
        let block = sse.block().await;
        assert_eq!((type_of(&block.json()), block.id, block.event), (event, None, None));
    }
}

/// Of several gaps due at the start only the last carries an id, and no id stands before it.
#[tokio::test]
async fn of_several_gaps_due_at_the_start_only_the_last_carries_the_cursor() {
    let server = Server::start(Backplane::Memory).await;
    let channels = ["few:a", "few:b", "chat:c"];
    let mut old = Vec::new();
    let mut now = Vec::new();
    for (channel, after) in channels.into_iter().zip([7, 7, 1]) {
        old.push(server.publish_all(channel, 1..=10).await[0].clone());
        now.push(format!("{}-{after}", server.epoch(channel).await));
    }
    let query = Query::of_all(&channels).cursor(old.join(","));
    let mut sse = open(&server, Transport::SseGet, &query).await;
    let mut ids = Vec::new();
    for event in ["welcome", "subscribed", "gap", "subscribed", "gap", "subscribed"] {
        let block = sse.block().await;
        assert_eq!(type_of(&block.json()), event);
        ids.extend(block.id);
    }
    assert_eq!(ids, [now.join(",")]);
    assert_eq!(type_of(&sse.block().await.json()), "message");
}

/// A drop in the middle of what follows a gap resumes where the reader was, in every channel.
#[tokio::test]
async fn each_id_resumes_exactly() {
    let server = Server::start(Backplane::Memory).await;
    server.publish_all("chat:a", 1..=4).await;
    server.publish_all("chat:b", 1..=4).await;
    let channels = ["chat:a", "chat:b"];
    let query = Query::of_all(&channels).from("earliest");
    let mut sse = open(&server, Transport::SseGet, &query).await;
    let mut seen = Vec::new();
    for left_after in 1..=8 {
        let event = loop {
            let event = sse.next_event().await;
            if type_of(&event) == "message" {
                break event;
            }
        };
        seen.push((event["channel"].as_str().unwrap().to_owned(), event["seq"].as_u64().unwrap()));
        let resumed =
            Query::of_all(&channels).request(Transport::SseGet).header("Last-Event-ID", sse.last_id().unwrap());
        drop(sse);
        sse = Sse::of(resumed, server.address).await;
        // Read as envelopes are.
        sse.expect_envelopes();
        assert_eq!(seen.len(), left_after);
    }
    let of = |channel: &str| seen.iter().filter(|(name, _)| name == channel).map(|(_, seq)| *seq).collect::<Vec<_>>();
    assert_eq!((of("chat:a"), of("chat:b")), (vec![1, 2, 3, 4], vec![1, 2, 3, 4]));
}

/// Protocol, 6: by GET what may be retried answers 200, a `retry:` of 1 to 30 s, `bye` and the end, for any other
/// status would end an `EventSource` for good; by POST the real status. Here a node has no room for a second channel.
#[tokio::test]
async fn what_may_be_retried_does_not_end_an_event_source_for_good() {
    let (server, _reader) = Server::start_full(Backplane::Memory).await;
    server.publish("chat:a", 1).await;
    let mut raw = Sse::of(Request::get("/rt/sse?channel=chat:b"), server.address).await;
    let block = raw.block().await;
    assert!((1_000..=30_000).contains(&block.retry.unwrap()), "{block:?}");
    assert_eq!((block.event.as_deref(), block.id.as_deref()), (Some("tricast:bye"), None));
    let bye = block.json();
    assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("unavailable"), &json!(true)));
    assert_eq!(raw.try_block().await, None);

    let mut envelope = Sse::open(Transport::SseGet, server.address, &Query::of("chat:b")).await;
    let block = envelope.block().await;
    assert_eq!((type_of(&block.json()), block.event), ("bye", None));
    assert_eq!(envelope.try_block().await, None);

    let posted = Query::of("chat:b").request(Transport::SsePost).send(server.address).await;
    assert_eq!(posted.status, 503);
    assert!(posted.header("retry-after").is_some());
    assert_eq!(posted.json().await["code"], "unavailable");
}
