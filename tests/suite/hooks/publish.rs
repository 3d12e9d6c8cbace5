//! `on_publish`: validate, change, store, refuse; whoever publishes, on whatever way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use tricast::{Access, Draft, Identity, OnPublish, PublishError, Publishing, Refused, Rule, Start, TypedRead};

use super::{CODES, Count, Heard, RETRY_AFTER, ask, post, refused, socket, start};
use crate::client::{Query, Reader, Transport, type_of, watchdog};
use crate::server::Server;

fn publish(channel: &str, data: impl Into<Value>) -> Value {
    json!({"type": "publish", "channel": channel, "data": data.into(), "ref": 1})
}

/// How many messages a channel holds.
async fn length(server: &Server, channel: &str) -> u64 {
    server.tricast.channel(channel).unwrap().position().await.unwrap().seq.get()
}

#[tokio::test]
async fn a_refusal_is_told_by_its_code_on_every_way_in() {
    let hook = |publishing: Publishing| async move { Err::<Draft, _>(refused(&publishing.json::<String>()?)) };
    let server = start(|builder| builder.on_publish("chat:{room}", hook)).await;
    let mut ws = socket(&server).await;
    for (code, status) in CODES {
        let mut told = json!({"type": "error", "ref": 1, "channel": "chat:a", "code": code});
        told["message"] = format!("refused as {code}").into();
        if code == "rate_limited" {
            told["retry_after"] = RETRY_AFTER.as_secs_f64().into();
        }
        assert_eq!(ws.ask(publish("chat:a", code)).await, told);
        assert_eq!(ask(&server, &json!([publish("chat:a", code)])).await, json!([told]));

        let single = post(&server, &publish("chat:a", code)).await;
        assert_eq!(single.status, status);
        let header = single.header("retry-after").map(str::to_owned);
        assert_eq!(single.json().await["code"], code);
        let expected = match code {
            "rate_limited" => Some("2"),
            "unavailable" | "internal" => Some("1"),
            _ => None,
        };
        assert_eq!(header.as_deref(), expected, "{code}: whole seconds, rounded up");

        let problem = server.tricast.publish("chat:a", Draft::json(code).unwrap()).await.unwrap_err();
        assert_eq!((problem.code().as_str(), problem.retry_after().is_some()), (code, code == "rate_limited"));
        assert!(matches!(problem, PublishError::Refused(refused) if refused.message().ends_with(code)));
    }
    assert_eq!(length(&server, "chat:a").await, 0, "what is refused is nowhere");
    ws.assert_silent().await;
}

/// The hook is told what it may decide by, and what it returns is what readers get, under the publisher's own id.
#[tokio::test]
async fn what_a_hook_returns_is_what_is_appended() {
    let heard = Heard::default();
    let hear = heard.clone();
    let hook = move |publishing: Publishing| {
        let id = publishing.id().map(str::to_owned);
        let (room, user) = (publishing.param("room").unwrap(), publishing.param("user").unwrap());
        hear.note(format!("{} {room} {user} {:?} {id:?}", publishing.channel, publishing.publisher));
        async move {
            let text: String = publishing.json()?;
            Ok(publishing.with_json(&json!({"text": text.trim()}))?.id("the-hooks-own"))
        }
    };
    let server = start(|builder| builder.on_publish("chat:{room}:{user}", hook)).await;
    let channel = server.tricast.channel("chat:lobby:ann").unwrap();
    let mut reader = Reader::open(Transport::Ws, &server, &Query::of("chat:lobby:ann")).await;

    let mut with_id = publish("chat:lobby:ann", " hello ");
    (with_id["id"], with_id["event"]) = ("m1".into(), "said".into());
    assert_eq!(ask(&server, &with_id).await["duplicate"], false);
    channel.publish(Draft::json(" from Rust ").unwrap()).await.unwrap();
    let [first, second] = [reader.message().await, reader.message().await];
    assert_eq!((&first["data"], &first["id"]), (&json!({"text": "hello"}), &json!("m1")));
    assert_eq!(first["event"], "said");
    assert_eq!((&second["data"], &second["id"]), (&json!({"text": "from Rust"}), &json!("the-hooks-own")));
    assert_eq!(ask(&server, &with_id).await["duplicate"], true, "it is known by what its publisher called it");
    let expected = ["Anonymous Some(\"m1\")", "Server None"].map(|who| format!("chat:lobby:ann lobby ann {who}"));
    assert_eq!(heard.all(), expected);
}

