//! A channel that is read: a stream of typed events.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_util::Stream;
use tricast_core::channel::ChannelName;
use tricast_core::json::Json;
use tricast_core::position::Position;
use tricast_core::protocol::Start;

use crate::client::Handle;
use crate::engine::Wish;
use crate::error::SubscribeError;
use crate::event::Event;
use crate::inbox::{End, Inbox, Taken};

/// A channel that may be subscribed to.
#[must_use]
pub struct Channel {
    name: ChannelName,
    presence: Option<Json>,
    handle: Arc<Handle>,
}

impl Channel {
    pub(crate) fn new(name: ChannelName, handle: Arc<Handle>) -> Self {
        Self { name, presence: None, handle }
    }

    /// What the member that this client is shows to the others, where the channel keeps presence.
    pub fn presence(mut self, shown: Json) -> Self {
        self.presence = Some(shown);
        self
    }

    /// Begins to read: from a start, or with `None` where the channel's kind says (a stream from now on, a state from its
    /// snapshot). [`Start::At`] goes on after a position that an earlier [`Subscription::position`] told.
    ///
    /// Waits until the server lets the channel be read, for as long as there is no server: [`Client::states`] tells how that
    /// goes, and dropping the future stops waiting.
    ///
    /// [`Client::states`]: crate::Client::states
    ///
    /// # Errors
    /// The server refused for good, this client reads the channel already, or it is closed.
    ///
    /// # Cancel safety
    /// Dropping it ends the subscription.
    pub async fn subscribe(self, start: impl Into<Option<Start>>) -> Result<Subscription, SubscribeError> {
        let Self { name, presence, handle } = self;
        let inbox = Arc::new(Inbox::new(handle.buffer));
        let wish = Wish { start: start.into(), presence, inbox: Arc::clone(&inbox) };
        handle.shared.with(|engine, _| engine.subscribe(&name, wish))?;
        let subscription = Subscription { name, inbox, handle, position: None };
        match poll_fn(|cx| subscription.inbox.poll_accepted(cx)).await {
            Ok(()) => Ok(subscription),
            Err(End::Refused(refusal)) => Err(SubscribeError::Refused { channel: subscription.name.clone(), refusal }),
            Err(End::Closed(closed)) => Err(SubscribeError::Closed { channel: subscription.name.clone(), closed }),
        }
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A channel that is read, as a stream of [`Event`]s. Reading ends when it is dropped.
///
/// # Slow readers
/// What is not taken waits in a bounded buffer. While that is full the channel is read no further, and what follows stays in
/// the channel's log; once half is taken reading goes on there. A reader that is slower than the log forgets is told by
/// [`Event::Gap`]. Nothing is lost without it.
///
/// # Lost connections
/// Reading goes on after the last message, over whatever transport works next: [`Event::Subscribed`] tells of it. A message
/// is told once.
///
/// # The end
/// After [`Event::Unsubscribed`] the stream ends: the server has ended the subscription, or the client was closed.
pub struct Subscription {
    name: ChannelName,
    inbox: Arc<Inbox>,
    handle: Arc<Handle>,
    position: Option<Position>,
}

impl Subscription {
    /// The channel's name.
    #[must_use]
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Where a reader stands who has handled what was taken so far: kept by the application, it is where
    /// [`Start::At`] goes on later. `None` before the first event.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    /// The next event; `None` once it is over. The position has moved before it is given.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll_event(cx)).await
    }

    fn poll_event(&mut self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let Some(Taken { item, resume }) = ready!(self.inbox.poll_take(cx)) else { return Poll::Ready(None) };
        if resume {
            self.handle.shared.with(|engine, _| engine.resume(&self.name));
        }
        self.position = item.position.or(self.position);
        Poll::Ready(Some(item.event))
    }
}

impl Stream for Subscription {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll_event(cx)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.handle.shared.with(|engine, now| engine.leave(&self.name, &self.inbox, now));
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("name", &self.name)
            .field("position", &self.position)
            .finish_non_exhaustive()
    }
}
