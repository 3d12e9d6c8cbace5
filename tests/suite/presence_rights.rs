//! Who may read who is there, who is nobody, and that nobody can pretend to be another. Protocol, 8.

use serde_json::{Value, json};

use crate::client::http::Request;
use crate::client::{Query, Reader, Transport, Ws};
use crate::matrix::Case;
use crate::presence::{appends, clients, start};
use crate::server::{Backplane, Server};

async fn send(server: &Server, command: Value) -> (u16, Value) {
    let response = Request::post("/rt/send", command.to_string()).send(server.address).await;
    (response.status, response.json().await)
}

over_every_transport!(without_a_chosen_id_nobody_joins);

/// But on a WebSocket, which is told an id by `welcome`.
async fn without_a_chosen_id_nobody_joins(case: Case) {
    let server = start(case.backplane).await;
    if case.transport == Transport::Ws {
        let mut ws = Ws::open(server.address, &Query::of("room:a")).await;
        let welcome = ws.until("welcome").await;
        ws.until("subscribed").await;
        assert_eq!(clients(&server, "room:a").await, [welcome["client"].as_str().unwrap()]);
    } else {
        let _reader = Reader::open(case.transport, &server, &Query::of("room:a").wait(0.0)).await;
        assert_eq!(appends(&server, "room:a").await, 0);
    }
}

over_transports_of_many_channels!(whoever_may_not_read_a_channel_may_not_read_who_is_there);

async fn whoever_may_not_read_a_channel_may_not_read_who_is_there(case: Case) {
    let server = start(case.backplane).await;
    let refusals = [
        ("@presence/private:a", 403, "forbidden"),
        // No rule matches the first, and that of the second keeps no presence.
        ("@presence/nothing", 404, "unknown_channel"),
        ("@presence/chat:a", 404, "unknown_channel"),
        ("@presence/@presence/room:a", 404, "unknown_channel"),
        ("@presence/", 404, "unknown_channel"),
    ];
    for (channel, status, code) in refusals {
        let query = Query::of(channel).client("client-a");
        let error = if case.transport == Transport::Ws {
            Ws::open(server.address, &query).await.until("error").await
        } else {
            let response = query.request(case.transport).send(server.address).await;
            assert_eq!(response.status, status, "{channel}");
            response.json().await
        };
        assert_eq!((&error["code"], &error["channel"]), (&json!(code), &json!(channel)));
    }
}

#[tokio::test]
async fn the_command_is_for_whoever_may_subscribe_where_presence_is_on() {
    let server = start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of("room:a").client("client-a")).await;
    ws.until("subscribed").await;
    let presence = |channel: &str| json!({"type": "presence", "channel": channel, "ref": 1});
    let refusals = [
        ("private:a", 403, "forbidden"),
        ("nothing", 404, "unknown_channel"),
        ("chat:a", 400, "bad_request"),
        ("@presence/room:a", 400, "bad_request"),
    ];
    for (channel, status, code) in refusals {
        let on_ws = ws.ask(presence(channel)).await;
        assert_eq!(send(&server, presence(channel)).await, (status, on_ws.clone()));
        assert_eq!((&on_ws["code"], &on_ws["channel"], &on_ws["ref"]), (&json!(code), &json!(channel), &json!(1)));
    }
    assert_eq!(ws.ask(presence("chat:a")).await["message"], "presence is off on the channel");
    let listed = ws.ask(presence("room:a")).await;
    assert_eq!(listed["members"][0]["client"], "client-a");
    assert_eq!(send(&server, presence("room:a")).await, (200, listed));
}

