//! Publishing to states. Protocol, 4, 1 and 7: keys, deletions, conditions and bounds, the same on every way in.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tricast::{Code, Draft, PublishError, Seq};

use crate::client::http::Request;
use crate::client::{Answer, Query, Transport, Ws, type_of};
use crate::server::{Backplane, FEW, LIGHT, Server};

/// The answer of `send` to one command, with the status that follows its code.
async fn ask(server: &Server, mut command: Value) -> (u16, Value) {
    command["type"] = json!("publish");
    let response = Request::post("/rt/send", command.to_string()).send(server.address).await;
    (response.status, response.json().await)
}

async fn set(server: &Server, command: Value) -> u64 {
    let (status, answer) = ask(server, command).await;
    assert_eq!((status, type_of(&answer)), (200, "published"), "{answer}");
    crate::client::seq_of(&answer["position"])
}

async fn refused(server: &Server, command: Value) -> (u16, String, String) {
    let (status, error) = ask(server, command).await;
    assert_eq!(type_of(&error), "error", "{error}");
    (status, error["code"].as_str().unwrap().to_owned(), error["message"].as_str().unwrap().to_owned())
}

/// What a state holds: seq and key of each entry.
async fn entries(server: &Server, channel: &str) -> Vec<(u64, String)> {
    let answer = Answer::read(Query::of(channel).request(Transport::PollGet).send(server.address).await).await;
    let messages = answer.events.iter().filter(|event| type_of(event) == "message");
    messages.map(|event| (event["seq"].as_u64().unwrap(), event["key"].as_str().unwrap().to_owned())).collect()
}

fn on(channel: &str, key: &str) -> Value {
    json!({"channel": channel, "key": key, "data": 1})
}

fn only_if(seq: u64) -> Value {
    json!({"channel": "map:a", "key": "k", "data": 1, "if": seq})
}

/// `if`: the seq of the key's present message, 0 if it must be absent; else `conflict`.
#[tokio::test]
async fn a_condition_that_does_not_hold_is_a_conflict_and_appends_nothing() {
    let server = Server::start(Backplane::Memory).await;
    assert_eq!(refused(&server, only_if(1)).await.0, 409, "absent");
    assert_eq!(set(&server, only_if(0)).await, 1);
    let (status, code, message) = refused(&server, only_if(0)).await;
    assert_eq!((status, code.as_str()), (409, "conflict"));
    assert!(message.contains('1'), "{message:?} tells the present seq");
    set(&server, on("map:a", "other")).await;
    assert_eq!(refused(&server, only_if(2)).await.0, 409, "another key's seq");
    assert_eq!(set(&server, only_if(1)).await, 3);
    assert_eq!(refused(&server, only_if(1)).await.0, 409, "who was first has replaced it");

    let delete = |seq: u64| json!({"channel": "map:a", "key": "k", "deleted": true, "if": seq});
    assert_eq!(refused(&server, delete(1)).await.0, 409, "a deletion has conditions too");
    assert_eq!(set(&server, delete(3)).await, 4);
    assert_eq!(refused(&server, only_if(4)).await.0, 409, "a deletion is no present message");
    assert_eq!(set(&server, only_if(0)).await, 5, "deleted is absent");
    assert_eq!(entries(&server, "map:a").await, [(2, "other".to_owned()), (5, "k".to_owned())]);
}

#[tokio::test]
async fn of_concurrent_writers_with_one_condition_one_succeeds() {
    let server = Server::start(Backplane::Memory).await;
    assert_eq!(set(&server, only_if(0)).await, 1);
    let answers = join_all((0..8).map(|_| ask(&server, only_if(1)))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|(status, _)| *status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409, 409, 409]);
    assert_eq!(entries(&server, "map:a").await, [(2, "k".to_owned())]);
}

/// In an array and on a WebSocket a conflict is an error of its own, and the others run.
#[tokio::test]
async fn a_conflict_stops_nothing() {
    let server = Server::start(Backplane::Memory).await;
    let commands: Vec<Value> = [0, 0, 1]
        .map(only_if)
        .into_iter()
        .map(|mut command| {
            command["type"] = json!("publish");
            command
        })
        .collect();
    let outcomes = |answers: &[Value]| answers.iter().map(|answer| type_of(answer).to_owned()).collect::<Vec<_>>();
    let posted = Request::post("/rt/send", json!(commands).to_string()).send(server.address).await;
    assert_eq!(posted.status, 200);
    let answers = posted.json().await;
    assert_eq!(outcomes(answers.as_array().unwrap()), ["published", "error", "published"]);

    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    ws.send(json!(commands)).await;
    let answers = [ws.next_event().await, ws.next_event().await, ws.next_event().await];
    assert_eq!(outcomes(&answers), ["error", "error", "error"], "2 is the present seq now");
    assert!(answers.iter().all(|answer| answer["code"] == "conflict"));
    ws.assert_silent().await;
}

