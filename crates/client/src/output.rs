//! What the engine wants done: the whole of its way to the world.

use std::task::Waker;

use tokio::sync::oneshot;
use tricast_core::position::Position;
use tricast_core::protocol::event::Welcome;
use tricast_core::protocol::{Event, Secret};

use crate::error::{AskError, Failure, PublishError};
use crate::state::State;

/// One socket or one request, by a number that is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Io(pub(crate) u64);

/// Where a POST goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Sse,
    Poll,
    Send,
}

impl Endpoint {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Poll => "poll",
            Self::Send => "send",
        }
    }
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// Open a WebSocket.
    OpenSocket { io: Io },
    /// Write a text frame to it.
    Write { io: Io, text: String },
    /// Make a request.
    Post { io: Io, endpoint: Endpoint, body: String, token: Option<Secret> },
    /// End a socket or a request; nothing that it still brings counts.
    Cancel { io: Io },
    /// Ask the application for a token.
    FetchToken,
    /// Tell what the client is doing.
    State(State),
    /// Tell somebody who waits.
    Reply(Reply),
}

/// What a socket or a request brought.
#[derive(Debug)]
pub(crate) enum Report {
    /// The socket takes frames now.
    Opened,
    /// A sign of life that says nothing else.
    Heard,
    /// An event, of a socket or of an event stream.
    Event(Event),
    /// The answer to a poll or to commands.
    Answer(Answer),
    /// It is over.
    Ended(Failure),
}

/// The whole answer to a request.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) events: Vec<Event>,
    /// How long the caller's token lasts, of a poll.
    pub(crate) expires_in: Option<std::time::Duration>,
}

/// The message is in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The id under which it was published: that of the draft, else a random one.
    pub id: Box<str>,
    /// Where it is.
    pub position: Position,
    /// It was there already under this id.
    pub duplicate: bool,
}

pub(crate) type PublishReply = oneshot::Sender<Result<Published, PublishError>>;
pub(crate) type AnswerReply = oneshot::Sender<Result<Event, AskError>>;

/// Somebody who waits, and what to tell. Sent once no lock is held.
#[derive(Debug)]
pub(crate) enum Reply {
    Published(PublishReply, Result<Published, PublishError>),
    Answer(AnswerReply, Box<Result<Event, AskError>>),
    Wake(Waker),
}

impl Reply {
    /// Tells it; who waits no more is told nothing.
    pub(crate) fn send(self) {
        match self {
            Self::Published(to, outcome) => drop(to.send(outcome)),
            Self::Answer(to, outcome) => drop(to.send(*outcome)),
            Self::Wake(waker) => waker.wake(),
        }
    }
}

/// What a welcome says that its connection has to keep to.
pub(crate) fn message_limit(welcome: &Welcome) -> usize {
    usize::try_from(welcome.limits.message).unwrap_or(usize::MAX)
}
