//! A node at its most of memory. Protocol, 5.2: what was idle longest makes room; a stream lets its messages go and keeps
//! its epoch, a state is dropped whole and ends its epoch.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::Draft;

use crate::client::{Query, Reader, Transport, seq_of, type_of};
use crate::matrix::Case;
use crate::server::Server;

over_every_transport_alone!(
    who_had_all_of_a_stream_that_made_room_misses_nothing,
    who_had_a_part_of_a_stream_that_made_room_is_told_of_a_gap,
);

over_transports_of_many_channels_alone!(a_state_that_made_room_is_gone_whole_with_its_epoch);

const MOST: u64 = 400_000;

async fn start(case: Case) -> Server {
    Server::start_with(case.backplane, |builder| builder.memory_bytes(MOST), |serve| serve).await
}

/// Writes to another channel, later, until the node has had to make room.
async fn need_room(server: &Server) {
    // What is written last has not been idle longest.
    server.let_pass(Duration::from_secs(1));
    for _ in 0..MOST / 50_000 + 1 {
        server.publish("chat:heavy", "x".repeat(50_000)).await;
    }
}

async fn resume(case: Case, server: &Server, channel: &str, cursor: &str) -> Reader {
    Reader::open(case.transport, server, &Query::of(channel).cursor(cursor)).await
}

async fn who_had_all_of_a_stream_that_made_room_misses_nothing(case: Case) {
    let server = start(case).await;
    let positions = server.publish_all("chat:a", 1..=5).await;
    need_room(&server).await;
    let mut reader = resume(case, &server, "chat:a", &positions[4]).await;
    server.publish("chat:a", 6).await;
    assert_eq!(reader.seqs(1).await, [6]);
    let mut earliest = Reader::open(case.transport, &server, &Query::of("chat:a").from("earliest")).await;
    assert_eq!(earliest.seqs(1).await, [6], "the others were let go");
}

async fn who_had_a_part_of_a_stream_that_made_room_is_told_of_a_gap(case: Case) {
    let server = start(case).await;
    let positions = server.publish_all("chat:a", 1..=5).await;
    need_room(&server).await;
    let mut reader = resume(case, &server, "chat:a", &positions[3]).await;
    let gap = reader.gap().await;
    let told = (&gap["reason"], &gap["position"], &gap["head"]);
    assert_eq!(told, (&json!("expired"), &json!(positions[4]), &json!(positions[4])));
    server.publish("chat:a", 6).await;
    assert_eq!(reader.seqs(1).await, [6]);
}

async fn a_state_that_made_room_is_gone_whole_with_its_epoch(case: Case) {
    let server = start(case).await;
    let draft = |key: &str| Draft::json(&1).unwrap().key(key);
    server.append("map:a", draft("k")).await;
    let had = server.append("map:a", draft("l")).await.position;
    need_room(&server).await;
    let mut reader = resume(case, &server, "map:a", &had.to_string()).await;
    let gap = reader.gap().await;
    assert_eq!((&gap["reason"], seq_of(&gap["position"]), seq_of(&gap["head"])), (&json!("epoch"), 0, 0));
    let live = reader.next_of_log().await;
    assert_eq!(type_of(&live), "live", "nothing is left of it: {live}");
    let anew = server.append("map:a", draft("m")).await.position;
    assert_ne!(anew.epoch, had.epoch);
    assert_eq!(reader.message().await["key"], "m");
}

/// A state that somebody reads is no room to be made: publishing is refused, and what is read stays. Deletions pass, and
/// make the room.
#[tokio::test]
async fn a_state_that_is_read_makes_no_room_but_by_deletions() {
    let case = Case { transport: Transport::Ws, backplane: crate::server::Backplane::Memory };
    let build = |builder: tricast::Builder| builder.memory_bytes(MOST);
    let server = Server::start_with(case.backplane, build, |serve| serve).await;
    let mut reader = Reader::open(case.transport, &server, &Query::of("map:a")).await;
    let mut key = 0;
    let refused = loop {
        key += 1;
        let draft = Draft::json(&"x".repeat(50_000)).unwrap().key(key.to_string());
        if let Err(refused) = server.tricast.publish("map:a", draft).await {
            break refused;
        }
    };
    assert_eq!(refused.code(), tricast::Code::Unavailable);
    let elsewhere = server.tricast.publish("chat:a", Draft::json(&Value::Null).unwrap()).await;
    assert_eq!(elsewhere.map_err(|error| error.code()).unwrap_err(), tricast::Code::Unavailable);
    for seq in 1..key {
        assert_eq!(reader.message_but_live().await["seq"], seq);
    }
    for key in 1..=2 {
        server.append("map:a", Draft::delete(key.to_string())).await;
    }
    server.publish("chat:a", "there is room").await;
    for seq in key..=key + 1 {
        let told = reader.message_but_live().await;
        assert_eq!((&told["seq"], &told["deleted"]), (&json!(seq), &json!(true)), "the epoch goes on");
    }
}
