//! Commands on a WebSocket. Protocol, 4: what each answers; a command that cannot be understood answers `error`, and
//! the connection lives on.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Query, Ws, type_of};
use crate::server::{Backplane, Server};

/// A socket that has been welcomed.
async fn open(server: &Server) -> Ws {
    let mut ws = Ws::open(server.address, &Query::default()).await;
    assert_eq!(type_of(&ws.next_event().await), "welcome");
    ws
}

#[tokio::test]
async fn welcome_comes_first_and_tells_the_terms() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a").client("a-client-1")).await;
    let expected = json!({"type": "welcome", "version": 1, "client": "a-client-1", "heartbeat": 25,
        "time": 1_700_000_000_000u64, "limits": {"message": 65_536, "channels": 128, "batch": 64}});
    assert_eq!(ws.next_event().await, expected);
    assert_eq!(type_of(&ws.next_event().await), "subscribed");

    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut ws = Ws::open(server.address, &Query::default()).await;
        clients.push(ws.next_event().await["client"].as_str().unwrap().to_owned());
    }
    assert!(clients[0] != clients[1] && clients.iter().all(|id| (8..=64).contains(&id.len())), "{clients:?}");
}

/// Issue 2, "websocat-style use": no subprotocol, no `hello`, nothing sent.
#[tokio::test]
async fn a_bare_client_streams_the_channel_of_its_url() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::plain(server.address, "/rt/ws?channel=chat:a").await;
    assert_eq!(type_of(&ws.next_event().await), "welcome");
    assert_eq!(type_of(&ws.next_event().await), "subscribed");
    for seq in 1..=3 {
        server.publish("chat:a", seq).await;
        assert_eq!(ws.next_event().await["data"], json!(seq));
    }
}

/// Without an authenticator a token is ignored, everyone is anonymous, `auth` answers `welcome`; after `welcome`,
/// `hello` is `auth`, its `client` ignored.
#[tokio::test]
async fn hello_and_auth_are_answered_by_welcome() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::default().client("a-client-1")).await;
    ws.next_event().await;
    let hello = json!({"type": "hello", "client": "another-1", "token": "t", "ref": 1});
    for command in [hello, json!({"type": "hello"}), json!({"type": "auth", "token": "t", "ref": "two"})] {
        let welcome = ws.ask(command.clone()).await;
        assert_eq!((type_of(&welcome), &welcome["client"]), ("welcome", &json!("a-client-1")));
        assert_eq!(welcome.get("ref"), command.get("ref"));
        assert_eq!(welcome.get("user"), None);
    }
}

#[tokio::test]
async fn subscribe_starts_where_it_says_and_answers_each_channel() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("chat:a", 1..=5).await;
    let mut ws = open(&server).await;
    let one = ws.ask(json!({"type": "subscribe", "channel": "chat:a", "from": positions[3], "ref": "r"})).await;
    let expected = json!({"type": "subscribed", "channel": "chat:a", "kind": "stream", "position": positions[3],
        "head": positions[4], "recovered": true, "ref": "r"});
    assert_eq!(one, expected);
    assert_eq!(ws.next_event().await["seq"], 5);

    server.publish_all("chat:b", 1..=3).await;
    let channels = json!([{"name": "chat:b", "from": "last:1"}, {"name": "chat:c"}]);
    ws.send(json!({"type": "subscribe", "channels": channels})).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        let event = ws.next_event().await;
        told.push((type_of(&event).to_owned(), event["channel"].as_str().unwrap().to_owned()));
    }
    let expected = [("subscribed", "chat:b"), ("subscribed", "chat:c"), ("message", "chat:b")];
    assert_eq!(told, expected.map(|(word, channel)| (word.to_owned(), channel.to_owned())));
}