/// "Looked up after the `id`": who repeats what has succeeded is told so, though the condition holds no more.
#[tokio::test]
async fn a_repeat_is_known_before_its_condition_is_looked_at() {
    let server = Server::start(Backplane::Memory).await;
    let with_id = |mut command: Value, id: &str| {
        command["id"] = json!(id);
        command
    };
    assert_eq!(set(&server, with_id(only_if(0), "one")).await, 1);
    let (_, again) = ask(&server, with_id(only_if(0), "one")).await;
    assert_eq!((&again["duplicate"], crate::client::seq_of(&again["position"])), (&json!(true), 1));
    assert_eq!(refused(&server, with_id(only_if(7), "two")).await.0, 409);
    assert_eq!(set(&server, with_id(only_if(1), "two")).await, 2, "what was refused is not remembered");
    let (_, first) = ask(&server, with_id(only_if(0), "one")).await;
    assert_eq!((&first["duplicate"], crate::client::seq_of(&first["position"])), (&json!(true), 1), "replaced since");
}

/// Over its `keep` keys a new key is refused; what is there may change, and deletions make room.
#[tokio::test]
async fn a_full_state_refuses_new_keys_and_forgets_none() {
    let server = Server::start(Backplane::Memory).await;
    for number in 0..FEW {
        set(&server, on("small:a", &format!("k{number}"))).await;
    }
    let (status, code, message) = refused(&server, on("small:a", "more")).await;
    assert_eq!((status, code.as_str()), (413, "too_large"));
    assert!(message.contains(&FEW.to_string()), "{message:?} names the bound");
    assert_eq!(set(&server, on("small:a", "k0")).await, FEW + 1, "a key that is there may change");
    set(&server, json!({"channel": "small:a", "key": "k1", "deleted": true})).await;
    set(&server, on("small:a", "more")).await;
    assert_eq!(refused(&server, on("small:a", "k1")).await.1, "too_large", "who left has lost the place");
    let keys: Vec<String> = entries(&server, "small:a").await.into_iter().map(|(_, key)| key).collect();
    assert_eq!(keys, ["k2", "k0", "more"]);
}

/// Over `keep_bytes` a new key is refused, and so is a larger message for an old one; deletions always pass.
#[tokio::test]
async fn a_heavy_state_refuses_what_would_make_it_heavier() {
    let server = Server::start(Backplane::Memory).await;
    let text = |key: &str, length: u64| json!({"channel": "light:a", "key": key, "data": "x".repeat(usize::try_from(length).unwrap())});
    set(&server, text("a", LIGHT / 2)).await;
    let (status, code, message) = refused(&server, text("b", LIGHT / 2)).await;
    assert_eq!((status, code.as_str()), (413, "too_large"), "a new key");
    assert!(message.contains(&LIGHT.to_string()), "{message:?} names the bound");
    assert_eq!(refused(&server, text("a", LIGHT)).await.1, "too_large", "a larger message for an old key");
    assert_eq!(set(&server, text("a", LIGHT / 2)).await, 2, "one as large");
    set(&server, text("b", LIGHT / 4)).await;
    assert_eq!(set(&server, text("a", LIGHT / 3)).await, 4, "a smaller one");
    set(&server, json!({"channel": "light:a", "key": "a", "deleted": true})).await;
    set(&server, text("b", LIGHT / 2)).await;
    assert_eq!(entries(&server, "light:a").await, [(6, "b".to_owned())]);
}

#[tokio::test]
async fn deleting_an_absent_key_appends_nothing_and_answers_the_head() {
    let server = Server::start(Backplane::Memory).await;
    let delete = json!({"channel": "map:a", "key": "k", "deleted": true});
    let (_, answer) = ask(&server, delete.clone()).await;
    let epoch = server.epoch("map:a").await;
    assert_eq!((&answer["position"], &answer["duplicate"]), (&json!(format!("{epoch}-0")), &json!(false)));
    set(&server, on("map:a", "other")).await;
    assert_eq!(set(&server, delete.clone()).await, 1, "absent still, and the head has moved");
    assert_eq!(set(&server, on("map:a", "k")).await, 2);
    assert_eq!((set(&server, delete.clone()).await, set(&server, delete).await), (3, 3));
    assert_eq!(set(&server, on("map:a", "k")).await, 4);
}

/// Protocol, 5.1 and 5.3: a repeat changes nothing, be it of a deletion that found nothing to delete.
#[tokio::test]
async fn repeating_a_deletion_deletes_nothing_that_was_set_since() {
    let server = Server::start(Backplane::Memory).await;
    for (board, was_present) in [("map:a", false), ("map:b", true)] {
        if was_present {
            set(&server, on(board, "k")).await;
        }
        let delete = json!({"channel": board, "key": "k", "deleted": true, "id": "d"});
        let (_, first) = ask(&server, delete.clone()).await;
        assert_eq!(first["duplicate"], false);
        let seq = set(&server, on(board, "k")).await;
        let (_, repeat) = ask(&server, delete.clone()).await;
        assert_eq!((&repeat["position"], &repeat["duplicate"]), (&first["position"], &json!(true)));
        let mut ws = Ws::open(server.address, &Query::default()).await;
        ws.until("welcome").await;
        let mut command = delete;
        command["type"] = json!("publish");
        assert_eq!(ws.ask(command).await, repeat);
        assert_eq!(entries(&server, board).await, [(seq, "k".to_owned())]);
    }
}

