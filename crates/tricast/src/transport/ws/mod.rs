//! WebSocket: commands in, events out, on one connection.
//!
//! One task drives a [`Socket`] and a [`Session`]. It waits for whatever comes first (a frame, the bell, the heartbeat,
//! the drain), and writes all that is ready in one go. While it writes it reads nothing, so a peer that sends without
//! reading is held back by its own connection.
//!
//! While the application is asked about a command, the connection goes on delivering, pings and may be drained, but
//! reads no further command: see [`Work`].

mod beat;
pub(crate) mod echo;
pub(crate) mod handshake;
pub(crate) mod socket;

use std::future::pending;
use std::io::ErrorKind;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tricast_core::access::Identity;
use tricast_core::frame::put_text_header;
use tricast_core::log::Limit;
use tricast_core::message::Encoding;
use tricast_core::protocol::event::{Bye, ErrorEvent};
use tricast_core::protocol::{ClientId, Code, Endpoint, Event, QueryError, SubscribeQuery, command};

use self::beat::{Beat, Due};
use self::handshake::Io;
use self::socket::{End, Limits, Received, Socket, WriteError};
use super::origin::check_origin;
use super::preflight;
use crate::commands::{Bringer, Caller, Work};
use crate::hooks::{Connected, Transport};
use crate::hub::{Content, Draining, GOING_AWAY, Hub};
use crate::session::{Delivery, Session};

/// Frames that are executed before what they led to is written.
const FRAMES_PER_VISIT: usize = 16;

/// Answers an upgrade. Only what is malformed, and a foreign origin, is refused here: a browser cannot see why.
pub(crate) async fn ws(State(hub): State<Arc<Hub>>, mut request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return preflight("GET, OPTIONS");
    }
    let accepted = match handshake::accept(&mut request) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal_response(refusal),
    };
    if let Err(refusal) = check_origin(request.headers(), request.uri()) {
        return refusal.response();
    }
    let query = SubscribeQuery::parse_get(request.uri().query().unwrap_or_default(), Endpoint::Ws);
    let drain = hub.connect();
    let tricast_v1 = accepted.tricast_v1;
    // Nobody verifies tokens yet, so one that was offered is not looked at.
    drop(accepted.bearer);
    let upgrade = accepted.upgrade;
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let io = handshake::io_of(upgraded);
                let mut connection = Connection::new(hub, io, drain, tricast_v1, &query);
                // What is rare is boxed, here and below: an idle connection pays for the largest thing it may do.
                let over = connection.serve(query).await;
                Box::pin(connection.end(over)).await;
            }
            Err(error) => tracing::debug!(%error, "an upgrade was not completed"),
        }
    });
    accepted.response
}

struct Connection {
    hub: Arc<Hub>,
    socket: Socket<Io>,
    session: Session,
    who: Identity,
    client: ClientId,
    beat: Beat,
    /// Commands that wait for the application's answer. Boxed, for an idle connection has none.
    work: Option<Box<Work>>,
    // Before `drain`: whoever waits for connections to end waits for the application to be told as well.
    connected: Connected,
    drain: watch::Receiver<Option<Draining>>,
}

/// Why a connection is over.
enum Over {
    /// The peer ended it, or broke the protocol.
    Ended(End),
    /// We end it, and say so.
    Bye(Bye),
    /// It takes nothing any more.
    Unwritable(WriteError),
}

impl From<WriteError> for Over {
    fn from(error: WriteError) -> Self {
        Self::Unwritable(error)
    }
}

/// What a connection waited for.
enum Next {
    Received(Result<Received, End>),
    /// The application has answered.
    Answered,
    Rung,
    Beat,
    Draining,
}

impl Connection {
    fn new(
        hub: Arc<Hub>,
        io: Io,
        drain: watch::Receiver<Option<Draining>>,
        tricast_v1: bool,
        query: &Result<SubscribeQuery, QueryError>,
    ) -> Self {
        let config = &hub.config;
        let limits = Limits { message: config.socket_message_bytes(), write_timeout: config.write_timeout };
        let chosen = query.as_ref().ok().and_then(|query| query.client.clone());
        let client = chosen.unwrap_or_else(|| hub.new_client());
        let who = Identity::default();
        let session = Session::new(Arc::clone(&hub), who.clone(), Some(Encoding::WebSocket));
        Self {
            socket: Socket::new(io, limits),
            session: session.of_client(Some(client.clone()), config.presence_grace),
            client,
            beat: Beat::new(config.heartbeat_ws, tricast_v1),
            work: None,
            connected: Connected::default(),
            who,
            drain,
            hub,
        }
    }

