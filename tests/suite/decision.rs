//! Continue, or gap: every row of protocol 5.2, on streams.
//!
//! In all of them the log keeps 3 messages: of 10 written, 8, 9 and 10, so `first - 1` is 7.

use serde_json::{Value, json};

use crate::client::{Query, Reader, type_of};
use crate::matrix::Case;
use crate::server::{BRIEF, Server};

over_every_transport!(
    an_unreadable_position_is_unknown,
    a_position_with_a_base_is_unknown_on_a_stream,
    a_position_of_another_epoch_is_told_so,
    a_position_beyond_the_head_is_unknown_and_continues_at_the_head,
    a_position_before_what_is_retained_has_expired,
    the_position_just_before_what_is_retained_continues,
    the_beginning_of_an_unwritten_log_continues,
    of_two_positions_of_one_epoch_the_lower_counts,
    a_cursor_that_is_too_long_is_unknown,
    a_gap_is_told_once_and_its_position_continues
);
over_every_transport_by_the_clock!(
    a_reader_who_has_everything_continues_though_all_of_it_expired,
    a_reader_who_missed_what_expired_is_told
);

async fn ten_of_which_three_are_kept(case: Case) -> (Server, String) {
    let server = Server::start(case.backplane).await;
    server.publish_all("few:a", 1..=10).await;
    let epoch = server.epoch("few:a").await;
    (server, epoch)
}

async fn resume(case: Case, server: &Server, channel: &str, cursor: impl Into<String>) -> Reader {
    Reader::open(case.transport, server, &Query::of(channel).cursor(cursor)).await
}

fn gap(channel: &str, reason: &str, position: impl Into<String>, head: impl Into<String>) -> Value {
    let (position, head): (String, String) = (position.into(), head.into());
    json!({"type": "gap", "channel": channel, "position": position, "head": head, "reason": reason})
}

/// Where a gap stands in for what is retained: the gap at `first - 1`, then all of it.
async fn assert_starts_over(case: Case, server: &Server, epoch: &str, cursor: &str, reason: &str) {
    let mut reader = resume(case, server, "few:a", cursor).await;
    if case.transport.tells_subscribed() {
        assert_eq!(type_of(&reader.next_event().await), "welcome");
        let subscribed = reader.next_event().await;
        assert_eq!((type_of(&subscribed), &subscribed["recovered"]), ("subscribed", &json!(false)));
    }
    let expected = gap("few:a", reason, format!("{epoch}-7"), format!("{epoch}-10"));
    assert_eq!(reader.next_of_log().await, expected, "{cursor}");
    // Read before the next is published, which makes the oldest of them be forgotten.
    assert_eq!(reader.seqs(3).await, [8, 9, 10], "{cursor}");
    server.publish("few:a", 11).await;
    assert_eq!(reader.seqs(1).await, [11], "{cursor}");
}

async fn an_unreadable_position_is_unknown(case: Case) {
    for cursor in ["x", "-1", "aaaaaaaaaaaa", "aaaaaaaaaaaa-01", "aaaaaaaaaaaa-9007199254740992", "aaaaaaaaaaaa-1-2-3"]
    {
        let (server, epoch) = ten_of_which_three_are_kept(case).await;
        assert_starts_over(case, &server, &epoch, cursor, "unknown").await;
    }
}

async fn a_position_with_a_base_is_unknown_on_a_stream(case: Case) {
    let (server, epoch) = ten_of_which_three_are_kept(case).await;
    assert_starts_over(case, &server, &epoch, &format!("{epoch}-9-10"), "unknown").await;
}

async fn a_position_of_another_epoch_is_told_so(case: Case) {
    let (server, old) = ten_of_which_three_are_kept(case).await;
    let server = server.begin_anew().await;
    server.publish_all("few:a", 1..=10).await;
    let new = server.epoch("few:a").await;
    assert_ne!(old, new, "an epoch ends with what was acknowledged under it");
    assert_starts_over(case, &server, &new, &format!("{old}-9"), "epoch").await;
}

async fn a_position_beyond_the_head_is_unknown_and_continues_at_the_head(case: Case) {
    let (server, epoch) = ten_of_which_three_are_kept(case).await;
    let mut reader = resume(case, &server, "few:a", format!("{epoch}-11")).await;
    let head = format!("{epoch}-10");
    assert_eq!(reader.next_of_log().await, gap("few:a", "unknown", &head, &head));
    server.publish("few:a", 11).await;
    assert_eq!(reader.seqs(1).await, [11]);
}

