//! Readers that do not read. Protocol, 5.1: a connection holds no queue; a reader that falls off the end of a log gets
//! a `gap`; one that takes no byte for the write timeout is closed.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tricast_testkit::WATCHDOG;

use crate::client::http::Request;
use crate::client::{Query, Reader, Transport, eventually, type_of, upgrade};
use crate::server::{Backplane, Server};

const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// Large enough that a few hundred of them overflow what a connection's kernel buffers swallow.
fn large() -> Value {
    Value::from("x".repeat(60_000))
}

const MORE_THAN_BUFFERS: u64 = 300;

/// Readers that never read, beside one that does.
const MUTES: usize = 20;

/// Sends a request and never reads.
async fn mute(server: &Server, request: Request) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&request.into_bytes(server.address)).await.unwrap();
    stream
}

async fn assert_cut_while_a_neighbour_gets_everything(request: Request, transport: Transport) {
    let server = Server::start_with(
        Backplane::Memory,
        |builder| builder.write_timeout(WRITE_TIMEOUT),
        |serve| serve.write_timeout(WRITE_TIMEOUT),
    )
    .await;
    let mut neighbour = Reader::open(transport, &server, &Query::of("chat:a")).await;
    let mut mutes = Vec::new();
    for _ in 0..MUTES {
        mutes.push(mute(&server, request.clone()).await);
    }
    eventually("all are there", || server.connections() == 1 + MUTES).await;
    for seq in 1..=MORE_THAN_BUFFERS {
        server.publish("chat:a", large()).await;
        assert_eq!(neighbour.message().await["seq"], json!(seq));
    }
    eventually("the mute ones are cut", || server.connections() == 1).await;
    server.publish("chat:a", 1).await;
    assert_eq!(neighbour.seqs(1).await, [MORE_THAN_BUFFERS + 1]);
}

#[tokio::test]
async fn a_socket_that_takes_no_byte_is_cut() {
    assert_cut_while_a_neighbour_gets_everything(upgrade("/rt/ws?channel=chat:a"), Transport::Ws).await;
}

#[tokio::test]
async fn a_stream_that_takes_no_byte_is_cut() {
    let request = Request::get("/rt/sse?channel=chat:a");
    assert_cut_while_a_neighbour_gets_everything(request, Transport::RawSse).await;
}

#[tokio::test]
async fn an_envelope_stream_that_takes_no_byte_is_cut() {
    let request = Query::of("chat:a").request(Transport::SsePost);
    assert_cut_while_a_neighbour_gets_everything(request, Transport::SseGet).await;
}

/// Each jump in the seqs is told by a gap first, whose position the next message follows.
async fn assert_falling_behind_is_told(transport: Transport) {
    let server = Server::start_with(
        Backplane::Memory,
        |builder| builder.write_timeout(WATCHDOG),
        |serve| serve.write_timeout(WATCHDOG),
    )
    .await;
    let mut reader = Reader::open(transport, &server, &Query::of("few:a")).await;
    for _ in 0..MORE_THAN_BUFFERS {
        server.publish("few:a", large()).await;
        // The node writes what it can, as it would if publishers came one by one.
        tokio::task::yield_now().await;
    }
    let epoch = server.epoch("few:a").await;
    let (mut position, mut gaps) = (0, 0);
    while position < MORE_THAN_BUFFERS {
        let event = reader.next_of_log().await;
        match type_of(&event) {
            "message" => {
                assert_eq!(event["seq"], json!(position + 1), "loss is never silent");
                position += 1;
            }
            "gap" => {
                assert_eq!(event["reason"], "expired");
                let to = event["position"].as_str().unwrap().strip_prefix(&epoch).unwrap()[1..].parse::<u64>().unwrap();
                assert!(to > position, "from {position} to {to}");
                (position, gaps) = (to, gaps + 1);
            }
            other => panic!("{other}"),
        }
    }
    assert!(gaps > 0, "the log forgot what the reader did not take");
}

#[tokio::test]
async fn a_socket_that_falls_behind_is_told_of_a_gap() {
    assert_falling_behind_is_told(Transport::Ws).await;
}

#[tokio::test]
async fn a_stream_that_falls_behind_is_told_of_a_gap() {
    assert_falling_behind_is_told(Transport::RawSse).await;
}

#[tokio::test]
async fn an_envelope_stream_that_falls_behind_is_told_of_a_gap() {
    assert_falling_behind_is_told(Transport::SseGet).await;
    assert_falling_behind_is_told(Transport::SsePost).await;
}