/// A draft that a hook made is held to the same bounds as one that a client sent.
#[tokio::test]
async fn what_a_hook_returns_is_checked() {
    let hook = |publishing: Publishing| async move { publishing.with_json(&"x".repeat(70_000)) };
    let reserved = |publishing: Publishing| async move { Ok::<_, Refused>(publishing.draft.event("tricast:x")) };
    let server = start(|builder| builder.on_publish("chat:{room}", hook).on_publish("few:{room}", reserved)).await;
    for (channel, code) in [("chat:a", "too_large"), ("few:a", "bad_request")] {
        assert_eq!(ask(&server, &publish(channel, 1)).await["code"], code);
        assert_eq!(length(&server, channel).await, 0);
    }
}

/// On a state a hook sees keys and deletions; what belongs to the key stays with the message.
#[tokio::test]
async fn a_hook_sees_what_is_published_to_states() {
    let heard = Heard::default();
    let hear = heard.clone();
    let hook = move |publishing: Publishing| {
        let Draft { key, payload, condition, .. } = &publishing.draft;
        hear.note(format!("{key:?} {} {condition:?}", payload.is_some()));
        async move {
            if publishing.draft.payload.is_none() {
                return Err(publishing.json::<u8>().unwrap_err());
            }
            publishing.with_json(&2)
        }
    };
    let state = Rule::state().publish(Access::Anyone);
    let server = start(|builder| builder.rule("levels", state).on_publish("levels", hook)).await;
    let set = json!({"type": "publish", "channel": "levels", "data": 1, "key": "a", "if": 0});
    assert_eq!(type_of(&ask(&server, &set).await), "published");
    let taken = ask(&server, &set).await;
    assert_eq!(taken["code"], "conflict", "the condition is the log's to judge, after the hook");
    let delete = json!({"type": "publish", "channel": "levels", "deleted": true, "key": "a"});
    assert_eq!(ask(&server, &delete).await["code"], "bad_request");
    assert_eq!(heard.all().iter().filter(|word| word.starts_with("Some(\"a\") true Some")).count(), 2, "{heard:?}");
    assert_eq!(heard.all().last().unwrap(), "Some(\"a\") false None");
    let mut reader = Reader::open(Transport::Ws, &server, &Query::of("levels")).await;
    let message = reader.message().await;
    assert_eq!((&message["key"], &message["data"]), (&json!("a"), &json!(2)));
}

/// A type of the application, with what it needs.
struct Archive {
    stored: Heard,
}

impl OnPublish for Archive {
    async fn on_publish(&self, publishing: Publishing) -> Result<Draft, Refused> {
        self.stored.note(publishing.json::<String>()?);
        Ok(publishing.draft)
    }
}

/// The id is looked up before the hook, so that a retry does not store twice; on any way in, per publisher.
#[tokio::test]
async fn a_repeat_is_answered_without_asking() {
    let stored = Heard::default();
    let archive = Archive { stored: stored.clone() };
    let server = start(|builder| builder.on_publish("chat:{room}", archive)).await;
    let mut ws = socket(&server).await;
    let one = json!({"type": "publish", "channel": "chat:a", "data": "caller", "id": "one"});
    let first = ws.ask(one.clone()).await;
    assert_eq!(first["duplicate"], false);
    for again in [ws.ask(one.clone()).await, ask(&server, &one).await, ask(&server, &json!([one])).await[0].clone()] {
        assert_eq!((&again["duplicate"], &again["position"]), (&json!(true), &first["position"]));
    }
    let draft = || Draft::json("server").unwrap().id("one");
    assert!(!server.append("chat:a", draft()).await.duplicate, "the server's id is another");
    assert!(server.append("chat:a", draft()).await.duplicate);
    assert_eq!(stored.all(), ["caller", "server"]);

    server.let_pass(Duration::from_secs(300));
    assert_eq!(ask(&server, &one).await["duplicate"], false);
    assert_eq!(stored.all(), ["caller", "server", "caller"], "forgotten after 5 minutes");
}

