//! What may go wrong, per operation.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tricast_core::channel::{ChannelName, NameError};
use tricast_core::message::DraftError;
use tricast_core::protocol::event::{Bye, ErrorEvent};
use tricast_core::protocol::{Code, Retry};

/// The server's no.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// Why, for a program.
    pub code: Code,
    /// Why, for a developer to read.
    pub message: Box<str>,
    /// The channel it is about, where it is about one.
    pub channel: Option<ChannelName>,
    /// How long the server asks to wait before the next try.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self { code, message: message.into(), channel: None, retry_after: None }
    }

    pub(crate) fn about(self, channel: &ChannelName) -> Self {
        Self { channel: Some(channel.clone()), ..self }
    }

    /// Whether the same may succeed later without anything new from the application.
    #[must_use]
    pub fn may_retry(&self) -> bool {
        self.code.may_retry_as_is()
    }

    /// Whether another token may help.
    pub(crate) fn is_about_token(&self) -> bool {
        self.code.retry() == Retry::NewToken
    }
}

impl From<ErrorEvent> for Refusal {
    fn from(event: ErrorEvent) -> Self {
        let ErrorEvent { code, message, channel, retry_after, .. } = event;
        Self { code, message, channel, retry_after }
    }
}

impl From<Bye> for Refusal {
    fn from(bye: Bye) -> Self {
        Self { code: bye.code, message: bye.reason, channel: None, retry_after: bye.after }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        match &self.channel {
            Some(channel) if !self.message.contains(channel.as_str()) => write!(f, " (channel {channel})"),
            _ => Ok(()),
        }
    }
}

impl Error for Refusal {}

/// Why there is no connection.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The server said no.
    #[error("the server refused")]
    Refused(#[source] Refusal),
    /// Nothing that a Tricast server says came through: refused, cut, silent, or not understood.
    #[error("no answer of a Tricast server: {what}")]
    Unreachable {
        /// What came instead.
        what: Box<str>,
        /// How long whoever answered asks to wait.
        retry_after: Option<Duration>,
    },
    /// The transport cannot carry what is to be told; another one may.
    #[error("the transport cannot carry it: {what}")]
    Unfit {
        /// What was too much for it.
        what: Box<str>,
    },
    /// The application's token source gave none.
    #[error("the token source failed")]
    Token(#[source] Arc<dyn Error + Send + Sync>),
}

impl Failure {
    pub(crate) fn unreachable(what: impl fmt::Display) -> Self {
        Self::Unreachable { what: what.to_string().into(), retry_after: None }
    }

    /// How long somebody asked to wait.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            Self::Unreachable { retry_after, .. } => *retry_after,
            Self::Unfit { .. } | Self::Token(_) => None,
        }
    }
}

/// A token source's timeout.
#[derive(Debug, thiserror::Error)]
#[error("it gave no token within {} seconds", .0.as_secs())]
pub(crate) struct TokenTimeout(pub(crate) Duration);

/// A token that no header can carry.
#[derive(Debug, thiserror::Error)]
#[error("the token has characters that do not belong into a header")]
pub(crate) struct TokenForm;

/// Why a client could not be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// The address is not one of a mount point.
    #[error("{url:?} is not the URL of a mount point, such as http://127.0.0.1:8000/rt")]
    Url {
        /// What was given.
        url: Box<str>,
        /// What is wrong with it, where that is known.
        source: Option<http::uri::InvalidUri>,
    },
    /// The address asks for TLS, and the crate was built without its feature `tls`.
    #[error("{url:?} needs the feature `tls`, without which this program was built")]
    NoTls {
        /// What was given.
        url: Box<str>,
    },
    /// The certificates to trust cannot be read.
    #[error("the certificates to trust cannot be read")]
    Certificates(#[source] std::io::Error),
    /// The list of transports is empty.
    #[error("no transport is to be tried")]
    NoTransport,
    /// A client needs a running tokio runtime.
    #[error("there is no tokio runtime here")]
    NoRuntime,
}

