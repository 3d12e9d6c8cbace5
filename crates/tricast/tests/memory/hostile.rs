//! Peers that mean harm: what they made the server keep is given back when they have gone.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;

use tricast_testkit::WATCHDOG;

use super::{KIB, Node, in_use};

/// Peers of each kind in a round.
const PEERS: usize = 50;

/// What rounds of hundreds of them may leave behind: what grew to its size once and for all.
const LEFT: i64 = 64 * KIB;

const MEBIBYTE: usize = 1024 * 1024;

/// What a hostile peer sends, and whether it waits for what it is answered.
struct Attack {
    bytes: Vec<u8>,
    is_answered: bool,
}

fn post(target: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /rt/{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n\
        Content-Length: {}\r\n\r\n",
        body.len(),
    );
    [head.as_bytes(), body].concat()
}

fn get(target: &str, headers: &str) -> Vec<u8> {
    format!("GET /rt/{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n").into_bytes()
}

fn attacks() -> Vec<Attack> {
    let brackets = "[".repeat(MEBIBYTE).into_bytes();
    let channels: String = (0..1_000).map(|nth| format!("channel=quiet{nth}&")).collect();
    let names: Vec<String> = (0..1_000).map(|nth| format!("{{\"name\":\"quiet{nth}\"}}")).collect();
    let names = format!("{{\"channels\":[{}]}}", names.join(","));
    let upgrade = format!("GET /rt/ws HTTP/1.1\r\nHost: localhost\r\n{}\r\n", super::UPGRADE);
    // A frame of 2^62 bytes, of which some come.
    let endless = [upgrade.as_bytes(), &[0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], &[b'x'; 4096]].concat();
    let answered = [
        post("send", &brackets),
        post("sse", &brackets),
        post("poll", &brackets),
        post("poll", names.as_bytes()),
        get(&format!("poll?{channels}"), ""),
        get(&format!("sse?{channels}"), ""),
        get("poll?channel=quiet&wait=0", &format!("Authorization: Bearer {}\r\n", "x".repeat(30_000))),
        get("sse?channel=nowhere", &format!("Last-Event-ID: {}\r\n", "a-1,".repeat(7_000))),
        endless,
    ];
    let half = b"POST /rt/send HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4096";
    let unanswered = [half.to_vec(), [half.as_slice(), b"\r\n\r\n{\"type\":"].concat(), vec![b'x'; 8 * 1024]];
    let answered = answered.into_iter().map(|bytes| Attack { bytes, is_answered: true });
    answered.chain(unanswered.into_iter().map(|bytes| Attack { bytes, is_answered: false })).collect()
}

/// Sends it, and reads whatever is answered, up to the end.
fn strike(node: &Node, attack: &Attack) {
    let mut stream = TcpStream::connect(node.address).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    // A server that refuses early may close before it has read everything.
    let wrote = stream.write_all(&attack.bytes);
    if !attack.is_answered {
        return wrote.unwrap();
    }
    let (mut answer, mut told) = ([0; 4096], wrote.is_err());
    loop {
        match stream.read(&mut answer) {
            Ok(0) => break,
            Ok(_) => told = true,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                told = true;
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(told, "nothing was answered to {:?}", String::from_utf8_lossy(&attack.bytes[..40]));
}

fn round(node: &Node, attacks: &[Attack]) -> i64 {
    for attack in attacks {
        (0..PEERS).for_each(|_| strike(node, attack));
    }
    node.settle(0)
}

pub(super) fn assert_given_back(node: &Node) {
    let attacks = attacks();
    // The first round makes the server set up what it keeps for good.
    let before = round(node, &attacks);
    let after = round(node, &attacks).max(round(node, &attacks));
    println!("{} bytes are left of {} hostile peers", after - before, 2 * PEERS * attacks.len());
    assert!(after - before <= LEFT, "{} bytes are left", after - before);
    drop(attacks);
    assert!(in_use() < before, "the attacks themselves were not counted");
}
