//! The upgrade. Protocol, 6 "WebSocket": only malformed upgrades (400, 426) and a foreign `Origin` (403) refuse it.

use serde_json::json;

use crate::client::http::{Request, Response};
use crate::client::{Frame, Query, Wire, Ws, frame, type_of, upgrade};
use crate::server::{Backplane, Server};

async fn assert_refused(response: Response, status: u16, code: &str) {
    assert_eq!(response.status, status);
    let error = response.json().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
}

/// Protocol, 2: plain `GET ws`: 426; `HEAD` and other methods: 405.
#[tokio::test]
async fn what_is_no_upgrade_is_told_to_upgrade() {
    let server = Server::start(Backplane::Memory).await;
    let plain = Request::get("/rt/ws?channel=chat:a").send(server.address).await;
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    assert_refused(plain, 426, "bad_request").await;
    assert_eq!(Request::new("HEAD", "/rt/ws").send(server.address).await.status, 405);
    for method in ["POST", "PUT", "DELETE"] {
        assert_refused(Request::new(method, "/rt/ws").send(server.address).await, 405, "bad_request").await;
    }
    assert!((200..300).contains(&Request::new("OPTIONS", "/rt/ws").send(server.address).await.status));
}

#[tokio::test]
async fn a_malformed_upgrade_is_refused() {
    let server = Server::start(Backplane::Memory).await;
    let good = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let cases = [
        ("Connection", "close", 400),
        ("Upgrade", "h2c", 426),
        ("Sec-WebSocket-Version", "8", 426),
        ("Sec-WebSocket-Key", "short", 400),
    ];
    for (broken, value, status) in cases {
        let mut request = Request::get("/rt/ws");
        for (name, right) in good {
            request = request.header(name, if name == broken { value } else { right });
        }
        let response = request.send(server.address).await;
        if broken == "Sec-WebSocket-Version" {
            assert_eq!(response.header("sec-websocket-version"), Some("13"));
        }
        assert_refused(response, status, "bad_request").await;
    }
    assert_refused(upgrade("/rt/ws").http_1_0().send(server.address).await, 426, "bad_request").await;
}

#[tokio::test]
async fn our_subprotocol_is_selected_and_no_other() {
    let server = Server::start(Backplane::Memory).await;
    let cases = [
        ("tricast.v1", Some("tricast.v1")),
        ("graphql-ws, tricast.v1", Some("tricast.v1")),
        ("tricast.v1, bearer.abc.def", Some("tricast.v1")),
        ("graphql-ws", None),
    ];
    for (offered, selected) in cases {
        let response = upgrade("/rt/ws").header("Sec-WebSocket-Protocol", offered).send(server.address).await;
        assert_eq!((response.status, response.header("sec-websocket-protocol")), (101, selected), "{offered}");
    }
    let ws = Ws::open(server.address, &Query::default()).await;
    assert_eq!(ws.response.headers()["sec-websocket-protocol"], "tricast.v1");
}

/// A token alone could not be answered by a selected subprotocol: 400.
#[tokio::test]
async fn a_token_offered_alone_is_refused() {
    let server = Server::start(Backplane::Memory).await;
    let response = upgrade("/rt/ws").header("Sec-WebSocket-Protocol", "bearer.secret").send(server.address).await;
    assert_eq!(response.status, 400);
    let error = response.text().await;
    assert!(!error.contains("secret"), "a token is never shown: {error}");
}

#[tokio::test]
async fn only_pages_of_this_host_may_open_a_socket() {
    let server = Server::start(Backplane::Memory).await;
    for foreign in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        let response = upgrade("/rt/ws").header("Origin", foreign).send(server.address).await;
        assert_refused(response, 403, "forbidden").await;
    }
    let own = upgrade("/rt/ws").header("Origin", server.origin()).send(server.address).await;
    assert_eq!(own.status, 101);
}

/// A client need not wait for the 101 before it speaks.
#[tokio::test]
async fn what_is_sent_along_with_the_upgrade_is_not_lost() {
    let server = Server::start(Backplane::Memory).await;
    let early = frame(Frame::TEXT, br#"{"type":"ping","ref":"early"}"#);
    let mut wire = Wire::of(upgrade("/rt/ws").followed_by(&early), server.address).await;
    assert_eq!(type_of(&wire.frame().await.event()), "welcome");
    assert_eq!(wire.frame().await.event(), json!({"type": "pong", "ref": "early"}));
}
