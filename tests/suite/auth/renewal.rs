//! `auth`: a fresh token on a live WebSocket; and what each transport tells of a token's time.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::Rule;

use super::{poll, query, send, socket, start};
use crate::client::{Query, Sse, Transport, Ws, type_of};
use crate::server::Server;

fn auth(token: &str) -> Value {
    json!({"type": "auth", "token": token, "ref": "r"})
}

async fn expires_in(server: &Server, token: &str, transport: Transport) -> Option<f64> {
    let query = query(Some(token), &["chat:a"]).wait(0.0);
    match transport {
        Transport::Ws => Ws::open(server.address, &query).await.next_event().await["expires_in"].as_f64(),
        Transport::SseGet | Transport::SsePost => {
            Sse::open(transport, server.address, &query).await.next_event().await["expires_in"].as_f64()
        }
        Transport::PollGet | Transport::PollPost | Transport::RawSse => poll(server, &query).await.expires_in,
    }
}

/// Without the leeway, which is nobody's to plan with; and not where the token has no end.
#[tokio::test]
async fn each_transport_tells_how_long_the_token_lasts() {
    let server = start(|builder| builder).await;
    for transport in Transport::ALL {
        for (token, left) in [("ann", None), ("ann&exp=90500", Some(90.5)), ("ann&exp=-4000", Some(0.0))] {
            assert_eq!(expires_in(&server, token, transport).await, left, "{token} on {transport:?}");
        }
    }
}

#[tokio::test]
async fn a_fresh_token_is_welcomed_and_the_messages_go_on_without_a_hole() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann&exp=5000"), &["chat:a"]).await;
    server.publish_all("chat:a", 1..=2).await;
    ws.send(auth("ann&exp=60000")).await;
    server.publish_all("chat:a", 3..=4).await;
    let mut told = Vec::new();
    while told.len() < 5 {
        told.push(ws.next_event().await);
    }
    let (welcomes, messages): (Vec<_>, Vec<_>) = told.iter().partition(|event| type_of(event) == "welcome");
    assert_eq!(messages.iter().map(|message| &message["seq"]).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let [welcome] = &welcomes[..] else { panic!("{welcomes:?}") };
    assert_eq!((&welcome["ref"], &welcome["user"], &welcome["expires_in"]), (&json!("r"), &json!("ann"), &json!(60)));
    server.let_really_pass(Duration::from_secs(15)).await;
    server.publish("chat:a", 5).await;
    assert_eq!(ws.until("message").await["seq"], 5, "the old end is none any more");
}

#[tokio::test]
async fn a_bad_token_is_an_error_and_the_old_one_stays_until_its_end() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann&exp=5000"), &["chat:a"]).await;
    let cases = [
        ("forged", "unauthorized"),
        ("ann&exp=-5001", "token_expired"),
        ("nobody can tell", "unavailable"),
        ("panics", "internal"),
        ("panics at once", "internal"),
        ("hangs", "timeout"),
    ];
    for (token, code) in cases {
        let error = ws.ask(auth(token)).await;
        assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!(code), &json!("r")), "{token}");
        assert!(!error.to_string().contains(token), "the token is not told: {error}");
    }
    let published = ws.ask(json!({"type": "publish", "channel": "chat:a", "data": 1})).await;
    assert_eq!(type_of(&published), "published");
    assert_eq!(ws.next_event().await["user"], "ann");
    server.let_really_pass(Duration::from_secs(11)).await;
    assert_eq!(ws.next_event().await["code"], "token_expired");
    assert_eq!(ws.closed().await.code, 4402);
}

#[tokio::test]
async fn a_token_of_another_user_is_forbidden() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann"), &["chat:a"]).await;
    for token in ["bob", "bob&server", "ann2"] {
        let error = ws.ask(auth(token)).await;
        assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!("forbidden"), &json!("r")));
    }
    ws.ask(json!({"type": "publish", "channel": "chat:a", "data": 1})).await;
    assert_eq!(ws.next_event().await["user"], "ann", "it is who it was");
}

#[tokio::test]
async fn anonymous_becomes_a_user_once() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, None, &["chat:a"]).await;
    let publish = json!({"type": "publish", "channel": "chat:a", "data": 1});
    ws.ask(publish.clone()).await;
    assert_eq!(ws.next_event().await.get("user"), None);
    assert_eq!(ws.ask(auth("ann&exp=60000")).await["user"], "ann");
    assert_eq!(ws.ask(auth("bob")).await["code"], "forbidden");
    assert_eq!(ws.ask(auth("ann&exp=90000")).await["expires_in"], 90);
    ws.ask(publish).await;
    assert_eq!(ws.next_event().await["user"], "ann");
}

/// Commands behind it in the same array are the new caller's, and those before it the old one's.
#[tokio::test]
async fn commands_of_one_array_are_judged_by_who_the_caller_is_by_then() {
    let signed =
        |builder: tricast::Builder| builder.rule("signed:{x}", Rule::stream().subscribe(tricast::Access::SignedIn));
    let server = start(signed).await;
    let mut ws = socket(&server, None, &[]).await;
    let subscribe = |reference: u64| json!({"type": "subscribe", "channel": "signed:a", "ref": reference});
    ws.send(json!([subscribe(1), auth("ann"), subscribe(2)])).await;
    let told = [ws.next_event().await, ws.next_event().await, ws.next_event().await];
    assert_eq!(told.each_ref().map(type_of), ["error", "welcome", "subscribed"]);
    assert_eq!((&told[0]["code"], &told[2]["ref"]), (&json!("forbidden"), &json!(2)));
}

/// Messages are delivered while somebody finds out who it is.
#[tokio::test]
async fn messages_go_on_while_the_authenticator_is_asked() {
    let server =
        super::start_auth(super::Tokens { required: false }, |builder| builder.hook_timeout(Duration::from_secs(20)))
            .await;
    let mut ws = socket(&server, Some("ann"), &["chat:a"]).await;
    ws.send(auth("hangs")).await;
    server.publish("chat:a", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");
}

#[tokio::test]
async fn elsewhere_it_is_no_command() {
    let server = start(|builder| builder).await;
    for command in [auth("ann"), json!({"type": "hello", "token": "ann"}), json!({"type": "hello"})] {
        let refused = send(&server, Some("ann"), &command).await;
        assert_eq!((type_of(&refused), &refused["code"]), ("error", &json!("bad_request")));
    }
}

/// On event streams and polls the next request brings the fresh token, and goes on from its cursor.
#[tokio::test]
async fn the_next_request_renews_where_there_is_no_auth() {
    let server = start(|builder| builder).await;
    let position = server.publish("chat:a", 1).await;
    server.publish("chat:a", 2).await;
    for transport in [Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost] {
        let resumed = Query { cursor: Some(position.clone()), ..query(Some("ann&exp=60000"), &["chat:a"]) };
        let mut reader = crate::client::Reader::open(transport, &server, &resumed).await;
        assert_eq!(reader.seqs(1).await, [2], "{transport:?}");
    }
}
