//! Reading states. Protocol, 1 and 5.3: the newest message of each key, in order of their numbers; `live` when what was
//! there at the beginning has been told; deletions; times.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tricast::{Draft, Read, Start};

use crate::board::{Board, View};
use crate::client::http::Request;
use crate::client::{Answer, Query, Reader, Sse, Transport, Ws, type_of, watchdog};
use crate::matrix::Case;
use crate::server::{BRIEF, Backplane, Server};

over_transports_of_many_channels!(
    by_default_a_snapshot_comes_in_order_and_then_live_once,
    every_from_but_latest_means_the_beginning,
    latest_is_live_at_the_head_and_tells_only_what_is_new,
    an_empty_state_is_live_at_once,
    a_snapshot_does_not_tell_what_was_deleted_before_it,
    a_deletion_is_told_to_who_had_the_key,
    a_key_created_again_is_told_as_it_is_now,
    a_late_reader_skips_what_was_replaced,
    a_resumed_reader_is_told_deletions_and_nothing_else_that_is_gone,
    a_stream_and_a_state_on_one_connection
);
over_transports_of_many_channels_by_the_clock!(a_message_of_a_state_is_whole);
over_transports_of_many_channels_by_the_clock!(a_key_leaves_when_its_time_is_over);

/// The next event but for `welcome`, which pollers are not told.
async fn first(reader: &mut Reader) -> Value {
    let event = reader.next_event().await;
    if type_of(&event) == "welcome" { reader.next_event().await } else { event }
}

async fn next(reader: &mut Reader, count: usize) -> Vec<Value> {
    let mut events = vec![first(reader).await];
    while events.len() < count {
        events.push(reader.next_event().await);
    }
    events
}

fn subscribed(epoch: &str, position: u64, head: u64) -> Value {
    let (position, head) = (format!("{epoch}-{position}"), format!("{epoch}-{head}"));
    json!({"type": "subscribed", "channel": "map:a", "kind": "state", "position": position, "head": head})
}

pub(crate) fn live(epoch: &str, seq: u64) -> Value {
    json!({"type": "live", "channel": "map:a", "position": format!("{epoch}-{seq}")})
}

/// A message without what is not compared: when it was appended.
fn seq_and_key(event: &Value) -> (u64, &str) {
    assert_eq!(type_of(event), "message", "{event}");
    (event["seq"].as_u64().unwrap(), event["key"].as_str().unwrap())
}

async fn board_of(case: Case, keys: &[&str]) -> (Board, String) {
    let mut board = Board::start(case.backplane).await;
    for &key in keys {
        board.set(key).await;
    }
    let epoch = board.epoch().await;
    (board, epoch)
}

async fn by_default_a_snapshot_comes_in_order_and_then_live_once(case: Case) {
    // `a` was replaced, so 1 is nowhere.
    let (mut board, epoch) = board_of(case, &["a", "b", "c", "a"]).await;
    let mut reader = board.read(case.transport, board.query()).await;
    let events = next(&mut reader, 5).await;
    assert_eq!(events[0], subscribed(&epoch, 0, 4));
    assert_eq!(events[1..4].iter().map(seq_and_key).collect::<Vec<_>>(), [(2, "b"), (3, "c"), (4, "a")]);
    assert_eq!(events[4], live(&epoch, 4));
    for key in ["d", "b"] {
        let seq = board.set(key).await;
        assert_eq!(seq_and_key(&reader.next_event().await), (seq, key), "and no second live");
    }
}

async fn every_from_but_latest_means_the_beginning(case: Case) {
    let (board, epoch) = board_of(case, &["a", "b", "c"]).await;
    for from in ["earliest", "last:1", "last:0"] {
        let mut reader = board.read(case.transport, board.query().from(from)).await;
        let events = next(&mut reader, 5).await;
        let types: Vec<&str> = events.iter().map(type_of).collect();
        assert_eq!(types, ["subscribed", "message", "message", "message", "live"], "{from}");
        assert_eq!(events[0], subscribed(&epoch, 0, 3));
    }
}

