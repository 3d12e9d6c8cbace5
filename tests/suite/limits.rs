//! How much one caller may take. Issue 4: each limit at its edge on each transport, every refusal typed.

use std::time::Duration;

use serde_json::{Value, json};
use tricast::auth::{AuthError, Authenticated, Authenticator, Credentials};
use tricast::{Builder, Capabilities, User};

use crate::client::http::{Request, Response};
use crate::client::{Closed, Ws, eventually, type_of};
use crate::server::{Backplane, Server};

/// Believes whoever says who they are: the token is the user's id, and `root` may do anything.
#[derive(Default)]
struct Names {
    required: bool,
}

impl Authenticator for Names {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        let Some(token) = credentials.token else { return Ok(None) };
        let user = User::new(token.expose().parse().map_err(|_| AuthError::invalid("no name"))?);
        let is_root = user.id.as_str() == "root";
        Ok(Some(Authenticated::user(if is_root { user.with(Capabilities::server()) } else { user })))
    }

    fn required(&self) -> bool {
        self.required
    }
}

/// Somebody who makes requests: with a token, on behalf of an address.
#[derive(Debug, Clone, Copy, Default)]
struct Who {
    token: Option<&'static str>,
    forwarded: Option<&'static str>,
}

const ANONYMOUS: Who = Who { token: None, forwarded: None };
const ANN: Who = Who { token: Some("ann"), forwarded: None };
const BOB: Who = Who { token: Some("bob"), forwarded: None };
const ROOT: Who = Who { token: Some("root"), forwarded: None };

fn at(address: &'static str) -> Who {
    Who { forwarded: Some(address), ..ANONYMOUS }
}

impl Who {
    fn request(self, request: Request) -> Request {
        let request = match self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        };
        match self.forwarded {
            Some(address) => request.header("X-Forwarded-For", address),
            None => request,
        }
    }

    /// Opens a socket, whatever it is told then.
    async fn ws(self, server: &Server) -> Ws {
        let bearer = self.token.map(|token| format!("tricast.v1, bearer.{token}"));
        let mut headers = vec![("Sec-WebSocket-Protocol", bearer.as_deref().unwrap_or("tricast.v1"))];
        headers.extend(self.forwarded.map(|address| ("X-Forwarded-For", address)));
        Ws::connect(server.address, "/rt/ws?channel=chat:a", &headers).await
    }

    async fn welcomed(self, server: &Server) -> Ws {
        let mut ws = self.ws(server).await;
        assert_eq!(type_of(&ws.next_event().await), "welcome", "{self:?}");
        ws
    }

    async fn send(self, server: &Server, commands: Value) -> Response {
        self.request(Request::post("/rt/send", commands.to_string())).send(server.address).await
    }

    /// Asserts that there is no room for this caller on any transport, and that each is told so in its own way.
    async fn assert_too_many(self, server: &Server) {
        let mut ws = self.ws(server).await;
        let bye = ws.next_event().await;
        assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("too_many"), &json!(true)));
        assert!((1_000..=30_000).contains(&bye["after"].as_u64().unwrap()), "{bye}");
        assert_eq!(ws.closed().await, Closed { code: 4413, reason: "too_many".to_owned() });

        for (target, event) in [("/rt/sse?channel=chat:a", "event: tricast:bye\n"), ("/rt/sse?channel=map:a", "")] {
            let sse = self.request(Request::get(target)).send(server.address).await;
            assert_eq!(sse.status, 200, "any other status would end an EventSource for good");
            let text = sse.text().await;
            let (retry, rest) = text.strip_prefix("retry: ").unwrap().split_once('\n').unwrap();
            assert!((1_000..=30_000).contains(&retry.parse::<u64>().unwrap()), "{text}");
            let data = rest.strip_prefix(event).unwrap().strip_prefix("data: ").unwrap();
            let bye: Value = serde_json::from_str(data.trim_end()).unwrap();
            assert_eq!((type_of(&bye), &bye["code"]), ("bye", &json!("too_many")));
        }

        let subscribe = r#"{"channels":[{"name":"chat:a"}],"wait":0}"#;
        let requests = [
            Request::post("/rt/sse", subscribe),
            Request::get("/rt/poll?channel=chat:a&wait=0"),
            Request::post("/rt/poll", subscribe),
        ];
        for request in requests {
            let response = self.request(request).send(server.address).await;
            assert_told(response, "too_many", 1..=30).await;
        }
        assert_eq!(self.send(server, json!({"type": "ping"})).await.status, 200, "a request is no connection");
    }
}

