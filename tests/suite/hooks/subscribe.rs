//! `on_subscribe`: which channels a caller may read, beyond what the rules say.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::{Builder, Refused, Subscribing};

use super::{CODES, Heard, RETRY_AFTER, ask, post, refused, socket, start};
use crate::client::http::Request;
use crate::client::{Query, Reader, Sse, Transport, Ws, type_of};
use crate::server::Server;

const HTTP: [Transport; 5] =
    [Transport::RawSse, Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];
const HTTP_OF_MANY: [Transport; 4] = [Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];

/// `chat:` channels that are named after a code are refused with it; notes what is asked.
fn guard(heard: &Heard) -> impl FnOnce(Builder) -> Builder {
    let heard = heard.clone();
    move |builder| {
        let hook = move |subscribing: Subscribing| {
            let room = subscribing.param("room").unwrap().to_owned();
            heard.note(format!("{room} by {:?}", subscribing.transport));
            async move {
                match &*room {
                    "panic" => panic!("a hook of this test"),
                    "hang" => std::future::pending().await,
                    _ if CODES.iter().any(|(code, _)| *code == room) => Err(refused(&room)),
                    _ => Ok(()),
                }
            }
        };
        builder.hook_timeout(Duration::from_millis(50)).on_subscribe("chat:{room}", hook)
    }
}

fn may_retry(code: &str) -> bool {
    matches!(code, "rate_limited" | "unavailable" | "internal" | "timeout")
}

async fn assert_refused(server: &Server, transport: Transport, query: &Query, code: &str, status: u16) {
    if may_retry(code) && matches!(transport, Transport::RawSse | Transport::SseGet) {
        let mut sse = Sse::open(transport, server.address, query).await;
        let bye = sse.block().await.json();
        assert_eq!((type_of(&bye), &bye["code"]), ("bye", &json!(code)), "{transport:?}");
        assert_eq!(sse.try_block().await, None);
        return;
    }
    let response = query.request(transport).send(server.address).await;
    assert_eq!(response.status, status, "{transport:?}");
    let error = response.json().await;
    assert_eq!((&error["code"], &error["channel"]), (&json!(code), &json!(format!("chat:{code}"))), "{transport:?}");
}

/// Protocol, 6, "Refused channels".
#[tokio::test]
async fn without_a_cursor_one_refused_channel_refuses_the_request() {
    let server = start(guard(&Heard::default())).await;
    for (code, status) in CODES {
        let channel = format!("chat:{code}");
        for transport in HTTP {
            assert_refused(&server, transport, &Query::of(&channel), code, status).await;
        }
        for transport in HTTP_OF_MANY {
            assert_refused(&server, transport, &Query::of_all(&["chat:a", &channel]), code, status).await;
        }
    }
}

#[tokio::test]
async fn with_a_cursor_the_refused_are_told_and_the_others_go_on() {
    let server = start(guard(&Heard::default())).await;
    let positions = server.publish_all("chat:a", 1..=3).await;
    for transport in HTTP_OF_MANY {
        let query = Query::of_all(&["chat:forbidden", "chat:a", "secret:a"]).cursor(format!("-,{},-", positions[0]));
        let mut reader = Reader::open(transport, &server, &query).await;
        for channel in ["chat:forbidden", "secret:a"] {
            let told = json!({"type": "unsubscribed", "channel": channel, "code": "forbidden"});
            assert_eq!(reader.next_of_log().await, told, "{transport:?}");
        }
        assert_eq!(reader.seqs(2).await, [2, 3], "{transport:?}");
        assert_eq!(reader.cursor(), format!("-,{},-", positions[2]), "{transport:?}");
        let all = Query::of_all(&["chat:forbidden", "secret:a"]).cursor("-,-");
        assert_eq!(all.request(transport).send(server.address).await.status, 403, "{transport:?}");
        // A client does not ask again for what the server unsubscribed: so what may be retried refuses the request.
        let query = Query::of_all(&["chat:a", "chat:unavailable"]).cursor(format!("{},-", positions[0]));
        assert_refused(&server, transport, &query, "unavailable", 503).await;
    }
}

