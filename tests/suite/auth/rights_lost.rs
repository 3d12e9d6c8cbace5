//! A right that is lost ends just that subscription: at renewal, and at each resume. Protocol, 4 and 6.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tricast::{Access, AccessRequest, Builder, Rule, Subscribing};

use super::{query, send, socket, start, start_auth};
use crate::client::{Query, Reader, Transport, Ws, type_of};
use crate::matrix::Case;

/// Who may read which channel, as the application's own table has it.
#[derive(Debug, Clone, Default)]
struct Table(Arc<Mutex<HashSet<String>>>);

impl Table {
    fn of(rooms: &[&str]) -> Self {
        let table = Self::default();
        rooms.iter().for_each(|room| table.grant(room));
        table
    }

    fn grant(&self, room: &str) {
        self.0.lock().unwrap().insert(room.to_owned());
    }

    fn take(&self, room: &str) {
        assert!(self.0.lock().unwrap().remove(room), "{room}");
    }

    fn has(&self, room: &str) -> bool {
        self.0.lock().unwrap().contains(room)
    }

    /// `when:` asks at once, `ask:` takes a turn, and `hook:` is open but for what `on_subscribe` says.
    fn rules(&self) -> impl FnOnce(Builder) -> Builder + use<> {
        let (when, ask, hook) = (self.clone(), self.clone(), self.clone());
        move |builder| {
            let when = Access::when(move |_, params| params.get("room").is_some_and(|room| when.has(room)));
            let ask = Access::ask(move |request: AccessRequest| {
                let may = request.param("room").is_some_and(|room| ask.has(room));
                async move {
                    tokio::task::yield_now().await;
                    may
                }
            });
            let hook = move |subscribing: Subscribing| {
                let may = subscribing.param("room").is_some_and(|room| hook.has(room));
                std::future::ready(if may { Ok(()) } else { Err(tricast::Refused::forbidden("not any more")) })
            };
            builder
                .rule("when:{room}", Rule::stream().subscribe(when).presence())
                .rule("ask:{room}", Rule::stream().subscribe(ask).presence())
                .rule("hook:{room}", Rule::stream().presence())
                .on_subscribe("hook:{room}", hook)
        }
    }
}

const KINDS: [&str; 3] = ["when", "ask", "hook"];

fn unsubscribed(channel: &str) -> Value {
    json!({"type": "unsubscribed", "channel": channel, "code": "forbidden"})
}

/// What the token itself allowed is gone with the token that takes its place.
#[tokio::test]
async fn a_capability_that_the_fresh_token_lacks_ends_what_it_allowed() {
    let token = |builder: Builder| builder.rule("cap:{room}", Rule::stream().subscribe(Access::Token).presence());
    let server = start(token).await;
    let channels = ["cap:a", "chat:a", "cap:b", "@presence/cap:a"];
    let mut ws = socket(&server, Some("ann&subscribe=cap:{any}"), &channels).await;
    ws.until("live").await;
    ws.send(json!({"type": "auth", "token": "ann&subscribe=cap:b"})).await;
    assert_eq!(type_of(&ws.next_event().await), "welcome");
    let told = [ws.next_event().await, ws.next_event().await];
    assert_eq!(told, [unsubscribed("cap:a"), unsubscribed("@presence/cap:a")]);
    for (number, channel) in ["cap:a", "cap:b", "chat:a"].into_iter().enumerate() {
        server.publish(channel, number).await;
    }
    let told = [ws.until("message").await, ws.until("message").await];
    let mut channels = told.each_ref().map(|message| message["channel"].as_str().unwrap());
    channels.sort_unstable();
    assert_eq!(channels, ["cap:b", "chat:a"]);
    for channel in ["cap:a", "@presence/cap:a"] {
        assert_eq!(ws.ask(json!({"type": "subscribe", "channel": channel})).await["code"], "forbidden");
    }
}