/// Protocol, 4: `key` is 1 to 128 bytes without control characters, required on a state and refused on a stream, as
/// are `ttl`, `if` and `deleted`. The same on `send` and on a WebSocket.
#[tokio::test]
async fn what_does_not_belong_to_a_channel_is_refused_by_name() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    let long = "k".repeat(129);
    let cases = [
        (json!({"channel": "map:a", "data": 1}), "key"),
        (json!({"channel": "map:a", "deleted": true}), "key"),
        (json!({"channel": "map:a", "data": 1, "key": ""}), "key"),
        (json!({"channel": "map:a", "data": 1, "key": "a\nb"}), "key"),
        (json!({"channel": "map:a", "data": 1, "key": "a\u{7f}b"}), "key"),
        (json!({"channel": "map:a", "data": 1, "key": 7}), "key"),
        (json!({"channel": "map:a", "data": 1, "key": null}), "key"),
        (json!({"channel": "map:a", "data": 1, "key": long}), "key"),
        (json!({"channel": "map:a", "deleted": true, "key": long}), "key"),
        (json!({"channel": "map:a", "key": "k"}), "data"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "deleted": true}), "deleted"),
        (json!({"channel": "map:a", "key": "k", "data64": "AA==", "deleted": true}), "deleted"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "deleted": "yes"}), "deleted"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "ttl": 0}), "ttl"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "ttl": 0.0009}), "ttl"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "ttl": -1}), "ttl"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "ttl": "5"}), "ttl"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "if": -1}), "if"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "if": 0.5}), "if"),
        (json!({"channel": "map:a", "key": "k", "data": 1, "if": 9_007_199_254_740_992_u64}), "if"),
        (json!({"channel": "chat:a", "data": 1, "key": "k"}), "key"),
        (json!({"channel": "chat:a", "data": 1, "ttl": 5}), "ttl"),
        (json!({"channel": "chat:a", "data": 1, "if": 0}), "if"),
        (json!({"channel": "chat:a", "deleted": true}), "deleted"),
    ];
    for (mut publish, culprit) in cases {
        publish["type"] = json!("publish");
        let (status, posted) = ask(&server, publish.clone()).await;
        assert_eq!((status, &posted["code"]), (400, &json!("bad_request")), "{publish}");
        let message = posted["message"].as_str().unwrap();
        assert!(message.contains(culprit), "{publish}: {message:?} does not name {culprit}");
        assert_eq!(ws.ask(publish).await, posted);
    }
    assert_eq!(entries(&server, "map:a").await, [], "none of them was appended");
    assert_eq!(set(&server, on("map:a", &"ж".repeat(64))).await, 1, "128 bytes are the most");
}

#[tokio::test]
async fn the_server_publishes_with_keys_times_and_conditions() {
    let server = Server::start(Backplane::Memory).await;
    let channel = server.tricast.channel("map:a").unwrap();
    let draft = || Draft::json("x").unwrap().key("k");
    let seq = |seq: u64| Seq::new(seq).unwrap();
    assert_eq!(channel.publish(draft().only_if(Seq::ZERO)).await.unwrap().position.seq, seq(1));
    let conflict = channel.publish(draft().only_if(Seq::ZERO)).await.unwrap_err();
    assert_eq!(conflict.code(), Code::Conflict);
    channel.publish(draft().only_if(seq(1)).ttl(Duration::from_secs(60))).await.unwrap();
    channel.publish(Draft::json("y").unwrap().key("other")).await.unwrap();
    channel.publish(Draft::delete("other").only_if(seq(3))).await.unwrap();
    assert_eq!(entries(&server, "map:a").await, [(2, "k".to_owned())]);

    let cases = [
        (Draft::json("x").unwrap(), "key"),
        (draft().key(""), "key"),
        (draft().ttl(Duration::from_micros(999)), "ttl"),
    ];
    for (draft, culprit) in cases {
        let error = channel.publish(draft).await.unwrap_err();
        assert_eq!(error.code(), Code::BadRequest);
        let PublishError::Draft(cause) = error else { panic!("{error:?}") };
        assert!(cause.to_string().contains(culprit), "{cause}");
    }
    for draft in [Draft::delete("k"), draft(), Draft::json("x").unwrap().only_if(Seq::ZERO)] {
        let error = server.tricast.publish("chat:a", draft).await.unwrap_err();
        assert_eq!(error.code(), Code::BadRequest);
    }
}
