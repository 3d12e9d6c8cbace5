//! Behind real proxies, and over HTTP/1.0, which is what a bare `proxy_pass` speaks.

use serde_json::{Value, json};
use tricast_testkit::nginx::{Nginx, Preset};

use crate::client::http::Request;
use crate::client::{Query, Reader, Sse, Transport, Ws, type_of, upgrade};
use crate::server::{Backplane, Server};

const STREAMS_AND_POLLS: [Transport; 5] =
    [Transport::RawSse, Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];

#[tokio::test]
async fn sse_and_poll_work_over_http_1_0() {
    let server = Server::start(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    let mut sse = Sse::of(Request::get("/rt/sse?channel=chat:a").http_1_0(), server.address).await;
    assert_eq!(sse.response.version, "HTTP/1.0");
    assert_eq!(sse.response.header("transfer-encoding"), None, "chunks came with HTTP/1.1");
    server.publish("chat:a", 2).await;
    while sse.block().await.data.as_deref() != Some("2") {}

    let target = format!("/rt/poll?channel=chat:a&cursor={position}");
    let poll = Request::get(target).http_1_0().send(server.address).await;
    assert_eq!((poll.status, poll.header("transfer-encoding")), (200, None));
    assert_eq!(poll.json().await["events"][0]["data"], 2);
    let send = Request::post("/rt/send", r#"{"type":"ping"}"#).http_1_0().send(server.address).await;
    assert_eq!(send.json().await, json!({"type": "pong"}));
}

/// Live, and resumed: each message passes as it is published.
async fn assert_reads_through(nginx: &Nginx, server: &Server, transports: &[Transport]) {
    for &transport in transports {
        let query = Query::of("chat:a");
        let mut reader = Reader::open_at(transport, nginx.address(), &query).await;
        for number in 1..=3 {
            server.publish("chat:a", number).await;
            assert_eq!(reader.message().await["data"], json!(number), "{transport:?}");
        }
        let cursor = reader.cursor();
        drop(reader);
        server.publish("chat:a", 4).await;
        let mut resumed = Reader::open_at(transport, nginx.address(), &query.cursor(cursor)).await;
        assert_eq!(resumed.message().await["data"], 4, "{transport:?}");
    }
}

async fn send_as_a_page(nginx: &Nginx) -> (u16, Value) {
    let publish = r#"{"type":"publish","channel":"chat:sent","data":1}"#;
    let request = Request::post("/rt/send", publish).header("Origin", format!("http://{}", nginx.address()));
    let response = request.send(nginx.address()).await;
    (response.status, response.json().await)
}

/// HTTP/1.0 upstream and the upstream's `Host`: reading works, and a page's `send` is a foreign origin, told clearly.
#[tokio::test]
async fn a_bare_proxy_pass_reads_but_a_page_cannot_send() {
    let server = Server::start(Backplane::Memory).await;
    let nginx = Nginx::start(Preset::Plain, server.address);
    assert_reads_through(&nginx, &server, &STREAMS_AND_POLLS).await;
    assert_eq!(upgrade("/rt/ws").send(nginx.address()).await.status, 426);

    let (status, error) = send_as_a_page(&nginx).await;
    assert_eq!((status, type_of(&error), &error["code"]), (403, "error", &json!("forbidden")));
    let page = format!("http://{}", nginx.address());
    assert!(error["message"].as_str().unwrap().contains(&page), "{error} names the origin");
    let program = Request::post("/rt/send", r#"{"type":"ping"}"#).send(nginx.address()).await;
    assert_eq!(program.status, 200, "a program has no origin");
}

/// `proxy_set_header Host $http_host` makes the page's origin the server's own.
#[tokio::test]
async fn a_proxy_that_passes_the_host_lets_a_page_send_without_upgrades_too() {
    let server = Server::start(Backplane::Memory).await;
    let nginx = Nginx::start(Preset::NoUpgrade, server.address);
    assert_reads_through(&nginx, &server, &STREAMS_AND_POLLS).await;
    assert_eq!(upgrade("/rt/ws").send(nginx.address()).await.status, 403);
    assert_eq!(send_as_a_page(&nginx).await.0, 200);
}

#[tokio::test]
async fn a_proper_proxy_passes_every_transport() {
    let server = Server::start(Backplane::Memory).await;
    let nginx = Nginx::start(Preset::Proper, server.address);
    assert_reads_through(&nginx, &server, &Transport::ALL).await;
    assert_eq!(send_as_a_page(&nginx).await.0, 200);
    let origin = format!("http://{}", nginx.address());
    let mut ws = Ws::connect(nginx.address(), "/rt/ws?channel=chat:a", &[("Origin", &origin)]).await;
    assert_eq!(type_of(&ws.next_event().await), "welcome");
}
