//! Each code of the protocol's section 7, on each way by which it can be told: the status, the close code, the event.
//!
//! The table is [`row`]. It is a `match` over the codes, so a new code does not compile before it says for each way how
//! it is made there, or why it never is. What a later issue brings is marked [`Cell::Later`] and [`Cell::HookOnly`].

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tricast::auth::{AuthError, Authenticated, Authenticator, Credentials};
use tricast::core::protocol::{Code, Secret};
use tricast::{Builder, Calling, Connecting};
use tricast_testkit::WATCHDOG;

use crate::client::http::{Request, Response};
use crate::client::{Query, Sse, Transport, Ws, type_of};
use crate::hooks::refused;
use crate::server::{Backplane, Server};

/// A way by which a code can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// An `error` on a WebSocket, which lives on.
    Error,
    /// `bye` and a Close frame.
    Close,
    /// By GET, raw and as envelopes.
    SseGet,
    SsePost,
    PollGet,
    PollPost,
    Send,
}

const WAYS: [Way; 7] = [Way::Error, Way::Close, Way::SseGet, Way::SsePost, Way::PollGet, Way::PollPost, Way::Send];

/// How a code is told by a way.
enum Cell {
    By(Cause),
    /// By the application today. The server's own cause comes with its limits on callers.
    HookOnly(Cause),
    /// Comes with the server's limits on callers: replace it by a cause there.
    Later,
    /// It cannot be told so, and why.
    Never(&'static str),
}

/// What makes a node tell a code.
struct Cause {
    node: Node,
    what: What,
}

/// The node that is asked.
enum Node {
    /// With hooks that refuse: clients who are named after a code, and calls whose data is one.
    Ordinary,
    /// Without room for another channel than `chat:a`.
    Full,
    Drained,
}

enum What {
    Query(Query),
    Command(Value),
    /// As a WebSocket's message or as a body, so many bytes of it.
    Bytes(usize),
    /// By `auth`, in the upgrade's subprotocols, or in a header.
    Token(&'static str),
}

use Cell::{By, HookOnly, Later, Never};

/// What a code needs on each of [`WAYS`].
fn row(code: Code) -> [Cell; 7] {
    match code {
        Code::BadRequest => {
            let twice = || By(query(Query::of_all(&["chat:a", "chat:a"])));
            let dance = || By(command(json!({"type": "dance"})));
            [dance(), twice(), twice(), twice(), twice(), twice(), dance()]
        }
        Code::TooManyChannels => {
            let many = |count| By(query(Query { channels: names(count), ..Query::default() }));
            let channels: Vec<Value> = names(129).into_iter().map(|name| json!({"name": name})).collect();
            let subscribe = By(command(json!({"type": "subscribe", "channels": channels})));
            [subscribe, many(33), many(33), many(129), many(33), many(129), Never("`send` subscribes to nothing")]
        }
        Code::Unauthorized => token(INVALID),
        Code::TokenExpired => token(EXPIRED),
        Code::TooMany => [Later, Later, Later, Later, Later, Later, Later],
        Code::Forbidden => {
            let publish = || By(command(publish("news:a")));
            let secret = || By(query(Query::of("secret:a")));
            [publish(), By(client("forbidden")), secret(), secret(), secret(), secret(), publish()]
        }
        Code::UnknownChannel => {
            let publish = || By(command(publish("nowhere")));
            let nowhere = || By(query(Query::of("nowhere")));
            let close = Never("a channel that is refused is an error, and the connection lives");
            [publish(), close, nowhere(), nowhere(), nowhere(), nowhere(), publish()]
        }
        // Of a WebSocket that is silent, see `heartbeat`.
        Code::Timeout => called_or_connected("hang", "to-hang-"),
        Code::Internal => called_or_connected("panic", "to-panic"),
        Code::Conflict => {
            let unmet = || By(command(json!({"type": "publish", "channel": "map:a", "key": "k", "data": 1, "if": 7})));
            let hook = || By(client("conflict"));
            [unmet(), hook(), hook(), hook(), hook(), hook(), unmet()]
        }
        Code::TooLarge => {
            let mut large = publish("chat:a");
            large["data"] = "x".repeat(65_536).into();
            let hook = || By(client("too_large"));
            let long = || By(ordinary(What::Bytes(300_000)));
            [By(command(large.clone())), long(), hook(), long(), hook(), long(), By(command(large))]
        }
        Code::RateLimited => {
            let call = || HookOnly(command(json!({"type": "call", "method": "refuse", "data": "rate_limited"})));
            let hook = || HookOnly(client("rate_limited"));
            [call(), hook(), hook(), hook(), hook(), hook(), call()]
        }
        Code::SlowReader => {
            let close = Never("its peer takes no byte, nor a Close frame: `slow_reader` sees the cut");
            let status = || Never("its answer has begun");
            let command = || Never("it is of what is read, not of what is sent");
            [command(), close, status(), status(), status(), status(), command()]
        }
        Code::Unavailable => {
            let full = |what| By(Cause { node: Node::Full, what });
            let publish = || full(What::Command(publish("chat:b")));
            let read = || full(What::Query(Query::of("chat:b")));
            [publish(), By(client("unavailable")), read(), read(), read(), read(), publish()]
        }
        Code::Draining => {
            let come = || By(Cause { node: Node::Drained, what: What::Query(Query::of("chat:a")) });
            let error = Never("a drain ends the connection");
            [error, come(), come(), come(), come(), come(), Never("a drain refuses no command")]
        }
    }
}

fn called_or_connected(method: &str, id: &str) -> [Cell; 7] {
    let call = || By(command(json!({"type": "call", "method": method})));
    let hook = || By(client(id));
    [call(), hook(), hook(), hook(), hook(), hook(), call()]
}

fn token(token: &'static str) -> [Cell; 7] {
    WAYS.map(|_| By(ordinary(What::Token(token))))
}

fn ordinary(what: What) -> Cause {
    Cause { node: Node::Ordinary, what }
}

fn query(query: Query) -> Cause {
    ordinary(What::Query(query))
}

/// A client whom `on_connect` refuses by its id.
fn client(id: &str) -> Cause {
    query(Query::of("chat:a").client(id))
}

fn command(command: Value) -> Cause {
    ordinary(What::Command(command))
}

fn publish(channel: &str) -> Value {
    json!({"type": "publish", "channel": channel, "data": 1})
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("chat:{number}")).collect()
}

#[tokio::test]
async fn every_code_is_told_by_every_way_that_has_it() {
    let server = Server::start_with(Backplane::Memory, hooks, |serve| serve).await;
    let drained = Server::start(Backplane::Memory).await;
    drained.tricast.drain(WATCHDOG).await;
    let (full, _reader) = Server::start_full(Backplane::Memory).await;
    for code in Code::ALL {
        for (way, cell) in WAYS.into_iter().zip(row(code)) {
            let cause = match cell {
                By(cause) | HookOnly(cause) => cause,
                Later => {
                    println!("{code} by {way:?}: not yet");
                    continue;
                }
                Never(why) => {
                    println!("{code} by {way:?}: never, {why}");
                    continue;
                }
            };
            let node = match cause.node {
                Node::Ordinary => &server,
                Node::Full => &full,
                Node::Drained => &drained,
            };
            println!("{code} by {way:?}");
            assert_told(node, code, way, cause.what).await;
        }
    }
}

/// So that the issue that brings the causes of these codes finds here what it has to fill.
#[test]
fn what_is_not_told_yet_is_what_limits_bring() {
    let open = |code: &Code| row(*code).iter().any(|cell| matches!(cell, Later | HookOnly(_)));
    let codes: Vec<Code> = Code::ALL.into_iter().filter(open).collect();
    assert_eq!(codes, [Code::TooMany, Code::RateLimited]);
}

const INVALID: &str = "invalid";
const EXPIRED: &str = "expired";

/// Refuses every token, and nobody who has none.
struct Tokens;

impl Authenticator for Tokens {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        match credentials.token.map(Secret::expose) {
            None => Ok(None),
            Some(EXPIRED) => Err(AuthError::Expired),
            Some(_) => Err(AuthError::invalid("a token of this test")),
        }
    }