    /// Serves until the connection is over, and tells why it is.
    async fn serve(&mut self, query: Result<SubscribeQuery, QueryError>) -> Over {
        if let Err(over) = Box::pin(self.greet(query)).await {
            return over;
        }
        let timer = sleep_until(self.beat.next(&self.socket, self.work.is_none()));
        tokio::pin!(timer);
        loop {
            // In this order: what has arrived is read before its sender is judged silent, and a bell that never stops
            // ringing keeps nobody from being pinged. Whatever was received, the bell is answered along with it.
            let next = tokio::select! {
                biased;
                _ = self.drain.changed() => Next::Draining,
                () = answered(&mut self.work), if self.work.is_some() => Next::Answered,
                received = self.socket.receive(), if self.work.is_none() => Next::Received(received),
                () = &mut timer => Next::Beat,
                () = self.session.rung() => Next::Rung,
            };
            let events = match next {
                Next::Rung => Vec::new(),
                Next::Answered => Box::pin(self.resume()).await,
                Next::Received(Ok(received)) => match Box::pin(self.execute(received)).await {
                    Ok(answers) => answers,
                    Err(over) => return over,
                },
                Next::Received(Err(end)) => return Over::Ended(end),
                Next::Beat => {
                    let due = Box::pin(self.on_beat()).await;
                    // The timer is not moved with each frame: it looks again when it fires.
                    timer.as_mut().reset(self.beat.next(&self.socket, self.work.is_none()));
                    match due {
                        Ok(()) => continue,
                        Err(over) => return over,
                    }
                }
                Next::Draining => return self.drained(),
            };
            if let Err(error) = self.pump(&events).await {
                return Over::Unwritable(error);
            }
        }
    }

    /// Says why, as far as somebody still listens.
    async fn end(mut self, over: Over) {
        match over {
            // A pong that nobody takes runs into the server's write deadline while receiving.
            Over::Ended(End::Lost(error)) if error.kind() == ErrorKind::TimedOut => self.slow(),
            Over::Ended(End::Lost(error)) => tracing::debug!(%error, "a WebSocket is gone"),
            Over::Ended(end) => self.socket.finish(end).await,
            Over::Unwritable(WriteError::Slow) => self.slow(),
            Over::Unwritable(error) => tracing::debug!(%error, "a WebSocket is gone"),
            Over::Bye(bye) => {
                let (close, reason) = (bye.code.close(), bye.code.as_str());
                let mut frames = Vec::new();
                put_event(&mut frames, &Event::Bye(bye));
                if self.socket.write(frames.into()).await.is_ok() {
                    self.socket.close(close, reason).await;
                }
            }
        }
    }

    fn slow(&self) {
        tracing::info!(client = self.client.as_str(), "slow_reader");
    }

    /// Over, since the node drains.
    fn drained(&self) -> Over {
        Over::Bye(self.hub.farewell().unwrap_or_else(|| Bye::new(Code::Draining, GOING_AWAY)))
    }

    /// `welcome`, and the channels of the query.
    async fn greet(&mut self, query: Result<SubscribeQuery, QueryError>) -> Result<(), Over> {
        if let Some(bye) = self.hub.farewell() {
            return Err(Over::Bye(bye));
        }
        let SubscribeQuery { channels, cursor, .. } =
            query.map_err(|error| Over::Bye(Bye::new(error.code, error.message)))?;
        let connected = tokio::select! {
            connected = self.hub.connected(&self.who, Some(&self.client), Transport::Ws) => connected,
            _ = self.drain.changed() => return Err(self.drained()),
        };
        self.connected = connected.map_err(|refused| {
            let after = refused.retry_after();
            Over::Bye(Bye { after, ..Bye::new(refused.code(), refused.message()) })
        })?;
        let mut events = vec![self.hub.welcome(&self.client, self.hub.config.heartbeat_ws, None)];
        let mut work = Work::default();
        work.subscribe(channels, cursor, None, &mut self.caller(), &mut events).await;
        self.keep(work);
        Ok(self.pump(&events).await?)
    }

