//! Members by user and client: nobody takes another's place by borrowing its client id. Protocol, 8.

use serde_json::{Value, json};
use tricast::{Access, Builder, Rule};

use super::{query, send, socket, start};
use crate::client::{Query, Reader, Transport, Ws, eventually, watchdog};
use crate::matrix::Case;
use crate::server::Server;

/// `room:` shows its users, `hidden:` does not.
fn rooms(builder: Builder) -> Builder {
    let room = Rule::stream().publish(Access::Anyone).presence();
    builder.rule("room:{id}", room.clone()).rule("hidden:{id}", room.show_user(false))
}

const CLIENT: &str = "client-a";

fn as_member(token: Option<&str>, channel: &str) -> Query {
    // A poller holds its place between its requests.
    query(token, &[channel]).client(CLIENT).wait(0.0)
}

async fn members(server: &Server, channel: &str) -> Vec<(Option<String>, String)> {
    let members = server.tricast.channel(channel).unwrap().members().await.unwrap();
    let shown = |member: tricast::Member| (member.user.map(String::from), member.client.as_str().to_owned());
    let mut all: Vec<_> = members.into_iter().map(shown).collect();
    all.sort();
    all
}

/// The keys of the members' state, as a client reads it.
async fn keys(server: &Server, channel: &str) -> Vec<String> {
    let history = json!({"type": "history", "channel": format!("@presence/{channel}")});
    let page = send(server, None, &history).await;
    let key = |message: &Value| message["key"].as_str().unwrap().to_owned();
    let mut keys: Vec<_> = page["messages"].as_array().unwrap().iter().map(key).collect();
    keys.sort();
    keys
}

