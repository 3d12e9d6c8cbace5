//! Cut in the middle of a snapshot, and coming back later. Protocol, 5.2 and 5.3: a position with a base converges
//! without a gap as long as no deletion after its base is forgotten; what cannot be continued starts over, and is told.

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tricast::{Draft, Read, Start};

use crate::board::{Board, View};
use crate::client::{Answer, Query, Reader, Sse, Transport, seq_of, type_of};
use crate::matrix::Case;
use crate::server::{Backplane, Server};
use crate::states::live;

over_transports_of_many_channels!(
    cut_in_the_middle_of_a_snapshot_it_converges_on_any_transport_without_a_gap,
    a_deletion_after_the_base_that_was_forgotten_is_a_gap_and_a_full_snapshot,
    who_was_live_before_forgotten_deletions_starts_over,
    the_last_forgotten_deletion_is_the_border,
    the_beginning_without_a_base_is_continued_and_told_deletions,
    what_cannot_be_continued_starts_over,
    a_snapshot_of_another_epoch_starts_over,
);

/// Deletions that a log remembers at least, and this one at most.
const REMEMBERED: usize = 1_000;

const MANY: [Transport; 5] =
    [Transport::Ws, Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];

/// A board of 1,300 keys, and 500 that were deleted after them: 1,300 seqs, then 1,000 of which only deletions are left.
async fn large(case: Case) -> Board {
    let mut board = Board::start(case.backplane).await;
    board.set_all((0..1_300).map(|number| format!("k{number}"))).await;
    board.set_and_delete("old", 500).await;
    board
}

/// The base of a snapshot of [`large`].
const BASE: u64 = 2_300;

/// Reads a part of a snapshot and leaves; returns what is shown, and the cursor.
async fn read_a_part(case: Case, board: &Board) -> (View, String) {
    let mut view = View::default();
    let mut reader = board.read(case.transport, board.query()).await;
    view.read_to(&mut reader, 600).await;
    while !reader.is_at_rest() {
        let event = reader.next_event().await;
        view.take(&event);
    }
    let epoch = board.epoch().await;
    assert_eq!(reader.cursor(), format!("{epoch}-{}-{BASE}", view.seq), "in the middle it bears the base");
    assert!((600..1_300).contains(&view.seq));
    (view, reader.cursor())
}

/// Changes, deletes and creates again keys that were told and keys that were not; `deletions` in all.
async fn churn(board: &mut Board, deletions: usize) {
    let told = || (0..100).map(|number| format!("k{number}"));
    let untold = || (1_200..1_300).map(|number| format!("k{number}"));
    for key in told().chain(untold()) {
        board.delete(key).await;
    }
    // Created again: their deletions are none of those that the log remembers.
    board.set_all(told().take(10).chain(untold().take(10))).await;
    board.set_all((500..520).chain(1_100..1_120).map(|number| format!("k{number}"))).await;
    board.set_all((0..5).map(|number| format!("new{number}"))).await;
    board.set_and_delete("passing", deletions - 180).await;
}

async fn cut_in_the_middle_of_a_snapshot_it_converges_on_any_transport_without_a_gap(case: Case) {
    let mut board = large(case).await;
    let (view, cursor) = read_a_part(case, &board).await;
    // As many deletions as are remembered, so that all those before the base are forgotten.
    churn(&mut board, REMEMBERED).await;
    let plain = cursor.strip_suffix(&format!("-{BASE}")).unwrap();
    let mut without = board.read(Transport::Ws, board.query().cursor(plain)).await;
    assert_eq!(without.gap().await["reason"], "expired", "it is the base that makes the difference");

    for transport in MANY {
        let mut view = view.clone();
        let mut reader = board.read(transport, board.query().cursor(&cursor)).await;
        if transport.tells_subscribed() {
            assert_eq!(type_of(&reader.next_event().await), "welcome");
            let subscribed = reader.next_event().await;
            assert_eq!((&subscribed["position"], &subscribed["recovered"]), (&json!(cursor), &json!(true)));
            view.take(&subscribed);
        }
        let told = view.read_until_live(&mut reader).await;
        assert!(seq_of(&told["position"]) >= BASE, "{told}");
        board.assert_shown(&view, seq_of(&told["position"]));
        let seq = board.set("last").await;
        view.read_to(&mut reader, seq).await;
        board.assert_shown(&view, seq);
        assert_eq!(view.gaps, Vec::<Value>::new(), "over {transport:?}");
        assert!(view.deletions >= 90, "those of keys that were told are told, over {transport:?}");
    }
}

