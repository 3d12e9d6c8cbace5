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
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderValue, Method};
use tokio::time::{Instant, sleep_until, timeout};
use tricast_core::frame::put_text_header;
use tricast_core::log::Limit;
use tricast_core::message::Encoding;
use tricast_core::protocol::event::{Bye, ErrorEvent};
use tricast_core::protocol::{
    Batch, ClientId, Code, Command, Endpoint, Event, QueryError, Ref, Secret, SubscribeQuery, command,
};

use self::beat::{Beat, Due};
use self::handshake::Io;
use self::socket::{End, Limits, Received, Socket, WriteError};
use super::origin::check_origin;
use super::preflight;
use super::refusal::told;
use crate::auth::{Credentials, Login};
use crate::commands::{Bringer, Caller, Work, not_found_out};
use crate::edge::{Allowance, Ticket};
use crate::ending::Ending;
use crate::hooks::{Connected, Refused, Transport};
use crate::hub::{Content, Hub};
use crate::metrics;
use crate::session::{Delivery, Session};

/// Frames that are executed before what they led to is written.
const FRAMES_PER_VISIT: usize = 16;

/// How long a caller has to say who it is, where that is required.
const HELLO_TIMEOUT: Duration = Duration::from_secs(10);

const NO_HELLO: &str = "a token is required: the first command must be a hello that bears one";

/// Answers an upgrade. Only what is malformed, and a foreign origin, is refused here: a browser cannot see why.
pub(crate) async fn ws(State(hub): State<Arc<Hub>>, mut request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return preflight("GET, OPTIONS");
    }
    let accepted = match handshake::accept(&mut request) {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal_response(refusal),
    };
    if let Err(refusal) = check_origin(&hub, &request) {
        return refusal.response();
    }
    let query = SubscribeQuery::parse_get(request.uri().query().unwrap_or_default(), Endpoint::Ws);
    let (tricast_v1, upgrade) = (accepted.tricast_v1, accepted.upgrade);
    let (head, _) = request.into_parts();
    // Who this is, is found out and told after the upgrade: before it a browser would not see why it failed.
    let admitted = hub.admit(&head);
    let knock = Box::new(Knock { query, head, bearer: accepted.bearer, admitted });
    let ending = Ending::new(&hub);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => {
                let io = handshake::io_of(upgraded);
                let mut connection = Connection::new(hub, io, ending, tricast_v1, &knock);
                // What is rare is boxed, here and below: an idle connection pays for the largest thing it may do.
                let over = connection.serve(knock).await;
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
    client: ClientId,
    beat: Beat,
    allowance: Allowance,
    /// Commands that wait for the application's answer. Boxed, for an idle connection has none.
    work: Option<Box<Work>>,
    // Before `ending`: whoever waits for connections to end waits for the application to be told as well.
    connected: Connected,
    ending: Ending,
}

/// What a caller comes with, until it is let in.
struct Knock {
    query: Result<SubscribeQuery, QueryError>,
    head: Parts,
    /// The token that was offered as a subprotocol.
    bearer: Option<Secret>,
    /// A place among the connections, if there is one.
    admitted: Result<Ticket, Refused>,
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
    Over(Bye),
}

impl Connection {
    fn new(hub: Arc<Hub>, io: Io, ending: Ending, tricast_v1: bool, knock: &Knock) -> Self {
        let config = &hub.config;
        let limits = Limits { message: config.socket_message_bytes(), write_timeout: config.write_timeout };
        let chosen = knock.query.as_ref().ok().and_then(|query| query.client.clone());
        let client = chosen.unwrap_or_else(|| hub.new_client());
        let session = Session::new(Arc::clone(&hub), Login::default(), Some(Encoding::WebSocket));
        Self {
            socket: Socket::new(io, limits),
            session: session.of_client(Some(client.clone()), config.presence_grace),
            client,
            beat: Beat::new(config.heartbeat_ws, tricast_v1),
            allowance: Allowance::default(),
            work: None,
            connected: Connected::default(),
            ending,
            hub,
        }
    }