/// Whoever is asked at a subscription is asked again when a token is renewed.
#[tokio::test]
async fn at_renewal_every_kind_of_right_is_looked_at_again() {
    let table = Table::of(&["a", "b"]);
    let server = start(table.rules()).await;
    let channels = ["when:a", "ask:a", "hook:a", "@presence/ask:a", "when:b", "ask:b", "hook:b", "chat:a"];
    let mut ws = Ws::open(server.address, &query(Some("ann"), &channels)).await;
    ws.until("live").await;
    table.take("a");
    ws.send(json!({"type": "auth", "token": "ann&exp=60000"})).await;
    ws.until("welcome").await;
    let mut lost = Vec::new();
    for _ in 0..4 {
        let event = ws.until("unsubscribed").await;
        assert_eq!(event["code"], "forbidden");
        lost.push(event["channel"].as_str().unwrap().to_owned());
    }
    lost.sort();
    assert_eq!(lost, ["@presence/ask:a", "ask:a", "hook:a", "when:a"]);
    for channel in channels.iter().filter(|channel| !channel.starts_with('@')) {
        server.publish(channel, 1).await;
    }
    let mut delivered = Vec::new();
    for _ in 0..4 {
        delivered.push(ws.until("message").await["channel"].as_str().unwrap().to_owned());
    }
    delivered.sort();
    assert_eq!(delivered, ["ask:b", "chat:a", "hook:b", "when:b"]);
    ws.assert_silent().await;
}

/// No answer is no right that is lost: the client comes back with its positions, and asks again.
#[tokio::test]
async fn at_renewal_no_answer_ends_the_connection_and_no_subscription() {
    let broken = Arc::new(Mutex::new(""));
    let how = Arc::clone(&broken);
    let ask = Access::ask(move |_| {
        let how = *how.lock().unwrap();
        assert_ne!(how, "panics", "a condition of this test");
        async move { if how == "hangs" { std::future::pending().await } else { true } }
    });
    let server = start(|builder: Builder| builder.rule("ask:{room}", Rule::stream().subscribe(ask))).await;
    for (how, code, close) in [("hangs", "timeout", 4408), ("panics", "internal", 1011)] {
        *broken.lock().unwrap() = "";
        let mut ws = socket(&server, Some("ann"), &["ask:a", "chat:a"]).await;
        *broken.lock().unwrap() = how;
        let welcome = ws.ask(json!({"type": "auth", "token": "ann&exp=60000"})).await;
        assert_eq!(type_of(&welcome), "welcome");
        let bye = ws.next_event().await;
        assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!(code), &json!(true)));
        assert_eq!(ws.closed().await.code, close);
    }
}

over_transports_of_many_channels!(at_a_resume_every_kind_of_right_is_looked_at_again);

/// On ws what is refused is an `error`; the others tell it in band, and keep `-` in the cursor.
async fn at_a_resume_every_kind_of_right_is_looked_at_again(case: Case) {
    for kind in KINDS {
        let table = Table::of(&["a"]);
        let server = start(table.rules()).await;
        let (lost, kept) = (format!("{kind}:a"), "chat:a");
        let positions = [server.publish(&lost, 1).await, server.publish(kept, 1).await];
        let again = query(Some("ann"), &[&lost, kept]).cursor(positions.join(","));
        drop(Reader::open(case.transport, &server, &again.clone().wait(0.0)).await);
        table.take("a");
        server.publish(&lost, 2).await;
        server.publish(kept, 2).await;
        if case.transport == Transport::Ws {
            let mut ws = Ws::open(server.address, &query(Some("ann"), &[&lost, kept])).await;
            let error = ws.until("error").await;
            assert_eq!((&error["channel"], &error["code"]), (&json!(lost), &json!("forbidden")));
            assert_eq!(ws.until("subscribed").await["channel"], kept);
            continue;
        }
        let mut reader = Reader::open(case.transport, &server, &again).await;
        assert_eq!(reader.next_of_log().await, unsubscribed(&lost), "{kind}");
        assert_eq!(reader.message().await["channel"], kept);
        assert!(reader.cursor().starts_with("-,"), "{}", reader.cursor());
        let all = query(Some("ann"), &[&lost]).cursor(positions[0].clone());
        assert_eq!(all.request(case.transport).send(server.address).await.status, 403, "{kind}");
    }
}

/// A poller is asked about with each of its requests.
#[tokio::test]
async fn a_poller_loses_a_right_with_its_next_request() {
    for kind in KINDS {
        let table = Table::of(&["a"]);
        let server = start(table.rules()).await;
        let channel = format!("{kind}:a");
        let mut reader = Reader::open(Transport::PollPost, &server, &query(Some("ann"), &[&channel, "chat:a"])).await;
        server.publish(&channel, 1).await;
        assert_eq!(reader.message().await["channel"], *channel);
        table.take("a");
        assert_eq!(reader.next_of_log().await, unsubscribed(&channel));
        server.publish(&channel, 2).await;
        server.publish("chat:a", 1).await;
        // What was unsubscribed stands in the request yet, and is told anew.
        loop {
            let event = reader.next_of_log().await;
            if type_of(&event) == "message" {
                assert_eq!(event["channel"], "chat:a");
                break;
            }
        }
    }
}

