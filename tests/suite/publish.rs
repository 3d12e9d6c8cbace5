//! Publishing. Protocol, 5.1: a repeat with the same `id` changes nothing and answers the first position, on any
//! transport; ids count per publisher.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tricast::Draft;

use crate::client::http::{Request, Response};
use crate::client::{Poll, Query, Reader, Transport, Ws};
use crate::public::Names;
use crate::server::{Backplane, Server};

async fn post(server: &Server, commands: &Value) -> Response {
    Request::post("/rt/send", commands.to_string()).send(server.address).await
}

async fn ask(server: &Server, commands: &Value) -> Value {
    post(server, commands).await.json().await
}

async fn data_of(server: &Server, channel: &str) -> Vec<Value> {
    let mut poll = Poll::new(Transport::PollGet, server.address, Query::of(channel).from("earliest"));
    let answer = poll.answer().await;
    answer.events.iter().filter(|event| event["type"] == "message").map(|message| message["data"].clone()).collect()
}

#[tokio::test]
async fn a_repeat_is_known_on_every_way_in() {
    let server = Server::start(Backplane::Memory).await;
    let publish = |data: &str| json!({"type": "publish", "channel": "chat:a", "data": data, "id": "one", "ref": data});
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;

    let first = ws.ask(publish("ws")).await;
    let position = format!("{}-1", server.epoch("chat:a").await);
    let published = |reference: &str, duplicate: bool| json!({"type": "published", "ref": reference, "channel": "chat:a", "position": position, "duplicate": duplicate});
    assert_eq!(first, published("ws", false));
    assert_eq!(ws.ask(publish("again")).await, published("again", true));
    assert_eq!(ask(&server, &publish("send")).await, published("send", true));
    assert_eq!(ask(&server, &json!([publish("array")])).await, json!([published("array", true)]));
    assert_eq!(data_of(&server, "chat:a").await, ["ws"]);
}

#[tokio::test]
async fn of_concurrent_repeats_one_is_the_first() {
    let server = Server::start(Backplane::Memory).await;
    let publish = json!({"type": "publish", "channel": "chat:a", "data": 1, "id": "one"});
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut ws = Ws::open(server.address, &Query::default()).await;
        ws.until("welcome").await;
        sockets.push(ws);
    }
    let by_socket = join_all(sockets.iter_mut().map(|ws| ws.ask(publish.clone())));
    let by_send = join_all((0..8).map(|_| ask(&server, &publish)));
    let (mut answers, more) = tokio::join!(by_socket, by_send);
    answers.extend(more);

    let positions: Vec<&Value> = answers.iter().map(|answer| &answer["position"]).collect();
    assert!(positions.iter().all(|position| *position == positions[0] && position.is_string()), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["duplicate"] == json!(false)).count(), 1, "{answers:?}");
    assert_eq!(data_of(&server, "chat:a").await, [json!(1)]);
}

#[tokio::test]
async fn an_id_belongs_to_its_publisher_and_its_channel() {
    let server = Server::start(Backplane::Memory).await;
    let publish = |channel: &str| json!({"type": "publish", "channel": channel, "data": "caller", "id": "one"});
    assert_eq!(ask(&server, &publish("chat:a")).await["duplicate"], false);
    let draft = || Draft::json("server").unwrap().id("one");
    assert!(!server.append("chat:a", draft()).await.duplicate, "the server's id is another");
    assert!(server.append("chat:a", draft()).await.duplicate);
    assert_eq!(ask(&server, &publish("chat:b")).await["duplicate"], false, "and so is another channel's");
    assert_eq!(data_of(&server, "chat:a").await, ["caller", "server"]);
}

/// A user has ids of its own, whatever it comes by: nobody else can make its publish a repeat.
#[tokio::test]
async fn a_user_has_ids_of_its_own_on_every_way_in() {
    let build = |builder: tricast::Builder| builder.authenticate(Names { required: false });
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let publish = |who: &str| json!({"type": "publish", "channel": "chat:a", "data": who, "id": "one"});
    let by_send = |who: &'static str| {
        let command = publish(who).to_string();
        Request::post("/rt/send", command).header("Authorization", format!("Bearer {who}")).send(server.address)
    };
    assert_eq!(ask(&server, &publish("nobody")).await["duplicate"], false);
    let mut positions = Vec::new();
    for who in ["ann", "bob"] {
        let first = by_send(who).await.json().await;
        assert_eq!(first["duplicate"], false, "{who}: {first}");
        positions.push(first["position"].clone());
    }
    for (who, position) in ["ann", "bob"].into_iter().zip(&positions) {
        let offer = format!("tricast.v1, bearer.{who}");
        let mut ws = Ws::connect(server.address, "/rt/ws", &[("Sec-WebSocket-Protocol", &offer)]).await;
        ws.until("welcome").await;
        for again in [ws.ask(publish(who)).await, by_send(who).await.json().await] {
            assert_eq!((&again["duplicate"], &again["position"]), (&json!(true), position), "{who}");
        }
    }
    assert_eq!(data_of(&server, "chat:a").await, ["nobody", "ann", "bob"]);
}

/// An `id` is remembered for 5 minutes.
#[tokio::test]
async fn an_id_is_forgotten_in_the_end() {
    let server = Server::start(Backplane::Memory).await;
    let publish = json!({"type": "publish", "channel": "chat:a", "data": 1, "id": "one"});
    let mut duplicates = Vec::new();
    for seconds in [0, 299, 2] {
        server.let_pass(Duration::from_secs(seconds));
        duplicates.push(ask(&server, &publish).await["duplicate"].clone());
    }
    assert_eq!(duplicates, [false, true, false]);
}

