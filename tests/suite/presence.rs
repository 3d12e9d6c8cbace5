//! Who is on a channel. Protocol, 8: a client is a member while any connection of it is subscribed, and for the grace
//! after the last; it comes back within that on whatever transport and nothing is appended.
//!
//! Time is the node's virtual clock's. What must not happen by a time is shown by a marker: another member whose time is
//! over no sooner, and that is removed by then.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::core::json::Json;
use tricast::{Access, Member, Rule, Start};

use crate::client::http::Request;
use crate::client::{Poll, Query, Reader, Transport, Ws, eventually, type_of, watchdog};
use crate::matrix::Case;
use crate::server::{Backplane, Server};

pub(crate) const GRACE: Duration = Duration::from_secs(5);
const MOMENT: Duration = Duration::from_millis(1);

/// A node on which `room:` channels, which are streams, and `board:` channels, which are states, keep who is there.
pub(crate) async fn start(backplane: Backplane) -> Server {
    let build = |builder: tricast::Builder| {
        let room = Rule::stream().presence().publish(Access::Anyone);
        let private = Rule::stream().presence().subscribe(Access::Server);
        builder
            .presence_grace(GRACE)
            .rule("room:{id}", room)
            .rule("board:{id}", Rule::state().presence())
            .rule("private:{id}", private)
    };
    Server::start_with(backplane, build, |serve| serve).await
}

pub(crate) async fn members(server: &Server, channel: &str) -> Vec<Member> {
    server.tricast.channel(channel).unwrap().members().await.unwrap()
}

pub(crate) async fn clients(server: &Server, channel: &str) -> Vec<String> {
    members(server, channel).await.into_iter().map(|member| member.client.to_string()).collect()
}

/// How many messages were ever appended about the members of a channel.
pub(crate) async fn appends(server: &Server, channel: &str) -> u64 {
    let members = server.tricast.channel(&format!("@presence/{channel}")).unwrap();
    members.read(Start::Latest).await.unwrap().position().seq.get()
}

/// Ends a connection, and waits until the node knows.
async fn close<T>(server: &Server, connection: T) {
    let before = server.connections();
    drop(connection);
    // A poller has no connection between two requests.
    eventually("the connection is over", || server.connections() < before.max(1)).await;
}