/// What a right allowed besides subscribing is gone with it.
#[tokio::test]
async fn history_and_presence_are_gone_with_the_right() {
    for kind in KINDS {
        let table = Table::of(&["a"]);
        let server = start(table.rules()).await;
        let commands = ["history", "presence"].map(|name| json!({"type": name, "channel": format!("{kind}:a")}));
        for command in &commands {
            assert_eq!(send(&server, Some("ann"), command).await["type"], command["type"]);
        }
        table.take("a");
        for command in &commands {
            assert_eq!(send(&server, Some("ann"), command).await["code"], "forbidden", "{kind}");
        }
    }
}

/// The right is taken back, and so is the subscription, while the application still thinks of what it knew before: what
/// it says then comes too late.
async fn a_subscription_is_taken_back_while_the_application_is_asked(case: Case) {
    let (asked, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (on_asked, on_go) = (Arc::clone(&asked), Arc::clone(&go_on));
    let slow = Access::ask(move |_| {
        let (asked, go_on) = (Arc::clone(&on_asked), Arc::clone(&on_go));
        async move {
            asked.add_permits(1);
            go_on.acquire().await.unwrap().forget();
            true
        }
    });
    let rules = |builder: Builder| {
        builder.rule("slow:{room}", Rule::stream().subscribe(slow)).hook_timeout(Duration::from_secs(20))
    };
    let server = start_auth(super::Tokens { required: false }, rules).await;
    let query = Query { from: Some("earliest".into()), ..query(Some("ann"), &["slow:a", "chat:a"]) };
    server.publish("slow:a", "secret").await;
    let taken_back = async {
        asked.acquire().await.unwrap().forget();
        server.tricast.revoke_subscription("ann", "slow:a").await.unwrap();
        // Until every connection has been told: all run on this test's own thread.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        go_on.add_permits(1);
        server.publish("chat:a", "open").await;
    };
    let (mut reader, ()) = tokio::join!(Reader::open(case.transport, &server, &query), taken_back);
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let event = reader.next_of_log().await;
        assert!(event["data"] != "secret", "{event}");
        seen.push(type_of(&event).to_owned());
    }
    seen.sort();
    assert_eq!(seen, ["message", "unsubscribed"]);
}

over_transports_of_many_channels!(a_subscription_is_taken_back_while_the_application_is_asked);

/// As above, of a channel that was subscribed already, and stands in the command once more.
#[tokio::test]
async fn what_is_taken_back_is_not_subscribed_again_by_a_command_that_waits() {
    let (asked, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (on_asked, on_go) = (Arc::clone(&asked), Arc::clone(&go_on));
    let table = Table::of(&["a", "slow"]);
    let may = table.clone();
    let slow = Access::ask(move |request: AccessRequest| {
        let (asked, go_on, may) = (Arc::clone(&on_asked), Arc::clone(&on_go), may.clone());
        async move {
            if request.param("room") == Some("slow") {
                asked.add_permits(1);
                go_on.acquire().await.unwrap().forget();
            }
            request.param("room").is_some_and(|room| may.has(room))
        }
    });
    let rules = |builder: Builder| {
        builder.rule("slow:{room}", Rule::stream().subscribe(slow)).hook_timeout(Duration::from_secs(20))
    };
    let server = start_auth(super::Tokens { required: false }, rules).await;
    let mut ws = socket(&server, Some("ann"), &["slow:a"]).await;
    ws.send(json!({"type": "subscribe", "channels": [{"name": "slow:a"}, {"name": "slow:slow"}]})).await;
    asked.acquire().await.unwrap().forget();
    table.take("a");
    server.tricast.revoke_subscription("ann", "slow:a").await.unwrap();
    assert_eq!(ws.next_event().await, unsubscribed("slow:a"));
    go_on.add_permits(1);
    while ws.next_event().await["channel"] != "slow:slow" {}
    server.publish("slow:a", "secret").await;
    server.publish("slow:slow", "open").await;
    assert_eq!(ws.until("message").await["data"], "open");
}
