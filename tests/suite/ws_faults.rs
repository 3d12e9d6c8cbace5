//! Broken WebSockets. Protocol, 6: a protocol error gets a Close frame (1002, 1007, 1009), never just a dropped
//! connection.

use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Frame, Query, Wire, Ws, eventually, frame, type_of};
use crate::server::{Backplane, Server};

async fn open(server: &Server) -> Wire {
    let mut wire = Wire::open(server.address, "/rt/ws").await;
    assert_eq!(type_of(&wire.frame().await.event()), "welcome");
    wire
}

/// Sends bytes, and waits for the Close frame and the end.
async fn close_code_for(server: &Server, bytes: &[u8]) -> u16 {
    let mut wire = open(server).await;
    wire.send(bytes).await;
    let code = wire.frame().await.close_code();
    wire.ended().await;
    code
}

#[tokio::test]
async fn frames_against_the_protocol_close_with_1002() {
    let server = Server::start(Backplane::Memory).await;
    let unmasked = [0x81, 0x02, b'{', b'}'];
    let cases: [(&str, Vec<u8>); 7] = [
        ("unmasked", unmasked.to_vec()),
        ("a reserved opcode", frame(0x83, b"{}")),
        ("a reserved control opcode", frame(0x8b, b"")),
        ("a reserved bit", frame(0xc1, b"{}")),
        ("a control frame in fragments", frame(0x09, b"")),
        ("a control frame that is too long", frame(0x89, &[0; 126])),
        ("a continuation of nothing", frame(0x80, b"{}")),
    ];
    for (what, bytes) in cases {
        assert_eq!(close_code_for(&server, &bytes).await, 1002, "{what}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let server = Server::start(Backplane::Memory).await;
    assert_eq!(close_code_for(&server, &frame(0x81, b"\xff\xfe")).await, 1007);
}

/// A WebSocket message over 2 × the message limit + 16 KiB closes with 1009, whole, declared or in fragments.
#[tokio::test]
async fn a_message_that_is_too_long_closes_with_1009() {
    let build = |builder: tricast::Builder| builder.message_bytes(1_000);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let most = 2 * 1_000 + 16 * 1_024;

    let mut wire = open(&server).await;
    let mut longest = br#"{"type":"ping"}"#.to_vec();
    longest.resize(most, b' ');
    wire.send_frame(Frame::TEXT, &longest).await;
    assert_eq!(wire.frame().await.event(), json!({"type": "pong"}));

    assert_eq!(close_code_for(&server, &frame(Frame::TEXT, &vec![b' '; most + 1])).await, 1009);
    let declared = [[0x81, 0x80 | 127].as_slice(), &(1u64 << 40).to_be_bytes(), &[0; 4]].concat();
    assert_eq!(close_code_for(&server, &declared).await, 1009);
    let fragments = [frame(0x01, &vec![b' '; most]), frame(0x80, b" ")].concat();
    assert_eq!(close_code_for(&server, &fragments).await, 1009);
}

#[tokio::test]
async fn what_was_complete_before_the_fault_is_answered() {
    let server = Server::start(Backplane::Memory).await;
    let mut wire = open(&server).await;
    wire.send(&[frame(Frame::TEXT, br#"{"type":"ping","ref":1}"#), frame(0x83, b"")].concat()).await;
    assert_eq!(wire.frame().await.event(), json!({"type": "pong", "ref": 1}));
    assert_eq!(wire.frame().await.close_code(), 1002);
    wire.ended().await;
}

#[tokio::test]
async fn fragments_and_the_pings_between_them_are_fine() {
    let server = Server::start(Backplane::Memory).await;
    let mut wire = open(&server).await;
    let frames = [frame(0x01, br#"{"type":"pi"#), frame(0x89, b"between"), frame(0x80, br#"ng","ref":1}"#)];
    wire.send(&frames.concat()).await;
    let answers = [wire.frame().await, wire.frame().await];
    let pong = Frame { head: 0x8a, payload: b"between".to_vec() };
    assert!(answers.contains(&pong), "{answers:?}");
    let event = answers.iter().find(|answer| answer.head == Frame::TEXT).unwrap().event();
    assert_eq!(event, json!({"type": "pong", "ref": 1}));
}

#[tokio::test]
async fn a_peer_that_closes_gets_its_code_back() {
    let server = Server::start(Backplane::Memory).await;
    let mut wire = open(&server).await;
    wire.send_frame(Frame::CLOSE, &[&4321u16.to_be_bytes(), b"bye".as_slice()].concat()).await;
    assert_eq!(wire.frame().await.close_code(), 4321);
    wire.ended().await;
    eventually("the node forgot it", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_peer_that_vanishes_is_forgotten_and_disturbs_nobody() {
    let server = Server::start(Backplane::Memory).await;
    let mut neighbour = Ws::open(server.address, &Query::of("chat:a")).await;
    neighbour.until("subscribed").await;
    let gone = Wire::open(server.address, "/rt/ws?channel=chat:a").await;
    eventually("both are there", || server.connections() == 2).await;
    drop(gone);
    eventually("the node noticed", || server.connections() == 1).await;
    server.publish("chat:a", 1).await;
    assert_eq!(type_of(&neighbour.next_event().await), "message");
    neighbour.send_message(Message::Close(None)).await;
    eventually("the node forgot it", || server.connections() == 0).await;
}
