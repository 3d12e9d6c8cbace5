//! Events: what a server tells. Printed by servers, parsed by clients.
//!
//! Source: protocol, section 3.

mod parse;
mod print;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{ClientId, Code, CommandError, QueryError, Ref, VERSION};
use crate::channel::{ChannelName, Kind};
use crate::json::Json;
use crate::message::{Fields, Message, Payload};
use crate::position::{Epoch, Position, Seq};

pub use parse::EventError;

/// One event.
///
/// # Examples
/// ```
/// use tricast_core::protocol::{Code, Event, event::Bye};
/// let bye = Event::Bye(Bye::new(Code::Forbidden, "no right to read"));
/// let text = r#"{"type":"bye","code":"forbidden","reason":"no right to read","reconnect":false}"#;
/// assert_eq!(bye.to_json(), text);
/// assert_eq!(Event::parse(text)?, Some(bye));
/// assert_eq!(Event::parse(r#"{"type":"of a later version"}"#)?, None);
/// # Ok::<(), tricast_core::protocol::event::EventError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The caller is accepted.
    Welcome(Welcome),
    /// Delivery of a channel starts.
    Subscribed(Subscribed),
    /// A message.
    Message(MessageEvent),
    /// Continuity is broken.
    Gap(Gap),
    /// A state's snapshot is complete.
    Live {
        /// Of which channel.
        channel: ChannelName,
        /// Where the reader stands.
        position: Position,
    },
    /// No message of this subscription follows.
    Unsubscribed(Unsubscribed),
    /// A message is in the log.
    Published(Published),
    /// Retained messages.
    History(History),
    /// Who is there.
    Presence(Presence),
    /// What a call returned.
    Result {
        /// That of the `call`.
        reference: Option<Ref>,
        /// The value.
        data: Json,
    },
    /// A command or a subscription failed; the connection lives on.
    Error(ErrorEvent),
    /// Asks for a sign of life.
    Ping {
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
    /// Gives a sign of life.
    Pong {
        /// That of the `ping`.
        reference: Option<Ref>,
    },
    /// Last words before the server ends the connection.
    Bye(Bye),
}

impl Event {
    /// The `type` as it stands on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::Subscribed(_) => "subscribed",
            Self::Message(_) => "message",
            Self::Gap(_) => "gap",
            Self::Live { .. } => "live",
            Self::Unsubscribed(_) => "unsubscribed",
            Self::Published(_) => "published",
            Self::History(_) => "history",
            Self::Presence(_) => "presence",
            Self::Result { .. } => "result",
            Self::Error(_) => "error",
            Self::Ping { .. } => "ping",
            Self::Pong { .. } => "pong",
            Self::Bye(_) => "bye",
        }
    }
}

/// The caller is accepted, and this is how the server works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The version of the protocol: [`VERSION`].
    pub version: u64,
    /// The caller's client id, chosen by the caller or, where it chose none, by the server.
    pub client: ClientId,
    /// Who the caller is, if that is known.
    pub user: Option<Box<str>>,
    /// How long a side may be silent, to the millisecond.
    pub heartbeat: Duration,
    /// How long the caller's token lasts, to the millisecond.
    pub expires_in: Option<Duration>,
    /// The server's time: milliseconds since the Unix epoch.
    pub time: u64,
    /// What the caller has to keep to.
    pub limits: Limits,
    /// That of the `hello` or `auth`.
    pub reference: Option<Ref>,
}

impl Welcome {
    /// A welcome to an anonymous caller.
    #[must_use]
    pub fn new(client: ClientId, heartbeat: Duration, time: u64, limits: Limits) -> Self {
        Self { version: VERSION, client, user: None, heartbeat, expires_in: None, time, limits, reference: None }
    }
}

/// What a caller has to keep to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a payload, as stored.
    pub message: u64,
    /// Channels of one connection.
    pub channels: u64,
    /// Commands of one array.
    pub batch: u64,
}

/// Delivery of a channel starts after `position`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscribed {
    /// The channel.
    pub channel: ChannelName,
    /// What it keeps.
    pub kind: Kind,
    /// After what delivery starts.
    pub position: Position,
    /// Where the log stands; a stream's reader is caught up there.
    pub head: Position,
    /// Only where the reader brought a position: whether it is continued without loss.
    pub recovered: Option<bool>,
    /// That of the `subscribe`.
    pub reference: Option<Ref>,
}

/// A message with all that it says about itself, owned: what a client is told.
///
/// A server prints messages straight from the log, by [`Message::fields`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageEvent {
    /// The channel.
    pub channel: ChannelName,
    /// The epoch of the seq.
    pub epoch: Epoch,
    /// The number in the log.
    pub seq: Seq,
    /// What it carries; `None` for a deletion.
    pub payload: Option<Payload>,
    /// When it was appended, by the log's clock: milliseconds since the Unix epoch.
    pub at: u64,
    /// The name of what happened.
    pub event: Option<Box<str>>,
    /// The publisher's id of it.
    pub id: Option<Box<str>>,
    /// The key, on a state.
    pub key: Option<Box<str>>,
    /// The publisher.
    pub user: Option<Box<str>>,
}