#[tokio::test]
async fn nobody_publishes_who_is_there() {
    let server = start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of("room:a").client("client-a")).await;
    ws.until("subscribed").await;
    let spoof = json!({"client": "client-b", "since": 1});
    for command in [
        json!({"type": "publish", "channel": "@presence/room:a", "key": "client-b", "data": spoof}),
        json!({"type": "publish", "channel": "@presence/room:a", "key": "client-a", "deleted": true}),
    ] {
        let on_ws = ws.ask(command.clone()).await;
        assert_eq!(on_ws["code"], "forbidden");
        assert_eq!(send(&server, command).await, (403, on_ws));
    }
    let draft = tricast::Draft::json(&spoof).unwrap().key("client-b");
    let from_rust = server.tricast.publish("@presence/room:a", draft).await.unwrap_err();
    assert!(matches!(from_rust, tricast::PublishError::Forbidden(_)), "{from_rust}");
    assert_eq!((clients(&server, "room:a").await, appends(&server, "room:a").await), (vec!["client-a".into()], 1));
}

#[tokio::test]
async fn what_a_member_shows_is_its_own_connections_to_say() {
    let server = start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of("room:a").client("client-a")).await;
    ws.until("subscribed").await;
    let show = |channel: &str| json!({"type": "presence", "channel": channel, "data": 1, "client": "client-b"});
    let (status, refused) = send(&server, show("room:a")).await;
    assert_eq!((status, &refused["code"]), (400, &json!("bad_request")));
    assert!(refused["message"].as_str().unwrap().starts_with("data "), "{refused}");

    let mut stranger = Ws::open(server.address, &Query::of("room:b").client("client-b")).await;
    stranger.until("subscribed").await;
    let refused = stranger.ask(show("room:a")).await;
    assert_eq!(refused["code"], "bad_request");
    assert_eq!(appends(&server, "room:a").await, 1);

    // The id is the connection's, whatever stands in the command, or in the data.
    ws.ask(show("room:a")).await;
    let listed = ws.ask(json!({"type": "presence", "channel": "room:a", "data": {"client": "client-b"}})).await;
    let members = listed["members"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    assert_eq!((&members[0]["client"], &members[0]["data"]), (&json!("client-a"), &json!({"client": "client-b"})));
}

/// What is more than an answer may hold is refused, and can be read from the members' channel.
#[tokio::test]
async fn what_all_members_show_together_is_bounded_in_an_answer() {
    let server = start(Backplane::Memory).await;
    let mut members = Vec::new();
    for number in 0..5 {
        let mut ws = Ws::open(server.address, &Query::default().client(&format!("client-{number}"))).await;
        ws.until("welcome").await;
        let shown = "x".repeat(60_000);
        ws.ask(json!({"type": "subscribe", "channel": "room:a", "presence": shown})).await;
        let (_, answer) = send(&server, json!({"type": "presence", "channel": "room:a"})).await;
        match number {
            4 => assert_eq!(answer["code"], "too_large", "five of 60,000 are more than 256 KiB"),
            _ => assert_eq!(answer["members"].as_array().unwrap().len(), number + 1),
        }
        members.push(ws);
    }
    assert_eq!(clients(&server, "room:a").await.len(), 5);
}

/// The message limit holds for what a member shows.
#[tokio::test]
async fn what_a_member_shows_is_bounded() {
    let server = start(Backplane::Memory).await;
    let large = "x".repeat(65_536);
    let mut ws = Ws::open(server.address, &Query::default().client("client-a")).await;
    ws.until("welcome").await;
    let refused = ws.ask(json!({"type": "subscribe", "channel": "room:a", "presence": large})).await;
    assert_eq!((&refused["type"], &refused["code"]), (&json!("error"), &json!("too_large")));
    ws.ask(json!({"type": "subscribe", "channel": "room:a"})).await;
    let refused = ws.ask(json!({"type": "presence", "channel": "room:a", "data": large})).await;
    assert_eq!((&refused["code"], &refused["channel"]), (&json!("too_large"), &json!("room:a")));
    let body = json!({"channels": [{"name": "room:a", "presence": large}], "client": "client-b"}).to_string();
    for target in ["/rt/sse", "/rt/poll"] {
        assert_eq!(Request::post(target, body.clone()).send(server.address).await.status, 413);
    }
    assert_eq!((clients(&server, "room:a").await, appends(&server, "room:a").await), (vec!["client-a".into()], 1));
}