async fn a_position_before_what_is_retained_has_expired(case: Case) {
    for seq in [0, 1, 6] {
        let (server, epoch) = ten_of_which_three_are_kept(case).await;
        assert_starts_over(case, &server, &epoch, &format!("{epoch}-{seq}"), "expired").await;
    }
}

async fn the_position_just_before_what_is_retained_continues(case: Case) {
    let (server, epoch) = ten_of_which_three_are_kept(case).await;
    let mut reader = resume(case, &server, "few:a", format!("{epoch}-7")).await;
    assert_eq!(reader.seqs(3).await, [8, 9, 10]);
}

/// "A reader who missed nothing gets no `gap` while the epoch lives, whatever history expired."
async fn a_reader_who_has_everything_continues_though_all_of_it_expired(case: Case) {
    let server = Server::start(case.backplane).await;
    server.publish_all("brief:a", 1..=5).await;
    let epoch = server.epoch("brief:a").await;
    server.let_pass(BRIEF * 2);
    let mut reader = resume(case, &server, "brief:a", format!("{epoch}-5")).await;
    server.publish("brief:a", 6).await;
    assert_eq!(reader.seqs(1).await, [6]);
}

async fn a_reader_who_missed_what_expired_is_told(case: Case) {
    let server = Server::start(case.backplane).await;
    server.publish_all("brief:a", 1..=5).await;
    let epoch = server.epoch("brief:a").await;
    server.let_pass(BRIEF * 2);
    let mut reader = resume(case, &server, "brief:a", format!("{epoch}-4")).await;
    let head = format!("{epoch}-5");
    assert_eq!(reader.next_of_log().await, gap("brief:a", "expired", &head, &head));
    server.publish("brief:a", 6).await;
    assert_eq!(reader.seqs(1).await, [6]);
}

async fn the_beginning_of_an_unwritten_log_continues(case: Case) {
    let server = Server::start(case.backplane).await;
    let epoch = server.epoch("few:a").await;
    let mut reader = resume(case, &server, "few:a", format!("{epoch}-0")).await;
    server.publish("few:a", 1).await;
    assert_eq!(reader.seqs(1).await, [1]);
}

/// Protocol, 2: a cursor is a set; of two positions with one epoch the lower counts.
async fn of_two_positions_of_one_epoch_the_lower_counts(case: Case) {
    let (server, epoch) = ten_of_which_three_are_kept(case).await;
    for cursor in [format!("{epoch}-8,{epoch}-10"), format!("{epoch}-10,{epoch}-8")] {
        let mut reader = resume(case, &server, "few:a", cursor).await;
        assert_eq!(reader.seqs(2).await, [9, 10]);
    }
}

/// Protocol, 2: longer than 4 KiB (by POST: 64 bytes per allowed channel, of which there are 128 here) counts as
/// unknown positions, never as an error.
async fn a_cursor_that_is_too_long_is_unknown(case: Case) {
    let most = if case.transport.posts() { 128 * 64 } else { 4096 };
    let (server, epoch) = ten_of_which_three_are_kept(case).await;
    let fits = format!("{epoch}-8{}", ",".repeat(most - epoch.len() - 2));
    assert_eq!(fits.len(), most);
    let mut reader = resume(case, &server, "few:a", fits.clone()).await;
    assert_eq!(reader.seqs(2).await, [9, 10]);
    assert_starts_over(case, &server, &epoch, &(fits + ","), "unknown").await;
}

async fn a_gap_is_told_once_and_its_position_continues(case: Case) {
    let (server, epoch) = ten_of_which_three_are_kept(case).await;
    let mut reader = resume(case, &server, "few:a", format!("{epoch}-2")).await;
    reader.gap().await;
    // The answer to a poll that told it brought the messages too.
    let held = if case.transport.is_poll() { 10 } else { 7 };
    assert_eq!(reader.seqs(usize::from(case.transport.is_poll()) * 3).await.last(), (held == 10).then_some(&10));
    assert_eq!(reader.cursor(), format!("{epoch}-{held}"));
    let mut again = resume(case, &server, "few:a", reader.cursor()).await;
    drop(reader);
    if case.transport.is_poll() {
        server.publish("few:a", 11).await;
    }
    assert_eq!(again.seqs(1).await, [held + 1]);
}