async fn latest_is_live_at_the_head_and_tells_only_what_is_new(case: Case) {
    let (mut board, epoch) = board_of(case, &["a", "b"]).await;
    let mut reader = board.read(case.transport, board.query().from("latest")).await;
    assert_eq!(next(&mut reader, 2).await, [subscribed(&epoch, 2, 2), live(&epoch, 2)]);
    let seq = board.delete("a").await;
    let told = reader.next_event().await;
    assert_eq!((seq_and_key(&told), &told["deleted"]), ((seq, "a"), &json!(true)));
}

async fn an_empty_state_is_live_at_once(case: Case) {
    for from in ["earliest", "latest"] {
        let (mut board, epoch) = board_of(case, &[]).await;
        let mut reader = board.read(case.transport, board.query().from(from)).await;
        assert_eq!(next(&mut reader, 2).await, [subscribed(&epoch, 0, 0), live(&epoch, 0)], "{from}");
        board.set("a").await;
        assert_eq!(seq_and_key(&reader.next_event().await), (1, "a"));
    }
}

async fn a_message_of_a_state_is_whole(case: Case) {
    let (board, epoch) = board_of(case, &[]).await;
    let draft = Draft::json(&json!({"x": 1})).unwrap().key("ключ \"1\"").event("moved").id("m-1");
    board.server.append("map:a", draft).await;
    board.server.append("map:a", Draft::binary([0, 1]).key("b")).await;
    let mut reader = board.read(case.transport, board.query()).await;
    let at = 1_700_000_000_000_u64;
    let expected = [
        json!({"type": "message", "channel": "map:a", "epoch": epoch, "seq": 1, "key": "ключ \"1\"",
            "data": {"x": 1}, "event": "moved", "id": "m-1", "at": at}),
        json!({"type": "message", "channel": "map:a", "epoch": epoch, "seq": 2, "key": "b", "data64": "AAE=", "at": at}),
    ];
    assert_eq!(next(&mut reader, 3).await[1..], expected);
    assert_eq!(type_of(&reader.next_event().await), "live");
    board.server.append("map:a", Draft::delete("b").id("m-2")).await;
    let deletion = json!({"type": "message", "channel": "map:a", "epoch": epoch, "seq": 3, "key": "b",
        "deleted": true, "id": "m-2", "at": at});
    assert_eq!(reader.next_event().await, deletion);
}

/// Deletions ≤ base need not be sent; this server leaves them out.
async fn a_snapshot_does_not_tell_what_was_deleted_before_it(case: Case) {
    let (mut board, epoch) = board_of(case, &["a", "b", "c"]).await;
    board.delete("b").await;
    let mut reader = board.read(case.transport, board.query()).await;
    let events = next(&mut reader, 4).await;
    assert_eq!(events[0], subscribed(&epoch, 0, 4));
    assert_eq!(events[1..3].iter().map(seq_and_key).collect::<Vec<_>>(), [(1, "a"), (3, "c")]);
    assert_eq!(events[3], live(&epoch, 4), "live is at the head, beyond the last that was told");
}

async fn a_deletion_is_told_to_who_had_the_key(case: Case) {
    let (mut board, _) = board_of(case, &["a", "b"]).await;
    let mut reader = board.read(case.transport, board.query()).await;
    let mut view = View::default();
    view.read_until_live(&mut reader).await;
    let seq = board.delete("a").await;
    view.read_to(&mut reader, seq).await;
    assert_eq!(view.map, [("b".to_owned(), 2)].into());
    board.assert_shown(&view, seq);
}

async fn a_key_created_again_is_told_as_it_is_now(case: Case) {
    let (mut board, epoch) = board_of(case, &["a", "b"]).await;
    board.delete("a").await;
    board.set("a").await;
    let mut reader = board.read(case.transport, board.query()).await;
    let events = next(&mut reader, 4).await;
    assert_eq!(events[1..3].iter().map(seq_and_key).collect::<Vec<_>>(), [(2, "b"), (4, "a")]);
    assert_eq!((events[2].get("deleted"), &events[3]), (None, &live(&epoch, 4)));
}

async fn a_late_reader_skips_what_was_replaced(case: Case) {
    let (mut board, epoch) = board_of(case, &["a", "b"]).await;
    for _ in 0..50 {
        board.set("a").await;
    }
    let mut reader = board.read(case.transport, board.query().cursor(format!("{epoch}-2"))).await;
    assert_eq!(seq_and_key(&reader.message().await), (52, "a"));
}