#[tokio::test]
async fn a_subscribe_with_a_position_that_is_gone_is_a_gap() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("few:a", 1..=10).await;
    let mut ws = open(&server).await;
    let subscribed = ws.ask(json!({"type": "subscribe", "channel": "few:a", "from": positions[0]})).await;
    assert_eq!((type_of(&subscribed), &subscribed["recovered"]), ("subscribed", &json!(false)));
    let gap = ws.next_event().await;
    assert_eq!((type_of(&gap), &gap["reason"], &gap["position"]), ("gap", &json!("expired"), &json!(positions[6])));
    assert_eq!(ws.next_event().await["seq"], 8);
}

/// Already subscribed: answers `subscribed`, moves nothing.
#[tokio::test]
async fn subscribing_twice_moves_nothing() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await;
    let positions = server.publish_all("chat:a", 1..=2).await;
    for seq in 1..=2 {
        assert_eq!(ws.next_event().await["seq"], json!(seq));
    }
    let again = ws.ask(json!({"type": "subscribe", "channel": "chat:a", "from": "earliest", "ref": 2})).await;
    let expected = json!({"type": "subscribed", "channel": "chat:a", "kind": "stream",
        "position": positions[1], "head": positions[1], "ref": 2});
    assert_eq!(again, expected);
    server.publish("chat:a", 3).await;
    assert_eq!(ws.next_event().await["seq"], 3, "neither repeated from the earliest nor twice");
    ws.assert_silent().await;
}

/// A channel that is named twice at once is subscribed once.
#[tokio::test]
async fn naming_a_channel_twice_in_one_command_delivers_once() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    let channels = json!([{"name": "chat:a"}, {"name": "chat:a"}]);
    ws.send(json!({"type": "subscribe", "channels": channels})).await;
    let told = [ws.next_event().await, ws.next_event().await];
    assert_eq!(told.each_ref().map(type_of), ["subscribed", "subscribed"]);
    server.publish("chat:a", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");
    ws.assert_silent().await;
    ws.ask(json!({"type": "unsubscribe", "channel": "chat:a"})).await;
    server.publish("chat:a", 2).await;
    ws.assert_silent().await;
}

/// No message of that subscription follows `unsubscribed`.
#[tokio::test]
async fn unsubscribe_stops_a_channel_and_only_that() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await;
    ws.ask(json!({"type": "subscribe", "channel": "chat:b"})).await;
    let answer = ws.ask(json!({"type": "unsubscribe", "channel": "chat:a", "ref": 9})).await;
    assert_eq!(answer, json!({"type": "unsubscribed", "channel": "chat:a", "ref": 9}));
    let position = server.publish("chat:a", 1).await;
    server.publish("chat:b", 1).await;
    assert_eq!(ws.next_event().await["channel"], "chat:b");
    ws.assert_silent().await;

    let never = ws.ask(json!({"type": "unsubscribe", "channel": "chat:never"})).await;
    assert_eq!(type_of(&never), "unsubscribed");
    let from = position.replace("-1", "-0");
    let back = ws.ask(json!({"type": "subscribe", "channel": "chat:a", "from": from})).await;
    assert_eq!(back["recovered"], true);
    assert_eq!(ws.next_event().await["seq"], 1);
}

#[tokio::test]
async fn ping_is_answered_with_its_ref() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    for reference in [json!(7), json!("seven"), json!(1.5)] {
        let pong = ws.ask(json!({"type": "ping", "ref": reference})).await;
        assert_eq!(pong, json!({"type": "pong", "ref": reference}));
    }
    assert_eq!(ws.ask(json!({"type": "ping"})).await, json!({"type": "pong"}));
    ws.send(json!({"type": "pong"})).await;
    ws.assert_silent().await;
}

