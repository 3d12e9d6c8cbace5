//! Reading a channel inside the server, as a stream.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use futures_util::stream::{self, BoxStream, StreamExt};
use serde::de::DeserializeOwned;
use tricast_core::channel::ChannelName;
use tricast_core::log::Limit;
use tricast_core::message::{Message, Payload};
use tricast_core::position::{Epoch, Position};
use tricast_core::protocol::event::Gap;
use tricast_core::protocol::{Code, Event, Start, SubscribeTo};

use crate::auth::Login;
use crate::hub::{Content, Hub};
use crate::session::{Delivery, Session};

/// A channel's messages and gaps as a [`Stream`], without end. Made by [`crate::Channel::read`].
///
/// It holds no queue: what it has not been asked for stays in the log, and where the log forgets it, a gap says so.
///
/// # Cancel safety
/// Dropping a `next()` before it resolves loses nothing.
pub struct Reader {
    position: Position,
    items: BoxStream<'static, Item>,
}

/// What a [`Reader`] yields.
#[derive(Debug, Clone)]
pub enum Read {
    /// The next message.
    Message(ReadMessage),
    /// Continuity is broken; what follows, follows its position.
    Gap(Gap),
    /// On a state: everything that it held when the reader began, or after a gap, has been yielded.
    Live(Position),
}

/// What a reader yields, and where it stands then.
type Item = (Read, Position);

/// A message as a [`Reader`] sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ReadMessage {
    epoch: Epoch,
    message: Arc<Message>,
}

impl ReadMessage {
    /// Where it is in the log.
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.epoch, self.message.seq)
    }

    /// All of it.
    #[must_use]
    pub fn message(&self) -> &Message {
        &self.message
    }

    /// Deserializes a JSON payload.
    ///
    /// # Errors
    /// The payload is binary, or is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        match &self.message.payload {
            Some(Payload::Json(json)) => serde_json::from_str(json.as_str()),
            Some(Payload::Binary(_)) => Err(serde::de::Error::custom("the payload is binary, not JSON")),
            None => Err(serde::de::Error::custom("the message deletes its key, and carries nothing")),
        }
    }
}

/// Why a channel cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// No rule's pattern matches the channel.
    #[error("no rule matches the channel {0}")]
    UnknownChannel(ChannelName),
    /// The backplane does not answer, or this node keeps as many channels as it may.
    #[error("the channel {0} cannot be read now")]
    Unavailable(ChannelName),
}

impl Reader {
    pub(crate) async fn open(hub: Arc<Hub>, name: ChannelName, start: Start) -> Result<Self, ReadError> {
        let mut session = Session::new(hub, Login::server(), None);
        let wanted = SubscribeTo { start: Some(start), ..SubscribeTo::new(name.clone()) };
        let outcome = session.subscribe(&[wanted], None, None).await.pop();
        let begun = match outcome.map(|outcome| outcome.result) {
            Some(Ok(begun)) => begun,
            Some(Err(Code::UnknownChannel)) => return Err(ReadError::UnknownChannel(name)),
            _ => return Err(ReadError::Unavailable(name)),
        };
        let ready = begun.gap.into_iter().filter_map(gap).map(|gap| (gap, begun.position)).collect();
        let items = stream::unfold(Pages { session, ready }, next_item).boxed();
        Ok(Self { position: begun.position, items })
    }

    /// Where it stands: what it yields next comes after this. At first, where it was opened.
    ///
    /// In the middle of a state's snapshot this has a base, which the position of the message yielded last has not: who
    /// opens a reader there goes on with the snapshot.
    #[must_use]
    pub fn position(&self) -> Position {
        self.position
    }
}

impl Stream for Reader {
    type Item = Read;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Read>> {
        let item = ready!(self.items.poll_next_unpin(cx));
        Poll::Ready(item.map(|(read, position)| {
            self.position = position;
            read
        }))
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("position", &self.position).finish_non_exhaustive()
    }
}

/// One batch at a time, which is taken from the log when the one before has been yielded.
struct Pages {
    session: Session,
    ready: VecDeque<Item>,
}

async fn next_item(mut pages: Pages) -> Option<(Item, Pages)> {
    loop {
        if let Some(item) = pages.ready.pop_front() {
            return Some((item, pages));
        }
        let taken = pages.session.take(Limit::default()).await;
        pages.ready.extend(taken.deliveries.into_iter().flat_map(items));
        if pages.ready.is_empty() {
            pages.session.rung().await;
        }
    }
}

fn items(delivery: Delivery) -> Vec<Item> {
    match delivery {
        Delivery::Gap { event, position, .. } => gap(event).map(|gap| (gap, position)).into_iter().collect(),
        Delivery::Live { position, .. } => vec![(Read::Live(position), position)],
        // Nothing is taken back from the server itself.
        Delivery::Ended { .. } => Vec::new(),
        Delivery::Messages { from, batch, .. } => match batch.content {
            Content::Messages(messages) => messages
                .into_iter()
                .map(|message| {
                    let position = from.advanced(message.seq);
                    (Read::Message(ReadMessage { epoch: from.epoch, message }), position)
                })
                .collect(),
            // A session without an encoding is given messages.
            Content::Encoded(_) => Vec::new(),
        },
    }
}

fn gap(event: Event) -> Option<Read> {
    match event {
        Event::Gap(gap) => Some(Read::Gap(gap)),
        _ => None,
    }
}