/// 429, with `Retry-After` in whole seconds no shorter than `retry_after`.
async fn assert_told(response: Response, code: &str, seconds: std::ops::RangeInclusive<u64>) {
    assert_eq!(response.status, 429);
    let header = response.header("retry-after").unwrap().parse::<u64>().unwrap();
    assert!(seconds.contains(&header), "{header}");
    let error = response.json().await;
    assert_eq!((type_of(&error), &error["code"]), ("error", &json!(code)));
    let exact = error["retry_after"].as_f64().unwrap();
    assert_eq!(exact.ceil(), f64::from(u32::try_from(header).unwrap()), "{error}");
}

async fn start(build: impl FnOnce(Builder) -> Builder) -> Server {
    let build = |builder: Builder| build(builder.authenticate(Names::default()).trusted_proxies(["127.0.0.1"]));
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

async fn all_gone(server: &Server) {
    eventually("the connections are gone", || server.connections() == 0).await;
}

#[tokio::test]
async fn a_node_that_has_all_its_connections_takes_no_more_until_one_ends() {
    let server = start(|builder| builder.connections(2)).await;
    let first = ANONYMOUS.welcomed(&server).await;
    let sse = Request::get("/rt/sse?channel=chat:a").send(server.address).await;
    assert_eq!(sse.status, 200);
    for who in [ANONYMOUS, ANN, ROOT] {
        who.assert_too_many(&server).await;
    }
    drop((first, sse));
    all_gone(&server).await;
    let _held = [ANN.welcomed(&server).await, ANN.welcomed(&server).await];
    ANN.assert_too_many(&server).await;
}

/// A poll is a connection while it waits.
#[tokio::test]
async fn a_waiting_poll_has_a_place_and_an_answered_one_has_none() {
    let server = start(|builder| builder.connections(1)).await;
    let cursor = server.publish("chat:a", 1).await;
    let waiting = Request::get(format!("/rt/poll?channel=chat:a&cursor={cursor}&wait=60")).send(server.address);
    let waiting = tokio::spawn(waiting);
    eventually("it waits", || server.connections() == 1).await;
    ANONYMOUS.assert_too_many(&server).await;
    server.publish("chat:a", 2).await;
    assert_eq!(waiting.await.unwrap().status, 200);
    all_gone(&server).await;
    ANONYMOUS.welcomed(&server).await;
}

#[tokio::test]
async fn a_user_has_so_many_connections_whatever_they_are() {
    let server = start(|builder| builder.connections_per_user(2)).await;
    let _ws = ANN.welcomed(&server).await;
    let sse = ANN.request(Request::get("/rt/sse?channel=chat:a")).send(server.address).await;
    assert_eq!(sse.status, 200);
    ANN.assert_too_many(&server).await;
    let mut others = Vec::new();
    for who in [BOB, BOB, ANONYMOUS, ANONYMOUS, ANONYMOUS, ROOT, ROOT, ROOT] {
        others.push(who.welcomed(&server).await);
    }
    BOB.assert_too_many(&server).await;
    drop(sse);
    eventually("the stream is gone", || server.connections() == 9).await;
    ANN.welcomed(&server).await;
}

/// Nobody has more by signing in later.
#[tokio::test]
async fn who_signs_in_on_a_live_connection_counts_from_then_on() {
    let server = start(|builder| builder.connections_per_user(1)).await;
    let auth = json!({"type": "auth", "token": "ann", "ref": 7});
    let mut first = ANONYMOUS.welcomed(&server).await;
    first.until("subscribed").await;
    assert_eq!(first.ask(auth.clone()).await["type"], "welcome");
    assert_eq!(first.ask(auth.clone()).await["type"], "welcome", "renewed, and counted once");
    ANN.assert_too_many(&server).await;
    let mut second = ANONYMOUS.welcomed(&server).await;
    second.until("subscribed").await;
    let refused = second.ask(auth.clone()).await;
    assert_eq!((&refused["type"], &refused["code"], &refused["ref"]), (&json!("error"), &json!("too_many"), &json!(7)));
    second.assert_silent().await;
    drop(first);
    eventually("the first is gone", || server.connections() == 1).await;
    assert_eq!(second.ask(auth).await["type"], "welcome");
}

/// Whoever has not said who they are has a place already, and says it in vain where they have too many.
#[tokio::test]
async fn who_says_hello_counts_from_then_on() {
    let server = start(|builder| builder.authenticate(Names { required: true }).connections_per_user(1)).await;
    let hello = json!({"type": "hello", "token": "ann"});
    let mut first = ANONYMOUS.ws(&server).await;
    assert_eq!(first.ask(hello.clone()).await["type"], "welcome");
    let mut second = ANONYMOUS.ws(&server).await;
    let bye = second.ask(hello).await;
    assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!("too_many"), &json!(true)));
    assert_eq!(second.closed().await.code, 4413);
}