/// A position without a base: every deletion after it is sent.
async fn a_resumed_reader_is_told_deletions_and_nothing_else_that_is_gone(case: Case) {
    let (mut board, epoch) = board_of(case, &["a", "b", "c"]).await;
    board.set("d").await;
    board.delete("a").await;
    board.delete("d").await;
    let mut reader = board.read(case.transport, board.query().cursor(format!("{epoch}-3"))).await;
    let told = [reader.message().await, reader.message().await];
    assert_eq!(told.each_ref().map(seq_and_key), [(5, "a"), (6, "d")]);
    assert!(told.iter().all(|event| event["deleted"] == true), "{told:?}");
    // Pollers come back again and again; where nothing began they are told no `live`.
    if !case.transport.is_poll() {
        assert_eq!(reader.next_event().await, live(&epoch, 6));
    }
    board.set("e").await;
    assert_eq!(seq_and_key(&reader.next_event().await), (7, "e"));
}

fn publish(key: &str, ttl: Option<f64>) -> Value {
    let mut command = json!({"type": "publish", "channel": "map:a", "key": key, "data": key});
    if let Some(ttl) = ttl {
        command["ttl"] = json!(ttl);
    }
    command
}

async fn send(server: &Server, commands: Value) {
    let response = Request::post("/rt/send", commands.to_string()).send(server.address).await;
    assert_eq!(response.status, 200);
    let answers = response.json().await;
    let answers = answers.as_array().cloned().unwrap_or(vec![answers]);
    assert!(answers.iter().all(|answer| type_of(answer) == "published"), "{answers:?}");
}

/// Deletions are the log's own: they have numbers, and come like any other. The node looks at its clock at least once a
/// second while a key is due, which is as long as these tests wait for one.
async fn a_key_leaves_when_its_time_is_over(case: Case) {
    let (board, epoch) = board_of(case, &[]).await;
    let commands = json!([publish("late", Some(60.0)), publish("stays", None), publish("soon", Some(0.001))]);
    send(&board.server, commands).await;
    let mut reader = board.read(case.transport, board.query().cursor(format!("{epoch}-3"))).await;
    let mut expected = 3;
    for (time, key) in [(1, "soon"), (60_000, "late")] {
        board.server.let_pass(Duration::from_millis(time));
        let told = reader.message_but_live().await;
        expected += 1;
        assert_eq!((seq_and_key(&told), &told["deleted"]), ((expected, key), &json!(true)));
    }
    let mut fresh = board.read(case.transport, board.query()).await;
    let events = next(&mut fresh, 3).await;
    assert_eq!((&events[0], seq_and_key(&events[1])), (&subscribed(&epoch, 0, 5), (2, "stays")));
    assert_eq!(events[2], live(&epoch, 5));
}

#[tokio::test]
async fn a_newer_message_renews_the_time_of_its_key() {
    let (board, epoch) = board_of(Case { transport: Transport::Ws, backplane: Backplane::Memory }, &[]).await;
    send(&board.server, json!([publish("kept", Some(60.0)), publish("renewed", Some(60.0))])).await;
    send(&board.server, json!([publish("first", Some(61.0)), publish("kept", None)])).await;
    board.server.let_pass(Duration::from_secs(30));
    send(&board.server, publish("renewed", Some(60.0))).await;
    let mut reader = board.read(Transport::Ws, board.query().cursor(format!("{epoch}-5"))).await;
    board.server.let_pass(Duration::from_secs(31));
    assert_eq!(seq_and_key(&reader.message_but_live().await), (6, "first"), "the others' times no longer count");
    board.server.let_pass(Duration::from_secs(29));
    assert_eq!(seq_and_key(&reader.message_but_live().await), (7, "renewed"));
    board.server.let_pass(Duration::from_secs(1_000_000));
    board.server.append("map:a", Draft::json(&1).unwrap().key("kept")).await;
    assert_eq!(seq_and_key(&reader.message_but_live().await), (8, "kept"), "it did not leave in between");
}

