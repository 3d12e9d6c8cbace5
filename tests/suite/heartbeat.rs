//! Heartbeats, of one second here. Protocol, 6: with `tricast.v1` a side that has sent nothing or received nothing for
//! a heartbeat sends text pings, without it WebSocket ping frames do the same job; a side that received nothing for
//! two closes. An SSE stream carries a comment after each heartbeat of silence.
//!
//! What is asserted is what comes, in which order and how often, never when.

use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Closed, Frame, Query, Sse, Transport, Wire, Ws, eventually, type_of, upgrade, watchdog};
use crate::server::{Backplane, Server};

const HEARTBEAT: Duration = Duration::from_secs(1);

async fn server() -> Server {
    let build = |builder: tricast::Builder| builder.heartbeat_ws(HEARTBEAT).heartbeat_sse(HEARTBEAT);
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

/// Publishes several times a heartbeat until it is aborted.
fn keep_busy(server: &Server) -> JoinHandle<()> {
    let channel = server.tricast.channel("chat:a").unwrap();
    tokio::spawn(async move {
        loop {
            channel.publish(tricast::Draft::json(&1).unwrap()).await.unwrap();
            // A busy channel is one that is never silent for a heartbeat.
            tokio::time::sleep(HEARTBEAT / 10).await;
        }
    })
}

#[tokio::test]
async fn welcome_tells_the_heartbeat() {
    let server = server().await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    assert_eq!(ws.next_event().await["heartbeat"], 1);
}

#[tokio::test]
async fn on_a_quiet_channel_our_client_is_pinged_by_text_and_lives_by_answering() {
    let server = server().await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    ws.until("subscribed").await;
    // More than two heartbeats, after which a mute peer is closed.
    for _ in 0..4 {
        assert_eq!(ws.next_frame().await.to_text().unwrap(), r#"{"type":"ping"}"#);
        ws.send(json!({"type": "pong"})).await;
    }
}

#[tokio::test]
async fn on_a_quiet_channel_another_client_is_pinged_by_frames_and_lives_by_answering() {
    let server = server().await;
    let mut ws = Ws::plain(server.address, "/rt/ws?channel=chat:a").await;
    ws.until("subscribed").await;
    for _ in 0..4 {
        // tungstenite answers when it is asked for the next frame.
        assert!(matches!(ws.next_frame().await, Message::Ping(_)));
    }
}

/// Who only reads has the server receive nothing, however much it sends.
#[tokio::test]
async fn on_a_busy_channel_who_only_reads_is_pinged_all_the_same() {
    let server = server().await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    ws.until("subscribed").await;
    let busy = keep_busy(&server);
    let (mut pings, mut messages) = (0, 0);
    while pings < 4 {
        match type_of(&ws.next_event().await) {
            "ping" => {
                pings += 1;
                ws.send(json!({"type": "pong"})).await;
            }
            "message" => messages += 1,
            other => panic!("{other}"),
        }
    }
    assert!(messages > pings, "the channel was busy: {messages} messages");
    busy.abort();
}

/// Who only sends has the server send nothing.
#[tokio::test]
async fn who_sends_what_needs_no_answer_is_pinged_all_the_same() {
    let server = server().await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    for _ in 0..2 {
        let sent_to_silence = async {
            loop {
                ws.send(json!({"type": "pong"})).await;
                // Often enough that the server always received something within the last heartbeat.
                if let Ok(event) = timeout(HEARTBEAT / 5, ws.next_event()).await {
                    return event;
                }
            }
        };
        assert_eq!(watchdog("a ping", sent_to_silence).await, json!({"type": "ping"}));
    }
}

/// What a mute peer is sent: pings, and then the end.
async fn assert_closed_after_pings(wire: &mut Wire, is_ping: impl Fn(&Frame) -> bool) {
    let mut pings = 0;
    let bye = loop {
        let frame = wire.frame().await;
        if is_ping(&frame) {
            pings += 1;
        } else if type_of(&frame.event()) == "bye" {
            break frame.event();
        }
    };
    assert!((1..=2).contains(&pings), "one for each heartbeat before the end: {pings}");
    assert_eq!((&bye["code"], &bye["reconnect"]), (&json!("timeout"), &json!(true)));
    assert_eq!(wire.frame().await.close_code(), 4408);
    wire.ended().await;
}

fn is_text_ping(frame: &Frame) -> bool {
    frame.head == Frame::TEXT && frame.event() == json!({"type": "ping"})
}

#[tokio::test]
async fn a_mute_client_of_ours_is_closed_after_two_heartbeats() {
    let server = server().await;
    let request = upgrade("/rt/ws?channel=chat:a").header("Sec-WebSocket-Protocol", "tricast.v1");
    let mut wire = Wire::of(request, server.address).await;
    assert_closed_after_pings(&mut wire, is_text_ping).await;
    eventually("the node forgot it", || server.connections() == 0).await;
}

#[tokio::test]
async fn another_mute_client_is_closed_after_two_heartbeats() {
    let server = server().await;
    let mut wire = Wire::open(server.address, "/rt/ws?channel=chat:a").await;
    assert_closed_after_pings(&mut wire, |frame| frame.head == Frame::PING).await;
}

#[tokio::test]
async fn a_mute_client_is_closed_on_a_busy_channel_too() {
    let server = server().await;
    let request = upgrade("/rt/ws?channel=chat:a").header("Sec-WebSocket-Protocol", "tricast.v1");
    let mut wire = Wire::of(request, server.address).await;
    let busy = keep_busy(&server);
    assert_closed_after_pings(&mut wire, is_text_ping).await;
    busy.abort();
}

#[tokio::test]
async fn any_frame_counts_as_a_sign_of_life() {
    let server = server().await;
    let mut wire = Wire::open(server.address, "/rt/ws").await;
    let mut pings = 0;
    while pings < 4 {
        let frame = wire.frame().await;
        if frame.head == Frame::PING {
            pings += 1;
            // Not the pong that it asked for, but not silence either.
            wire.send_frame(Frame::PING, b"").await;
        } else if frame.head == Frame::CLOSE {
            panic!("closed: {frame:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_stream_carries_comments_that_mean_nothing() {
    let server = server().await;
    for transport in [Transport::RawSse, Transport::SseGet, Transport::SsePost] {
        let mut sse = Sse::open(transport, server.address, &Query::of("chat:a").client("a-client-1")).await;
        let mut comments = 0;
        let mut heartbeat = None;
        while comments < 2 {
            let block = sse.block().await;
            comments += usize::from(block.is_comment());
            if block.data.is_some() && type_of(&block.json()) == "welcome" {
                heartbeat = Some(block.json()["heartbeat"].clone());
            }
        }
        assert_eq!(heartbeat, (transport != Transport::RawSse).then(|| json!(1)), "{transport:?}");
        let before = sse.last_id().map(str::to_owned);
        assert_eq!(before.is_some(), sse.has_ids());
        server.publish("chat:a", 1).await;
        assert_eq!(type_of(&sse.next_event().await), "message");
    }
}

/// A client's own pings are answered, whichever kind they are.
#[tokio::test]
async fn a_client_that_pings_is_answered() {
    let server = server().await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    assert_eq!(ws.ask(json!({"type": "ping"})).await, json!({"type": "pong"}));
    ws.send_message(Message::Ping(b"frame".as_slice().into())).await;
    assert_eq!(ws.next_frame().await, Message::Pong(b"frame".as_slice().into()));
    ws.send_message(Message::Close(None)).await;
}

/// The close code that a client sees is the one of the table in section 7.
#[tokio::test]
async fn tungstenite_sees_the_same_end() {
    let server = server().await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    assert_eq!(ws.until("bye").await["code"], "timeout");
    assert_eq!(ws.closed().await, Closed { code: 4408, reason: "timeout".to_owned() });
}
