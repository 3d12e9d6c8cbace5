//! Channels and queries that are refused. Protocol, 6 "Refused channels" and 2.

use serde_json::{Value, json};

use crate::client::http::Request;
use crate::client::{Answer, Closed, Query, Reader, Transport, Ws, type_of};
use crate::server::{Backplane, Server};

const HTTP: [Transport; 5] =
    [Transport::RawSse, Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];
const HTTP_OF_MANY: [Transport; 4] = [Transport::SseGet, Transport::SsePost, Transport::PollGet, Transport::PollPost];

async fn assert_refused(server: &Server, request: Request, status: u16, code: &str, channel: Option<&str>) {
    let shown = format!("{request:?}");
    let response = request.send(server.address).await;
    assert_eq!(response.status, status, "{shown}");
    let error = response.json().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{shown}: {error}");
    assert_eq!(error.get("channel").and_then(Value::as_str), channel, "{shown}: {error}");
}

/// A request without a cursor: a refused channel refuses the request, `error` naming it.
#[tokio::test]
async fn without_a_cursor_one_refused_channel_refuses_the_request() {
    let server = Server::start(Backplane::Memory).await;
    for transport in HTTP {
        let unknown = Query::of("nowhere").request(transport);
        assert_refused(&server, unknown, 404, "unknown_channel", Some("nowhere")).await;
        let forbidden = Query::of("secret:a").request(transport);
        assert_refused(&server, forbidden, 403, "forbidden", Some("secret:a")).await;
    }
    for transport in HTTP_OF_MANY {
        let mixed = Query::of_all(&["chat:a", "nowhere"]).request(transport);
        assert_refused(&server, mixed, 404, "unknown_channel", Some("nowhere")).await;
    }
}

/// With any cursor it is answered in-band by `unsubscribed` and keeps `-` in the cursor.
#[tokio::test]
async fn with_a_cursor_the_refused_are_told_and_the_others_go_on() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("chat:a", 1..=3).await;
    let query = Query::of_all(&["nowhere", "chat:a", "secret:a"]).cursor(format!("-,{},-", positions[0]));
    let unsubscribed = |channel: &str, code: &str| json!({"type": "unsubscribed", "channel": channel, "code": code});
    for transport in HTTP_OF_MANY {
        let mut reader = Reader::open(transport, &server, &query).await;
        let told = [reader.next_of_log().await, reader.next_of_log().await];
        assert_eq!(told, [unsubscribed("nowhere", "unknown_channel"), unsubscribed("secret:a", "forbidden")]);
        assert_eq!(reader.seqs(2).await, [2, 3], "{transport:?}");
        assert_eq!(reader.cursor(), format!("-,{},-", positions[2]), "{transport:?}");
    }
}