/// A gap, a snapshot without anything of before, and `live` at the head.
async fn assert_starts_over(board: &Board, reader: &mut Reader, view: &mut View, reason: &str) {
    let epoch = board.epoch().await;
    let head = board.keys.values().map(|(seq, _)| *seq).max().unwrap_or(0);
    let told = view.read_until_live(reader).await;
    let gap = json!({"type": "gap", "channel": board.channel, "position": format!("{epoch}-0"),
        "head": format!("{epoch}-{head}"), "reason": reason});
    assert_eq!(view.gaps, [gap]);
    assert_eq!(told, live(&epoch, head));
    let present = board.keys.iter().filter_map(|(key, (_, value))| value.map(|value| (key.clone(), value)));
    assert_eq!(view.map, present.collect());
    assert_eq!(view.deletions, 0, "nothing is deleted from a map that is new");
}

async fn a_deletion_after_the_base_that_was_forgotten_is_a_gap_and_a_full_snapshot(case: Case) {
    let mut board = large(case).await;
    let (view, cursor) = read_a_part(case, &board).await;
    churn(&mut board, REMEMBERED + 1).await;
    for transport in MANY {
        let mut view = view.clone();
        let mut reader = board.read(transport, board.query().cursor(&cursor)).await;
        assert_starts_over(&board, &mut reader, &mut view, "expired").await;
    }
}

async fn who_was_live_before_forgotten_deletions_starts_over(case: Case) {
    let mut board = Board::start(case.backplane).await;
    board.set_all(["a", "b", "c"].map(str::to_owned)).await;
    let mut view = View::default();
    let mut reader = board.read(case.transport, board.query()).await;
    view.read_until_live(&mut reader).await;
    let cursor = reader.cursor();
    drop(reader);
    board.delete("a").await;
    board.set_and_delete("passing", REMEMBERED).await;
    let mut reader = board.read(case.transport, board.query().cursor(cursor)).await;
    assert_starts_over(&board, &mut reader, &mut view, "expired").await;
}

/// Protocol, 5.2: `(base or s) < floor`, where `floor` is the highest seq of a deletion that was forgotten.
async fn the_last_forgotten_deletion_is_the_border(case: Case) {
    let mut board = Board::start(case.backplane).await;
    board.set_all(["a", "b"].map(str::to_owned)).await;
    board.set_and_delete("x", 2).await;
    board.set_and_delete("passing", REMEMBERED - 1).await;
    // Of `x0`, 3 and 4, nothing is left; of `x1` the deletion, 6.
    let (floor, epoch) = (4, board.epoch().await);
    for (position, is_gap) in [
        (format!("{}", floor - 1), true),
        (format!("{floor}"), false),
        (format!("1-{}", floor - 1), true),
        (format!("1-{floor}"), false),
    ] {
        let mut reader = board.read(case.transport, board.query().cursor(format!("{epoch}-{position}"))).await;
        let first = reader.next_of_log().await;
        assert_eq!(type_of(&first) == "gap", is_gap, "{position}: {first}");
    }
}

async fn the_beginning_without_a_base_is_continued_and_told_deletions(case: Case) {
    let mut board = Board::start(case.backplane).await;
    board.set_all(["a", "b"].map(str::to_owned)).await;
    board.set_and_delete("passing", REMEMBERED + 10).await;
    board.delete("a").await;
    let epoch = board.epoch().await;
    let mut reader = board.read(case.transport, board.query().cursor(format!("{epoch}-0"))).await;
    let mut view = View::default();
    let seq = board.set("c").await;
    while view.seq < seq {
        let event = reader.next_of_log().await;
        assert!(matches!(type_of(&event), "message" | "live"), "{event}");
        view.take(&event);
    }
    assert_eq!(view.deletions, REMEMBERED, "each that is remembered");
    board.assert_shown(&view, seq);
}