/// Commands of one connection run in order, and each event goes out in a frame of its own.
#[tokio::test]
async fn an_array_of_commands_is_answered_in_order() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    let publish = |data: u64| json!({"type": "publish", "channel": "chat:a", "data": data, "ref": data});
    let subscribe = json!({"type": "subscribe", "channel": "chat:a", "from": "earliest", "ref": "s"});
    ws.send(json!([publish(1), subscribe, {"type": "dance", "ref": "d"}, publish(2)])).await;
    let mut told = Vec::new();
    for _ in 0..6 {
        let event = ws.next_event().await;
        told.push((type_of(&event).to_owned(), event.get("ref").cloned().unwrap_or(event["seq"].clone())));
    }
    let expected = [
        ("published", json!(1)),
        ("subscribed", json!("s")),
        ("error", json!("d")),
        ("published", json!(2)),
        ("message", json!(1)),
        ("message", json!(2)),
    ];
    assert_eq!(told, expected.map(|(word, mark)| (word.to_owned(), mark)));
}

/// After a publish that failed with a code that may be retried, the later ones of its array to that channel are not
/// tried; those to other channels are, and so is a later frame's. Here a node that keeps one channel has no room for a
/// second.
#[tokio::test]
async fn after_a_failure_that_may_be_retried_a_channels_later_publishes_of_the_array_are_not_tried() {
    let (server, reader) = Server::start_full(Backplane::Memory).await;
    let mut ws = open(&server).await;
    let publish =
        |channel: &str, reference: u64| json!({"type": "publish", "channel": channel, "data": 1, "ref": reference});
    ws.send(json!([publish("chat:b", 1), publish("chat:b", 2), publish("chat:a", 3), publish("chat:b", 4)])).await;
    let mut told = Vec::new();
    for _ in 0..4 {
        let event = ws.next_event().await;
        let untried = event["message"].as_str().is_some_and(|message| message.starts_with("not tried"));
        told.push((event["ref"].as_u64().unwrap(), event["code"].as_str().map(str::to_owned), untried));
    }
    let unavailable = || Some("unavailable".to_owned());
    assert_eq!(told, [(1, unavailable(), false), (2, unavailable(), true), (3, None, false), (4, unavailable(), true)]);
    let again = ws.ask(publish("chat:b", 5)).await;
    assert!(!again["message"].as_str().unwrap().starts_with("not tried"), "another frame: {again}");
    drop(reader);
}

/// A publisher that is subscribed gets its own message, once.
#[tokio::test]
async fn a_publisher_hears_itself_once() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    ws.until("subscribed").await;
    ws.send(json!({"type": "publish", "channel": "chat:a", "data": "hi", "ref": 1})).await;
    let events = [ws.next_event().await, ws.next_event().await];
    let mut types = events.each_ref().map(type_of);
    types.sort_unstable();
    assert_eq!(types, ["message", "published"]);
    ws.assert_silent().await;
}

