//! What the application takes back: a user's connections and tokens, or a subscription. Protocol, 3 and 6.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::{Access, Builder, RevokeError, Rule};

use super::{Met, Way, meet, query, send, socket, start, start_required};
use crate::client::http::Request;
use crate::client::{Reader, Sse, Transport, Ws, eventually, type_of};
use crate::matrix::Case;

/// Issued at the node's start; what is taken back later is taken back from it.
const OLD: &str = "ann&iat=0";

over_every_transport!(a_revoked_subscription_ends_and_the_connection_may_go_on);
over_every_transport_by_the_clock!(a_revoked_user_is_ended_and_nobody_else_is);

async fn a_revoked_user_is_ended_and_nobody_else_is(case: Case) {
    let server = start(|builder| builder).await;
    // Two tabs of hers.
    let open = async |token| Reader::open(case.transport, &server, &query(token, &["chat:a"])).await;
    let (mut ann, mut tab) = (open(Some(OLD)).await, open(Some("ann")).await);
    let mut others = [open(Some("bob")).await, open(None).await, open(Some("ann2")).await];
    server.let_pass(Duration::from_secs(1));
    let revoke = async {
        let parked = if case.transport.is_poll() { 2 } else { 5 };
        eventually("the readers", || server.connections() == parked).await;
        server.tricast.revoke("ann").await.unwrap();
    };
    let (bye, other_bye, ()) = tokio::join!(ann.next_of_log(), tab.next_of_log(), revoke);
    for bye in [bye, other_bye] {
        assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("unauthorized"), &json!(true)));
    }
    server.publish("chat:a", 1).await;
    for other in &mut others {
        assert_eq!(type_of(&other.message().await), "message");
    }
}

/// Of what a connection has, and of a stream all that it has.
async fn a_revoked_subscription_ends_and_the_connection_may_go_on(case: Case) {
    let server = start(|builder| builder).await;
    let channels: &[&str] = if case.transport == Transport::RawSse { &["chat:a"] } else { &["chat:a", "chat:b"] };
    let open = async |token| Reader::open(case.transport, &server, &query(token, channels)).await;
    let (mut ann, mut bob) = (open(Some("ann")).await, open(Some("bob")).await);
    let revoke = async |channel| {
        let parked = if case.transport.is_poll() { 1 } else { 2 };
        eventually("the readers", || server.connections() >= parked).await;
        server.tricast.revoke_subscription("ann", channel).await.unwrap();
    };
    let (told, ()) = tokio::join!(ann.next_of_log(), revoke("chat:a"));
    let unsubscribed = |channel: &str| json!({"type": "unsubscribed", "channel": channel, "code": "forbidden"});
    if case.transport == Transport::RawSse {
        let words = (type_of(&told), &told["code"], &told["reconnect"]);
        assert_eq!(words, ("bye", &json!("forbidden"), &json!(false)));
    } else {
        assert_eq!(told, unsubscribed("chat:a"));
        if !case.transport.is_poll() {
            // No message of it follows; a poller who names it again subscribes again.
            server.publish("chat:a", "after").await;
            server.publish("chat:b", "open").await;
            assert_eq!(ann.message().await["data"], "open");
        }
        let ended = matches!(case.transport, Transport::SseGet | Transport::SsePost);
        if ended {
            revoke("chat:b").await;
            assert_eq!(ann.next_of_log().await, unsubscribed("chat:b"));
            let bye = ann.next_of_log().await;
            let words = (type_of(&bye), &bye["code"], &bye["reconnect"]);
            assert_eq!(words, ("bye", &json!("forbidden"), &json!(false)));
        }
    }
    server.publish("chat:a", "still").await;
    loop {
        if bob.message().await["data"] == "still" {
            break;
        }
    }
}

