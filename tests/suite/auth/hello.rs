//! `hello`: a WebSocket that has to say who it is before anything else. Protocol, 4.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tricast::{Access, Rule};

use super::{Met, closed, start, start_required};
use crate::client::{Query, Ws, eventually, type_of};
use crate::server::{Server, pass_on_timers};

/// How long a caller has to say who it is.
const HELLO: Duration = Duration::from_secs(10);

async fn knock(server: &Server, channels: &[&str]) -> Ws {
    Ws::open(server.address, &Query::of_all(channels)).await
}

fn hello(token: &str) -> Value {
    json!({"type": "hello", "token": token, "ref": "h"})
}

#[tokio::test]
async fn whatever_else_comes_first_ends_the_connection() {
    let server = start_required(|builder| builder).await;
    let firsts = [
        json!({"type": "ping"}).to_string(),
        json!({"type": "pong"}).to_string(),
        json!({"type": "hello"}).to_string(),
        json!({"type": "auth", "token": "ann"}).to_string(),
        json!({"type": "subscribe", "channel": "chat:a"}).to_string(),
        json!({"type": "publish", "channel": "chat:a", "data": 1}).to_string(),
        json!({"type": "history", "channel": "chat:a"}).to_string(),
        json!({"type": "call", "method": "m"}).to_string(),
        json!({"type": "hello", "token": 7}).to_string(),
        json!([{"type": "publish", "channel": "chat:a", "data": 1}, hello("ann")]).to_string(),
        "[]".to_owned(),
        "{".to_owned(),
    ];
    let firsts = firsts.into_iter().map(Message::text).chain([Message::binary(hello("ann").to_string())]);
    for first in firsts {
        let mut ws = knock(&server, &["chat:a"]).await;
        ws.send_message(first.clone()).await;
        let bye = ws.next_event().await;
        let met = closed(&mut ws, &bye).await;
        let Met::Closed { code, close, reconnect, .. } = met else { panic!("{met:?}") };
        assert_eq!((&*code, close, reconnect), ("unauthorized", 4401, true), "{first:?}");
    }
    assert!(server.epoch("chat:a").await.len() >= 12);
    let positions = server.publish("chat:a", 1).await;
    assert!(positions.ends_with("-1"), "nothing was published before: {positions}");
}

/// Heartbeats of the WebSocket itself are no commands.
#[tokio::test]
async fn a_ping_frame_may_come_before_it() {
    let server = start_required(|builder| builder).await;
    let mut ws = knock(&server, &[]).await;
    ws.send_message(Message::Ping(Vec::new().into())).await;
    assert_eq!(ws.ask(hello("ann")).await["user"], "ann");
}

#[tokio::test]
async fn it_may_be_followed_at_once_by_others() {
    let server = start_required(|builder| builder).await;
    let mut ws = knock(&server, &["chat:a"]).await;
    let subscribe = json!({"type": "subscribe", "channel": "chat:b", "ref": 1});
    let publish = json!({"type": "publish", "channel": "chat:b", "data": "hi", "ref": 2});
    ws.send(json!([hello("ann"), subscribe, publish])).await;
    let welcome = ws.next_event().await;
    assert_eq!((type_of(&welcome), &welcome["user"], &welcome["ref"]), ("welcome", &json!("ann"), &json!("h")));
    // The channels of the query come first.
    let told = [ws.next_event().await, ws.next_event().await, ws.next_event().await, ws.next_event().await];
    assert_eq!(told.each_ref().map(type_of), ["subscribed", "subscribed", "published", "message"]);
    assert_eq!(told.each_ref().map(|event| &event["channel"]), ["chat:a", "chat:b", "chat:b", "chat:b"]);
    assert_eq!((&told[3]["data"], &told[3]["user"]), (&json!("hi"), &json!("ann")));
}