/// Any cursor, even one without a position, asks for answers in-band; and the answer comes at once.
#[tokio::test]
async fn an_empty_cursor_is_a_cursor_and_unsubscribed_does_not_wait() {
    let server = Server::start(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    for cursor in ["", "-", position.as_str()] {
        let query = Query::of_all(&["chat:a", "nowhere"]).cursor(cursor).wait(60.0);
        for transport in [Transport::PollGet, Transport::PollPost] {
            let answer = Answer::read(query.request(transport).send(server.address).await).await;
            assert!(answer.types().contains(&"unsubscribed"), "{cursor:?}: {answer:?}");
            assert_eq!(answer.cursor, format!("{position},-"));
        }
    }
}

/// Only if all are refused does the status say so.
#[tokio::test]
async fn with_a_cursor_too_the_status_tells_that_all_are_refused() {
    let server = Server::start(Backplane::Memory).await;
    for transport in HTTP_OF_MANY {
        let query = Query::of_all(&["nowhere", "secret:a"]).cursor("-,-");
        assert_refused(&server, query.request(transport), 404, "unknown_channel", Some("nowhere")).await;
    }
    let request = Request::get("/rt/sse?channel=secret:a").header("Last-Event-ID", "aaaaaaaaaaaa-1");
    assert_refused(&server, request, 403, "forbidden", Some("secret:a")).await;
}

/// On ws a refused channel of the query answers `error` with `channel`, and the others go on.
#[tokio::test]
async fn on_ws_the_refused_are_errors_and_the_others_go_on() {
    let server = Server::start(Backplane::Memory).await;
    let mut ws = Ws::open(server.address, &Query::of_all(&["nowhere", "chat:a", "secret:a"])).await;
    assert_eq!(type_of(&ws.next_event().await), "welcome");
    let told = [ws.next_event().await, ws.next_event().await, ws.next_event().await];
    let words = told.each_ref().map(|event| (type_of(event), event["channel"].as_str().unwrap()));
    assert_eq!(words, [("error", "nowhere"), ("subscribed", "chat:a"), ("error", "secret:a")]);
    assert_eq!((&told[0]["code"], &told[2]["code"]), (&json!("unknown_channel"), &json!("forbidden")));
    server.publish("chat:a", 1).await;
    assert_eq!(type_of(&ws.next_event().await), "message");

    let channels = json!([{"name": "chat:b"}, {"name": "nowhere"}]);
    ws.send(json!({"type": "subscribe", "channels": channels, "ref": 1})).await;
    let told = [ws.next_event().await, ws.next_event().await];
    let words = told.each_ref().map(|event| (type_of(event), event["channel"].as_str().unwrap(), &event["ref"]));
    assert_eq!(words, [("subscribed", "chat:b", &json!(1)), ("error", "nowhere", &json!(1))]);
}

/// A bad query: 101, `bye`, and the close code of section 7, for a browser cannot see why an upgrade failed.
#[tokio::test]
async fn a_bad_query_is_told_on_ws_after_the_upgrade() {
    let server = Server::start(Backplane::Memory).await;
    let many: Vec<String> = (0..33).map(|n| format!("channel=chat:{n}")).collect();
    let long = format!("channel=chat:a&unknown={}", "x".repeat(32 * 1024));
    let cases = [
        (&*long, "bad_request", 4400),
        ("channel=chat:a&channel=chat:a", "bad_request", 4400),
        ("channel=chat%20a", "bad_request", 4400),
        ("channel=chat:a&from=newest", "bad_request", 4400),
        ("client=short", "bad_request", 4400),
        (&many.join("&"), "too_many_channels", 4406),
    ];
    for (query, code, close) in cases {
        let mut ws = Ws::plain(server.address, &format!("/rt/ws?{query}")).await;
        let bye = ws.next_event().await;
        assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!(code), &json!(false)), "{query}");
        assert_eq!(ws.closed().await, Closed { code: close, reason: code.to_owned() });
    }
}

#[tokio::test]
async fn a_bad_query_is_refused_by_status() {
    let server = Server::start(Backplane::Memory).await;
    let many = |count: usize| Query { channels: (0..count).map(|n| format!("chat:{n}")).collect(), ..Query::default() };
    for transport in HTTP_OF_MANY {
        let twice = Query::of_all(&["chat:a", "chat:a"]).request(transport);
        assert_refused(&server, twice, 400, "bad_request", Some("chat:a")).await;
        let long = Query::of("chat:a").cursor("x".repeat(32 * 1024)).request(transport);
        let status = long.send(server.address).await.status;
        assert_eq!(status, if transport.posts() { 200 } else { 400 }, "{transport:?}");
        let short_id = Query::of("chat:a").client("short").request(transport);
        assert_refused(&server, short_id, 400, "bad_request", None).await;
        let most = if transport.posts() { 128 } else { 32 };
        assert_refused(&server, many(most + 1).request(transport), 400, "too_many_channels", None).await;
        assert_eq!(many(most).wait(0.0).request(transport).send(server.address).await.status, 200);
    }
    for target in
        ["/rt/sse", "/rt/poll", "/rt/sse?channel=", "/rt/poll?channel=a%20b", "/rt/sse?channel=chat:a&envelope=yes"]
    {
        assert_refused(&server, Request::get(target), 400, "bad_request", None).await;
    }
    for body in
        ["", "{", "[]", "{}", r#"{"channels":[]}"#, r#"{"channels":["chat:a"]}"#, r#"{"channels":[{"name":7}]}"#]
    {
        for endpoint in ["/rt/sse", "/rt/poll"] {
            assert_refused(&server, Request::post(endpoint, body), 400, "bad_request", None).await;
        }
    }
}

/// Protocol, 2: unknown parameters are ignored; so are unknown fields.
#[tokio::test]
async fn what_is_unknown_in_a_query_is_ignored() {
    let server = Server::start(Backplane::Memory).await;
    let get = Request::get("/rt/poll?channel=chat:a&wait=0&colour=red&channels=x");
    assert_eq!(get.send(server.address).await.status, 200);
    let post = Request::post("/rt/poll", r#"{"channels":[{"name":"chat:a","x":1}],"wait":0,"colour":{"red":1}}"#);
    assert_eq!(post.send(server.address).await.status, 200);
}