/// Repeats that come at once may all be asked about; the append is atomic, so one of them is the first.
#[tokio::test]
async fn of_concurrent_repeats_that_were_all_asked_about_one_is_appended() {
    const REPEATS: usize = 6;
    let all_are_there = Arc::new(Barrier::new(REPEATS));
    let asked = Count::default();
    let count = asked.clone();
    let hook = move |publishing: Publishing| {
        count.up();
        let barrier = Arc::clone(&all_are_there);
        async move {
            barrier.wait().await;
            Ok(publishing.draft)
        }
    };
    let server = start(|builder| builder.on_publish("chat:{room}", hook)).await;
    let one = json!({"type": "publish", "channel": "chat:a", "data": 1, "id": "one"});
    let mut sockets = [socket(&server).await, socket(&server).await, socket(&server).await];
    let by_socket = join_all(sockets.iter_mut().map(|ws| ws.ask(one.clone())));
    let by_send = join_all((0..REPEATS - 3).map(|_| ask(&server, &one)));
    let (mut answers, more) = tokio::join!(by_socket, by_send);
    answers.extend(more);

    assert_eq!(asked.get(), REPEATS);
    assert!(answers.iter().all(|answer| answer["position"] == answers[0]["position"]), "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["duplicate"] == false).count(), 1, "{answers:?}");
    assert_eq!(length(&server, "chat:a").await, 1);
    assert_eq!(ask(&server, &one).await["duplicate"], true);
    assert_eq!(asked.get(), REPEATS);
}

/// A hook narrows what the rules allow, and the first whose pattern matches is the one.
#[tokio::test]
async fn the_rules_are_asked_first_and_one_hook_after_them() {
    let asked = Heard::default();
    let hook = |name: &'static str| {
        let asked = asked.clone();
        move |publishing: Publishing| {
            asked.note(name);
            std::future::ready(Ok(publishing.draft))
        }
    };
    let build =
        |builder: tricast::Builder| builder.on_publish("chat:vip", hook("vip")).on_publish("{any}", hook("any"));
    let server = start(build).await;
    for (channel, code) in [("news:a", "forbidden"), ("nowhere", "unknown_channel")] {
        assert_eq!(ask(&server, &publish(channel, 1)).await["code"], code);
    }
    let malformed = json!({"type": "publish", "channel": "chat:vip", "data": 1, "event": "error"});
    assert_eq!(ask(&server, &malformed).await["code"], "bad_request");
    assert_eq!(asked.all(), [""; 0], "nobody was asked about what cannot be");
    for channel in ["chat:vip", "chat:a"] {
        assert_eq!(type_of(&ask(&server, &publish(channel, 1)).await), "published");
    }
    assert_eq!(asked.all(), ["vip", "any"]);
}

/// Protocol, 4: after a failure that may be retried a channel's later publishes of the array are not tried.
#[tokio::test]
async fn after_a_refusal_that_may_be_retried_the_application_is_not_asked_again() {
    let asked = Count::default();
    let count = asked.clone();
    let hook = move |publishing: Publishing| {
        count.up();
        async move {
            match publishing.json::<Value>()?.as_str() {
                Some(code) => Err(refused(code)),
                None => Ok(publishing.draft),
            }
        }
    };
    let server = start(|builder| builder.on_publish("chat:{room}", hook)).await;
    let mut ws = socket(&server).await;
    let commands = json!([
        publish("chat:a", "forbidden"),
        publish("chat:a", "rate_limited"),
        publish("chat:a", 1),
        publish("chat:b", 2)
    ]);
    ws.send(commands.clone()).await;
    let on_ws = json!([ws.next_event().await, ws.next_event().await, ws.next_event().await, ws.next_event().await]);
    for (way, answers) in [("ws", on_ws), ("send", ask(&server, &commands).await)] {
        let codes: Vec<&Value> = answers.as_array().unwrap().iter().map(|answer| &answer["code"]).collect();
        assert_eq!(codes, [&json!("forbidden"), &json!("rate_limited"), &json!("rate_limited"), &Value::Null], "{way}");
        assert!(answers[2]["message"].as_str().unwrap().starts_with("not tried"), "{answers}");
        assert_eq!(answers[2]["retry_after"], answers[1]["retry_after"], "{answers}");
    }
    assert_eq!(asked.get(), 6, "three of the four, twice");
    assert_eq!(type_of(&ws.ask(publish("chat:a", 1)).await), "published", "the next array is tried");
}

/// What a hook publishes is published, and goes through the hooks as well.
#[tokio::test]
async fn a_hook_may_publish_elsewhere() {
    let hook = |publishing: Publishing| async move {
        let copy = publishing.draft.clone();
        publishing.tricast().publish("few:log", copy).await.map_err(|_| Refused::internal("no log"))?;
        Ok(publishing.draft)
    };
    let seal = |publishing: Publishing| async move {
        assert_eq!(publishing.publisher, Identity::Server);
        publishing.with_json("sealed")
    };
    let server = start(|builder| builder.on_publish("chat:{room}", hook).on_publish("few:log", seal)).await;
    assert_eq!(type_of(&ask(&server, &publish("chat:a", "open")).await), "published");
    let mut log = server.tricast.channel_of::<String>("few:log").unwrap().read(Start::Earliest).await.unwrap();
    let read = watchdog("a message", log.next()).await;
    assert!(matches!(read, Some(TypedRead::Message { value, .. }) if value == "sealed"));
}
