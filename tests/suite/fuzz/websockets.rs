//! WebSockets: a handshake, and whatever frames come behind it.

use super::pipe::exchange;
use super::requests::{Answer, check, check_event};

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// The bytes of one connection: what is accepted is answered by whole, final, unmasked frames; each text is an event;
/// the last frame is a Close with a code that a server may send, after which nothing comes.
pub(crate) fn websockets(input: &[u8]) {
    let output = exchange(input);
    let mut left = output.as_slice();
    while !left.is_empty() {
        let answer = Answer::read(&mut left);
        if answer.status == 101 {
            return check_frames(left);
        }
        check(&answer);
    }
}

fn check_frames(mut left: &[u8]) {
    while !left.is_empty() {
        let (head, payload) = frame(&mut left);
        match head {
            TEXT => check_event(str::from_utf8(payload).expect("text is UTF-8")),
            PING | PONG => assert!(payload.len() <= 125, "a control frame is short"),
            CLOSE => {
                // One without a code is answered by one without.
                let code = payload.first_chunk().map_or(1000, |code| u16::from_be_bytes(*code));
                assert!(matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999), "closed with {code}");
                assert!(payload.len() != 1 && str::from_utf8(payload.get(2..).unwrap_or_default()).is_ok());
                return assert!(left.is_empty(), "{} bytes behind a Close frame", left.len());
            }
            other => panic!("no server sends a frame that begins with {other:#x}"),
        }
    }
}

/// The first byte and the payload of the next frame.
fn frame<'a>(left: &mut &'a [u8]) -> (u8, &'a [u8]) {
    let head = take(left, 1)[0];
    let length = match take(left, 1)[0] {
        126 => number(take(left, 2)),
        127 => number(take(left, 8)),
        short => usize::from(short),
    };
    assert!(length < 1 << 20, "a mask, or a frame of {length} bytes");
    (head, take(left, length))
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}

fn take<'a>(left: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = left.split_at_checked(length).expect("frames are whole");
    *left = rest;
    taken
}
