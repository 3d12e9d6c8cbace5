//! WebSocket: frames in and out, and nothing else.

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use tricast_core::protocol::{ClientId, SUBPROTOCOL};

use super::http::event_of;
use crate::connector::{Connection, Connector, causes};
use crate::error::Failure;
use crate::limits::{ANSWER_BYTES, GOODBYE};
use crate::output::{Io, Report};
use crate::url::Mount;

type Socket = WebSocketStream<TokioIo<Connection>>;

/// What is needed to open sockets.
#[derive(Debug, Clone)]
pub(crate) struct Sockets {
    pub(crate) connector: Connector,
    pub(crate) mount: Mount,
    pub(crate) client: ClientId,
}

impl Sockets {
    /// Opens a socket, writes `frames` to it and reports what comes, its end last. Once nobody can write any more it says
    /// goodbye and reports nothing.
    ///
    /// # Cancel safety
    /// Dropping it ends the connection without a goodbye.
    pub(crate) async fn run(self, io: Io, frames: mpsc::Receiver<String>, reports: mpsc::Sender<(Io, Report)>) {
        let end = match self.open().await {
            Ok(socket) => converse(socket, io, frames, &reports).await,
            Err(failure) => Some(failure),
        };
        if let Some(failure) = end {
            // Who reads no reports any more is not interested.
            drop(reports.send((io, Report::Ended(failure))).await);
        }
    }

    async fn open(self) -> Result<Socket, Failure> {
        let Self { connector, mount, client } = self;
        let stream = TokioIo::new(connector.connect(mount.endpoint("ws")).await?);
        let request = mount.socket(&client).into_client_request();
        let mut request = request.map_err(|error| Failure::unreachable(causes(&error)))?;
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(ANSWER_BYTES))
            .max_frame_size(Some(ANSWER_BYTES));
        let opened = client_async_with_config(request, stream, Some(config)).await;
        opened.map(|(socket, _)| socket).map_err(|error| failure(&error))
    }
}

/// Reads and writes at once (else two sides that both wait to write would wait for ever) until either ends it; nothing is
/// told where that was us.
async fn converse(
    socket: Socket,
    io: Io,
    frames: mpsc::Receiver<String>,
    reports: &mpsc::Sender<(Io, Report)>,
) -> Option<Failure> {
    let (mut sink, mut stream) = socket.split();
    let written = tokio::select! {
        end = read(&mut stream, io, reports) => return end,
        written = write(&mut sink, frames) => written,
    };
    match written {
        Ok(()) => {
            drop(timeout(GOODBYE, sink.close()).await);
            None
        }
        Err(error) => Some(failure(&error)),
    }
}

/// Reports what comes, until nothing comes or nobody listens any more.
async fn read(stream: &mut SplitStream<Socket>, io: Io, reports: &mpsc::Sender<(Io, Report)>) -> Option<Failure> {
    let mut report = Report::Opened;
    while reports.send((io, report)).await.is_ok() {
        report = match understand(stream.next().await) {
            Ok(report) => report,
            Err(failure) => return Some(failure),
        };
    }
    None
}

/// Writes frames, those that wait in one go, until there is nobody who could bring one.
async fn write(sink: &mut SplitSink<Socket, Message>, mut frames: mpsc::Receiver<String>) -> Result<(), Error> {
    while let Some(text) = frames.recv().await {
        sink.feed(Message::text(text)).await?;
        while let Ok(text) = frames.try_recv() {
            sink.feed(Message::text(text)).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

fn understand(received: Option<Result<Message, Error>>) -> Result<Report, Failure> {
    match received {
        None => Err(Failure::unreachable("the connection ended")),
        Some(Err(error)) => Err(failure(&error)),
        Some(Ok(Message::Text(text))) => Ok(event_of(text.as_bytes())?.map_or(Report::Heard, Report::Event)),
        Some(Ok(Message::Close(frame))) => {
            let how = frame.map_or_else(|| "without a code".to_owned(), |frame| format!("with {}", frame.code));
            Err(Failure::unreachable(format_args!("closed {how}")))
        }
        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Ok(Report::Heard),
    }
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Failure::Unfit { what: error.to_string().into() },
        Error::Http(response) => Failure::unreachable(format_args!("HTTP {}", response.status())),
        _ => Failure::unreachable(causes(error)),
    }
}

/// Bytes of the read buffer, which tungstenite fills with zeros at once.
const READ_BUFFER: usize = 16 * 1024;
