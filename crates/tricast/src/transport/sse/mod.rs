//! Server-sent events: raw, for a plain `EventSource`, and as envelopes, for our client.
//!
//! The bytes are our own, not axum's `Sse`: a batch is encoded once for all readers, the headers keep proxies from
//! buffering, and nothing in an event can break its line.

mod in_flight;
mod stream;

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::response::Response;
use http::request::Parts;
use http::{HeaderMap, Method};
use tricast_core::access::{Action, Identity};
use tricast_core::channel::Kind;
use tricast_core::position::Cursor;
use tricast_core::protocol::{ClientId, Code, Endpoint, Start, SubscribeQuery, SubscribeTo};

use super::preflight;
use super::query::{self, Asked, Reading};
use super::refusal::Refusal;
use crate::auth::Login;
use crate::hub::Hub;
use stream::{EventStream, Mode};

/// Answers `GET sse` and `POST sse`.
pub(crate) async fn sse(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return preflight(query::METHODS);
    }
    let posted = request.method() == Method::POST;
    let uri = request.uri().clone();
    let Asked { ticket, login, query } = match query::read(&hub, Reading::Sse, request).await {
        Ok(asked) => asked,
        Err(refusal) => {
            // Nobody could say who this is: what is told has the form of what was asked for, and that is all.
            return match uri.query().map(|query| SubscribeQuery::parse_get(query, Endpoint::Poll)) {
                Some(Ok(query)) if !posted && refusal.code().may_retry_as_is() => {
                    let mode = mode(&hub, &Identity::Server, &query);
                    EventStream::new(hub, Login::default(), mode, query).turned_away(refusal).into_response()
                }
                _ => refusal.response(),
            };
        }
    };
    let mode = if posted { Mode::Envelope } else { mode(&hub, &login.who, &query) };
    let mut stream = EventStream::new(hub, login, mode, query).holding(ticket);
    match stream.ask().await {
        Ok(()) if posted => post(stream).await,
        Ok(()) => stream.into_response(),
        // Any other status than 200 would end an `EventSource` for good.
        Err(refusal) if !posted && refusal.code().may_retry_as_is() => stream.turned_away(refusal).into_response(),
        Err(refusal) => refusal.response(),
    }
}

/// By POST a failure is told by its status, so the stream is opened before the response begins.
async fn post(mut stream: EventStream) -> Response {
    match stream.open().await {
        Ok(()) => stream.into_response(),
        Err(refusal) => refusal.response(),
    }
}

/// Raw is for a single stream, unless the reader wants envelopes.
fn mode(hub: &Hub, who: &Identity, query: &SubscribeQuery) -> Mode {
    match query.channels.as_slice() {
        [only] if !query.envelope => match hub.allow(who, Action::Subscribe, &only.name) {
            Ok(topic) if topic.rule.kind() == Kind::Stream => Mode::Raw,
            _ => Mode::EnvelopeWithIds,
        },
        _ => Mode::EnvelopeWithIds,
    }
}

/// What [`crate::Tricast::sse`] needs of a request on the application's own route. An extractor, of any state.
#[derive(Debug, Clone, Default)]
pub struct SseRequest {
    last_event_id: Option<String>,
}

impl SseRequest {
    /// Takes it from a request's headers.
    #[must_use]
    pub fn from_headers(headers: &HeaderMap) -> Self {
        Self { last_event_id: query::last_event_id(headers) }
    }
}

impl<S: Sync> FromRequestParts<S> for SseRequest {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::from_headers(&parts.headers))
    }
}

/// An SSE stream in the making, on the application's own route. Made by [`crate::Tricast::sse`].
///
/// One stream channel gives the raw form that suits `new EventSource(url)`: `data:` is the payload, `id:` the position
/// that the browser brings back by itself. More channels give envelopes.
#[derive(Debug)]
#[must_use = "nothing is answered before `respond`"]
pub struct SseResponse {
    hub: Arc<Hub>,
    request: SseRequest,
    channels: Vec<String>,
    start: Option<Start>,
    envelope: bool,
}

impl SseResponse {
    pub(crate) fn new(hub: Arc<Hub>, request: SseRequest) -> Self {
        Self { hub, request, channels: Vec::new(), start: None, envelope: false }
    }

    /// Adds a channel.
    pub fn channel(mut self, name: impl Into<String>) -> Self {
        self.channels.push(name.into());
        self
    }

    /// Says where a reader starts that brings no position. Default: the latest, on a stream.
    pub fn start(mut self, start: Start) -> Self {
        self.start = Some(start);
        self
    }

    /// Sends envelopes for a single channel too.
    pub fn envelope(mut self) -> Self {
        self.envelope = true;
        self
    }

    /// Answers: the stream, or what is wrong with it (400 for a malformed name, 404 where no rule matches).
    ///
    /// The log is opened when the body is first read.
    #[must_use]
    pub fn respond(self) -> Response {
        let login = Login::server();
        let query = match self.query(&login.who) {
            Ok(query) => query,
            Err(refusal) => return refusal.response(),
        };
        let mode = mode(&self.hub, &login.who, &query);
        let ticket = self.hub.admit_from(None, &login.who);
        let stream = EventStream::new(self.hub, login, mode, query);
        match ticket {
            Ok(ticket) => stream.holding(ticket).into_response(),
            Err(refused) => stream.turned_away(Refusal::of_caller(refused)).into_response(),
        }
    }

    fn query(&self, who: &Identity) -> Result<SubscribeQuery, Refusal> {
        let mut channels: Vec<SubscribeTo> = Vec::with_capacity(self.channels.len());
        for name in &self.channels {
            let name = name.parse().map_err(|error| Refusal::new(Code::BadRequest, format!("channel: {error}")))?;
            if let Err(code) = self.hub.allow(who, Action::Subscribe, &name) {
                return Err(Refusal::of_channel(name, code));
            }
            if channels.iter().any(|to| to.name == name) {
                return Err(Refusal::new(Code::BadRequest, format!("the channel {name} stands twice")));
            }
            channels.push(SubscribeTo { start: self.start, ..SubscribeTo::new(name) });
        }
        let most = self.hub.config.channels_per_connection;
        if channels.len() > most {
            return Err(Refusal::new(Code::TooManyChannels, format!("more than {most} channels")));
        }
        if channels.is_empty() {
            return Err(Refusal::new(Code::BadRequest, "channel is missing"));
        }
        let last_event_id = self.request.last_event_id.as_deref().filter(|id| !id.is_empty());
        Ok(SubscribeQuery {
            channels,
            cursor: last_event_id.map(Cursor::parse_get),
            client: None::<ClientId>,
            envelope: self.envelope,
            wait: std::time::Duration::ZERO,
        })
    }
}