async fn until_members(server: &Server, channel: &str, expected: &[(Option<&str>, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(user, client)| (user.map(str::to_owned), (*client).to_owned())).collect();
    watchdog("the members", async {
        while members(server, channel).await != expected {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

over_every_transport!(a_member_is_a_user_with_a_client, where_users_are_hidden_members_bear_none);
over_every_transport_by_the_clock!(a_borrowed_client_id_is_another_member);

async fn a_member_is_a_user_with_a_client(case: Case) {
    let server = start(rooms).await;
    let _ann = Reader::open(case.transport, &server, &as_member(Some("ann"), "room:a")).await;
    assert_eq!(members(&server, "room:a").await, [(Some("ann".into()), CLIENT.into())]);
    assert_eq!(keys(&server, "room:a").await, ["ann/client-a"]);
    let listed = send(&server, None, &json!({"type": "presence", "channel": "room:a"})).await;
    assert_eq!(listed["members"][0]["user"], "ann");
}

/// Neither of them moves, changes or removes the other.
async fn a_borrowed_client_id_is_another_member(case: Case) {
    let server = start(rooms).await;
    let mut ann = Ws::open(server.address, &as_member(Some("ann"), "room:a")).await;
    ann.until("subscribed").await;
    ann.ask(json!({"type": "presence", "channel": "room:a", "data": "ann's"})).await;
    for borrower in [Some("bob"), None, Some("ann/client-a")] {
        let reader = Reader::open(case.transport, &server, &as_member(borrower, "room:a")).await;
        assert_eq!(members(&server, "room:a").await.len(), 2, "{borrower:?}");
        drop(reader);
        eventually("the borrower's end", || server.connections() == 1).await;
        // A poller's place outlasts more than the grace.
        server.let_really_pass(std::time::Duration::from_secs(12)).await;
        until_members(&server, "room:a", &[(Some("ann"), CLIENT)]).await;
        let listed = ann.ask(json!({"type": "presence", "channel": "room:a"})).await;
        assert_eq!(listed["members"][0]["data"], "ann's", "{borrower:?}");
    }
    assert_eq!(keys(&server, "room:a").await, ["ann/client-a"]);
}

/// But one user's connections can be told from another's.
async fn where_users_are_hidden_members_bear_none(case: Case) {
    let server = start(rooms).await;
    let _ann = Reader::open(case.transport, &server, &as_member(Some("ann"), "hidden:a")).await;
    let _bob = Reader::open(case.transport, &server, &as_member(Some("bob"), "hidden:a")).await;
    let _nobody = Reader::open(case.transport, &server, &as_member(None, "hidden:a")).await;
    assert_eq!(members(&server, "hidden:a").await, vec![(None, CLIENT.to_owned()); 3]);
    let page = send(&server, None, &json!({"type": "history", "channel": "@presence/hidden:a"})).await;
    assert!(!page.to_string().contains("\"ann") && !page.to_string().contains("\"bob"), "{page}");
    let shown = keys(&server, "hidden:a").await;
    assert_eq!(shown[0], CLIENT);
    assert!(shown[1..].iter().all(|key| key.starts_with('~') && key.ends_with("/client-a")), "{shown:?}");
    assert_ne!(shown[1], shown[2]);
}

/// What stands for a user is the same on its connections, and another on another channel.
#[tokio::test]
async fn a_disguise_is_the_same_on_one_channel_and_another_on_another() {
    let server = start(rooms).await;
    let mut readers = Vec::new();
    for (channel, client) in [("hidden:a", "client-a"), ("hidden:a", "client-b"), ("hidden:b", "client-a")] {
        let query = query(Some("ann"), &[channel]).client(client);
        readers.push(Reader::open(Transport::SseGet, &server, &query).await);
    }
    let disguise = |key: &String| key.split('/').next().unwrap().to_owned();
    let here = keys(&server, "hidden:a").await;
    assert_eq!(disguise(&here[0]), disguise(&here[1]));
    assert_ne!(disguise(&here[0]), disguise(&keys(&server, "hidden:b").await[0]));
}

/// One member leaves and another comes, with what it showed.
#[tokio::test]
async fn who_signs_in_on_a_socket_is_another_member_from_then_on() {
    let server = start(rooms).await;
    let mut ws = Ws::open(server.address, &as_member(None, "room:a")).await;
    ws.until("subscribed").await;
    ws.ask(json!({"type": "presence", "channel": "room:a", "data": "mine"})).await;
    assert_eq!(keys(&server, "room:a").await, [CLIENT]);
    ws.ask(json!({"type": "auth", "token": "ann"})).await;
    until_members(&server, "room:a", &[(Some("ann"), CLIENT)]).await;
    assert_eq!(keys(&server, "room:a").await, ["ann/client-a"]);
    let listed = ws.ask(json!({"type": "presence", "channel": "room:a"})).await;
    assert_eq!(listed["members"][0]["data"], "mine");
    // A fresh token moves nobody.
    let before = send(&server, None, &json!({"type": "history", "channel": "@presence/room:a"})).await;
    ws.ask(json!({"type": "auth", "token": "ann&exp=60000"})).await;
    assert_eq!(send(&server, None, &json!({"type": "history", "channel": "@presence/room:a"})).await, before);
    drop(ws);
    eventually("the end", || server.connections() == 0).await;
    server.let_really_pass(std::time::Duration::from_secs(5)).await;
    until_members(&server, "room:a", &[]).await;
}

/// A user's id has 128 bytes at most, and a client's 64: a key has room for both.
#[tokio::test]
async fn the_longest_user_with_the_longest_client_is_a_member() {
    let server = start(rooms).await;
    let (user, client) = ("ü".repeat(64), "c".repeat(64));
    for channel in ["room:a", "hidden:a"] {
        let query = Query { client: Some(client.clone()), ..query(None, &[channel]) };
        let mut ws = Ws::open(server.address, &query).await;
        ws.until("subscribed").await;
        ws.ask(json!({"type": "auth", "token": user})).await;
        let shown = (channel == "room:a").then_some(&*user);
        until_members(&server, channel, &[(shown, &client)]).await;
    }
    socket(&server, Some("ann"), &["room:a"]).await;
}

/// The client of a member is what its own connection chose: another's `presence` command changes nothing of it.
#[tokio::test]
async fn nobody_shows_anything_in_anothers_name() {
    let server = start(rooms).await;
    let mut ann = Ws::open(server.address, &as_member(Some("ann"), "room:a")).await;
    ann.until("subscribed").await;
    let mut bob = Ws::open(server.address, &as_member(Some("bob"), "room:a")).await;
    bob.until("subscribed").await;
    let show = json!({"type": "presence", "channel": "room:a", "data": "bob's", "client": CLIENT, "user": "ann"});
    let listed = bob.ask(show).await;
    let of = |user: &str| listed["members"].as_array().unwrap().iter().find(|member| member["user"] == user).unwrap();
    assert_eq!((of("ann").get("data"), &of("bob")["data"]), (None, &json!("bob's")));
}
