//! `POST send`. Protocol, 6 "send" and "Origin and Host": commands in, their answers out, in order.

use serde_json::{Value, json};

use crate::client::http::{Request, Response};
use crate::server::{Backplane, Server};

async fn post(server: &Server, body: impl Into<Vec<u8>>) -> Response {
    Request::post("/rt/send", body).send(server.address).await
}

fn publish(channel: &str, data: impl Into<Value>) -> Value {
    json!({"type": "publish", "channel": channel, "data": data.into()})
}

async fn assert_refused(response: Response, status: u16, code: &str, culprit: &str) {
    assert_eq!(response.status, status, "{culprit}");
    assert_eq!(response.header("content-type"), Some("application/json"));
    let error = response.json().await;
    assert_eq!((&error["type"], &error["code"]), (&json!("error"), &json!(code)), "{error}");
    assert!(error["message"].as_str().unwrap().contains(culprit), "{culprit}: {error}");
}

#[tokio::test]
async fn a_single_command_answers_by_its_status_and_nobody_keeps_the_answer() {
    let server = Server::start(Backplane::Memory).await;
    let response = post(&server, publish("chat:a", 1).to_string()).await;
    assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")));
    assert_eq!(response.json().await["type"], "published");
    assert_eq!(post(&server, publish("nowhere", 1).to_string()).await.status, 404);
    assert_eq!(post(&server, publish("news:a", 1).to_string()).await.status, 403);
}

/// Protocol, 6: nothing answers a `pong`, so alone it has an empty answer.
#[tokio::test]
async fn a_pong_has_no_answer() {
    let server = Server::start(Backplane::Memory).await;
    let pong = json!({"type": "pong", "ref": 1});
    let response = post(&server, pong.to_string()).await;
    assert_eq!((response.status, response.json().await), (200, json!([])));
    let both = post(&server, json!([pong, {"type": "ping"}]).to_string()).await;
    assert_eq!((both.status, both.json().await), (200, json!([{"type": "pong"}])));
}

#[tokio::test]
async fn an_array_answers_each_in_order_and_200_whatever_failed() {
    let server = Server::start(Backplane::Memory).await;
    let commands = json!([
        publish("chat:a", 1),
        publish("nowhere", 1),
        {"type": "ping", "ref": 7},
        {"type": "dance", "ref": "eight"},
        publish("chat:a", 2),
        3,
    ]);
    let response = post(&server, commands.to_string()).await;
    assert_eq!(response.status, 200);
    let answers = response.json().await;
    let epoch = server.epoch("chat:a").await;
    let told: Vec<&str> = answers.as_array().unwrap().iter().map(|answer| answer["type"].as_str().unwrap()).collect();
    assert_eq!(told, ["published", "error", "pong", "error", "published", "error"]);
    assert_eq!(
        (&answers[0]["position"], &answers[4]["position"]),
        (&json!(format!("{epoch}-1")), &json!(format!("{epoch}-2")))
    );
    assert_eq!((&answers[1]["code"], &answers[1]["channel"]), (&json!("unknown_channel"), &json!("nowhere")));
    assert_eq!(answers[2], json!({"type": "pong", "ref": 7}));
    assert_eq!((&answers[3]["code"], &answers[3]["ref"]), (&json!("bad_request"), &json!("eight")));
    assert_eq!(answers[5]["code"], "bad_request");
}

/// Protocol, 4: after a publish that failed with a code that may be retried, later publishes to that channel in the
/// array are not tried and answer the same code. Here a node that keeps one channel has no room for a second.
#[tokio::test]
async fn after_a_failure_that_may_be_retried_a_channels_later_publishes_are_not_tried() {
    let (server, _reader) = Server::start_full(Backplane::Memory).await;
    let commands = json!([publish("chat:a", 1), publish("chat:b", 1), publish("chat:b", 2), publish("chat:a", 2)]);
    let answers = post(&server, commands.to_string()).await.json().await;
    assert_eq!((&answers[0]["type"], &answers[3]["type"]), (&json!("published"), &json!("published")), "{answers}");
    for failed in [&answers[1], &answers[2]] {
        assert_eq!((&failed["code"], &failed["channel"]), (&json!("unavailable"), &json!("chat:b")));
    }
    assert!(!answers[1]["message"].as_str().unwrap().starts_with("not tried"), "{answers}");
    assert!(answers[2]["message"].as_str().unwrap().starts_with("not tried"), "{answers}");

    let single = post(&server, publish("chat:b", 1).to_string()).await;
    assert_eq!(single.status, 503);
    assert!(single.header("retry-after").is_some());
}

/// A failure that may not be retried stops nothing.
#[tokio::test]
async fn after_a_failure_of_its_own_a_channels_later_publishes_are_tried() {
    let server = Server::start(Backplane::Memory).await;
    let too_large = publish("chat:a", "x".repeat(70_000));
    let answers = post(&server, json!([too_large, publish("chat:a", 2)]).to_string()).await.json().await;
    assert_eq!((&answers[0]["code"], &answers[1]["type"]), (&json!("too_large"), &json!("published")));
}