/// Waits until a client is no member any more.
async fn left(server: &Server, channel: &str, client: &str) {
    let gone = async {
        while clients(server, channel).await.iter().any(|member| member == client) {
            // The node looks at a clock that was moved within a second.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    watchdog("a member leaves", gone).await;
}

/// A member whose last connection has gone now.
async fn marker(server: &Server, channel: &str) {
    let mut marker = Ws::open(server.address, &Query::of(channel).client(MARKER)).await;
    marker.until("subscribed").await;
    close(server, marker).await;
}

const MARKER: &str = "the-marker";

fn room(client: &str) -> Query {
    Query::of("room:a").client(client).wait(0.0)
}

over_every_transport_by_the_clock!(who_reads_is_a_member_until_the_grace_is_over, who_left_comes_anew);

async fn who_reads_is_a_member_until_the_grace_is_over(case: Case) {
    let server = start(case.backplane).await;
    let reader = Reader::open(case.transport, &server, &room("client-a")).await;
    assert_eq!(clients(&server, "room:a").await, ["client-a"]);
    if case.transport.is_poll() {
        // Without a wait its place stands for the grace twice.
        server.let_pass(GRACE - MOMENT);
        marker(&server, "room:a").await;
        server.let_pass(MOMENT);
    } else {
        marker(&server, "room:a").await;
        server.let_pass(MOMENT);
        close(&server, reader).await;
    }
    server.let_pass(GRACE - MOMENT);
    left(&server, "room:a", MARKER).await;
    assert_eq!(clients(&server, "room:a").await, ["client-a"]);
    server.let_pass(MOMENT);
    left(&server, "room:a", "client-a").await;
    assert_eq!(appends(&server, "room:a").await, 4, "two came, two left");
}

async fn who_left_comes_anew(case: Case) {
    let server = start(case.backplane).await;
    let first = Reader::open(case.transport, &server, &room("client-a")).await;
    let since = members(&server, "room:a").await[0].since;
    drop_all(&server, first).await;
    server.let_pass(GRACE * 2);
    left(&server, "room:a", "client-a").await;
    let _second = Reader::open(case.transport, &server, &room("client-a")).await;
    let ms = u64::try_from((GRACE * 2).as_millis()).unwrap();
    assert_eq!(members(&server, "room:a").await[0].since, since + ms);
}

/// Ends the only connection there is.
async fn drop_all<T>(server: &Server, connection: T) {
    drop(connection);
    eventually("no connection is left", || server.connections() == 0).await;
}

#[tokio::test]
async fn who_comes_back_in_time_on_any_transport_appends_nothing() {
    let server = start(Backplane::Memory).await;
    let mut reader = Reader::open(Transport::Ws, &server, &room("client-a")).await;
    let before = members(&server, "room:a").await;
    let changes = Transport::ALL.into_iter().flat_map(|from| Transport::ALL.map(|to| [from, to])).flatten();
    for transport in changes {
        drop_all(&server, reader).await;
        server.let_pass(GRACE - MOMENT);
        reader = Reader::open(transport, &server, &room("client-a")).await;
        assert_eq!(members(&server, "room:a").await, before, "{transport:?}");
    }
    // Whatever was due is over when this one is.
    marker(&server, "room:a").await;
    reader = Reader::open(Transport::Ws, &server, &room("client-a")).await;
    server.let_pass(GRACE * 10);
    left(&server, "room:a", MARKER).await;
    assert_eq!((appends(&server, "room:a").await, members(&server, "room:a").await), (3, before));
    drop(reader);
}

#[tokio::test]
async fn a_client_is_one_member_whatever_connections_it_has() {
    let server = start(Backplane::Memory).await;
    let mut readers = Vec::new();
    for transport in Transport::ALL {
        readers.push(Reader::open(transport, &server, &room("client-a")).await);
    }
    assert_eq!((clients(&server, "room:a").await, appends(&server, "room:a").await), (vec!["client-a".into()], 1));
    let last = readers.remove(0);
    drop(readers);
    eventually("one connection is left", || server.connections() == 1).await;
    marker(&server, "room:a").await;
    server.let_pass(GRACE * 10);
    left(&server, "room:a", MARKER).await;
    assert_eq!(clients(&server, "room:a").await, ["client-a"]);
    drop(last);
}

#[tokio::test]
async fn a_poller_holds_its_place_between_its_requests_without_appends() {
    let server = start(Backplane::Memory).await;
    for transport in [Transport::PollGet, Transport::PollPost] {
        let query = Query::of("room:a").client("client-a").wait(10.0);
        let mut poll = Poll::new(transport, server.address, query);
        poll.answer().await;
        for number in 1..=5 {
            // Two waits and the grace.
            server.let_pass(Duration::from_secs(25) - MOMENT);
            // So that the next request is answered at once.
            server.publish("room:a", number).await;
            poll.answer().await;
        }
    }
    assert_eq!(appends(&server, "room:a").await, 1);
    server.let_pass(Duration::from_secs(20) - MOMENT);
    marker(&server, "room:a").await;
    server.let_pass(GRACE);
    left(&server, "room:a", MARKER).await;
    assert_eq!(clients(&server, "room:a").await, ["client-a"]);
    server.let_pass(MOMENT);
    left(&server, "room:a", "client-a").await;
}

#[tokio::test]
async fn who_unsubscribes_leaves_after_the_grace() {
    let server = start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &room("client-a")).await;
    ws.until("subscribed").await;
    for _ in 0..3 {
        ws.send(json!({"type": "unsubscribe", "channel": "room:a"})).await;
        ws.until("unsubscribed").await;
        server.let_pass(GRACE - MOMENT);
        ws.send(json!({"type": "subscribe", "channel": "room:a"})).await;
        ws.until("subscribed").await;
    }
    assert_eq!(appends(&server, "room:a").await, 1);
    ws.send(json!({"type": "unsubscribe", "channel": "room:a"})).await;
    ws.until("unsubscribed").await;
    server.let_pass(GRACE);
    left(&server, "room:a", "client-a").await;
}

over_transports_of_many_channels_by_the_clock!(coming_changing_and_leaving_are_told);

/// The members of a state channel, read as any state is.
async fn coming_changing_and_leaving_are_told(case: Case) {
    let server = start(case.backplane).await;
    let mut other = Ws::open(server.address, &Query::default().client("client-b")).await;
    other.until("welcome").await;
    other.send(json!({"type": "subscribe", "channel": "board:a", "presence": {"name": "B"}})).await;
    other.until("live").await;
    let since = members(&server, "board:a").await[0].since;

    let mut reader = Reader::open(case.transport, &server, &Query::of("@presence/board:a")).await;
    let there = next_entry(&mut reader).await;
    assert_eq!(there["key"], "client-b");
    assert_eq!(there["data"], json!({"client": "client-b", "data": {"name": "B"}, "since": since}));

    let answer = other.ask(json!({"type": "presence", "channel": "board:a", "data": [1], "ref": 7})).await;
    let member = json!({"client": "client-b", "data": [1], "since": since});
    assert_eq!(answer, json!({"type": "presence", "ref": 7, "channel": "board:a", "members": [member]}));
    assert_eq!(next_entry(&mut reader).await["data"], member);

    let connections = server.connections();
    drop(other);
    // A poller may be between two requests.
    eventually("its connection is over", || server.connections() < connections.max(1)).await;
    server.let_pass(GRACE);
    let gone = next_entry(&mut reader).await;
    assert_eq!((&gone["key"], &gone["deleted"]), (&json!("client-b"), &json!(true)));
}

async fn next_entry(reader: &mut Reader) -> Value {
    loop {
        let event = reader.next_event().await;
        if type_of(&event) == "message" {
            return event;
        }
        assert!(!matches!(type_of(&event), "gap" | "unsubscribed" | "error"), "{event}");
    }
}

#[tokio::test]
async fn what_a_member_shows_lasts_over_transports_and_repeating_it_appends_nothing() {
    let server = start(Backplane::Memory).await;
    let shown = async || members(&server, "room:a").await[0].data.as_ref().map(|data| data.as_str().to_owned());
    let body = |data: Value| {
        json!({"channels": [{"name": "room:a", "presence": data}], "client": "client-a", "wait": 0}).to_string()
    };
    let stream = Request::post("/rt/sse", body(json!({"n": 1}))).send(server.address).await;
    eventually_shown(&server, "room:a").await;
    assert_eq!(shown().await.as_deref(), Some(r#"{"n":1}"#));
    Request::post("/rt/poll", body(json!({"n": 1}))).send(server.address).await;
    let mut ws = Ws::open(server.address, &room("client-a")).await;
    ws.until("subscribed").await;
    assert_eq!((shown().await.as_deref(), appends(&server, "room:a").await), (Some(r#"{"n":1}"#), 1));

    ws.ask(json!({"type": "presence", "channel": "room:a", "data": {"n": 2}})).await;
    let again = ws.ask(json!({"type": "presence", "channel": "room:a", "data": { "n" : 2 }})).await;
    assert_eq!(again["members"][0]["data"], json!({"n": 2}));
    assert_eq!(appends(&server, "room:a").await, 2);
    Request::post("/rt/poll", body(json!(null))).send(server.address).await;
    assert_eq!((shown().await.as_deref(), appends(&server, "room:a").await), (Some("null"), 3));
    drop(stream);
}

async fn eventually_shown(server: &Server, channel: &str) {
    let joined = async {
        while members(server, channel).await.is_empty() {
            // The body of a stream begins when it is first read.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    watchdog("a member comes", joined).await;
}

#[tokio::test]
async fn the_members_of_a_large_room_are_read_as_a_state_and_counted() {
    const CROWD: usize = 1_001;
    let server = start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::default().client("client-0000")).await;
    ws.until("welcome").await;
    for number in 1..=CROWD {
        Request::get(room(&format!("client-{number:04}")).target("/rt/poll")).send(server.address).await;
        if number == CROWD - 1 {
            let answer = ws.ask(json!({"type": "presence", "channel": "room:a"})).await;
            assert_eq!(answer["members"].as_array().unwrap().len(), CROWD - 1);
        }
    }
    let refused = ws.ask(json!({"type": "presence", "channel": "room:a"})).await;
    assert_eq!((&refused["code"], &refused["channel"]), (&json!("too_large"), &json!("room:a")));
    assert!(refused["message"].as_str().unwrap().contains("@presence/"), "{refused}");
    let room = server.tricast.channel("room:a").unwrap();
    assert_eq!((room.member_count().await.unwrap(), room.members().await.unwrap().len()), (CROWD, CROWD));
}

/// A node that is short of channels does not forget who is on one.
#[tokio::test]
async fn members_are_not_forgotten_to_make_room() {
    let build = |builder: tricast::Builder| builder.rule("room:{id}", Rule::stream().presence()).channels(4);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    Request::get(room("client-a").target("/rt/poll")).send(server.address).await;
    for number in 0..20 {
        server.publish(&format!("chat:{number}"), 1).await;
    }
    assert_eq!(clients(&server, "room:a").await, ["client-a"]);
}

/// As its `since` is another, so is what it shows.
#[tokio::test]
async fn who_comes_back_later_has_lost_what_it_showed() {
    let server = start(Backplane::Memory).await;
    for (shows, shown) in [(Some(json!({"n": 1})), Some(r#"{"n":1}"#)), (None, None)] {
        let mut ws = Ws::open(server.address, &Query::default().client("client-a")).await;
        ws.until("welcome").await;
        let mut subscribe = json!({"type": "subscribe", "channel": "room:a"});
        if let Some(data) = shows {
            subscribe["presence"] = data;
        }
        ws.ask(subscribe).await;
        let member = members(&server, "room:a").await.remove(0);
        assert_eq!(member.data.as_ref().map(Json::as_str), shown);
        close(&server, ws).await;
        server.let_pass(GRACE);
        left(&server, "room:a", "client-a").await;
    }
}

/// Few members can show much.
#[tokio::test]
async fn members_who_show_much_are_read_as_a_state() {
    let server = start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::default().client("client-0")).await;
    ws.until("welcome").await;
    let shown = "x".repeat(60_000);
    for (number, answer) in ["presence", "presence", "presence", "presence", "error"].into_iter().enumerate() {
        let channel = json!({"name": "room:a", "presence": shown});
        let body = json!({"channels": [channel], "client": format!("client-{number}"), "wait": 0});
        Request::post("/rt/poll", body.to_string()).send(server.address).await;
        let told = ws.ask(json!({"type": "presence", "channel": "room:a"})).await;
        assert_eq!(type_of(&told), answer, "{} members", number + 1);
        assert!(answer == "presence" || told["code"] == "too_large", "{told}");
    }
    assert_eq!(clients(&server, "room:a").await.len(), 5);
}
