//! Commands: what a client asks for. Parsed by servers, printed by clients.
//!
//! Every command of the protocol is understood here. Whether a server serves it is not decided here, nor whether a
//! payload is too large: that is the hub's.
//!
//! Source: protocol, section 4.

mod parse;
mod print;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{ClientId, Code, Ref, Secret, Start};
use crate::channel::ChannelName;
use crate::json::Json;
use crate::message::{Draft, Payload};
use crate::position::{Position, Seq};

pub use parse::parse;
pub(super) use parse::{SUBSCRIBE_TO, subscribe_to};

/// One command.
///
/// # Examples
/// ```
/// use tricast_core::protocol::{Command, command};
/// let batch = command::parse(r#"{"type":"publish","channel":"a","data":{"n":1},"ref":7}"#)?;
/// let Ok(Command::Publish(publish)) = &batch.commands[0] else { panic!() };
/// assert_eq!(publish.channel.as_str(), "a");
/// # Ok::<(), tricast_core::protocol::CommandError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// The first word on a WebSocket that has to bring a token in band.
    Hello {
        /// The token, unless the caller is anonymous.
        token: Option<Secret>,
        /// The id the client chose.
        client: Option<ClientId>,
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
    /// A fresh token on a live connection.
    Auth {
        /// The token.
        token: Secret,
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
    /// Begins to read channels.
    Subscribe {
        /// At least one; the form with a single `channel` reads the same.
        channels: Vec<SubscribeTo>,
        /// Echoed by the answers.
        reference: Option<Ref>,
    },
    /// Ends reading a channel.
    Unsubscribe {
        /// Which.
        channel: ChannelName,
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
    /// Appends a message to a channel.
    Publish(Publish),
    /// Asks for retained messages.
    History {
        /// Of which channel.
        channel: ChannelName,
        /// From where, and in which direction.
        from: HistoryFrom,
        /// At most how many: 1 to 1,000.
        limit: u64,
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
    /// Asks who is there, and may change what the caller's own member shows.
    Presence {
        /// On which channel.
        channel: ChannelName,
        /// What the caller's member shows from now on.
        data: Option<Json>,
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
    /// Calls a method of the application.
    Call {
        /// Its name: 1 to 128 bytes.
        method: Box<str>,
        /// Its argument.
        data: Option<Json>,
        /// Echoed by the answer.
        reference: Option<Ref>,
    },
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
}

impl Command {
    /// The `type` as it stands on the wire.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Auth { .. } => "auth",
            Self::Subscribe { .. } => "subscribe",
            Self::Unsubscribe { .. } => "unsubscribe",
            Self::Publish(_) => "publish",
            Self::History { .. } => "history",
            Self::Presence { .. } => "presence",
            Self::Call { .. } => "call",
            Self::Ping { .. } => "ping",
            Self::Pong { .. } => "pong",
        }
    }

    /// What the answer has to echo.
    #[must_use]
    pub fn reference(&self) -> Option<&Ref> {
        match self {
            Self::Hello { reference, .. }
            | Self::Auth { reference, .. }
            | Self::Subscribe { reference, .. }
            | Self::Unsubscribe { reference, .. }
            | Self::Publish(Publish { reference, .. })
            | Self::History { reference, .. }
            | Self::Presence { reference, .. }
            | Self::Call { reference, .. }
            | Self::Ping { reference }
            | Self::Pong { reference } => reference.as_ref(),
        }
    }

    /// The one channel that it is about; `None` if there is none, or several.
    #[must_use]
    pub fn channel(&self) -> Option<&ChannelName> {
        match self {
            Self::Unsubscribe { channel, .. }
            | Self::Publish(Publish { channel, .. })
            | Self::History { channel, .. }
            | Self::Presence { channel, .. } => Some(channel),
            Self::Subscribe { channels, .. } => match channels.as_slice() {
                [only] => Some(&only.name),
                _ => None,
            },
            Self::Hello { .. } | Self::Auth { .. } | Self::Call { .. } | Self::Ping { .. } | Self::Pong { .. } => None,
        }
    }
}

/// One channel that somebody wants to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeTo {
    /// Which.
    pub name: ChannelName,
    /// Where to begin without a position; `None` is the default of the channel's kind.
    pub start: Option<Start>,
    /// What the reader's presence member shows.
    pub presence: Option<Json>,
}

impl SubscribeTo {
    /// A subscription that begins where the channel's kind says.
    #[must_use]
    pub fn new(name: ChannelName) -> Self {
        Self { name, start: None, presence: None }
    }
}

/// A message to append, or on a state a key to remove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// To which channel.
    pub channel: ChannelName,
    /// What it carries; `None` is a deletion, which has a `key`.
    pub payload: Option<Payload>,
    /// The name of what happened.
    pub event: Option<Box<str>>,
    /// Makes it idempotent.
    pub id: Option<Box<str>>,
    /// The key, on a state.
    pub key: Option<Box<str>>,
    /// When the key leaves by itself, on a state; at least a millisecond.
    pub ttl: Option<Duration>,
    /// The `if`: the seq that the key's present message must have, 0 if the key must be absent.
    pub condition: Option<Seq>,
    /// Echoed by the answer.
    pub reference: Option<Ref>,
}

impl Publish {
    /// A message without anything optional.
    #[must_use]
    pub fn new(channel: ChannelName, payload: Payload) -> Self {
        Self {
            channel,
            payload: Some(payload),
            event: None,
            id: None,
            key: None,
            ttl: None,
            condition: None,
            reference: None,
        }
    }

    /// The message as a draft. Whether it suits the channel is told by [`Draft::check`].
    pub fn into_draft(self) -> Draft {
        let Self { payload, event, id, key, ttl, condition, .. } = self;
        let ttl_ms = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        Draft { payload, event, id, key: key.map(Arc::from), user: None, ttl_ms, condition, hold: None }
    }
}

/// Which of the retained messages a `history` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HistoryFrom {
    /// The newest.
    Newest,
    /// The newest before this position, which is not among them.
    Before(Position),
    /// The oldest after this position, which is not among them.
    After(Position),
}

/// What one frame or body brought.
#[derive(Debug)]
pub struct Batch {
    /// Whether it was a single object, not an array: then the HTTP status follows its outcome.
    pub single: bool,
    /// The commands in order, 1 to 64. A bad element of an array is an error for that element only.
    pub commands: Vec<Result<Command, CommandError>>,
}

/// A command that is none: the `error` event to answer it with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Always `bad_request` where it comes from parsing.
    pub code: Code,
    /// The command's `ref`, if that much could be read.
    pub reference: Option<Ref>,
    /// The command's `channel`, if that much could be read.
    pub channel: Option<ChannelName>,
    /// What is wrong, naming the field.
    pub message: String,
}

impl fmt::Display for Command {
    /// Writes the type, and nothing that was said in confidence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.type_name())
    }
}
