//! Who a caller is, what the rules let them do, and how both end. Protocol, 4 to 8.

mod hello;
mod identity;
mod jwt;
mod login;
mod members;
mod renewal;
mod revoked;
mod rights;
mod rights_lost;
mod token_end;

use std::future::pending;
use std::time::Duration;

use serde_json::{Value, json};
use tricast::auth::{AuthError, Authenticated, Authenticator, Credentials};
use tricast::core::protocol::Secret;
use tricast::{Builder, Capabilities, User};

use crate::client::http::{Request, Response};
use crate::client::{Answer, Closed, Query, Sse, Transport, Ws, type_of};
use crate::server::{Backplane, Server};

/// What the clock of a node shows when it starts.
const START_MS: i64 = 1_700_000_000_000;

/// How long a token is believed after its end.
const LEEWAY: Duration = Duration::from_secs(5);

/// How long the application of [`start`] may take for an answer.
const HOOK_TIMEOUT: Duration = Duration::from_millis(50);

/// Takes tokens that say in plain words whom they are for: `ann`, then `&exp=` and `&iat=` in milliseconds since the
/// node's start, `&subscribe=` and `&publish=` patterns, `&server`. Some names make it misbehave.
#[derive(Debug, Clone, Copy)]
struct Tokens {
    required: bool,
}

impl Authenticator for Tokens {
    fn authenticate(
        &self,
        credentials: Credentials<'_>,
    ) -> impl Future<Output = Result<Option<Authenticated>, AuthError>> + Send {
        let token = credentials.token.map(Secret::expose).or_else(|| credentials.cookie("session"));
        let token = token.map(str::to_owned);
        assert_ne!(token.as_deref(), Some("panics at once"), "an authenticator of this test");
        async move {
            match token.as_deref() {
                None => Ok(None),
                Some("forged") => Err(AuthError::invalid("the signature is wrong")),
                Some("over") => Err(AuthError::Expired),
                Some("nobody can tell") => Err(AuthError::Unavailable("the directory is down".into())),
                Some("panics") => panic!("an authenticator of this test"),
                Some("hangs") => pending().await,
                Some(token) => read(token).map(Some),
            }
        }
    }

    fn required(&self) -> bool {
        self.required
    }
}

fn read(token: &str) -> Result<Authenticated, AuthError> {
    let mut words = token.split('&');
    let id = words.next().unwrap().parse();
    let user = User::new(id.map_err(|problem| AuthError::invalid(format!("sub: {problem}")))?);
    let mut may = Capabilities::default();
    let (mut expires_ms, mut issued_ms) = (None, None);
    for word in words {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let time = || Some(u64::try_from(START_MS + value.parse::<i64>().unwrap()).unwrap());
        match name {
            "exp" => expires_ms = time(),
            "iat" => issued_ms = time(),
            "subscribe" => may = may.subscribe(value.parse().unwrap()),
            "publish" => may = may.publish(value.parse().unwrap()),
            "server" => may = Capabilities::server(),
            other => panic!("no claim: {other}"),
        }
    }
    let mut found = Authenticated::user(user.with(may));
    (found.expires_ms, found.issued_ms) = (expires_ms, issued_ms);
    Ok(found)
}

/// A node whose callers may bring [`Tokens`].
async fn start(build: impl FnOnce(Builder) -> Builder) -> Server {
    start_auth(Tokens { required: false }, build).await
}

/// A node whose callers must bring [`Tokens`].
async fn start_required(build: impl FnOnce(Builder) -> Builder) -> Server {
    start_auth(Tokens { required: true }, build).await
}

async fn start_auth(tokens: Tokens, build: impl FnOnce(Builder) -> Builder) -> Server {
    let build = |builder: Builder| build(builder.authenticate(tokens).hook_timeout(HOOK_TIMEOUT));
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

/// How a caller brings a token to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In `Authorization`.
    Header(Transport),
    /// In a cookie.
    Cookie(Transport),
    /// As a second subprotocol of a WebSocket.
    Subprotocol,
    /// By the first command on a WebSocket.
    Hello,
    /// In `Authorization`, to `send`.
    Send,
}

impl Way {
    const ALL: [Self; 15] = [
        Self::Header(Transport::Ws),
        Self::Header(Transport::SseGet),
        Self::Header(Transport::SsePost),
        Self::Header(Transport::RawSse),
        Self::Header(Transport::PollGet),
        Self::Header(Transport::PollPost),
        Self::Cookie(Transport::Ws),
        Self::Cookie(Transport::SseGet),
        Self::Cookie(Transport::SsePost),
        Self::Cookie(Transport::RawSse),
        Self::Cookie(Transport::PollGet),
        Self::Cookie(Transport::PollPost),
        Self::Subprotocol,
        Self::Hello,
        Self::Send,
    ];

    fn is_ws(self) -> bool {
        matches!(self, Self::Header(Transport::Ws) | Self::Cookie(Transport::Ws) | Self::Subprotocol | Self::Hello)
    }

    fn is_sse_get(self) -> bool {
        matches!(
            self,
            Self::Header(Transport::SseGet | Transport::RawSse) | Self::Cookie(Transport::SseGet | Transport::RawSse)
        )
    }
}