/// On ws a refused channel, from the query or from a command, is an `error` with `channel`, and the others go on.
#[tokio::test]
async fn on_ws_the_refused_are_errors_and_the_others_go_on() {
    let server = start(guard(&Heard::default())).await;
    for (code, _) in CODES {
        let refused_channel = format!("chat:{code}");
        let error = |reference: Option<u64>| {
            let mut error = json!({"type": "error", "channel": refused_channel, "code": code});
            error["message"] = format!("refused as {code}").into();
            if let Some(reference) = reference {
                error["ref"] = reference.into();
            }
            if code == "rate_limited" {
                error["retry_after"] = RETRY_AFTER.as_secs_f64().into();
            }
            error
        };
        let mut ws = Ws::open(server.address, &Query::of_all(&["chat:a", &refused_channel, "few:a"])).await;
        let told = [ws.next_event().await, ws.next_event().await, ws.next_event().await, ws.next_event().await];
        assert_eq!(told.each_ref().map(type_of), ["welcome", "subscribed", "error", "subscribed"]);
        assert_eq!(told[2], error(None));

        let channels = json!([{"name": refused_channel}, {"name": "chat:b"}, {"name": refused_channel}]);
        ws.send(json!({"type": "subscribe", "channels": channels, "ref": 1})).await;
        let told = [ws.next_event().await, ws.next_event().await, ws.next_event().await];
        assert_eq!((&told[0], type_of(&told[1]), &told[2]), (&error(Some(1)), "subscribed", &error(Some(1))));
        server.publish(&refused_channel, "secret").await;
        server.publish("chat:b", code).await;
        assert_eq!(ws.next_event().await["data"], code);
        ws.assert_silent().await;
    }
}

/// Once for each subscription and not for each message; a poll subscribes each time.
#[tokio::test]
async fn the_application_is_asked_once_for_each_subscription() {
    let heard = Heard::default();
    let server = start(guard(&heard)).await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    ws.until("subscribed").await;
    ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await;
    ws.ask(json!({"type": "unsubscribe", "channel": "chat:a"})).await;
    ws.ask(json!({"type": "subscribe", "channels": [{"name": "chat:a"}, {"name": "few:b"}]})).await;
    let mut sse = Reader::open(Transport::SseGet, &server, &Query::of("chat:b")).await;
    for number in 1..=3 {
        server.publish("chat:a", number).await;
        server.publish("chat:b", number).await;
        assert_eq!(sse.message().await["data"], number);
        assert_eq!(ws.until("message").await["data"], number);
    }
    assert_eq!(heard.all(), ["a by Ws", "a by Ws", "b by Sse"]);

    let mut poll = Reader::open(Transport::PollGet, &server, &Query::of("chat:c")).await;
    server.publish("chat:c", 1).await;
    assert_eq!(poll.message().await["data"], 1);
    assert_eq!(heard.all()[3..], ["c by Poll", "c by Poll"]);
}

/// The rules are asked first; and the application is not asked about itself.
#[tokio::test]
async fn nobody_is_asked_about_what_the_rules_refuse_or_the_application_does() {
    let heard = Heard::default();
    let hear = heard.clone();
    let hook = move |subscribing: Subscribing| {
        hear.note(subscribing.channel.as_str());
        std::future::ready(Ok::<(), Refused>(()))
    };
    let server = start(|builder| builder.on_subscribe("{any}", hook)).await;
    for transport in HTTP {
        assert_eq!(Query::of("secret:a").request(transport).send(server.address).await.status, 403);
    }
    let mut ws = socket(&server).await;
    assert_eq!(ws.ask(json!({"type": "subscribe", "channel": "nowhere"})).await["code"], "unknown_channel");
    server.publish("chat:a", 1).await;
    server.epoch("chat:a").await;
    assert_eq!(heard.all(), [""; 0]);
}