/// Protocol, 5.1: `published` is sent no earlier than the message is in the log.
#[tokio::test]
async fn what_was_acknowledged_can_be_read() {
    let server = Server::start(Backplane::Memory).await;
    for seq in 1..=5 {
        let published = ask(&server, &json!({"type": "publish", "channel": "chat:a", "data": seq})).await;
        assert_eq!(published["position"], json!(format!("{}-{seq}", server.epoch("chat:a").await)));
        assert_eq!(data_of(&server, "chat:a").await.len(), seq);
    }
}

#[tokio::test]
async fn what_a_client_publishes_arrives_with_all_its_fields() {
    let server = Server::start(Backplane::Memory).await;
    let mut reader = Reader::open(Transport::Ws, &server, &Query::of("chat:a")).await;
    let commands = json!([
        {"type": "publish", "channel": "chat:a", "data": {"b": 1, "a": [true, null]}, "event": "x.y", "id": "!~"},
        {"type": "publish", "channel": "chat:a", "data": null},
        {"type": "publish", "channel": "chat:a", "data64": "AAH+/w==", "unknown": {"field": 1}},
    ]);
    assert_eq!(ask(&server, &commands).await.as_array().unwrap().len(), 3);
    let first = reader.message().await;
    assert_eq!((&first["data"], &first["event"]), (&json!({"b": 1, "a": [true, null]}), &json!("x.y")));
    assert_eq!(first["id"], "!~");
    assert_eq!(reader.message().await.get("data"), Some(&Value::Null));
    assert_eq!(reader.message().await["data64"], "AAH+/w==");
}

/// Protocol, 4 and 7: the code, the status, and a message that names the culprit.
#[tokio::test]
async fn a_publish_that_cannot_be_is_refused_by_name() {
    let server = Server::start(Backplane::Memory).await;
    let cases = [
        (json!({"channel": "chat:a"}), 400, "bad_request", "data"),
        (json!({"channel": "chat:a", "data": 1, "data64": "AA=="}), 400, "bad_request", "data"),
        (json!({"channel": "chat:a", "data64": "?"}), 400, "bad_request", "data64"),
        (json!({"data": 1}), 400, "bad_request", "channel"),
        (json!({"channel": "chat a", "data": 1}), 400, "bad_request", "channel"),
        (json!({"channel": 7, "data": 1}), 400, "bad_request", "channel"),
        (json!({"channel": "chat:a", "data": 1, "id": ""}), 400, "bad_request", "id"),
        (json!({"channel": "chat:a", "data": 1, "id": "i".repeat(65)}), 400, "bad_request", "id"),
        (json!({"channel": "chat:a", "data": 1, "id": "a b"}), 400, "bad_request", "id"),
        (json!({"channel": "chat:a", "data": 1, "event": "error"}), 400, "bad_request", "event"),
        (json!({"channel": "chat:a", "data": 1, "event": "open"}), 400, "bad_request", "event"),
        (json!({"channel": "chat:a", "data": 1, "event": "tricast:x"}), 400, "bad_request", "event"),
        (json!({"channel": "chat:a", "data": 1, "event": "a\nb"}), 400, "bad_request", "event"),
        (json!({"channel": "chat:a", "data": 1, "key": "k"}), 400, "bad_request", "key"),
        (json!({"channel": "chat:a", "data": 1, "ttl": 5}), 400, "bad_request", "ttl"),
        (json!({"channel": "chat:a", "data": 1, "if": 0}), 400, "bad_request", "if"),
        (json!({"channel": "chat:a", "deleted": true}), 400, "bad_request", "deleted"),
        (json!({"channel": "news:a", "data": 1}), 403, "forbidden", "news:a"),
        (json!({"channel": "nowhere", "data": 1}), 404, "unknown_channel", "nowhere"),
        (json!({"channel": "chat:a", "data": "x".repeat(65_535)}), 413, "too_large", "65536"),
    ];
    for (mut publish, status, code, culprit) in cases {
        publish["type"] = json!("publish");
        publish["ref"] = json!("me");
        let response = post(&server, &publish).await;
        assert_eq!(response.status, status, "{publish}");
        let error = response.json().await;
        assert_eq!((&error["type"], &error["code"], &error["ref"]), (&json!("error"), &json!(code), &json!("me")));
        let message = error["message"].as_str().unwrap();
        let named = message.contains(culprit) || error["channel"] == json!(culprit);
        assert!(named, "{publish}: {message:?} does not name {culprit}");
    }
    assert_eq!(data_of(&server, "chat:a").await, Vec::<Value>::new(), "none of them was appended");
}

/// Protocol, 6: the limit counts the payload as stored: compacted JSON text, or decoded binary.
#[tokio::test]
async fn the_message_limit_counts_the_payload_as_stored() {
    use tricast_testkit::WATCHDOG;
    let build = |builder: tricast::Builder| builder.message_bytes(10).write_timeout(WATCHDOG);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let publish = |payload: &str| format!(r#"{{"type":"publish","channel":"chat:a",{payload}}}"#);
    let cases = [
        (r#""data":"12345678""#, 200),
        (r#""data":"123456789""#, 413),
        (r#""data": [ 1 , 2 , 3 , 4 ]"#, 200),
        (r#""data64":"MDEyMzQ1Njc4OQ==""#, 200),
        (r#""data64":"MDEyMzQ1Njc4OTA=""#, 413),
    ];
    for (payload, status) in cases {
        let response = Request::post("/rt/send", publish(payload)).send(server.address).await;
        assert_eq!(response.status, status, "{payload}");
    }
}