#[tokio::test]
async fn an_address_has_so_many_connections_whatever_it_claims() {
    let server = start(|builder| builder.connections_per_ip(1)).await;
    let _held = [at("203.0.113.9").welcomed(&server).await, at("2001:db8:1:2::1").welcomed(&server).await];
    for same in ["203.0.113.9", "198.51.100.1, 203.0.113.9", "junk, 203.0.113.9, 127.0.0.1", "2001:db8:1:2:3::4"] {
        at(same).assert_too_many(&server).await;
    }
    let _others = [at("203.0.113.8").welcomed(&server).await, at("2001:db8:1:3::1").welcomed(&server).await];
    Who { forwarded: Some("203.0.113.9"), ..ANN }.assert_too_many(&server).await;
}

/// Without a trusted proxy in between it is the connection's own address that counts.
#[tokio::test]
async fn without_a_trusted_proxy_nobody_has_another_address_than_their_own() {
    let build = |builder: Builder| builder.connections_per_ip(1);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let _held = at("203.0.113.9").welcomed(&server).await;
    at("203.0.113.8").assert_too_many(&server).await;
}

fn publish(channel: &str, n: u64) -> Value {
    json!({"type": "publish", "channel": channel, "data": n, "ref": n})
}

#[tokio::test]
async fn a_socket_publishes_so_often_and_is_told_when_again() {
    let server = start(|builder| builder.publishes_per_second(2)).await;
    let mut ws = ANONYMOUS.welcomed(&server).await;
    ws.until("subscribed").await;
    let batch = (1..=5).map(|n| publish(&format!("few:{n}"), n)).collect::<Vec<_>>();
    ws.send(Value::Array(batch)).await;
    for n in 1..=4 {
        assert_eq!(ws.next_event().await["type"], "published", "{n}");
    }
    let refused = ws.next_event().await;
    assert_eq!(
        (&refused["type"], &refused["code"], &refused["ref"]),
        (&json!("error"), &json!("rate_limited"), &json!(5))
    );
    assert_eq!((&refused["channel"], &refused["retry_after"]), (&json!("few:5"), &json!(0.5)));
    assert_eq!(ws.ask(json!({"type": "history", "channel": "few:5"})).await["messages"], json!([]), "and still lives");
    server.let_pass(Duration::from_millis(499));
    assert_eq!(ws.ask(publish("few:5", 5)).await["code"], "rate_limited");
    server.let_pass(Duration::from_millis(1));
    assert_eq!(ws.ask(publish("few:5", 5)).await["type"], "published");
    let mut other = ANONYMOUS.welcomed(&server).await;
    other.until("subscribed").await;
    assert_eq!(other.ask(publish("few:6", 6)).await["type"], "published", "each connection has its own allowance");
}

/// What is refused for its rate stops the later publishes of the array to its channel, so that nothing is reordered.
#[tokio::test]
async fn an_array_is_counted_by_its_publishes_and_keeps_their_order() {
    let server = start(|builder| builder.publishes_per_second(1)).await;
    let batch = json!([publish("few:a", 1), publish("few:a", 2), publish("few:a", 3), publish("few:a", 4)]);
    let response = ANN.send(&server, batch).await;
    assert_eq!(response.status, 200);
    let answers = response.json().await;
    let codes = answers.as_array().unwrap().iter().map(|answer| answer["code"].as_str()).collect::<Vec<_>>();
    assert_eq!(codes, [None, None, Some("rate_limited"), Some("rate_limited")]);
    assert!(answers[3]["message"].as_str().unwrap().starts_with("not tried"));
    assert_eq!(answers[3]["retry_after"], answers[2]["retry_after"]);
}

#[tokio::test]
async fn by_send_a_user_publishes_so_often_and_so_does_an_address_of_others() {
    let server = start(|builder| builder.publishes_per_second(1)).await;
    for who in [ANN, BOB, at("203.0.113.9"), at("203.0.113.8")] {
        for n in 1..=2 {
            assert_eq!(who.send(&server, publish("few:a", n)).await.status, 200, "{who:?}");
        }
        let refused = who.send(&server, publish("few:a", 3)).await;
        assert_told(refused, "rate_limited", 1..=1).await;
    }
    let elsewhere = Who { forwarded: Some("203.0.113.7"), ..ANN };
    assert_told(elsewhere.send(&server, publish("few:a", 3)).await, "rate_limited", 1..=1).await;
    for n in 1..=10 {
        assert_eq!(ROOT.send(&server, publish("few:a", n)).await.status, 200);
        server.publish("few:a", n).await;
    }
    assert_eq!(ANN.send(&server, json!({"type": "history", "channel": "few:a"})).await.status, 200);
    server.let_pass(Duration::from_secs(1));
    for who in [ANN, at("203.0.113.9")] {
        assert_eq!(who.send(&server, publish("few:a", 3)).await.status, 200);
    }
}