    fn required(&self) -> bool {
        false
    }
}

fn hooks(builder: Builder) -> Builder {
    builder
        .authenticate(Tokens)
        .hook_timeout(Duration::from_millis(50))
        .on_connect(|connecting: Connecting| async move {
            match connecting.client.as_ref().map_or("nobody", |id| id.as_str()) {
                "to-panic" => panic!("a hook of this test"),
                "to-hang-" => std::future::pending().await,
                code if code.parse::<Code>().is_ok() => Err(refused(code)),
                _ => Ok(()),
            }
        })
        .on_call("refuse", |calling: Calling| async move { Err::<(), _>(refused(&calling.json::<String>()?)) })
        .on_call("panic", |calling: Calling| async move {
            assert_eq!(&*calling.method, "never", "a hook of this test");
            Ok(())
        })
        .on_call("hang", |_| std::future::pending::<Result<(), tricast::Refused>>())
}

async fn assert_told(server: &Server, code: Code, way: Way, what: What) {
    match way {
        Way::Error => assert_error(server, code, what).await,
        Way::Close => assert_closed(server, code, what).await,
        Way::SseGet => {
            for transport in [Transport::RawSse, Transport::SseGet] {
                assert_event_stream(server, code, transport, &what).await;
            }
        }
        Way::SsePost => assert_status(code, request(Transport::SsePost, &what).send(server.address).await).await,
        Way::PollGet => assert_status(code, request(Transport::PollGet, &what).send(server.address).await).await,
        Way::PollPost => assert_status(code, request(Transport::PollPost, &what).send(server.address).await).await,
        Way::Send => {
            let request = match what {
                What::Token(token) => with_token(Request::post("/rt/send", r#"{"type":"ping"}"#), token),
                What::Command(command) => Request::post("/rt/send", command.to_string()),
                What::Query(_) | What::Bytes(_) => panic!("`send` is for commands"),
            };
            assert_status(code, request.send(server.address).await).await;
        }
    }
}

/// An error, behind which the connection lives.
async fn assert_error(server: &Server, code: Code, what: What) {
    let command = match what {
        What::Token(token) => json!({"type": "auth", "token": token}),
        What::Command(command) => command,
        What::Query(_) | What::Bytes(_) => panic!("an error answers a command"),
    };
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    let error = ws.ask(command).await;
    assert_eq!((type_of(&error), &error["code"]), ("error", &json!(code.as_str())), "{error}");
    ws.assert_silent().await;
}

/// The last words and the close code, which a message that is too long has alone: it is no command.
async fn assert_closed(server: &Server, code: Code, what: What) {
    let mut ws = match &what {
        What::Query(query) => Ws::open(server.address, query).await,
        What::Token(token) => {
            let offer = format!("tricast.v1, bearer.{token}");
            Ws::connect(server.address, "/rt/ws", &[("Sec-WebSocket-Protocol", &offer)]).await
        }
        What::Bytes(_) | What::Command(_) => Ws::open(server.address, &Query::default()).await,
    };
    if let What::Bytes(count) = what {
        ws.until("welcome").await;
        ws.send_message(Message::text("x".repeat(count))).await;
    } else {
        let bye = ws.next_event().await;
        let told = (type_of(&bye), &bye["code"], &bye["reconnect"]);
        assert_eq!(told, ("bye", &json!(code.as_str()), &json!(code.reconnect())), "{bye}");
    }
    assert_eq!(ws.closed().await.code, code.close(), "{code}");
}

/// What may be retried as it is comes with 200, as a `bye`, and with a time to come back.
async fn assert_event_stream(server: &Server, code: Code, transport: Transport, what: &What) {
    let request = request(transport, what);
    if !code.may_retry_as_is() {
        return assert_status(code, request.send(server.address).await).await;
    }
    let mut sse = Sse::of(request, server.address).await;
    let block = sse.block().await;
    let event = (transport == Transport::RawSse).then_some("tricast:bye");
    assert_eq!((block.event.as_deref(), block.retry.is_some()), (event, true), "{block:?}");
    let bye = block.json();
    let told = (type_of(&bye), &bye["code"], &bye["reconnect"]);
    assert_eq!(told, ("bye", &json!(code.as_str()), &json!(true)), "{bye}");
    assert_eq!(sse.try_block().await, None, "and that is the end of it");
}

async fn assert_status(code: Code, response: Response) {
    assert_eq!(Some(response.status), code.http(), "{code}");
    assert_eq!(response.header("retry-after").is_some(), code.may_retry_as_is(), "{code}");
    let error = response.json().await;
    assert_eq!((type_of(&error), &error["code"]), ("error", &json!(code.as_str())), "{error}");
}

fn request(transport: Transport, what: &What) -> Request {
    match what {
        What::Query(query) => query.request(transport),
        What::Token(token) => with_token(Query::of("chat:a").request(transport), token),
        What::Bytes(count) => {
            let target = if transport == Transport::SsePost { "/rt/sse" } else { "/rt/poll" };
            Request::post(target, " ".repeat(*count))
        }
        What::Command(command) => panic!("{command} is not what a {transport:?} is asked"),
    }
}

fn with_token(request: Request, token: &str) -> Request {
    request.header("Authorization", format!("Bearer {token}"))
}