/// Why a subscription did not come about.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// This client reads the channel already.
    #[error("the channel {channel} is subscribed already by this client")]
    Twice {
        /// The channel.
        channel: ChannelName,
    },
    /// The server refused, for good.
    #[error("cannot subscribe to {channel}")]
    Refused {
        /// The channel.
        channel: ChannelName,
        /// What the server said.
        #[source]
        refusal: Refusal,
    },
    /// The client is closed.
    #[error("cannot subscribe to {channel}")]
    Closed {
        /// The channel.
        channel: ChannelName,
        /// Why.
        #[source]
        closed: Closed,
    },
}

/// Why a publish was not acknowledged.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The channel's name cannot be one.
    #[error("cannot publish to {channel:?}")]
    Name {
        /// What was given.
        channel: Box<str>,
        /// What is wrong with it.
        #[source]
        source: NameError,
    },
    /// The message cannot be one.
    #[error("cannot publish to {channel}")]
    Draft {
        /// The channel.
        channel: ChannelName,
        /// What is wrong with it.
        #[source]
        source: DraftError,
    },
    /// Too many publishes wait for their acknowledgement; this one was not taken.
    #[error("cannot publish to {channel}: {most} publishes wait already")]
    OutboxFull {
        /// The channel.
        channel: ChannelName,
        /// How many may wait.
        most: usize,
    },
    /// The server refused; the message is not in the log.
    #[error("cannot publish to {channel}")]
    Refused {
        /// The channel.
        channel: ChannelName,
        /// What the server said.
        #[source]
        refusal: Refusal,
    },
    /// No acknowledgement came for longer than servers remember ids, so repeating it further might double it. Whether the
    /// message is in the log is not known.
    #[error("whether {id} was published to {channel} is not known")]
    OutcomeUnknown {
        /// The channel.
        channel: ChannelName,
        /// The id of the publish.
        id: Box<str>,
    },
    /// The client was closed. If it had been sent, the message may be in the log.
    #[error("cannot publish to {channel}")]
    Closed {
        /// The channel.
        channel: ChannelName,
        /// Why.
        #[source]
        closed: Closed,
    },
}

/// Why a question (`history`, `members`, `call`) was not answered.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The channel's name, or the method's, cannot be one.
    #[error("cannot ask about {about:?}: {problem}")]
    Name {
        /// What was given.
        about: Box<str>,
        /// What is wrong with it.
        problem: Box<str>,
    },
    /// The argument has no JSON form.
    #[error("the argument of {about:?} has no JSON form")]
    Argument {
        /// The method.
        about: Box<str>,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The answer is not of the type that was asked for.
    #[error("the answer about {about:?} is of another type")]
    Answer {
        /// The method.
        about: Box<str>,
        /// Why.
        #[source]
        source: Arc<serde_json::Error>,
    },
    /// The server refused.
    #[error("cannot ask about {about}")]
    Refused {
        /// The channel or the method.
        about: Box<str>,
        /// What the server said.
        #[source]
        refusal: Refusal,
    },
    /// No answer came in time, or the connection on which a call was made is lost. A call may have taken effect.
    #[error("no answer about {about}")]
    Unanswered {
        /// The channel or the method.
        about: Box<str>,
    },
    /// Too many questions wait for an answer already; this one was not asked.
    #[error("cannot ask about {about}: {most} questions wait already")]
    TooMany {
        /// The channel or the method.
        about: Box<str>,
        /// How many may wait.
        most: usize,
    },
    /// The client is closed.
    #[error("cannot ask about {about}")]
    Closed {
        /// The channel or the method.
        about: Box<str>,
        /// Why.
        #[source]
        closed: Closed,
    },
}

/// The client is closed, by the application or, for a reason, by the server.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the client is closed")]
pub struct Closed(#[source] pub Option<Failure>);