/// On states a rule's `ttl` is the keys' default ttl.
#[tokio::test]
async fn a_rule_gives_its_keys_a_time() {
    let server = Server::start(Backplane::Memory).await;
    let set = |key: &str| Draft::json(&1).unwrap().key(key);
    let position = server.append("typing:a", set("ada")).await.position;
    server.append("typing:a", set("bob").ttl(BRIEF * 2)).await;
    let mut reader =
        Reader::open(Transport::PollGet, &server, &Query::of("typing:a").cursor(position.to_string())).await;
    assert_eq!(seq_and_key(&reader.message().await), (2, "bob"));
    for (seq, key) in [(3, "ada"), (4, "bob")] {
        server.let_pass(BRIEF);
        let told = reader.message_but_live().await;
        assert_eq!((seq_and_key(&told), &told["deleted"]), ((seq, key), &json!(true)));
    }
}

async fn a_stream_and_a_state_on_one_connection(case: Case) {
    let (mut board, epoch) = board_of(case, &["a"]).await;
    board.server.publish("chat:a", 1).await;
    let chat = board.server.epoch("chat:a").await;
    let mut reader = board.read(case.transport, Query::of_all(&["chat:a", "map:a"])).await;
    let events = next(&mut reader, 4).await;
    let told: Vec<_> = events.iter().map(|event| (type_of(event), event["channel"].as_str().unwrap())).collect();
    let expected = [("subscribed", "chat:a"), ("subscribed", "map:a"), ("message", "map:a"), ("live", "map:a")];
    assert_eq!(told, expected, "a stream starts at its head, and is not told live");
    assert_eq!(reader.cursor(), format!("{chat}-1,{epoch}-1"));

    board.server.publish("chat:a", 2).await;
    board.set("b").await;
    let mut resumed = board.read(case.transport, Query::of_all(&["chat:a", "map:a"]).cursor(reader.cursor())).await;
    let mut seqs = [resumed.message().await, resumed.message().await].map(|event| event["seq"].as_u64().unwrap());
    seqs.sort_unstable();
    assert_eq!(seqs, [2, 2]);
}

/// Protocol, 6: raw mode is for a single stream channel; of a state come envelopes, with ids.
#[tokio::test]
async fn a_plain_event_source_of_a_state_is_given_envelopes() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set("a").await;
    let epoch = board.epoch().await;
    let mut sse = Sse::of(Request::get("/rt/sse?channel=map:a"), board.server.address).await;
    assert!(sse.block().await.retry.is_some());
    assert_eq!(sse.block().await.id, Some(format!("{epoch}-0-1")), "the starting cursor bears the base");
    let blocks = [sse.block().await, sse.block().await, sse.block().await, sse.block().await];
    let told = blocks.each_ref().map(|block| (type_of(&block.json()).to_owned(), block.id.clone()));
    let position = Some(format!("{epoch}-1"));
    let expected = [("welcome", None), ("subscribed", None), ("message", position.clone()), ("live", position)];
    assert_eq!(told, expected.map(|(word, id)| (word.to_owned(), id)));
    assert!(blocks.iter().all(|block| block.event.is_none()));
}

/// Protocol, 6 and 5.3: `live` ends the wait, comes in the answer in which it happens, and in no other.
#[tokio::test]
async fn a_poller_is_told_live_in_the_answer_in_which_it_happens_and_in_no_other() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set("a").await;
    for transport in [Transport::PollGet, Transport::PollPost] {
        let poll = async |query: Query| {
            let response = query.request(transport).send(board.server.address).await;
            Answer::read(response).await
        };
        // The longest wait: what comes within the watchdog came at once.
        let first = poll(board.query().wait(60.0)).await;
        assert_eq!(first.types(), ["subscribed", "message", "live"]);
        let again = poll(board.query().cursor(&first.cursor).wait(0.0)).await;
        assert_eq!((again.events, &again.cursor), (vec![], &first.cursor));
        let behind = poll(board.query().cursor(first.cursor.replace("-1", "-0")).wait(60.0)).await;
        assert_eq!(behind.types(), ["message"], "a plain resume, be it from the beginning");
        let latest = poll(board.query().from("latest").wait(60.0)).await;
        assert_eq!(latest.types(), ["subscribed", "live"]);
    }
}

async fn subscribe(ws: &mut Ws, from: Option<&str>) -> Value {
    let mut command = json!({"type": "subscribe", "channel": "map:a"});
    if let Some(from) = from {
        command["from"] = json!(from);
    }
    ws.ask(command).await
}

