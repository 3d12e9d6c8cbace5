//! The one subscribe query: what a reader wants, on whichever transport, in a URL or in a body.
//!
//! A cursor is read as a set and never fails; everything else that is malformed is an error that names the culprit.
//! Of a parameter that stands twice the last counts, except `channel`, which is a list.
//!
//! Source: protocol, section 2.

use std::collections::HashSet;
use std::time::Duration;

use super::command::{SUBSCRIBE_TO, subscribe_to};
use super::read::{Fault, Object, check_depth, elements, required, text};
use super::{ClientId, Code, Start, SubscribeTo};
use crate::channel::ChannelName;
use crate::limits::{CHANNELS_PER_GET, CURSOR_BYTES_PER_CHANNEL, QUERY_BYTES, WAIT_DEFAULT_SECONDS, WAIT_MAX_SECONDS};
use crate::position::Cursor;

/// Who asks: some parameters are read by one transport only, and unknown to the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint<'a> {
    /// `ws`: it may name no channel at all.
    Ws,
    /// `sse`: reads `envelope`.
    Sse {
        /// What the `Last-Event-ID` header says; it wins over `cursor` unless it is empty.
        last_event_id: Option<&'a str>,
    },
    /// `poll`: reads `wait`.
    Poll,
}

/// What a reader wants.
///
/// # Examples
/// ```
/// use tricast_core::protocol::{Endpoint, Start, SubscribeQuery};
/// let query = SubscribeQuery::parse_get("channel=a&channel=b%3A1&from=last:20&wait=5", Endpoint::Poll)?;
/// assert_eq!(query.channels[1].name.as_str(), "b:1");
/// assert_eq!(query.channels[1].start, Some(Start::Last(20)));
/// assert_eq!((query.wait.as_secs(), query.cursor), (5, None));
/// # Ok::<(), tricast_core::protocol::QueryError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeQuery {
    /// The channels in the order in which they were asked for, each once; empty on `ws` only.
    pub channels: Vec<SubscribeTo>,
    /// What the reader has; `None` where it brought no cursor, not even an empty one.
    pub cursor: Option<Cursor>,
    /// The id it chose.
    pub client: Option<ClientId>,
    /// Whether it asked for envelope mode; a body always does.
    pub envelope: bool,
    /// How long a poll may be held.
    pub wait: Duration,
}

impl SubscribeQuery {
    /// Reads the query string of a GET request, without its `?`.
    ///
    /// # Errors
    /// It is longer than [`QUERY_BYTES`], a parameter is malformed, a channel stands twice or is missing (`bad_request`),
    /// or there are more than [`CHANNELS_PER_GET`] (`too_many_channels`).
    pub fn parse_get(query: &str, endpoint: Endpoint<'_>) -> Result<Self, QueryError> {
        if query.len() > QUERY_BYTES {
            return Err(Fault(format!("the query has more than {QUERY_BYTES} bytes")).into());
        }
        let mut names = Vec::new();
        let (mut cursor, mut from, mut client, mut envelope, mut wait) = (None, None, None, None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "channel" if names.len() == CHANNELS_PER_GET => return Err(too_many(CHANNELS_PER_GET)),
                "channel" => names.push(value),
                "cursor" => cursor = Some(value),
                "from" => from = Some(value),
                "client" => client = Some(value),
                "envelope" if matches!(endpoint, Endpoint::Sse { .. }) => envelope = Some(value),
                "wait" if endpoint == Endpoint::Poll => wait = Some(value),
                _ => {}
            }
        }
        let start = from.as_deref().map(start_without_position).transpose()?;
        let mut channels = Vec::with_capacity(names.len());
        for name in &names {
            let name = name.parse().map_err(|error| Fault::field("channel", error))?;
            channels.push(SubscribeTo { start, ..SubscribeTo::new(name) });
        }
        if channels.is_empty() && endpoint != Endpoint::Ws {
            return Err(Fault::missing("channel").into());
        }
        check_distinct(&channels)?;
        let header = match endpoint {
            Endpoint::Sse { last_event_id } => last_event_id.filter(|id| !id.is_empty()),
            Endpoint::Ws | Endpoint::Poll => None,
        };
        Ok(Self {
            channels,
            cursor: header.or(cursor.as_deref()).map(Cursor::parse_get),
            client: client.map(|id| id.parse().map_err(|error| Fault::field("client", error))).transpose()?,
            envelope: envelope.as_deref().map_or(Ok(false), envelope_asked)?,
            wait: wait.as_deref().map_or(Ok(WAIT_DEFAULT), wait_asked)?,
        })
    }

    /// Reads the body of a POST request to `sse` or `poll`, of a caller that may have `max_channels`.
    ///
    /// # Errors
    /// The body is no JSON object, a field is malformed, a channel stands twice or is missing (`bad_request`), or
    /// there are more than `max_channels` (`too_many_channels`).
    pub fn parse_post(body: &str, endpoint: Endpoint<'_>, max_channels: usize) -> Result<Self, QueryError> {
        const WHAT: &str = "the body";
        let object = Object::parse(body, WHAT, &["channels", "cursor", "client", "wait"])?;
        check_depth(body, WHAT)?;
        let mut channels = Vec::new();
        let mut overflow = false;
        elements(required("channels", object.get("channels"))?, "channels", |entry| {
            if channels.len() == max_channels {
                overflow = true;
                return Err(Fault::new("too many"));
            }
            let at = format!("channels[{}]", channels.len());
            let entry = Object::parse(entry, &at, SUBSCRIBE_TO)?;
            channels.push(subscribe_to("name", &entry).map_err(|fault| fault.within(at))?);
            Ok(())
        })
        .map_err(|fault| if overflow { too_many(max_channels) } else { fault.into() })?;
        if channels.is_empty() {
            return Err(Fault::new("channels is empty").into());
        }
        check_distinct(&channels)?;
        let wait = if endpoint == Endpoint::Poll { object.seconds("wait")? } else { None };
        Ok(Self {
            channels,
            cursor: cursor_of_body(&object, max_channels.saturating_mul(CURSOR_BYTES_PER_CHANNEL))?,
            client: object.parsed("client")?,
            envelope: true,
            wait: bounded_wait(wait.unwrap_or(WAIT_DEFAULT))?,
        })
    }
}