async fn what_cannot_be_continued_starts_over(case: Case) {
    let mut board = Board::start(case.backplane).await;
    board.set_all(["a", "b", "a"].map(str::to_owned)).await;
    board.delete("b").await;
    let epoch = board.epoch().await;
    let cases = [
        ("x".to_owned(), "unknown"),
        (format!("{epoch}-1-2-3"), "unknown"),
        (format!("{epoch}-5"), "unknown"),
        (format!("{epoch}-1-5"), "unknown"),
        (format!("{epoch}-5-5"), "unknown"),
        ("aaaaaaaaaaaa-1".to_owned(), "epoch"),
    ];
    for (cursor, reason) in cases {
        let mut reader = board.read(case.transport, board.query().cursor(&cursor)).await;
        assert_starts_over(&board, &mut reader, &mut View::default(), reason).await;
    }
}

async fn a_snapshot_of_another_epoch_starts_over(case: Case) {
    let board = large(case).await;
    let (mut view, cursor) = read_a_part(case, &board).await;
    let old = board.epoch().await;
    let mut board = Board { server: board.server.begin_anew().await, channel: board.channel, keys: [].into() };
    board.set_all(["k1", "other"].map(str::to_owned)).await;
    assert_ne!(old, board.epoch().await);
    let mut reader = board.read(case.transport, board.query().cursor(cursor)).await;
    assert_starts_over(&board, &mut reader, &mut view, "epoch").await;
}

/// Protocol, 5.3: until the snapshot is complete each position bears the base, then it is plain.
#[tokio::test]
async fn the_pages_of_a_snapshot_bear_its_base_until_it_is_complete() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set_all((1..=1_300).map(|number| format!("k{number}"))).await;
    let epoch = board.epoch().await;
    for transport in [Transport::PollGet, Transport::PollPost] {
        let mut query = board.query().wait(60.0);
        let (mut seqs, mut cursors) = (Vec::new(), Vec::new());
        let last = loop {
            let answer = Answer::read(query.request(transport).send(board.server.address).await).await;
            seqs.extend(answer.seqs());
            cursors.push(answer.cursor.clone());
            query = query.cursor(&answer.cursor);
            if answer.types().contains(&"live") {
                break answer;
            }
        };
        assert_eq!(seqs, (1..=1_300).collect::<Vec<_>>());
        assert_eq!(cursors, [format!("{epoch}-512-1300"), format!("{epoch}-1024-1300"), format!("{epoch}-1300")]);
        assert_eq!(last.types().iter().filter(|word| **word == "live").count(), 1);
    }
}

#[tokio::test]
async fn each_id_of_a_streamed_snapshot_bears_its_base_until_it_is_complete() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set_all((1..=700).map(|number| format!("k{number}"))).await;
    // The newest is a deletion of a key that no reader of this snapshot is told of.
    board.delete("k700").await;
    let epoch = board.epoch().await;
    let mut sse = Sse::of(board.query().request(Transport::SseGet), board.server.address).await;
    let mut told = 0;
    loop {
        let block = sse.block().await;
        let Some(id) = &block.id else { continue };
        let Some(_) = &block.data else {
            assert_eq!(*id, format!("{epoch}-0-701"), "before the first message");
            continue;
        };
        let event = block.json();
        if type_of(&event) == "live" {
            assert_eq!((event, id), (live(&epoch, 701), &format!("{epoch}-701")));
            break;
        }
        told += 1;
        assert_eq!((event["seq"].as_u64(), id), (Some(told), &format!("{epoch}-{told}-701")));
    }
    assert_eq!(told, 699);
}

/// A poller that pages while everything changes under it, again and again, converges without a gap.
#[tokio::test]
async fn paging_while_keys_churn_converges_without_a_gap() {
    let mut board = large(Case { transport: Transport::PollGet, backplane: Backplane::Memory }).await;
    let (mut view, mut query) = (View::default(), board.query());
    for round in 0.. {
        let answer = Answer::read(query.request(Transport::PollGet).send(board.server.address).await).await;
        answer.events.iter().for_each(|event| view.take(event));
        query = query.cursor(&answer.cursor);
        if let Some(told) = answer.events.iter().find(|event| type_of(event) == "live") {
            assert_eq!(round, 2);
            board.assert_shown(&view, seq_of(&told["position"]));
            break;
        }
        // 400 deletions a round: those before the base are forgotten, and none after it until the third page, which
        // completes the snapshot.
        board.set_and_delete(&format!("round{round}-"), 390).await;
        for number in 0..10 {
            board.delete(format!("k{}", round * 10 + number)).await;
            board.set(format!("k{}", 1_299 - round * 10 - number)).await;
        }
    }
    assert_eq!(view.gaps, Vec::<Value>::new());
    let mut reader = board.read(Transport::PollGet, query).await;
    let seq = board.set("last").await;
    view.read_to(&mut reader, seq).await;
    board.assert_shown(&view, seq);
}

