//! Cursors of several channels. Protocol, 2: a cursor is a set; a channel left without a position is a fresh start if
//! no position is left over, else a gap (`unknown` if a left-over part is unreadable, else `epoch`).

use std::collections::HashMap;

use serde_json::Value;

use crate::client::{Query, Reader, type_of};
use crate::matrix::Case;
use crate::server::Server;

over_transports_of_many_channels!(
    positions_are_matched_in_any_order,
    a_dash_or_an_empty_part_is_a_fresh_start,
    a_channel_that_is_new_to_the_cursor_starts_where_from_says,
    a_left_over_position_makes_a_gap_of_the_unplaced,
    a_left_over_unreadable_part_makes_the_gap_unknown,
    the_cursor_comes_back_in_request_order,
);

struct World {
    server: Server,
    a: String,
    b: String,
}

/// `chat:a` has 5 messages, `chat:b` 7.
async fn two_channels(case: Case) -> World {
    let server = Server::start(case.backplane).await;
    server.publish_all("chat:a", 1..=5).await;
    server.publish_all("chat:b", 1..=7).await;
    let (a, b) = (server.epoch("chat:a").await, server.epoch("chat:b").await);
    World { server, a, b }
}

/// What came of each channel until both have had this many messages: gaps by reason, messages by seq.
async fn told(reader: &mut Reader, counts: [usize; 2]) -> [Vec<String>; 2] {
    let mut told: HashMap<String, Vec<String>> = HashMap::new();
    for _ in 0..counts.iter().sum() {
        let event = reader.next_of_log().await;
        let word = match type_of(&event) {
            "message" => event["seq"].to_string(),
            "gap" => event["reason"].as_str().unwrap().to_owned(),
            other => panic!("{other}: {event}"),
        };
        told.entry(event["channel"].as_str().unwrap().to_owned()).or_default().push(word);
    }
    ["chat:a", "chat:b"].map(|channel| told.remove(channel).unwrap_or_default())
}

async fn outcome(case: Case, world: &World, query: &Query, counts: [usize; 2]) -> [Vec<String>; 2] {
    let mut reader = Reader::open(case.transport, &world.server, query).await;
    world.server.publish("chat:a", Value::Null).await;
    world.server.publish("chat:b", Value::Null).await;
    told(&mut reader, counts).await
}

fn both() -> Query {
    Query::of_all(&["chat:a", "chat:b"])
}

async fn positions_are_matched_in_any_order(case: Case) {
    let world = two_channels(case).await;
    let query = both().cursor(format!("{}-6,{}-4", world.b, world.a));
    assert_eq!(outcome(case, &world, &query, [2, 2]).await, [["5", "6"], ["7", "8"]]);
}

async fn a_dash_or_an_empty_part_is_a_fresh_start(case: Case) {
    for empty in ["-", "", "-,,-"] {
        let world = two_channels(case).await;
        let query = both().cursor(format!("{empty},{}-6", world.b)).from("earliest");
        let [a, b] = outcome(case, &world, &query, [6, 2]).await;
        assert_eq!((a, b), (strings(1..=6), strings(7..=8)), "{empty:?}");
    }
}

async fn a_channel_that_is_new_to_the_cursor_starts_where_from_says(case: Case) {
    let world = two_channels(case).await;
    let query = both().cursor(format!("{}-4", world.a)).from("earliest");
    let [a, b] = outcome(case, &world, &query, [2, 8]).await;
    assert_eq!((a, b), (strings(5..=6), strings(1..=8)));
}

async fn a_left_over_position_makes_a_gap_of_the_unplaced(case: Case) {
    let world = two_channels(case).await;
    let query = both().cursor(format!("zzzzzzzzzzzz-9,{}-4", world.a)).from("latest");
    let [a, b] = outcome(case, &world, &query, [2, 9]).await;
    assert_eq!(a, ["5", "6"], "what is placed continues");
    let starts_over: Vec<String> = ["epoch".to_owned()].into_iter().chain(strings(1..=8)).collect();
    assert_eq!(b, starts_over);
}

async fn a_left_over_unreadable_part_makes_the_gap_unknown(case: Case) {
    let world = two_channels(case).await;
    let query = both().cursor(format!("{}-6,x", world.b));
    let [a, b] = outcome(case, &world, &query, [7, 2]).await;
    let starts_over: Vec<String> = ["unknown".to_owned()].into_iter().chain(strings(1..=6)).collect();
    assert_eq!((a, b), (starts_over, strings(7..=8)));
}

/// Protocol, 1: the server writes them in request order. Those that tell no cursor tell positions.
async fn the_cursor_comes_back_in_request_order(case: Case) {
    let world = two_channels(case).await;
    let query = Query::of_all(&["chat:b", "chat:a"]).cursor(format!("{}-4,{}-6", world.a, world.b));
    let mut reader = Reader::open(case.transport, &world.server, &query).await;
    assert_eq!(told(&mut reader, [1, 1]).await, [["5"], ["7"]]);
    assert_eq!(reader.cursor(), format!("{}-7,{}-5", world.b, world.a));
}

fn strings(seqs: impl IntoIterator<Item = u64>) -> Vec<String> {
    seqs.into_iter().map(|seq| seq.to_string()).collect()
}