/// A query that says nothing usable: the `error` or `bye` to answer it with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// `bad_request` or `too_many_channels`.
    pub code: Code,
    /// The channel that is the culprit.
    pub channel: Option<ChannelName>,
    /// What is wrong, naming the parameter or field.
    pub message: String,
}

impl From<Fault> for QueryError {
    fn from(fault: Fault) -> Self {
        Self { code: Code::BadRequest, channel: None, message: fault.0 }
    }
}

const WAIT_DEFAULT: Duration = Duration::from_secs(WAIT_DEFAULT_SECONDS);

fn too_many(most: usize) -> QueryError {
    let message = format!("more than {most} channels");
    QueryError { code: Code::TooManyChannels, channel: None, message }
}

fn check_distinct(channels: &[SubscribeTo]) -> Result<(), QueryError> {
    let mut seen = HashSet::with_capacity(channels.len());
    match channels.iter().find(|channel| !seen.insert(&channel.name)) {
        None => Ok(()),
        Some(SubscribeTo { name, .. }) => Err(QueryError {
            code: Code::BadRequest,
            channel: Some(name.clone()),
            message: format!("the channel {name} stands twice"),
        }),
    }
}

/// In a URL a position is said by `cursor`, which is matched to the channels by epoch.
fn start_without_position(text: &str) -> Result<Start, Fault> {
    match text.parse() {
        Ok(Start::At(_)) => Err(Fault::field("from", "a position belongs into cursor, or into a body")),
        Ok(start) => Ok(start),
        Err(error) => Err(Fault::field("from", error)),
    }
}

fn envelope_asked(text: &str) -> Result<bool, Fault> {
    match text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => Err(Fault::new("envelope must be 1 or 0")),
    }
}

fn wait_asked(text: &str) -> Result<Duration, Fault> {
    let decimal =
        text.starts_with(|c: char| c.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    match text.parse().ok().filter(|_| decimal).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(wait) => bounded_wait(wait),
        None => Err(wait_outside()),
    }
}

fn bounded_wait(wait: Duration) -> Result<Duration, Fault> {
    if wait <= Duration::from_secs(WAIT_MAX_SECONDS) { Ok(wait) } else { Err(wait_outside()) }
}

fn wait_outside() -> Fault {
    Fault(format!("wait must be 0 to {WAIT_MAX_SECONDS} seconds"))
}

/// A string that no text can be made of is as unreadable as any other that holds no positions.
fn cursor_of_body(object: &Object<'_>, max_bytes: usize) -> Result<Option<Cursor>, Fault> {
    match object.get("cursor") {
        None => Ok(None),
        Some(raw) if raw.starts_with('"') => {
            Ok(Some(Cursor::parse(text(raw).as_deref().unwrap_or("unreadable"), max_bytes)))
        }
        Some(_) => Err(Fault::new("cursor must be a string")),
    }
}