/// Protocol, 4: already subscribed, also earlier in the same list: answers `subscribed`, moves nothing, no `live`
/// follows.
#[tokio::test]
async fn subscribing_twice_to_a_state_tells_no_second_live() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set("a").await;
    let epoch = board.epoch().await;
    let mut ws = Ws::open(board.server.address, &Query::default()).await;
    ws.until("welcome").await;
    let twice = json!([{"name": "map:a"}, {"name": "map:a"}]);
    ws.send(json!({"type": "subscribe", "channels": twice})).await;
    let mut types = Vec::new();
    for _ in 0..4 {
        types.push(type_of(&ws.next_event().await).to_owned());
    }
    assert_eq!(types, ["subscribed", "subscribed", "message", "live"]);
    ws.assert_silent().await;
    for from in [None, Some("earliest"), Some("latest")] {
        assert_eq!(subscribe(&mut ws, from).await, subscribed(&epoch, 1, 1));
        ws.assert_silent().await;
    }
    board.set("b").await;
    assert_eq!(seq_and_key(&ws.next_event().await), (2, "b"));
}

#[tokio::test]
async fn who_comes_back_after_unsubscribing_reads_a_snapshot_again() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set("a").await;
    board.set("b").await;
    let epoch = board.epoch().await;
    let mut ws = Ws::open(board.server.address, &board.query()).await;
    ws.until("live").await;
    ws.ask(json!({"type": "unsubscribe", "channel": "map:a"})).await;
    board.delete("a").await;
    ws.assert_silent().await;
    assert_eq!(subscribe(&mut ws, None).await, subscribed(&epoch, 0, 3));
    assert_eq!(seq_and_key(&ws.next_event().await), (2, "b"));
    assert_eq!(ws.next_event().await, live(&epoch, 3));
    ws.assert_silent().await;
}

/// A reader who takes nothing for a while finds what holds, not what was: no gap, however much was replaced.
async fn assert_falling_behind_skips(transport: Transport) {
    // More than a connection's kernel buffers swallow.
    const MESSAGES: u64 = 300;
    let server = Server::start(Backplane::Memory).await;
    let mut reader = Reader::open(transport, &server, &Query::of("map:a")).await;
    let large = Draft::json(&"x".repeat(60_000)).unwrap().key("a");
    server.append("map:a", Draft::json(&"early").unwrap().key("b")).await;
    for _ in 0..MESSAGES {
        server.append("map:a", large.clone()).await;
        // The node writes what it can, as it would if publishers came one by one.
        tokio::task::yield_now().await;
    }
    let (mut seq, mut count) = (0, 0);
    while seq < MESSAGES + 1 {
        let event = reader.message_but_live().await;
        let (next, _) = seq_and_key(&event);
        assert!(next > seq);
        (seq, count) = (next, count + 1);
    }
    assert!(count < MESSAGES, "{count} messages came, so nothing was skipped");
}

#[tokio::test]
async fn a_slow_socket_skips_what_was_replaced() {
    assert_falling_behind_skips(Transport::Ws).await;
}

#[tokio::test]
async fn a_slow_stream_skips_what_was_replaced() {
    assert_falling_behind_skips(Transport::SseGet).await;
    assert_falling_behind_skips(Transport::SsePost).await;
}

/// Reading inside the server, as a `Stream`.
#[tokio::test]
async fn the_server_itself_reads_a_state_and_is_told_live() {
    let mut board = Board::start(Backplane::Memory).await;
    for key in ["a", "b", "a"] {
        board.set(key).await;
    }
    board.delete("b").await;
    let channel = board.server.tricast.channel("map:a").unwrap();
    let mut reader = channel.read(Start::Earliest).await.unwrap();
    let mut latest = channel.read(Start::Latest).await.unwrap();
    board.delete("a").await;
    let mut told = Vec::new();
    for reader in [&mut reader, &mut latest] {
        for _ in 0..2 {
            told.push(match watchdog("an item", reader.next()).await {
                Some(Read::Message(message)) => {
                    let payload = message.message().payload.is_some();
                    format!("{} {}", message.position().seq.get(), if payload { "is" } else { "is gone" })
                }
                Some(Read::Live(position)) => format!("live at {}", position.seq.get()),
                other => panic!("{other:?}"),
            });
        }
    }
    assert_eq!(told, ["5 is gone", "live at 5", "5 is gone", "live at 5"]);
}
