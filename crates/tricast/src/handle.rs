//! What an application holds: [`Tricast`], and a [`Channel`] of it.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::access::Identity;
use tricast_core::channel::{ChannelName, NameError};
use tricast_core::log::Appended;
use tricast_core::message::Draft;
use tricast_core::protocol::Start;
use tricast_core::protocol::event::Member;

use crate::builder::Builder;
use crate::hub::{Hub, PublishError};
use crate::members::{self, PresenceError};
use crate::reader::{ReadError, Reader};
use crate::transport::sse::{SseRequest, SseResponse};

/// A node of Tricast: channels, and the routes that serve them. Cheap to clone; put it into your application's state.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tricast::{Draft, Rule, Tricast};
/// let tricast = Tricast::builder().rule("news", Rule::stream()).build().await?;
/// let app: axum::Router = axum::Router::new().nest("/rt", tricast.router());
/// let appended = tricast.publish("news", Draft::json("hello")?).await?;
/// assert_eq!(appended.position.seq.get(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Tricast {
    hub: Arc<Hub>,
}

impl Tricast {
    /// Starts a builder with no rules: no channel exists.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(hub: Arc<Hub>) -> Self {
        Self { hub }
    }

    pub(crate) fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Publishes as the server. Resolves when the message is in the log.
    ///
    /// # Errors
    /// The name or the draft is malformed, no rule matches the channel, or the backplane is unavailable (then the
    /// outcome may be unknown: publish it again with its id).
    ///
    /// # Cancel safety
    /// A dropped call may have published or not; publish it again with its id.
    pub async fn publish(&self, channel: &str, draft: Draft) -> Result<Appended, PublishError> {
        self.channel(channel)?.publish(draft).await
    }

    /// A handle of a channel. Whether a rule matches it is told when it is used.
    ///
    /// # Errors
    /// The text is not a channel's name.
    pub fn channel(&self, name: &str) -> Result<Channel, NameError> {
        Ok(Channel { hub: Arc::clone(&self.hub), name: name.parse()? })
    }

    /// Answers a request on the application's own route with an SSE stream.
    ///
    /// The application has decided that the caller may read what it asks for: the rules' `subscribe` is not asked.
    ///
    /// # Examples
    /// ```
    /// use axum::{extract::State, response::IntoResponse};
    /// use tricast::{SseRequest, Tricast};
    /// async fn notifications(State(tricast): State<Tricast>, request: SseRequest) -> impl IntoResponse {
    ///     tricast.sse(request).channel("user:42").respond()
    /// }
    /// ```
    pub fn sse(&self, request: SseRequest) -> SseResponse {
        SseResponse::new(Arc::clone(&self.hub), request)
    }

    /// Ends every connection with a `bye` that tells its client when to come back, and refuses new ones.
    ///
    /// Resolves when all have ended, or after `within`.
    ///
    /// # Cancel safety
    /// Connections go on ending when it is dropped.
    pub async fn drain(&self, within: Duration) {
        self.hub.drain(within).await;
    }

    /// How many connections there are on this node.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hub.connections()
    }
}

/// A channel, as the server sees it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    hub: Arc<Hub>,
    name: ChannelName,
}

impl Channel {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// Publishes as the server; see [`Tricast::publish`].
    ///
    /// # Errors
    /// As [`Tricast::publish`].
    ///
    /// # Cancel safety
    /// As [`Tricast::publish`].
    pub async fn publish(&self, draft: Draft) -> Result<Appended, PublishError> {
        self.hub.publish(&Identity::Server, &self.name, draft).await
    }

    /// Who is on the channel, in the order in which they came or last changed what they show.
    ///
    /// # Errors
    /// No rule matches the channel, its rule keeps no presence, or the backplane is unavailable.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tricast::{Rule, Tricast};
    /// let tricast = Tricast::builder().rule("chat:{room}", Rule::stream().presence()).build().await?;
    /// let lobby = tricast.channel("chat:lobby")?;
    /// for member in lobby.members().await? {
    ///     println!("{} since {}", member.client, member.since);
    /// }
    /// assert_eq!(lobby.member_count().await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn members(&self) -> Result<Vec<Member>, PresenceError> {
        members::all(&self.hub, &self.name).await
    }

    /// How many are on the channel: cheaper than counting [`Channel::members`] where the room is large.
    ///
    /// # Errors
    /// As [`Channel::members`].
    pub async fn member_count(&self) -> Result<usize, PresenceError> {
        members::count(&self.hub, &self.name).await
    }

    /// Reads the channel as a [`Stream`](futures_util::Stream) of messages and gaps, for ever.
    ///
    /// # Errors
    /// No rule matches the channel, or the backplane is unavailable.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use futures_util::StreamExt;
    /// use tricast::{Draft, Read, Rule, Start, Tricast};
    /// let tricast = Tricast::builder().rule("news", Rule::stream()).build().await?;
    /// let mut reader = tricast.channel("news")?.read(Start::Latest).await?;
    /// tricast.publish("news", Draft::json("hello")?).await?;
    /// match reader.next().await {
    ///     Some(Read::Message(message)) => assert_eq!(message.json::<String>()?, "hello"),
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read(&self, start: Start) -> Result<Reader, ReadError> {
        Reader::open(Arc::clone(&self.hub), self.name.clone(), start).await
    }
}