/// Nothing of the query's channels is read, and nobody is there, before it is known who asks.
#[tokio::test]
async fn nothing_is_told_before_it() {
    let room = |builder: tricast::Builder| builder.rule("room:{id}", Rule::stream().presence());
    let server = start_required(room).await;
    server.publish("room:a", "early").await;
    let mut ws = Ws::open(server.address, &Query::of("room:a").from("earliest").client("client-a")).await;
    eventually("the connection", || server.connections() == 1).await;
    server.publish("room:a", "meanwhile").await;
    assert_eq!(server.tricast.channel("room:a").unwrap().member_count().await.unwrap(), 0);
    ws.send(hello("ann")).await;
    let types = [ws.next_event().await, ws.next_event().await, ws.next_event().await, ws.next_event().await];
    assert_eq!(types.each_ref().map(type_of), ["welcome", "subscribed", "message", "message"]);
    assert_eq!(server.tricast.channel("room:a").unwrap().member_count().await.unwrap(), 1);
}

#[tokio::test]
async fn it_may_choose_the_client_id_as_a_later_one_may_not() {
    let server = start_required(|builder| builder).await;
    let mut ws = Ws::open(server.address, &Query::default().client("of-query")).await;
    let chosen = json!({"type": "hello", "token": "ann", "client": "of-hello"});
    assert_eq!(ws.ask(chosen).await["client"], "of-hello");
    let again = json!({"type": "hello", "token": "ann", "client": "of-another"});
    assert_eq!(ws.ask(again).await["client"], "of-hello");
}

/// It is an `auth` then.
#[tokio::test]
async fn where_nobody_is_required_it_comes_after_welcome() {
    let server = start(|builder| builder.rule("own:{user}", Rule::stream().subscribe(Access::Owner))).await;
    let mut ws = knock(&server, &[]).await;
    assert_eq!(ws.next_event().await.get("user"), None);
    let welcome = ws.ask(json!({"type": "hello", "ref": 1})).await;
    assert_eq!((type_of(&welcome), &welcome["ref"], welcome.get("user")), ("welcome", &json!(1), None));
    assert_eq!(ws.ask(hello("ann")).await["user"], "ann");
    assert_eq!(ws.ask(hello("forged")).await["code"], "unauthorized");
    assert_eq!(type_of(&ws.ask(json!({"type": "subscribe", "channel": "own:ann"})).await), "subscribed");
}

#[tokio::test]
async fn none_within_ten_seconds_ends_the_connection() {
    let server = start_required(|builder| builder).await;
    let mut ws = knock(&server, &[]).await;
    eventually("the connection", || server.connections() == 1).await;
    pass_on_timers(HELLO - Duration::from_secs(1)).await;
    let mut late = knock(&server, &[]).await;
    eventually("another", || server.connections() == 2).await;
    pass_on_timers(Duration::from_secs(2)).await;
    let bye = ws.next_event().await;
    let met = closed(&mut ws, &bye).await;
    assert!(matches!(&met, Met::Closed { code, close: 4408, .. } if code == "timeout"), "{met:?}");
    assert_eq!(late.ask(hello("ann")).await["user"], "ann", "each has its own ten seconds");
}

/// Neither pings nor half a frame win time.
#[tokio::test]
async fn pings_do_not_put_the_end_off() {
    let server = start_required(|builder| builder).await;
    let mut ws = knock(&server, &[]).await;
    eventually("the connection", || server.connections() == 1).await;
    for _ in 0..3 {
        pass_on_timers(Duration::from_secs(4)).await;
        // Too late for the last, perhaps: then it is not taken.
        ws.send_message(Message::Ping(Vec::new().into())).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(type_of(&ws.next_event().await), "bye");
}

/// A drain does not wait for those who have not said who they are.
#[tokio::test]
async fn whoever_is_awaited_is_told_to_leave_when_the_node_drains() {
    let server = start_required(|builder| builder).await;
    let mut ws = knock(&server, &[]).await;
    eventually("the connection", || server.connections() == 1).await;
    let tricast = server.tricast.clone();
    let drain = tokio::spawn(async move { tricast.drain(Duration::from_secs(10)).await });
    assert_eq!(ws.next_event().await["code"], "draining");
    assert_eq!(ws.closed().await.code, 1001);
    drain.await.unwrap();
}