/// A reader that leaves again and again in the middle of its snapshot, each time for another transport, while keys
/// change and all deletions of before the base are forgotten.
#[tokio::test]
async fn hopping_between_transports_while_keys_churn_converges_without_a_gap() {
    let case = Case { transport: Transport::Ws, backplane: Backplane::Memory };
    let mut board = large(case).await;
    let (mut view, mut query) = (View::default(), board.query());
    let mut hops = MANY.into_iter().cycle();
    let live = loop {
        let mut reader = board.read(hops.next().unwrap(), query.clone()).await;
        let stop = view.seq + 100;
        let mut live = None;
        while live.is_none() && (view.seq < stop || !reader.is_at_rest()) {
            let event = reader.next_event().await;
            assert_ne!(type_of(&event), "gap", "{event}");
            if type_of(&event) == "live" { live = Some(seq_of(&event["position"])) } else { view.take(&event) }
        }
        if let Some(live) = live {
            break live;
        }
        query = query.cursor(reader.cursor());
        drop(reader);
        let told = format!("k{}", view.seq - 50);
        board.delete(told.as_str()).await;
        board.set_and_delete(&format!("at{}-", view.seq), 150).await;
        board.set(told).await;
        board.delete(format!("k{}", view.seq + 120)).await;
    };
    board.assert_shown(&view, live);
    assert!(board.keys.len() > 1_800 + 450, "it hopped at least three times");
}

/// Two states on one connection, each with a base of its own.
#[tokio::test]
async fn a_cursor_holds_a_base_for_each_state() {
    let server = Server::start(Backplane::Memory).await;
    for number in 0..400 {
        for channel in ["map:a", "map:b"] {
            server.append(channel, Draft::json(&number).unwrap().key(format!("k{number}"))).await;
        }
    }
    let epochs = [server.epoch("map:a").await, server.epoch("map:b").await];
    for transport in [Transport::PollGet, Transport::PollPost] {
        let query = Query::of_all(&["map:a", "map:b"]);
        let first = Answer::read(query.request(transport).send(server.address).await).await;
        assert_eq!(first.cursor, format!("{}-256-400,{}-256-400", epochs[0], epochs[1]));
        let second = Answer::read(query.cursor(&first.cursor).request(transport).send(server.address).await).await;
        assert_eq!(second.cursor, format!("{}-400,{}-400", epochs[0], epochs[1]));
        assert_eq!(second.types().iter().filter(|word| **word == "live").count(), 2);
        assert_eq!(second.seqs().len(), 2 * 144);
    }
}

/// Inside the server a reader's position bears the base as well, also where a gap began the snapshot.
#[tokio::test]
async fn a_rust_reader_that_left_in_the_middle_of_a_snapshot_goes_on_without_a_gap() {
    let mut board = Board::start(Backplane::Memory).await;
    board.set_all(["a", "b", "c"].map(str::to_owned)).await;
    board.set_and_delete("old", REMEMBERED + 1).await;
    let channel = board.server.tricast.channel("map:a").unwrap();
    let mut fresh = channel.read(Start::Earliest).await.unwrap();
    let mut message = fresh.next().await;
    let Some(Read::Message(first)) = &message else { panic!("{message:?}") };
    let mut started_over = channel.read(Start::At(first.position())).await.unwrap();
    message = started_over.next().await;
    assert!(matches!(message, Some(Read::Gap(_))), "a bare position is before what is forgotten: {message:?}");
    for (left, seqs) in [(fresh, 2..=3), (started_over, 1..=3)] {
        let position = left.position();
        drop(left);
        let mut reader = channel.read(Start::At(position)).await.unwrap();
        for seq in seqs {
            message = reader.next().await;
            let Some(Read::Message(message)) = &message else { panic!("{message:?} after {position}") };
            assert_eq!(message.position().seq.get(), seq);
        }
        message = reader.next().await;
        assert!(matches!(message, Some(Read::Live(at)) if at == reader.position() && at.base.is_none()), "{message:?}");
    }
}
