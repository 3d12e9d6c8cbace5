//! A WebSocket as tokio-tungstenite speaks it: commands out, events in.

use std::net::SocketAddr;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Response;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::{Query, type_of, watchdog};

/// An open WebSocket.
#[derive(Debug)]
pub(crate) struct Ws {
    stream: WebSocketStream<TcpStream>,
    pub(crate) response: Response,
}

/// How the server ended it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

impl Ws {
    /// Opens a query as our own clients do, offering the subprotocol.
    pub(crate) async fn open(address: SocketAddr, query: &Query) -> Self {
        let bearer = query.token.as_ref().map(|token| format!("Bearer {token}"));
        let mut headers = vec![("Sec-WebSocket-Protocol", "tricast.v1")];
        headers.extend(bearer.iter().map(|bearer| ("Authorization", bearer.as_str())));
        Self::connect(address, &query.target("/rt/ws"), &headers).await
    }

    /// Opens a path as websocat does, with no handshake of ours.
    pub(crate) async fn plain(address: SocketAddr, target: &str) -> Self {
        Self::connect(address, target, &[]).await
    }

    pub(crate) async fn connect(address: SocketAddr, target: &str, headers: &[(&'static str, &str)]) -> Self {
        let mut request = format!("ws://{address}{target}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let connect = async {
            let socket = TcpStream::connect(address).await.unwrap();
            client_async(request, socket).await
        };
        let opened = watchdog("an upgrade", connect).await;
        let (stream, response) = opened.unwrap_or_else(|error| panic!("no upgrade of {target}: {error}"));
        Self { stream, response }
    }

    /// Sends a command, or an array of them.
    pub(crate) async fn send(&mut self, commands: Value) {
        self.send_message(Message::text(commands.to_string())).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        watchdog("a frame being taken", self.stream.send(message)).await.unwrap();
    }

    /// Sends a command; the next event is its answer.
    pub(crate) async fn ask(&mut self, commands: Value) -> Value {
        self.send(commands).await;
        self.next_event().await
    }

    /// Passes over everything up to the next event of a type.
    pub(crate) async fn until(&mut self, wanted: &str) -> Value {
        loop {
            let event = self.next_event().await;
            if type_of(&event) == wanted {
                return event;
            }
        }
    }

    /// The next frame that is not the answer to one of ours; pings have been answered.
    pub(crate) async fn next_frame(&mut self) -> Message {
        let next = watchdog("a frame", self.stream.next()).await;
        next.expect("a Close frame comes before the end").unwrap_or_else(|error| panic!("the socket broke: {error}"))
    }

    /// The next event; the frames of WebSocket heartbeats are passed over.
    pub(crate) async fn next_event(&mut self) -> Value {
        loop {
            match self.next_frame().await {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not an event: {other:?}"),
            }
        }
    }

    /// Waits for the Close frame, which must be next.
    pub(crate) async fn closed(&mut self) -> Closed {
        match self.next_frame().await {
            Message::Close(Some(frame)) => Closed { code: frame.code.into(), reason: frame.reason.to_string() },
            other => panic!("not a Close frame with a code: {other:?}"),
        }
    }

    /// Asserts that nothing is on its way, by something that must come after it.
    pub(crate) async fn assert_silent(&mut self) {
        let pong = self.ask(serde_json::json!({"type": "ping", "ref": "silence"})).await;
        assert_eq!(pong, serde_json::json!({"type": "pong", "ref": "silence"}));
    }
}
