//! Whom a message is from, and whose its id is. Protocol, 5.1.

use serde_json::{Value, json};
use tricast::{Access, Builder, Draft, Rule};

use super::{poll, query, send, socket, start};
use crate::client::{Reader, Transport, Ws, type_of};
use crate::matrix::Case;
use crate::server::Server;

/// Rooms where the users are not shown.
fn hidden(builder: Builder) -> Builder {
    builder.rule("hidden:{room}", Rule::stream().publish(Access::Anyone).show_user(false))
}

fn publish(channel: &str, id: Option<&str>) -> Value {
    let mut publish = json!({"type": "publish", "channel": channel, "data": 1});
    if let Some(id) = id {
        publish["id"] = id.into();
    }
    publish
}

/// Publishes on a WebSocket or by `send`; returns the position, and whether it was there already.
async fn published(server: &Server, by_ws: bool, token: Option<&str>, command: &Value) -> (Value, bool) {
    let mut answer = if by_ws {
        socket(server, token, &[]).await.ask(command.clone()).await
    } else {
        send(server, token, command).await
    };
    assert_eq!(type_of(&answer), "published", "{answer}");
    (answer["position"].take(), answer["duplicate"].as_bool().unwrap())
}

/// Nobody can squat on an id, or learn what another published under it.
#[tokio::test]
async fn an_id_is_its_publishers_own() {
    let server = start(|builder| builder).await;
    for by_ws in [true, false] {
        let channel = format!("chat:{by_ws}");
        let command = publish(&channel, Some("order-1"));
        let draft = Draft::json(&1).unwrap().id("order-1");
        let of_server = server.append(&channel, draft).await.position.to_string();
        let mut seen = vec![Value::from(of_server)];
        // A user may be called what the others are in the window of ids.
        for publisher in [None, Some("ann"), Some("bob"), Some("anonymous"), Some("server"), Some("user:ann")] {
            let (position, duplicate) = published(&server, by_ws, publisher, &command).await;
            assert!(!duplicate && !seen.contains(&position), "{publisher:?}");
            seen.push(position.clone());
            // The same publisher's is, whatever way it comes.
            assert_eq!(published(&server, !by_ws, publisher, &command).await, (position, true), "{publisher:?}");
        }
        // A fresh token makes no other publisher; nor do other rights.
        let again = published(&server, by_ws, Some("ann&exp=60000&server"), &command).await;
        assert_eq!(again, (seen[2].clone(), true));
    }
}

/// The anonymous are one publisher together, on whatever connection.
#[tokio::test]
async fn an_id_of_an_anonymous_caller_is_all_anonymous_callers() {
    let server = start(|builder| builder).await;
    let command = publish("chat:a", Some("id"));
    let (first, _) = published(&server, true, None, &command).await;
    assert_eq!(published(&server, true, None, &command).await, (first, true));
}

over_every_transport!(a_message_bears_its_publishers_user, where_users_are_hidden_a_message_bears_none);

async fn read_one(case: Case, server: &Server, channel: &str, publisher: Option<&str>) -> Value {
    let mut reader = Reader::open(case.transport, server, &query(None, &[channel])).await;
    // A client cannot say whom a message is from.
    let mut spoof = publish(channel, None);
    spoof["user"] = "eve".into();
    spoof["client"] = "eve".into();
    for by_ws in [true, false] {
        published(server, by_ws, publisher, &spoof).await;
    }
    let (one, other) = (reader.message().await, reader.message().await);
    assert_eq!(one.get("user"), other.get("user"), "on whatever transport it was published");
    one
}

/// Raw streams say nothing but the payload.
async fn a_message_bears_its_publishers_user(case: Case) {
    let server = start(|builder| builder).await;
    let message = read_one(case, &server, "chat:a", Some("ann")).await;
    let shown = (case.transport != Transport::RawSse).then(|| json!("ann"));
    assert_eq!(message.get("user"), shown.as_ref());
    assert_eq!(read_one(case, &server, "chat:a", None).await.get("user"), None);
}

async fn where_users_are_hidden_a_message_bears_none(case: Case) {
    let server = start(hidden).await;
    let message = read_one(case, &server, "hidden:a", Some("ann")).await;
    assert!(!message.to_string().contains("\"ann\""), "{message}");
}

#[tokio::test]
async fn history_shows_what_delivery_does() {
    let server = start(hidden).await;
    for channel in ["chat:a", "hidden:a"] {
        published(&server, true, Some("ann"), &publish(channel, None)).await;
    }
    let history = |channel: &str| json!({"type": "history", "channel": channel});
    assert_eq!(send(&server, None, &history("chat:a")).await["messages"][0]["user"], "ann");
    let hidden = send(&server, None, &history("hidden:a")).await;
    assert!(hidden["messages"][0]["seq"] == 1 && !hidden.to_string().contains("\"ann\""), "{hidden}");
    assert!(!hidden.to_string().contains("\"eve\""));
}

/// The server says whom a message is from only where it wants to.
#[tokio::test]
async fn what_the_server_publishes_is_nobodys() {
    let server = start(|builder| builder).await;
    server.publish("chat:a", 1).await;
    let answer = poll(&server, &query(None, &["chat:a"]).from("earliest")).await;
    assert_eq!(answer.events.last().unwrap().get("user"), None, "{answer:?}");
}

/// A caller that became a user publishes as that user from then on.
#[tokio::test]
async fn an_id_of_before_signing_in_is_another_publishers() {
    let server = start(|builder| builder).await;
    let mut ws: Ws = socket(&server, None, &[]).await;
    let command = publish("chat:a", Some("id"));
    assert_eq!(ws.ask(command.clone()).await["duplicate"], false);
    ws.ask(json!({"type": "auth", "token": "ann"})).await;
    assert_eq!(ws.ask(command.clone()).await["duplicate"], false);
    assert_eq!(ws.ask(command).await["duplicate"], true);
}