    fn caller(&mut self) -> Caller<'_> {
        let bringer = Bringer::Socket { session: &mut self.session, client: &self.client };
        Caller { hub: &self.hub, who: &self.who, bringer }
    }

    /// Keeps what waits for the application's answer.
    fn keep(&mut self, work: Work) {
        self.work = work.is_asking().then(|| Box::new(work));
    }

    /// Goes on with what the application was asked about.
    async fn resume(&mut self) -> Vec<Event> {
        let Some(mut work) = self.work.take() else { return Vec::new() };
        let answers = work.advance(&mut self.caller()).await;
        self.keep(*work);
        answers
    }

    /// Executes a frame, and those that are already there behind it.
    async fn execute(&mut self, first: Received) -> Result<Vec<Event>, Over> {
        let mut answers = Vec::new();
        let mut next = Some(first);
        for _ in 0..FRAMES_PER_VISIT {
            let Some(received) = next else { break };
            match received {
                Received::Text(text) => match command::parse(text.as_str()) {
                    Ok(batch) => {
                        let mut work = Work::new(batch);
                        answers.extend(work.advance(&mut self.caller()).await);
                        self.keep(work);
                    }
                    Err(error) => answers.push(Event::Error(error.into())),
                },
                Received::Binary(_) => {
                    let error = ErrorEvent::new(Code::BadRequest, "binary frames carry no commands");
                    answers.push(Event::Error(error));
                }
                Received::Ping | Received::Pong => {}
            }
            if self.work.is_some() {
                // What comes later waits its turn, in the socket.
                break;
            }
            next = match self.socket.receive().now_or_never() {
                None => None,
                Some(Ok(received)) => Some(received),
                Some(Err(end)) => {
                    // Too late for a write of its own: the peer's Close has been read, and ends what may be written.
                    let mut chunks = Chunks::default();
                    answers.iter().for_each(|event| chunks.put_event(event));
                    self.socket.last_words(chunks.into_bytes());
                    return Err(Over::Ended(end));
                }
            };
        }
        Ok(answers)
    }

    /// Writes these events and what is new, in one go.
    async fn pump(&mut self, events: &[Event]) -> Result<(), WriteError> {
        let taken = self.session.take(Limit::default()).await;
        if taken.more {
            // The next batch has its turn after whatever else is waiting.
            self.session.ring();
        }
        let mut chunks = Chunks::default();
        events.iter().for_each(|event| chunks.put_event(event));
        for delivery in taken.deliveries {
            match delivery {
                Delivery::Gap { event, .. } | Delivery::Live { event, .. } => chunks.put_event(&event),
                Delivery::Messages { batch, .. } => match batch.content {
                    Content::Encoded(bytes) => chunks.put_shared(bytes),
                    // A session with an encoding is given bytes.
                    Content::Messages(_) => {}
                },
            }
        }
        let frames = chunks.into_bytes();
        if frames.is_empty() { Ok(()) } else { self.socket.write(frames).await }
    }

    async fn on_beat(&mut self) -> Result<(), Over> {
        match self.beat.due(&self.socket, self.work.is_none(), Instant::now()) {
            Due::Nothing => Ok(()),
            Due::TextPing => {
                let mut frames = Vec::new();
                put_event(&mut frames, &Event::Ping { reference: None });
                Ok(self.socket.write(frames.into()).await?)
            }
            Due::FramePing => Ok(self.socket.ping().await?),
            Due::Close => Err(Over::Bye(Bye::new(Code::Timeout, "nothing was received for two heartbeats"))),
        }
    }
}

/// Resolves when the application has answered; never where it is not asked.
async fn answered(work: &mut Option<Box<Work>>) {
    match work {
        Some(work) => work.asked().await,
        None => pending().await,
    }
}

/// Frames to be written together; a single shared batch stays the very bytes that all readers share.
#[derive(Default)]
struct Chunks {
    shared: Option<Bytes>,
    own: Vec<u8>,
}

impl Chunks {
    fn put_event(&mut self, event: &Event) {
        self.own_shared();
        put_event(&mut self.own, event);
    }

    fn put_shared(&mut self, bytes: Bytes) {
        self.own_shared();
        if self.own.is_empty() {
            self.shared = Some(bytes);
        } else {
            self.own.extend_from_slice(&bytes);
        }
    }

    fn own_shared(&mut self) {
        if let Some(shared) = self.shared.take() {
            self.own.extend_from_slice(&shared);
        }
    }

    fn into_bytes(self) -> Bytes {
        self.shared.unwrap_or_else(|| self.own.into())
    }
}

fn put_event(frames: &mut Vec<u8>, event: &Event) {
    let json = event.to_json();
    put_text_header(frames, json.len());
    frames.extend_from_slice(json.as_bytes());
}

/// The handshake's refusal, told as every other one is.
fn refusal_response(refusal: handshake::Refusal) -> Response {
    let event = Event::Error(ErrorEvent::new(Code::BadRequest, refusal.to_string()));
    let mut response = refusal.response(event.to_json());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
