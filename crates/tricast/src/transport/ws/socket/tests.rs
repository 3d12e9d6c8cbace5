use std::future::Future;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::tungstenite::protocol::WebSocketContext;

use super::*;

const LIMITS: Limits = Limits { message: 1000, write_timeout: Duration::from_secs(10) };

const TEXT: u8 = 0x1;
const CONTINUATION: u8 = 0x0;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A socket, and the peer's end of a pipe that holds `capacity` bytes each way.
fn pair(capacity: usize) -> (Socket<DuplexStream>, DuplexStream) {
    let (ours, peers) = duplex(capacity);
    (Socket::new(ours, LIMITS), peers)
}

/// A client's frame, masked, with a payload of at most 125 bytes.
fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first, MASKED | u8::try_from(payload.len()).unwrap()];
    frame.extend_from_slice(&mask);
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    frame
}

fn close_payload(code: u16) -> Vec<u8> {
    code.to_be_bytes().to_vec()
}

/// What `finish` makes the peer see of `sent`: everything up to the end of stream.
async fn answer_to(sent: &[u8]) -> Vec<u8> {
    let (mut socket, mut peer) = pair(4096);
    peer.write_all(sent).await.unwrap();
    let server = async move {
        loop {
            match socket.receive().await {
                Ok(_) => {}
                Err(end) => return socket.finish(end).await,
            }
        }
    };
    let client = async move {
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).await.unwrap();
        seen
    };
    watched(async { tokio::join!(server, client).1 }).await
}

/// Fails a wait for what never comes.
async fn watched<F: Future>(wait: F) -> F::Output {
    timeout(Duration::from_secs(30), wait).await.expect("the watchdog")
}

/// The code of `seen`, which must be one Close frame and nothing else.
fn close_code(seen: &[u8]) -> u16 {
    assert_eq!(seen[0], FINAL | CLOSE, "{seen:?}");
    assert_eq!(seen.len(), 2 + usize::from(seen[1]), "one frame: {seen:?}");
    u16::from_be_bytes([seen[2], seen[3]])
}

fn text(text: &str) -> Received {
    Received::Text(text.into())
}

/// Polls `future` once, then drops it; true if it was pending.
async fn abandoned<F: Future>(future: F) -> bool {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await
}

#[tokio::test]
async fn fragments_arrive_as_one_text() {
    let (mut socket, mut peer) = pair(4096);
    peer.write_all(&masked(TEXT, b"one ")).await.unwrap();
    peer.write_all(&masked(CONTINUATION, "zw\u{f6}lf".as_bytes())).await.unwrap();
    peer.write_all(&masked(FINAL | CONTINUATION, b"!")).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), text("one zw\u{f6}lf!"));
}

#[tokio::test]
async fn a_ping_between_fragments_is_answered_and_breaks_nothing() {
    let (mut socket, mut peer) = pair(4096);
    peer.write_all(&masked(TEXT, b"a")).await.unwrap();
    peer.write_all(&masked(FINAL | PING, b"hi")).await.unwrap();
    peer.write_all(&masked(FINAL | CONTINUATION, b"b")).await.unwrap();
    assert_eq!(socket.receive().await.unwrap(), Received::Ping);
    assert_eq!(socket.receive().await.unwrap(), text("ab"));
    let mut pong = [0; 4];
    peer.read_exact(&mut pong).await.unwrap();
    assert_eq!(pong, [FINAL | PONG, 2, b'h', b'i']);
}