/// Whoever may subscribe to a channel may read what it retains, and nobody else.
#[tokio::test]
async fn history_is_refused_where_subscribing_is() {
    let heard = Heard::default();
    let server = start(guard(&heard)).await;
    let history = |channel: &str| json!({"type": "history", "channel": channel, "ref": 1});
    server.publish("chat:forbidden", "secret").await;
    server.publish("chat:a", "open").await;
    let mut ws = socket(&server).await;
    let refused = ws.ask(history("chat:forbidden")).await;
    assert_eq!((type_of(&refused), &refused["code"], &refused["ref"]), ("error", &json!("forbidden"), &json!(1)));
    assert_eq!(refused["channel"], "chat:forbidden");
    assert_eq!(post(&server, &history("chat:forbidden")).await.status, 403);
    assert_eq!(ask(&server, &history("chat:a")).await["messages"][0]["data"], "open");
    assert_eq!(ws.ask(history("chat:a")).await["messages"][0]["data"], "open");
    assert_eq!(heard.all(), ["forbidden by Ws", "forbidden by Send", "a by Send", "a by Ws"]);

    ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await;
    assert_eq!(type_of(&ws.ask(history("chat:a")).await), "history");
    assert_eq!(heard.all().len(), 5, "who is subscribed was asked about already");
}

#[tokio::test]
async fn a_hook_that_panics_or_hangs_refuses_and_the_connection_lives() {
    let server = start(guard(&Heard::default())).await;
    let mut ws = socket(&server).await;
    for (room, code, status) in [("panic", "internal", 500), ("hang", "timeout", 408)] {
        let channel = format!("chat:{room}");
        let channels: Vec<Value> = [&channel, "chat:a"].map(|name| json!({"name": name})).into();
        ws.send(json!({"type": "subscribe", "channels": channels})).await;
        let told = [ws.next_event().await, ws.next_event().await];
        assert_eq!((&told[0]["code"], type_of(&told[1])), (&json!(code), "subscribed"));
        let request = Request::get(format!("/rt/poll?channel={channel}"));
        assert_eq!(request.send(server.address).await.status, status);
    }
    ws.assert_silent().await;
}

/// Who is on a channel may be read by whom the application lets read the channel, and by nobody else: neither by the
/// `presence` command nor as a channel of its own, nor its history.
#[tokio::test]
async fn presence_is_as_closed_as_its_channel() {
    // Another pattern than the suite's own, which has no presence.
    let closed = |builder: Builder| {
        let rule = tricast::Rule::stream().presence();
        let hook = async |_: Subscribing| Err(refused("forbidden"));
        builder.rule("closed:{room}", rule.clone()).rule("open:{room}", rule).on_subscribe("closed:{room}", hook)
    };
    let server = start(closed).await;
    let mut ws = socket(&server).await;
    for command in [
        json!({"type": "presence", "channel": "closed:a"}),
        json!({"type": "history", "channel": "@presence/closed:a"}),
        json!({"type": "subscribe", "channel": "@presence/closed:a"}),
    ] {
        let told = ws.ask(command.clone()).await;
        assert_eq!((type_of(&told), &told["code"]), ("error", &json!("forbidden")), "{command}: {told}");
    }
    assert_eq!(ask(&server, &json!({"type": "presence", "channel": "closed:a"})).await["code"], "forbidden");
    for transport in HTTP_OF_MANY {
        let response = Query::of("@presence/closed:a").request(transport).send(server.address).await;
        assert_eq!(response.status, 403, "{transport:?}");
    }
    let open = ws.ask(json!({"type": "presence", "channel": "open:a"})).await;
    assert_eq!(type_of(&open), "presence", "{open}");
}
