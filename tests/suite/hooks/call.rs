//! `on_call`. Protocol, 4: `call` is answered by `result`, or by an `error` of the application's.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tricast::{Builder, Calling, Draft, Refused};

use super::{CODES, RETRY_AFTER, ask, post, refused, start};
use crate::client::{Query, Ws, type_of};

const CLIENT: &str = "client-of-this-test";

fn call(method: &str, data: impl Into<Value>) -> Value {
    json!({"type": "call", "method": method, "data": data.into(), "ref": 1})
}

fn methods(builder: Builder) -> Builder {
    builder
        .message_bytes(1_000)
        .hook_timeout(Duration::from_millis(50))
        .on_call("sum", |calling: Calling| async move { Ok(calling.json::<Vec<i64>>()?.iter().sum::<i64>()) })
        .on_call("who", |calling: Calling| async move {
            let client = calling.client.as_ref().map(|id| id.as_str().to_owned());
            Ok(json!({"method": calling.method, "client": client, "caller": format!("{:?}", calling.caller)}))
        })
        .on_call("refuse", |calling: Calling| async move { Err::<(), _>(refused(&calling.json::<String>()?)) })
        .on_call("maybe", |calling: Calling| async move { calling.json::<Option<u8>>() })
        .on_call("announce", |calling: Calling| async move {
            let draft = Draft::json("announced").map_err(|_| Refused::internal("no draft"))?;
            let appended = calling.tricast().publish("few:a", draft).await;
            appended.map(|appended| appended.position.seq.get()).map_err(|_| Refused::internal("no log"))
        })
        .on_call("panic", |calling: Calling| async move {
            assert_eq!(&*calling.method, "never", "a hook of this test");
            Ok(())
        })
        .on_call("hang", |_| std::future::pending::<Result<(), Refused>>())
        .on_call("unserializable", |_| async { Ok(HashMap::from([((1, 2), 3)])) })
}

#[tokio::test]
async fn a_call_is_answered_by_its_result_on_ws_and_send() {
    let server = start(methods).await;
    let mut ws = Ws::open(server.address, &Query::default().client(CLIENT)).await;
    ws.until("welcome").await;
    let result = |data: Value| json!({"type": "result", "ref": 1, "data": data});
    assert_eq!(ws.ask(call("sum", json!([1, 2, 3]))).await, result(json!(6)));
    assert_eq!(ask(&server, &call("sum", json!([4]))).await, result(json!(4)));
    assert_eq!(ask(&server, &call("maybe", 7)).await, result(json!(7)));
    let without = json!({"type": "call", "method": "maybe"});
    assert_eq!(ask(&server, &without).await, json!({"type": "result", "data": null}));

    let who = |client: Value| result(json!({"method": "who", "client": client, "caller": "Anonymous"}));
    assert_eq!(ws.ask(call("who", 0)).await, who(json!(CLIENT)));
    assert_eq!(ask(&server, &call("who", 0)).await, who(Value::Null));
    assert_eq!(ws.ask(call("announce", 0)).await, result(json!(1)));
}

#[tokio::test]
async fn calls_are_answered_in_the_order_of_their_commands() {
    let server = start(methods).await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    let commands = json!([
        {"type": "call", "method": "sum", "data": [1], "ref": 1},
        {"type": "ping", "ref": 2},
        {"type": "call", "method": "hang", "ref": 3},
        {"type": "subscribe", "channel": "chat:a", "ref": 4},
        {"type": "call", "method": "sum", "data": [], "ref": 5},
    ]);
    ws.send(commands.clone()).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let event = ws.next_event().await;
        told.push(format!("{} {}", type_of(&event), event["ref"]));
    }
    assert_eq!(told, ["result 1", "pong 2", "error 3", "subscribed 4", "result 5"]);
    let types = ask(&server, &commands).await;
    let types: Vec<&str> = types.as_array().unwrap().iter().map(type_of).collect();
    assert_eq!(types, ["result", "pong", "error", "error", "result"]);
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code() {
    let server = start(methods).await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    for (code, status) in CODES {
        let mut told = json!({"type": "error", "ref": 1, "code": code, "message": format!("refused as {code}")});
        if code == "rate_limited" {
            told["retry_after"] = RETRY_AFTER.as_secs_f64().into();
        }
        assert_eq!(ws.ask(call("refuse", code)).await, told);
        assert_eq!(post(&server, &call("refuse", code)).await.status, status);
    }
}

#[tokio::test]
async fn what_cannot_be_called_or_answered_is_an_error_and_the_connection_lives() {
    let server = start(methods).await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    let cases = [
        (call("nothing", 0), "bad_request", "nothing"),
        (call("sum", "three"), "bad_request", "data"),
        (call("sum", "x".repeat(999)), "too_large", "1000"),
        (call("panic", 0), "internal", "on_call"),
        (call("hang", 0), "timeout", "on_call"),
        (call("unserializable", 0), "internal", "result"),
    ];
    for (command, code, culprit) in cases {
        for error in [ws.ask(command.clone()).await, ask(&server, &command).await] {
            assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!(code), &json!(1)), "{error}");
            assert!(error["message"].as_str().unwrap().contains(culprit), "{error}");
        }
    }
    ws.assert_silent().await;
}
