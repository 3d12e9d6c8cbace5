//! A token's end: `exp`, at most five seconds of leeway, and `bye token_expired`, on every transport.

use std::time::Duration;

use serde_json::json;

use super::{LEEWAY, Met, Way, meet, query, socket, start};
use crate::client::http::Request;
use crate::client::{Reader, Sse, Transport, eventually, type_of};
use crate::matrix::Case;
use crate::server::pass_on_timers;

const SECOND: Duration = Duration::from_secs(1);

/// After what time a token is over that ends now: its last millisecond is within the leeway.
const OVER: Duration = LEEWAY.saturating_add(Duration::from_millis(1));

over_every_transport_by_the_clock!(
    a_reader_is_ended_with_its_token,
    nothing_is_delivered_after_the_end_whatever_the_timers_say
);

/// The reader keeps what it has, and is told to come back with a fresh token.
async fn a_reader_is_ended_with_its_token(case: Case) {
    let server = start(|builder| builder).await;
    let mut reader = Reader::open(case.transport, &server, &query(Some("ann&exp=2000"), &["chat:a"])).await;
    server.publish("chat:a", 1).await;
    assert_eq!(reader.seqs(1).await, [1]);
    let end = async {
        eventually("the reader waits", || server.connections() == 1).await;
        server.let_really_pass(2 * SECOND + LEEWAY).await;
        // Whoever would end now would do so before this task has so many turns.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.connections(), 1, "within the leeway it goes on");
        server.let_really_pass(OVER - LEEWAY).await;
    };
    let (bye, ()) = tokio::join!(reader.next_of_log(), end);
    assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("token_expired"), &json!(true)));
    eventually("the end of the connection", || server.connections() == 0).await;
    let met = meet(&server, Way::Header(case.transport), Some("ann&exp=2000"), "chat:a").await;
    match met {
        Met::Status { code, status: 401, challenge: Some(_), .. } | Met::Closed { code, close: 4402, .. } => {
            assert_eq!(code, "token_expired");
        }
        other => panic!("{other:?}"),
    }
}

/// A timer that is late, as after a machine's sleep, delivers nothing that the token is not good for any more.
async fn nothing_is_delivered_after_the_end_whatever_the_timers_say(case: Case) {
    let server = start(|builder| builder).await;
    let mut reader = Reader::open(case.transport, &server, &query(Some("ann&exp=2000"), &["chat:a"])).await;
    let end = async {
        eventually("the reader waits", || server.connections() == 1).await;
        server.let_pass(2 * SECOND + OVER);
        server.publish("chat:a", "too late").await;
    };
    let (bye, ()) = tokio::join!(reader.next_of_log(), end);
    assert_eq!((type_of(&bye), &bye["code"]), ("bye", &json!("token_expired")), "{bye}");
}

/// The wall of the node's clock is what `exp` is about: a timer that is early ends nobody.
#[tokio::test]
async fn a_clock_that_was_set_back_ends_no_token_early() {
    let server = start(|builder| builder).await;
    let mut ws = socket(&server, Some("ann&exp=2000"), &["chat:a"]).await;
    pass_on_timers(2 * SECOND + LEEWAY + SECOND).await;
    server.publish("chat:a", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");
    server.let_really_pass(2 * SECOND + OVER).await;
    assert_eq!(ws.next_event().await["code"], "token_expired");
    assert_eq!(ws.closed().await.code, 4402);
}

#[tokio::test]
async fn a_raw_stream_is_told_by_an_event_of_its_own_and_ends() {
    let server = start(|builder| builder).await;
    let request = Request::get("/rt/sse?channel=chat:a").bearer("ann&exp=0");
    let mut sse = Sse::of(request, server.address).await;
    while sse.block().await.id.is_none() {}
    server.let_really_pass(OVER).await;
    let block = sse.block().await;
    assert_eq!(block.event.as_deref(), Some("tricast:bye"));
    assert!(block.retry.is_some(), "{block:?}");
    assert_eq!(sse.try_block().await, None);
}

/// A token without an end, and nobody's, last as long as the connection.
#[tokio::test]
async fn whoever_has_no_end_is_not_ended() {
    let server = start(|builder| builder).await;
    for token in [None, Some("ann")] {
        let mut reader = Reader::open(Transport::SseGet, &server, &query(token, &["chat:a"])).await;
        server.let_really_pass(Duration::from_secs(14)).await;
        server.publish("chat:a", 1).await;
        assert_eq!(type_of(&reader.message().await), "message");
    }
}