impl MessageEvent {
    /// The event of a message in the log of `channel`.
    #[must_use]
    pub fn of(message: &Message, channel: &ChannelName, epoch: Epoch) -> Self {
        let fields = message.fields(channel, epoch);
        Self {
            channel: channel.clone(),
            epoch,
            seq: fields.seq,
            payload: fields.payload.cloned(),
            at: fields.at,
            event: fields.event.map(Box::from),
            id: fields.id.map(Box::from),
            key: fields.key.map(Box::from),
            user: fields.user.map(Box::from),
        }
    }

    /// Where a reader stands who has it.
    #[must_use]
    pub const fn position(&self) -> Position {
        Position::new(self.epoch, self.seq)
    }

    /// The fields, borrowed.
    #[must_use]
    pub fn fields(&self) -> Fields<'_> {
        Fields {
            channel: self.channel.as_str(),
            epoch: self.epoch,
            seq: self.seq,
            payload: self.payload.as_ref(),
            at: self.at,
            event: self.event.as_deref(),
            id: self.id.as_deref(),
            key: self.key.as_deref(),
            user: self.user.as_deref(),
        }
    }
}

/// Continuity is broken: the reader stands at `position` now, wherever it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The channel.
    pub channel: ChannelName,
    /// Replaces the reader's position, also backwards.
    pub position: Position,
    /// Where the log stands.
    pub head: Position,
    /// Why.
    pub reason: GapReason,
}

/// Why a position could not be continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// What follows the position is not retained any more.
    Expired,
    /// The position is of an epoch that ended.
    Epoch,
    /// The position cannot be read, or says more than the log ever held.
    Unknown,
}

impl GapReason {
    /// The reason as it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Epoch => "epoch",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for GapReason {
    type Err = UnknownGapReason;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Expired, Self::Epoch, Self::Unknown]
            .into_iter()
            .find(|reason| reason.as_str() == text)
            .ok_or(UnknownGapReason)
    }
}

/// A text that is no reason of a gap in this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of expired, epoch and unknown")]
pub struct UnknownGapReason;

/// A subscription ended: asked for, or (with a code) done by the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsubscribed {
    /// The channel.
    pub channel: ChannelName,
    /// Why the server did it.
    pub code: Option<Code>,
    /// That of the `unsubscribe`.
    pub reference: Option<Ref>,
}

/// A message is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// That of the `publish`.
    pub reference: Option<Ref>,
    /// The channel.
    pub channel: ChannelName,
    /// Where.
    pub position: Position,
    /// Whether it was there already under its id.
    pub duplicate: bool,
}

/// Retained messages, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// That of the `history`.
    pub reference: Option<Ref>,
    /// The channel.
    pub channel: ChannelName,
    /// The messages, oldest first.
    pub messages: Vec<MessageEvent>,
    /// Where the last message returned stands.
    pub position: Position,
    /// Whether more is retained in the direction that was asked for.
    pub more: bool,
    /// Whether messages after the `after` of the question are gone.
    pub gap: bool,
}

/// Who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence {
    /// That of the `presence`.
    pub reference: Option<Ref>,
    /// The channel.
    pub channel: ChannelName,
    /// The members.
    pub members: Vec<Member>,
}

/// One who is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its client id.
    pub client: ClientId,
    /// Its user, if signed in.
    pub user: Option<Box<str>>,
    /// What it shows.
    pub data: Option<Json>,
    /// Since when: milliseconds since the Unix epoch.
    pub since: u64,
}

/// A command or a subscription failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorEvent {
    /// That of the command.
    pub reference: Option<Ref>,
    /// The channel it was about.
    pub channel: Option<ChannelName>,
    /// Why.
    pub code: Code,
    /// Why, for a developer to read.
    pub message: Box<str>,
    /// How long to wait before trying again, to the millisecond.
    pub retry_after: Option<Duration>,
}

impl ErrorEvent {
    /// An error that concerns neither a command nor a channel.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self { reference: None, channel: None, code, message: message.into(), retry_after: None }
    }
}

impl From<CommandError> for ErrorEvent {
    fn from(error: CommandError) -> Self {
        let CommandError { code, reference, channel, message } = error;
        Self { reference, channel, code, message: message.into(), retry_after: None }
    }
}

impl From<QueryError> for ErrorEvent {
    fn from(error: QueryError) -> Self {
        let QueryError { code, channel, message } = error;
        Self { reference: None, channel, code, message: message.into(), retry_after: None }
    }
}

/// Last words before the server ends the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub code: Code,
    /// Why, for a developer to read.
    pub reason: Box<str>,
    /// Whether coming back is any use.
    pub reconnect: bool,
    /// How long to stay away first, in whole milliseconds.
    pub after: Option<Duration>,
}

impl Bye {
    /// Last words with the `reconnect` that the code stands for.
    #[must_use]
    pub fn new(code: Code, reason: impl Into<Box<str>>) -> Self {
        Self { code, reason: reason.into(), reconnect: code.reconnect(), after: None }
    }
}