/// Protocol, 6: a body that cannot be parsed, or `[]`: one `error`, 400.
#[tokio::test]
async fn a_body_that_holds_no_commands_is_one_error() {
    let server = Server::start(Backplane::Memory).await;
    let array_of = |count: usize| json!(vec![json!({"type": "ping"}); count]).to_string();
    let culprits: [(&[u8], &str); 8] = [
        (b"[]", "1 to 64"),
        (array_of(65).leak().as_bytes(), "1 to 64"),
        (b"", "command"),
        (b"{", "command"),
        (b"hello", "command"),
        (b"\"publish\"", "command"),
        (b"{\"type\":\"ping\"} x", "command"),
        (b"\xff\xfe", "UTF-8"),
    ];
    for (body, culprit) in culprits {
        assert_refused(post(&server, body).await, 400, "bad_request", culprit).await;
    }
    assert_eq!(post(&server, array_of(64)).await.status, 200);
}

/// Protocol, 4: nesting deeper than 128 is `bad_request`.
#[tokio::test]
async fn nesting_is_bounded() {
    let server = Server::start(Backplane::Memory).await;
    let nested = |depth: usize| {
        // The command itself is the first level.
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!(r#"{{"type":"publish","channel":"chat:a","data":{open}{close}}}"#)
    };
    assert_eq!(post(&server, nested(128)).await.status, 200);
    assert_refused(post(&server, nested(129)).await, 400, "bad_request", "128").await;
    assert_refused(post(&server, nested(30_000)).await, 400, "bad_request", "128").await;
}

/// Protocol, 6: `hello`, `auth`, `subscribe`, `unsubscribe`: `bad_request`. The rest has no service yet.
#[tokio::test]
async fn what_is_not_served_says_so() {
    let server = Server::start(Backplane::Memory).await;
    let commands = [
        json!({"type": "hello"}),
        json!({"type": "auth", "token": "t"}),
        json!({"type": "subscribe", "channel": "chat:a"}),
        json!({"type": "unsubscribe", "channel": "chat:a"}),
        json!({"type": "call", "method": "m"}),
    ];
    for command in commands {
        let name = command["type"].as_str().unwrap();
        assert_refused(post(&server, command.to_string()).await, 400, "bad_request", name).await;
    }
}

/// Protocol, 6: `application/json` only, so that a cross-site form cannot post; on POST sse and poll too.
#[tokio::test]
async fn only_json_is_taken() {
    let server = Server::start(Backplane::Memory).await;
    let body = publish("chat:a", 1).to_string();
    for endpoint in ["/rt/send", "/rt/sse", "/rt/poll"] {
        for declared in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", ""] {
            let request = Request::new("POST", endpoint).header("Content-Type", declared).body(body.clone());
            assert_refused(request.send(server.address).await, 415, "bad_request", "application/json").await;
        }
        let undeclared = Request::new("POST", endpoint).body(body.clone());
        assert_refused(undeclared.send(server.address).await, 415, "bad_request", "application/json").await;
    }
    let with_charset =
        Request::new("POST", "/rt/send").header("Content-Type", "Application/JSON; charset=utf-8").body(body);
    assert_eq!(with_charset.send(server.address).await.status, 200);
}

/// Protocol, 6: a body is at most 64 × (message limit + 2 KiB), else 413.
#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let build = |builder: tricast::Builder| builder.message_bytes(1_000);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let most = 64 * (1_000 + 2_048);
    let padded = |length: usize| {
        let body = publish("chat:a", 1).to_string();
        let padding = " ".repeat(length - body.len());
        body + &padding
    };
    assert_eq!(post(&server, padded(most)).await.status, 200);
    assert_refused(post(&server, padded(most + 1)).await, 413, "too_large", &most.to_string()).await;
}

#[tokio::test]
async fn only_post_and_options_are_answered() {
    let server = Server::start(Backplane::Memory).await;
    for method in ["GET", "PUT", "DELETE", "PATCH"] {
        let response = Request::new(method, "/rt/send").send(server.address).await;
        assert_eq!(response.header("allow"), Some("POST, OPTIONS"));
        assert_refused(response, 405, "bad_request", "POST").await;
    }
    let options =
        Request::new("OPTIONS", "/rt/send").header("Origin", "https://evil.example").send(server.address).await;
    assert!((200..300).contains(&options.status));
    assert_eq!(options.header("access-control-allow-origin"), None, "nobody else is let in");
}

/// Protocol, 6: allowed are no `Origin` and the request's own authority; `null` is foreign.
#[tokio::test]
async fn a_page_of_another_origin_cannot_send() {
    let server = Server::start(Backplane::Memory).await;
    let from = |origin: &str| {
        let request = Request::post("/rt/send", publish("chat:a", 1).to_string()).header("Origin", origin);
        request.send(server.address)
    };
    assert_eq!(from(&server.origin()).await.status, 200);
    for foreign in ["https://evil.example", "null", "http://127.0.0.1", "http://localhost:1"] {
        assert_refused(from(foreign).await, 403, "forbidden", foreign).await;
    }
    let port_implied = Request::post("/rt/send", publish("chat:a", 1).to_string())
        .header("Origin", "https://app.example")
        .host("app.example:443");
    assert_eq!(port_implied.send(server.address).await.status, 200);
}

/// Protocol, 6: on sse and poll a foreign origin gets its answer without CORS headers.
#[tokio::test]
async fn a_page_of_another_origin_cannot_read() {
    let server = Server::start(Backplane::Memory).await;
    for target in ["/rt/poll?channel=chat:a&wait=0", "/rt/sse?channel=chat:a"] {
        let response = Request::get(target).header("Origin", "https://evil.example").send(server.address).await;
        assert_eq!((response.status, response.header("access-control-allow-origin")), (200, None));
    }
}