#[tokio::test]
async fn protocol_errors_are_answered_with_1002() {
    let cases = [
        ("an unmasked frame", vec![FINAL | TEXT, 2, b'h', b'i']),
        ("a reserved opcode", masked(FINAL | 0x3, b"hi")),
        ("a reserved control opcode", masked(FINAL | 0xb, b"")),
        ("a reserved bit", masked(FINAL | 0x40 | TEXT, b"hi")),
        ("a continuation of nothing", masked(FINAL | CONTINUATION, b"hi")),
        ("a fragmented ping", masked(PING, b"hi")),
        ("a close code nobody may send", masked(FINAL | CLOSE, &close_payload(1005))),
    ];
    for (name, sent) in cases {
        assert_eq!(close_code(&answer_to(&sent).await), 1002, "{name}");
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_is_answered_with_1007() {
    let whole = masked(FINAL | TEXT, b"\xc0\xaf");
    assert_eq!(close_code(&answer_to(&whole).await), 1007);
    let mut cut = masked(TEXT, b"\xe2\x82");
    cut.extend(masked(FINAL | CONTINUATION, b""));
    assert_eq!(close_code(&answer_to(&cut).await), 1007);
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_answered_with_1009_at_once() {
    let mut header = vec![FINAL | TEXT, MASKED | 127];
    header.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    assert_eq!(close_code(&answer_to(&header).await), 1009);
}

#[tokio::test]
async fn fragments_that_sum_up_over_the_limit_are_answered_with_1009() {
    let mut sent = masked(TEXT, &[b'x'; 125]);
    for _ in 0..8 {
        sent.extend(masked(CONTINUATION, &[b'x'; 125]));
    }
    assert_eq!(close_code(&answer_to(&sent).await), 1009);
}

#[tokio::test]
async fn a_close_is_answered_with_its_own_code() {
    let sent = masked(FINAL | CLOSE, &close_payload(4242));
    assert_eq!(close_code(&answer_to(&sent).await), 4242);
    let bare = masked(FINAL | CLOSE, b"");
    assert_eq!(answer_to(&bare).await, [FINAL | CLOSE, 0]);
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_lost_not_at_fault() {
    let (mut socket, mut peer) = pair(4096);
    peer.write_all(&masked(FINAL | TEXT, b"cut")[..4]).await.unwrap();
    drop(peer);
    assert!(matches!(socket.receive().await, Err(End::Lost(_))));
    assert!(matches!(socket.receive().await, Err(End::Lost(_))));
}

#[tokio::test]
async fn the_end_is_told_once() {
    let (mut socket, mut peer) = pair(4096);
    peer.write_all(&masked(FINAL | 0x3, b"")).await.unwrap();
    peer.write_all(&masked(FINAL | TEXT, b"later")).await.unwrap();
    assert!(matches!(socket.receive().await, Err(End::Fault(Fault::Protocol))));
    assert!(matches!(socket.receive().await, Err(End::Lost(_))));
}

#[tokio::test]
async fn a_dropped_receive_loses_no_byte() {
    let (mut socket, mut peer) = pair(4096);
    for byte in masked(FINAL | TEXT, b"piecemeal") {
        assert!(abandoned(socket.receive()).await);
        peer.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(socket.receive().await.unwrap(), text("piecemeal"));
}

#[tokio::test]
async fn headers_of_the_core_are_read_by_another_decoder() {
    for len in [0, 125, 126, 65_535, 65_536] {
        let mut frame = Vec::new();
        tricast_core::frame::put_text_header(&mut frame, len);
        frame.resize(frame.len() + len, b'x');
        let mut wire = io::Cursor::new(frame);
        let mut client = WebSocketContext::new(Role::Client, None);
        let message = client.read(&mut wire).unwrap();
        assert_eq!(message, Message::text("x".repeat(len)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_slow() {
    let (mut socket, _peer) = pair(8);
    let begun = Instant::now();
    let result = socket.write(Bytes::from_static(&[b'x'; 100])).await;
    assert!(matches!(result, Err(WriteError::Slow)), "{result:?}");
    assert_eq!(begun.elapsed().as_secs(), LIMITS.write_timeout.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_a_little_in_time_is_not_slow() {
    let (mut socket, mut peer) = pair(8);
    let reader = async move {
        let mut seen = Vec::new();
        while seen.len() < 100 {
            // Virtual time: each byte comes just before the deadline.
            tokio::time::sleep(LIMITS.write_timeout - Duration::from_millis(1)).await;
            seen.push(peer.read_u8().await.unwrap());
        }
    };
    let frames = Bytes::from_static(&[b'x'; 100]);
    let both = async { tokio::join!(socket.write(frames), reader) };
    let (written, ()) = timeout(LIMITS.write_timeout * 100, both).await.expect("the watchdog");
    written.unwrap();
}

#[tokio::test]
async fn a_pong_that_left_in_part_is_completed_before_the_next_frames() {
    let (mut socket, mut peer) = pair(16);
    let payload = [b'p'; 30];
    let ping = masked(FINAL | PING, &payload);
    let receiving = async {
        assert_eq!(socket.receive().await.unwrap(), Received::Ping);
        // Sixteen bytes of the pong fit into the pipe.
        assert!(abandoned(socket.receive()).await);
        socket.write(Bytes::from_static(b"\x81\x02ok")).await.unwrap();
    };
    let peers = async {
        peer.write_all(&ping).await.unwrap();
        let mut seen = [0; 36];
        peer.read_exact(&mut seen).await.unwrap();
        seen
    };
    let ((), seen) = tokio::join!(receiving, peers);
    assert_eq!(seen[..2], [FINAL | PONG, 30]);
    assert_eq!(seen[2..32], payload);
    assert_eq!(seen[32..], *b"\x81\x02ok");
}

#[tokio::test]
async fn a_dropped_write_leaves_no_torn_frame() {
    let (mut socket, mut peer) = pair(4);
    assert!(abandoned(socket.write(Bytes::from_static(b"\x81\x06abcdef"))).await);
    let drain = async {
        let mut seen = [0; 10];
        peer.read_exact(&mut seen).await.unwrap();
        seen
    };
    let (pinged, seen) = tokio::join!(socket.ping(), drain);
    pinged.unwrap();
    assert_eq!(seen[..8], *b"\x81\x06abcdef");
    assert_eq!(seen[8..], [FINAL | PING, 0]);
}

#[tokio::test]
async fn a_pong_waits_for_the_rest_of_a_dropped_write() {
    let (mut socket, mut peer) = pair(4);
    assert!(abandoned(socket.write(Bytes::from_static(b"\x81\x06abcdef"))).await);
    let receiving = async {
        assert_eq!(socket.receive().await.unwrap(), Received::Ping);
        assert!(matches!(socket.receive().await, Err(End::Lost(_))));
    };
    let peers = async {
        peer.write_all(&masked(FINAL | PING, b"")).await.unwrap();
        let mut seen = [0; 10];
        peer.read_exact(&mut seen).await.unwrap();
        drop(peer);
        seen
    };
    let ((), seen) = watched(async { tokio::join!(receiving, peers) }).await;
    assert_eq!(seen[..8], *b"\x81\x06abcdef");
    assert_eq!(seen[8..], [FINAL | PONG, 0]);
}

#[tokio::test]
async fn a_flood_of_pings_from_a_peer_that_reads_nothing_is_bounded() {
    let (mut socket, mut peer) = pair(256);
    let ping = masked(FINAL | PING, &[b'p'; 100]);
    for _ in 0..1000 {
        peer.write_all(&ping).await.unwrap();
        assert_eq!(socket.receive().await.unwrap(), Received::Ping);
    }
    let mut seen = Vec::new();
    let drain = async {
        // What the pipe held, what the socket kept, and the ping that ends it.
        while !seen.ends_with(&[FINAL | PING, 0]) {
            seen.push(peer.read_u8().await.unwrap());
        }
    };
    let (pinged, ()) = tokio::join!(socket.ping(), drain);
    pinged.unwrap();
    assert!(seen.starts_with(&[FINAL | PONG, 100]));
    assert!(seen.len() <= 256 + MAX_CONTROL_BYTES + 102 + 2, "{}", seen.len());
}

#[tokio::test]
async fn our_close_waits_for_the_peer_to_hang_up() {
    let (socket, mut peer) = pair(4096);
    let reason = "\u{e9}".repeat(100);
    let closing = socket.close(4401, &reason);
    let peers = async {
        let mut seen = Vec::new();
        peer.read_to_end(&mut seen).await.unwrap();
        // The write half was shut down first: bytes still find a reader.
        peer.write_all(&[b'x'; 100]).await.unwrap();
        drop(peer);
        seen
    };
    let ((), seen) = tokio::join!(closing, peers);
    assert_eq!(close_code(&seen), 4401);
    assert_eq!(str::from_utf8(&seen[4..]).unwrap(), "\u{e9}".repeat(61));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_hangs_up_is_left_after_the_linger() {
    let (socket, mut peer) = pair(4096);
    let begun = Instant::now();
    socket.close(1000, "").await;
    assert_eq!(begun.elapsed().as_secs(), LINGER.as_secs());
    assert!(peer.write_all(b"x").await.is_err());
}

#[tokio::test]
async fn nothing_is_written_after_the_peers_close() {
    let (mut socket, mut peer) = pair(4096);
    peer.write_all(&masked(FINAL | CLOSE, &close_payload(1000))).await.unwrap();
    assert!(matches!(socket.receive().await, Err(End::Closed(Some(1000)))));
    let written = socket.write(Bytes::from_static(b"\x81\x00")).await;
    assert!(matches!(written, Err(WriteError::Closed)));
}

#[tokio::test(start_paused = true)]
async fn any_byte_counts_as_a_sign_of_life() {
    let (mut socket, mut peer) = pair(4096);
    let begun = Instant::now();
    // Virtual time: it passes only here.
    tokio::time::advance(Duration::from_secs(5)).await;
    peer.write_all(&masked(FINAL | TEXT, b"half")[..3]).await.unwrap();
    assert!(abandoned(socket.receive()).await);
    assert_eq!((socket.last_received() - begun).as_secs(), 5);
    assert_eq!(socket.last_sent(), begun);
    tokio::time::advance(Duration::from_secs(5)).await;
    socket.ping().await.unwrap();
    assert_eq!((socket.last_sent() - begun).as_secs(), 10);
}

#[tokio::test]
async fn the_closing_handshake_takes_no_room_before_it_begins() {
    let (socket, _peer) = pair(64);
    assert_eq!(size_of_val(&socket.finish(End::Closed(None))), size_of::<usize>());
}