/// A poller's answer says where it stands on what was taken back: nowhere.
#[tokio::test]
async fn a_parked_poll_is_released_and_its_cursor_forgets_what_was_taken_back() {
    let server = start(|builder| builder).await;
    let positions = [server.publish("chat:a", 1).await, server.publish("chat:b", 1).await];
    for transport in [Transport::PollGet, Transport::PollPost] {
        let query = query(Some("ann"), &["chat:a", "chat:b"]).cursor(positions.join(","));
        let parked = async { super::Answer::read(query.request(transport).send(server.address).await).await };
        let revoke = async {
            eventually("the poll", || server.connections() == 1).await;
            server.tricast.revoke_subscription("ann", "chat:b").await.unwrap();
        };
        let (answer, ()) = tokio::join!(parked, revoke);
        assert_eq!(answer.types(), ["unsubscribed"]);
        assert_eq!(answer.cursor, format!("{},-", positions[0]));
    }
}

/// By `iat`: on every way, those from before are refused, and those from after are not.
#[tokio::test]
async fn tokens_from_before_are_refused_and_later_ones_are_not() {
    let server = start_required(|builder| builder).await;
    server.let_pass(Duration::from_secs(10));
    let mut ann = socket(&server, Some(OLD), &[]).await;
    server.tricast.revoke("ann").await.unwrap();
    assert_eq!(ann.next_event().await["code"], "unauthorized");
    assert_eq!(ann.closed().await.code, 4401);
    for way in Way::ALL {
        match meet(&server, way, Some(OLD), "chat:a").await {
            Met::Status { code, status: 401, challenge: Some(_), .. } | Met::Closed { code, close: 4401, .. } => {
                assert_eq!(code, "unauthorized");
            }
            other => panic!("{way:?}: {other:?}"),
        }
        for token in ["ann&iat=10000", "ann", "bob&iat=0", "ann2&iat=0"] {
            assert!(matches!(meet(&server, way, Some(token), "chat:a").await, Met::LetIn(_)), "{way:?} {token}");
        }
    }
}

/// A token from before cannot renew what one from after began.
#[tokio::test]
async fn a_token_from_before_renews_nothing() {
    let server = start(|builder| builder).await;
    server.let_pass(Duration::from_secs(10));
    // Who is connected when it happens learns of it first.
    let mut witness = socket(&server, Some("ann"), &[]).await;
    server.tricast.revoke("ann").await.unwrap();
    assert_eq!(type_of(&witness.next_event().await), "bye");
    let mut ws = socket(&server, Some("ann&iat=10000"), &["chat:a"]).await;
    let refused = ws.ask(json!({"type": "auth", "token": OLD})).await;
    assert_eq!((type_of(&refused), &refused["code"]), ("error", &json!("unauthorized")));
    let mut anonymous = socket(&server, None, &[]).await;
    assert_eq!(anonymous.ask(json!({"type": "auth", "token": OLD})).await["code"], "unauthorized");
    assert_eq!(anonymous.ask(json!({"type": "auth", "token": "ann"})).await["user"], "ann");
}

/// An event stream by `EventSource`: it is told, and its next request is refused for good.
#[tokio::test]
async fn a_raw_stream_is_told_and_its_next_request_is_refused() {
    let server = start(|builder| builder).await;
    let request = || Request::get("/rt/sse?channel=chat:a").bearer(OLD);
    let mut sse = Sse::of(request(), server.address).await;
    while sse.block().await.id.is_none() {}
    server.let_pass(Duration::from_secs(1));
    server.tricast.revoke("ann").await.unwrap();
    let block = sse.block().await;
    assert_eq!((block.event.as_deref(), &block.json()["code"]), (Some("tricast:bye"), &json!("unauthorized")));
    assert_eq!(sse.try_block().await, None);
    assert_eq!(request().send(server.address).await.status, 401);
}

/// Who signed in later, on a connection that began as nobody's, is ended as well.
#[tokio::test]
async fn a_socket_that_signed_in_later_is_its_users() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, None, &["chat:a"]).await;
    server.tricast.revoke("ann").await.unwrap();
    ws.assert_silent().await;
    ws.ask(json!({"type": "auth", "token": "ann"})).await;
    server.let_pass(Duration::from_secs(1));
    server.tricast.revoke("ann").await.unwrap();
    assert_eq!(ws.next_event().await["code"], "unauthorized");
}