/// What a caller is told at the door.
#[derive(Debug, Clone, PartialEq)]
enum Met {
    /// The first event of a WebSocket, the `welcome` of envelopes, or whatever else says yes.
    LetIn(Value),
    /// By `error` and a status, with the header that asks for a token.
    Status { code: String, status: u16, challenge: Option<String>, message: String },
    /// By `bye` after the upgrade.
    Closed { code: String, close: u16, reconnect: bool, reason: String },
    /// By `bye` in an event stream that ends.
    Bye { code: String, retry: Option<u64> },
}

/// Comes to a node with a token, to read `channel` or to publish to it.
async fn meet(server: &Server, way: Way, token: Option<&str>, channel: &str) -> Met {
    let query = Query { token: None, ..Query::of(channel).wait(0.0) };
    match way {
        _ if way.is_ws() => meet_ws(server, way, token, &query).await,
        Way::Header(transport) | Way::Cookie(transport) => {
            let request = query.request(transport);
            let request = match (way, token) {
                (_, None) => request,
                (Way::Cookie(_), Some(token)) => request.header("Cookie", format!("theme=dark; session={token}")),
                (_, Some(token)) => request.bearer(token),
            };
            meet_http(server, transport, request).await
        }
        _ => {
            let request = Request::post("/rt/send", json!({"type": "ping"}).to_string());
            let request = token.into_iter().fold(request, Request::bearer);
            refused_by_status(request.send(server.address).await).await
        }
    }
}

async fn meet_ws(server: &Server, way: Way, token: Option<&str>, query: &Query) -> Met {
    let value = match (way, token) {
        (_, None) => String::new(),
        (Way::Header(_), Some(token)) => format!("Bearer {token}"),
        (Way::Cookie(_), Some(token)) => format!("session={token}"),
        (_, Some(token)) => format!("tricast.v1, bearer.{token}"),
    };
    let headers = match (way, token) {
        (Way::Hello, _) | (_, None) => vec![("Sec-WebSocket-Protocol", "tricast.v1")],
        (Way::Header(_), _) => vec![("Authorization", &*value)],
        (Way::Cookie(_), _) => vec![("Cookie", &*value)],
        _ => vec![("Sec-WebSocket-Protocol", &*value)],
    };
    let mut ws = Ws::connect(server.address, &query.target("/rt/ws"), &headers).await;
    if way == Way::Hello {
        ws.send(json!({"type": "hello", "token": token, "ref": "h"})).await;
    }
    let event = ws.next_event().await;
    if type_of(&event) == "bye" {
        return closed(&mut ws, &event).await;
    }
    assert_eq!(type_of(&event), "welcome");
    Met::LetIn(event)
}

/// What a `bye` says that was just received, and the close code behind it.
async fn closed(ws: &mut Ws, bye: &Value) -> Met {
    assert_eq!(type_of(bye), "bye", "{bye}");
    let Closed { code: close, reason } = ws.closed().await;
    let code = bye["code"].as_str().unwrap().to_owned();
    assert_eq!(reason, code);
    let reason = bye["reason"].as_str().unwrap().to_owned();
    Met::Closed { code, close, reconnect: bye["reconnect"].as_bool().unwrap(), reason }
}

async fn meet_http(server: &Server, transport: Transport, request: Request) -> Met {
    let streams = matches!(transport, Transport::SseGet | Transport::SsePost | Transport::RawSse);
    let response = request.send(server.address).await;
    if response.status != 200 || !streams {
        return refused_by_status(response).await;
    }
    let mut sse = Sse::over(transport, response);
    loop {
        let block = sse.block().await;
        let Some(data) = &block.data else {
            if transport == Transport::RawSse && block.id.is_some() {
                return Met::LetIn(Value::Null);
            }
            continue;
        };
        if data.contains(r#""type":"bye""#) {
            assert_eq!(sse.try_block().await, None, "nothing comes after a bye");
            return Met::Bye { code: block.json()["code"].as_str().unwrap().to_owned(), retry: block.retry };
        }
        return Met::LetIn(block.json());
    }
}

async fn refused_by_status(response: Response) -> Met {
    if response.status == 200 {
        return Met::LetIn(response.json().await);
    }
    let (status, challenge) = (response.status, response.header("www-authenticate").map(str::to_owned));
    assert_eq!(response.header("cache-control"), Some("no-store"));
    let error = response.json().await;
    assert_eq!(type_of(&error), "error");
    let text = |name: &str| error[name].as_str().unwrap().to_owned();
    Met::Status { code: text("code"), status, challenge, message: text("message") }
}

/// Brings a command to `send`.
async fn send(server: &Server, token: Option<&str>, command: &Value) -> Value {
    let request = Request::post("/rt/send", command.to_string());
    token.into_iter().fold(request, Request::bearer).send(server.address).await.json().await
}

/// A WebSocket of somebody who was welcomed, and of its channels was told `subscribed`.
async fn socket(server: &Server, token: Option<&str>, channels: &[&str]) -> Ws {
    let mut ws = Ws::open(server.address, &query(token, channels)).await;
    assert_eq!(type_of(&ws.next_event().await), "welcome");
    for channel in channels {
        let event = ws.next_event().await;
        assert_eq!((type_of(&event), event["channel"].as_str()), ("subscribed", Some(*channel)), "{event}");
    }
    ws
}

fn query(token: Option<&str>, channels: &[&str]) -> Query {
    Query { token: token.map(str::to_owned), ..Query::of_all(channels) }
}

async fn poll(server: &Server, query: &Query) -> Answer {
    Answer::read(query.request(Transport::PollPost).send(server.address).await).await
}