/// Protocol, 4: `bad_request` naming the culprit; protocol, 3: the connection lives on.
#[tokio::test]
async fn what_cannot_be_understood_is_an_error_and_the_connection_lives() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    let too_many = Value::from(vec![json!({"type": "ping"}); 65]).to_string();
    let cases = [
        ("", ""),
        ("hello", ""),
        ("{", ""),
        ("7", "command"),
        ("[]", "1 to 64"),
        (too_many.as_str(), "1 to 64"),
        (r#"{"ref":1}"#, "type"),
        (r#"{"type":7,"ref":1}"#, "type"),
        (r#"{"type":"dance","ref":1}"#, "dance"),
        (r#"{"type":"subscribe","ref":1}"#, "channel"),
        (r#"{"type":"subscribe","channel":"chat:a","from":"newest","ref":1}"#, "from"),
        (r#"{"type":"subscribe","channels":[{"name":"a b"}],"ref":1}"#, "name"),
        (r#"{"type":"unsubscribe","ref":1}"#, "channel"),
        (r#"{"type":"auth","ref":1}"#, "token"),
        (r#"{"type":"ping","ref":{}}"#, "ref"),
        (r#"{"type":"presence","channel":"chat:a","ref":1}"#, "presence is off"),
        (r#"{"type":"call","method":"m","ref":1}"#, "no method"),
    ];
    for (text, culprit) in cases {
        ws.send_message(Message::text(text)).await;
        let error = ws.next_event().await;
        assert_eq!((type_of(&error), &error["code"]), ("error", &json!("bad_request")), "{text}");
        assert!(error["message"].as_str().unwrap().contains(culprit), "{text}: {error}");
        if text.contains(r#""ref":1"#) {
            assert_eq!(error["ref"], 1, "{text}: {error}");
        }
    }
    let nested = format!(r#"{{"type":"ping","x":{}{}}}"#, "[".repeat(128), "]".repeat(128));
    ws.send_message(Message::text(nested)).await;
    assert_eq!(ws.next_event().await["code"], "bad_request");
    ws.assert_silent().await;
}

/// Protocol, 4: binary WebSocket frames are `bad_request`.
#[tokio::test]
async fn a_binary_frame_is_an_error_and_the_connection_lives() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    ws.send_message(Message::binary(br#"{"type":"ping"}"#.as_slice())).await;
    let error = ws.next_event().await;
    assert_eq!((type_of(&error), &error["code"]), ("error", &json!("bad_request")));
    assert!(error["message"].as_str().unwrap().contains("binary"), "{error}");
    ws.assert_silent().await;
}

/// Protocol, 6: a payload over the message limit gets `error too_large` and lives.
#[tokio::test]
async fn a_payload_that_is_too_large_is_an_error_and_the_connection_lives() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = open(&server).await;
    let publish = |length: usize| json!({"type": "publish", "channel": "chat:a", "data": "x".repeat(length), "ref": 1});
    let error = ws.ask(publish(65_535)).await;
    assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!("too_large"), &json!(1)));
    assert_eq!(type_of(&ws.ask(publish(65_534)).await), "published");
}

/// Protocol, 3: a subscription that failed is an `error`; the connection lives on.
#[tokio::test]
async fn a_channel_that_cannot_be_read_now_is_an_error() {
    let (server, _reader) = Server::start_full(Backplane::Memory).await;
    server.publish("chat:a", 1).await;
    let mut ws = open(&server).await;
    let error = ws.ask(json!({"type": "subscribe", "channel": "chat:b", "ref": 1})).await;
    assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!("unavailable"), &json!(1)));
    assert_eq!(error["channel"], "chat:b");
    assert_eq!(type_of(&ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await), "subscribed");
}

/// Protocol, 7: `too_many_channels`, for those that are too many.
#[tokio::test]
async fn a_connection_has_so_many_channels_and_no_more() {
    let build = |builder: tricast::Builder| builder.channels_per_connection(2);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let mut ws = open(&server).await;
    ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await;
    ws.send(json!({"type": "subscribe", "channels": [{"name": "chat:b"}, {"name": "chat:c"}]})).await;
    let told = [ws.next_event().await, ws.next_event().await];
    assert_eq!(told.each_ref().map(type_of), ["subscribed", "error"]);
    assert_eq!((&told[1]["code"], &told[1]["channel"]), (&json!("too_many_channels"), &json!("chat:c")));
    ws.ask(json!({"type": "unsubscribe", "channel": "chat:a"})).await;
    assert_eq!(type_of(&ws.ask(json!({"type": "subscribe", "channel": "chat:c"})).await), "subscribed");
}

/// What no connection could ever have is refused before anything is done for it.
#[tokio::test]
async fn a_list_longer_than_a_connection_may_have_is_refused_whole() {
    let build = |builder: tricast::Builder| builder.channels_per_connection(2);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let mut ws = open(&server).await;
    let channels = json!([{"name": "chat:a"}, {"name": "chat:b"}, {"name": "chat:c"}]);
    let error = ws.ask(json!({"type": "subscribe", "channels": channels, "ref": 1})).await;
    assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!("too_many_channels"), &json!(1)));
    server.publish("chat:a", 1).await;
    ws.assert_silent().await;
}