/// A connection that was renewed stands on its user's list once, and what was said to it before it was renewed counts.
#[tokio::test]
async fn a_renewed_connection_is_ended_once_and_loses_no_order() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann"), &["chat:a", "chat:b"]).await;
    for _ in 0..3 {
        ws.ask(json!({"type": "auth", "token": "ann"})).await;
    }
    // Both are on their way at once; whichever is seen first, both are obeyed.
    ws.send(json!({"type": "auth", "token": "ann"})).await;
    server.tricast.revoke_subscription("ann", "chat:a").await.unwrap();
    let mut told = [ws.next_event().await, ws.next_event().await];
    told.sort_by_key(|event| type_of(event).to_owned());
    assert_eq!(told.each_ref().map(type_of), ["unsubscribed", "welcome"]);
    ws.assert_silent().await;
    server.publish("chat:a", 1).await;
    server.publish("chat:b", 2).await;
    assert_eq!(ws.next_event().await["channel"], "chat:b");
}

/// It ends what is. Whether the user may come again is for the rules to say.
#[tokio::test]
async fn a_revoked_subscription_may_be_begun_again_where_the_rules_allow_it() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann"), &["chat:a"]).await;
    server.tricast.revoke_subscription("ann", "chat:a").await.unwrap();
    assert_eq!(type_of(&ws.next_event().await), "unsubscribed");
    let again = ws.ask(json!({"type": "subscribe", "channel": "chat:a"})).await;
    assert_eq!(type_of(&again), "subscribed");
    server.publish("chat:a", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");
}

/// A channel that the connection does not read, a user who is not there, and names that are none.
#[tokio::test]
async fn what_is_not_there_is_taken_back_without_a_word() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann"), &["chat:a"]).await;
    server.tricast.revoke_subscription("ann", "chat:b").await.unwrap();
    server.tricast.revoke_subscription("nobody", "chat:a").await.unwrap();
    server.tricast.revoke("nobody").await.unwrap();
    ws.assert_silent().await;
    // Nothing of it lies in wait.
    assert_eq!(type_of(&ws.ask(json!({"type": "subscribe", "channel": "chat:b"})).await), "subscribed");
    server.publish("chat:b", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");
    assert!(matches!(server.tricast.revoke("").await, Err(RevokeError::User(_))));
    assert!(matches!(server.tricast.revoke_subscription("ann", "no channel").await, Err(RevokeError::Channel(_))));
}

/// The place among the members goes with the subscription, at once or after the grace.
#[tokio::test]
async fn a_member_leaves_with_what_was_taken_back() {
    let server = start(|builder: Builder| builder.rule("room:{id}", Rule::stream().presence())).await;
    let mut ws = Ws::open(server.address, &query(Some("ann"), &["room:a"])).await;
    ws.until("subscribed").await;
    let room = server.tricast.channel("room:a").unwrap();
    assert_eq!(room.member_count().await.unwrap(), 1);
    server.tricast.revoke_subscription("ann", "room:a").await.unwrap();
    ws.until("unsubscribed").await;
    server.let_really_pass(Duration::from_secs(5)).await;
    crate::client::watchdog("the member's end", async {
        while room.member_count().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Nothing more is executed for who was revoked: what waits behind a question is not.
#[tokio::test]
async fn commands_that_wait_are_not_executed_for_who_was_revoked() {
    let ask = Access::ask(|_| std::future::pending());
    let rules = |builder: Builder| {
        builder.rule("slow:{room}", Rule::stream().publish(ask)).hook_timeout(Duration::from_secs(20))
    };
    let server = start(rules).await;
    let mut ws = socket(&server, Some("ann"), &[]).await;
    let publish = |channel: &str| json!({"type": "publish", "channel": channel, "data": 1});
    ws.send(json!([publish("chat:a"), publish("slow:a"), publish("chat:b")])).await;
    assert_eq!(ws.next_event().await["channel"], "chat:a");
    server.tricast.revoke("ann").await.unwrap();
    assert_eq!(ws.next_event().await["code"], "unauthorized");
    let history = send(&server, None, &json!({"type": "history", "channel": "chat:b"})).await;
    assert_eq!(history["messages"], Value::Array(Vec::new()));
}
