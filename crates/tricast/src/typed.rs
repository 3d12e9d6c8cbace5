//! Channels of one type of message: [`Channel`]`<T>`.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_util::{Stream, StreamExt as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tricast_core::log::Appended;
use tricast_core::message::Draft;
use tricast_core::position::Position;
use tricast_core::protocol::Start;
use tricast_core::protocol::event::Gap;

use crate::handle::Channel;
use crate::hub::PublishError;
use crate::reader::{Read, ReadError, ReadMessage, Reader};

impl<T: Serialize> Channel<T> {
    /// Publishes a value as the server; see [`crate::Tricast::publish`].
    ///
    /// # Errors
    /// As [`crate::Tricast::publish`], or the value cannot be serialized.
    ///
    /// # Cancel safety
    /// As [`crate::Tricast::publish`].
    pub async fn publish(&self, value: &T) -> Result<Appended, PublishError> {
        self.publish_with(value, |draft| draft).await
    }

    /// Publishes a value as the server, with an id, an event's name and whatever else a draft has.
    ///
    /// # Errors
    /// As [`Channel::publish`].
    ///
    /// # Cancel safety
    /// As [`Channel::publish`].
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tricast::{Rule, Tricast};
    /// let tricast = Tricast::builder().rule("orders", Rule::stream()).build().await?;
    /// let orders = tricast.channel_of::<u64>("orders")?;
    /// let first = orders.publish_with(&7, |draft| draft.id("order-7").event("order.created")).await?;
    /// let again = orders.publish_with(&7, |draft| draft.id("order-7").event("order.created")).await?;
    /// assert_eq!((first.position, again.duplicate), (again.position, true));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish_with(&self, value: &T, finish: impl FnOnce(Draft) -> Draft) -> Result<Appended, PublishError> {
        // Outside the future, which need not share the value with another thread.
        let draft = Draft::json(value).map(finish);
        self.publish_draft(draft?).await
    }
}

impl<T: DeserializeOwned> Channel<T> {
    /// Reads the channel as a [`Stream`] of values and gaps, for ever.
    ///
    /// # Errors
    /// No rule matches the channel, or the backplane is unavailable.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::StreamExt;
    /// use tricast::{Draft, Rule, Start, Tricast, TypedRead};
    /// let tricast = Tricast::builder().rule("temperatures", Rule::stream()).build().await?;
    /// let temperatures = tricast.channel_of::<f64>("temperatures")?;
    /// let mut reader = temperatures.read(Start::Latest).await?;
    /// temperatures.publish(&21.5).await?;
    /// tricast.publish("temperatures", Draft::json("mild")?).await?;
    /// assert!(matches!(reader.next().await, Some(TypedRead::Message { value: 21.5, .. })));
    /// assert!(matches!(reader.next().await, Some(TypedRead::Undecodable { .. })));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read(&self, start: Start) -> Result<TypedReader<T>, ReadError> {
        Ok(TypedReader { reader: self.reader(start).await?, value: PhantomData })
    }
}

/// A channel's values and gaps as a [`Stream`], without end. Made by [`Channel::read`]; see [`Reader`].
///
/// # Cancel safety
/// Dropping a `next()` before it resolves loses nothing.
pub struct TypedReader<T> {
    reader: Reader,
    value: PhantomData<fn() -> T>,
}

/// What a [`TypedReader`] yields.
#[derive(Debug)]
pub enum TypedRead<T> {
    /// The next message.
    Message {
        /// What it carries.
        value: T,
        /// All of it.
        message: ReadMessage,
    },
    /// The next message, which carries no `T`. It is passed over by reading on, and never silently.
    Undecodable {
        /// All of it.
        message: ReadMessage,
        /// Why it is none.
        error: serde_json::Error,
    },
    /// On a state: a key was deleted.
    Deleted(ReadMessage),
    /// Continuity is broken; what follows, follows its position.
    Gap(Gap),
    /// On a state: everything that it held when the reader began, or after a gap, has been yielded.
    Live(Position),
}

impl<T> TypedReader<T> {
    /// Where it stands; see [`Reader::position`].
    #[must_use]
    pub fn position(&self) -> Position {
        self.reader.position()
    }
}

impl<T: DeserializeOwned> Stream for TypedReader<T> {
    type Item = TypedRead<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TypedRead<T>>> {
        Poll::Ready(ready!(self.reader.poll_next_unpin(cx)).map(typed))
    }
}

fn typed<T: DeserializeOwned>(read: Read) -> TypedRead<T> {
    match read {
        Read::Message(message) if message.message().payload.is_none() => TypedRead::Deleted(message),
        Read::Message(message) => match message.json() {
            Ok(value) => TypedRead::Message { value, message },
            Err(error) => TypedRead::Undecodable { message, error },
        },
        Read::Gap(gap) => TypedRead::Gap(gap),
        Read::Live(position) => TypedRead::Live(position),
    }
}

impl<T> fmt::Debug for TypedReader<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TypedReader").field("position", &self.position()).finish_non_exhaustive()
    }
}