    /// Serves until the connection is over, and tells why it is.
    async fn serve(&mut self, knock: Box<Knock>) -> Over {
        if let Err(over) = Box::pin(self.greet(knock)).await {
            return over;
        }
        let timer = sleep_until(self.beat.next(&self.socket, self.work.is_none()));
        tokio::pin!(timer);
        loop {
            // In this order: what has arrived is read before its sender is judged silent, and a bell that never stops
            // ringing keeps nobody from being pinged. Whatever was received, the bell is answered along with it.
            let next = tokio::select! {
                biased;
                bye = self.ending.due(&self.hub) => Next::Over(bye),
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
                Next::Over(bye) => return Over::Bye(bye),
            };
            if let Err(over) = self.pump(&events).await {
                return over;
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
        metrics::refused(Code::SlowReader, Transport::Ws);
        tracing::info!(client = self.client.as_str(), "slow_reader");
    }

    /// Finds out who this is; then `welcome`, and the channels of the query.
    async fn greet(&mut self, knock: Box<Knock>) -> Result<(), Over> {
        if let Some(bye) = self.hub.farewell() {
            return Err(Over::Bye(bye));
        }
        let Knock { query, head, bearer, admitted } = *knock;
        self.ending.hold(admitted.map_err(refused)?, Transport::Ws);
        let SubscribeQuery { channels, cursor, .. } =
            query.map_err(|error| Over::Bye(Bye::new(error.code, error.message)))?;
        let hub = Arc::clone(&self.hub);
        let finding = hub.log_in_upgrade(&head, bearer.as_ref());
        let found = unless_over(&mut self.ending, &hub, finding).await?.map_err(refused)?;
        let (login, hello) = match found {
            Some(login) => (login, None),
            None => self.hello().await.map(|(login, hello)| (login, Some(hello)))?,
        };
        self.ending.claim(&login.who, &hub).map_err(refused)?;
        self.ending.follow(&login, &hub);
        self.session.log_in(login.clone()).await;
        let connecting = hub.connected(&login.who, Some(&self.client), Transport::Ws);
        self.connected = unless_over(&mut self.ending, &hub, connecting).await?.map_err(refused)?;

        let reference = hello.as_ref().and_then(|hello| hello.reference.clone());
        let mut events = vec![hub.welcome(&self.client, &login, hub.config.heartbeat_ws, reference)];
        // What came along with `hello` is executed after the channels of the query are read.
        let mut work = hello.map(|hello| Work::new(hello.rest)).unwrap_or_default();
        work.subscribe(channels, cursor, None, &mut self.caller(), &mut events).await;
        if !work.is_asking() {
            events.extend(work.advance(&mut self.caller()).await);
        }
        self.keep(work);
        self.pump(&events).await
    }

    /// Waits for the `hello` that has to say who this is.
    async fn hello(&mut self) -> Result<(Login, Hello), Over> {
        let unauthorized = |reason: &str| Over::Bye(Bye::new(Code::Unauthorized, reason));
        let hub = Arc::clone(&self.hub);
        let socket = &mut self.socket;
        let text = unless_over(&mut self.ending, &hub, async {
            loop {
                match socket.receive().await {
                    Ok(Received::Ping | Received::Pong) => {}
                    other => return other,
                }
            }
        });
        let text = timeout(HELLO_TIMEOUT, text).await;
        let received = text.map_err(|_| Over::Bye(Bye::new(Code::Timeout, "no hello came in time")))??;
        let Received::Text(text) = received.map_err(Over::Ended)? else { return Err(unauthorized(NO_HELLO)) };
        let mut batch = command::parse(text.as_str()).map_err(|_| unauthorized(NO_HELLO))?;
        if batch.commands.is_empty() {
            return Err(unauthorized(NO_HELLO));
        }
        let Ok(Command::Hello { token: Some(token), client, reference }) = batch.commands.remove(0) else {
            return Err(unauthorized(NO_HELLO));
        };
        if let Some(client) = client {
            self.choose(client);
        }
        let finding = hub.find_out(Credentials::of_token(&token, hub.clock.wall_ms()));
        let found = unless_over(&mut self.ending, &hub, finding).await?.map_err(refused)?;
        let login = found.ok_or_else(|| refused(not_found_out()))?;
        Ok((login, Hello { reference, rest: batch }))
    }

    /// The client chose this id after all.
    fn choose(&mut self, client: ClientId) {
        self.session.choose(client.clone(), self.hub.config.presence_grace);
        self.client = client;
    }

    fn caller(&mut self) -> Caller<'_> {
        let login = self.session.login().clone();
        let Self { session, client, ending, allowance, .. } = self;
        let bringer = Bringer::Socket { session, client, ending, allowance };
        Caller { hub: &self.hub, login, bringer }
    }

    /// Keeps what waits for the application's answer.
    fn keep(&mut self, work: Work) {
        self.session.asking(work.is_asking());
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
    async fn pump(&mut self, events: &[Event]) -> Result<(), Over> {
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
                Delivery::Ended { channel, code } => chunks.put_event(&Delivery::ended(channel, code)),
                Delivery::Messages { batch, .. } => match batch.content {
                    Content::Encoded(bytes) => chunks.put_shared(bytes),
                    // A session with an encoding is given bytes.
                    Content::Messages(_) => {}
                },
            }
        }
        let frames = chunks.into_bytes();
        if !frames.is_empty() {
            self.socket.write(frames).await?;
        }
        taken.over.map_or(Ok(()), |bye| Err(Over::Bye(bye)))
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

/// Whatever comes first: an answer, or the end of the connection.
async fn unless_over<T>(ending: &mut Ending, hub: &Hub, answer: impl Future<Output = T>) -> Result<T, Over> {
    tokio::select! {
        answer = answer => Ok(answer),
        bye = ending.due(hub) => Err(Over::Bye(bye)),
    }
}

/// Over, for whoever came is not let in.
fn refused(refused: Refused) -> Over {
    let after = refused.retry_after();
    Over::Bye(Bye { after, ..Bye::new(refused.code(), refused.message()) })
}

/// What a `hello` that said who this is left to do.
struct Hello {
    reference: Option<Ref>,
    rest: Batch,
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
        // For a peer that reads nothing holds it, and needs no room for more.
        self.shared.unwrap_or_else(|| self.own.into_boxed_slice().into())
    }
}

fn put_event(frames: &mut Vec<u8>, event: &Event) {
    metrics::told(event, Transport::Ws);
    let json = event.to_json();
    put_text_header(frames, json.len());
    frames.extend_from_slice(json.as_bytes());
}

/// The handshake's refusal, told as every other one is.
fn refusal_response(refusal: handshake::Refusal) -> Response {
    let event = Event::Error(ErrorEvent::new(Code::BadRequest, refusal.to_string()));
    let mut response = refusal.response(event.to_json());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    told(response, Code::BadRequest)
}
