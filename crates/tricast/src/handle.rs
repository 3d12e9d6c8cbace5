//! What an application holds: [`Tricast`], and a [`Channel`] of it.

use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream;

use tricast_core::access::{Action, Identity};
use tricast_core::channel::{ChannelName, NameError};
use tricast_core::log::Appended;
use tricast_core::message::Draft;
use tricast_core::position::Position;
use tricast_core::protocol::Start;
use tricast_core::protocol::event::Member;

use crate::builder::Builder;
use crate::hub::{Hub, PublishError};
use crate::members::{self, PresenceError};
use crate::metrics;
use crate::reader::{ReadError, Reader};
use crate::readiness::NotReady;
use crate::revocation::RevokeError;
use crate::transport::sse::{SseRequest, SseResponse};

/// Channels to which one [`Tricast::publish_many`] publishes at once.
const AT_ONCE: usize = 64;

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
    /// The name or the draft is malformed, no rule matches the channel, an [`Builder::on_publish`] hook refuses the
    /// message, or the backplane is unavailable (then the outcome may be unknown: publish it again with its id).
    ///
    /// # Cancel safety
    /// A dropped call may have published or not; publish it again with its id.
    pub async fn publish(&self, channel: &str, draft: Draft) -> Result<Appended, PublishError> {
        self.channel(channel)?.publish(draft).await
    }

    /// Publishes to many channels as the server. The outcomes are in the order of the messages.
    ///
    /// To one channel the messages go in their order, to different ones at once. After one that failed with a code that
    /// may be retried, the later ones to its channel are not tried and fail alike, so that publishing all that failed
    /// once more, with their ids, cannot reorder a channel.
    ///
    /// # Cancel safety
    /// A dropped call may have published some of them; publish all again with their ids.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tricast::{Draft, Rule, Tricast};
    /// let tricast = Tricast::builder().rule("user:{id}", Rule::stream()).build().await?;
    /// let notice = Draft::json("we are back")?.id("notice-1");
    /// let outcomes = tricast.publish_many(["user:1", "nowhere"].map(|user| (user, notice.clone()))).await;
    /// assert!(outcomes[0].is_ok() && outcomes[1].is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish_many<N: AsRef<str>>(
        &self,
        messages: impl IntoIterator<Item = (N, Draft)>,
    ) -> Vec<Result<Appended, PublishError>> {
        let mut outcomes: Vec<Option<Result<Appended, PublishError>>> = Vec::new();
        let mut places: HashMap<ChannelName, usize> = HashMap::new();
        let mut by_channel: Vec<(ChannelName, Vec<(usize, Draft)>)> = Vec::new();
        for (index, (name, draft)) in messages.into_iter().enumerate() {
            let name = match name.as_ref().parse::<ChannelName>() {
                Ok(name) => name,
                Err(error) => {
                    outcomes.push(Some(Err(error.into())));
                    continue;
                }
            };
            outcomes.push(None);
            let place = *places.entry(name.clone()).or_insert_with(|| {
                by_channel.push((name, Vec::new()));
                by_channel.len() - 1
            });
            by_channel[place].1.push((index, draft));
        }
        let publish = by_channel.into_iter().map(|(name, drafts)| publish_in_order(&self.hub, name, drafts));
        let publish: Vec<_> = publish.collect();
        let mut published = stream::iter(publish).buffer_unordered(AT_ONCE);
        while let Some(of_channel) = published.next().await {
            for (index, outcome) in of_channel {
                outcomes[index] = Some(outcome);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    /// A handle of a channel. Whether a rule matches it is told when it is used.
    ///
    /// # Errors
    /// The text is not a channel's name.
    pub fn channel(&self, name: &str) -> Result<Channel, NameError> {
        self.channel_of(name)
    }

    /// A handle of a channel whose messages are all of one type. That nobody publishes anything else is up to the rules
    /// and to [`Builder::on_publish`]; who reads is told where somebody did.
    ///
    /// # Errors
    /// The text is not a channel's name.
    pub fn channel_of<T>(&self, name: &str) -> Result<Channel<T>, NameError> {
        Ok(Channel { hub: Arc::clone(&self.hub), name: name.parse()?, value: PhantomData })
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

    /// Takes back all that a user has: ends the user's connections, on every node, with `bye unauthorized`. Resolves when
    /// it is in the log that all nodes obey.
    ///
    /// Tokens that were issued before, by their `iat`, are refused from then on, and so are those without one; for a day at
    /// most, of the newest 10,000 users who were revoked. What your application itself let the user in by (a session, an
    /// identity without [`crate::auth::Authenticated::since_ms`]) it has to end itself, before this.
    ///
    /// # Errors
    /// The id is none, or the backplane is unavailable: then revoke again.
    ///
    /// # Cancel safety
    /// A dropped call may have revoked or not; revoke again.
    pub async fn revoke(&self, user: &str) -> Result<Appended, RevokeError> {
        Ok(self.hub.revoke(&user.parse()?, None).await?)
    }

    /// Ends a user's subscription to a channel on all its connections, with `unsubscribed`. Resolves when it is in the log
    /// that all nodes obey.
    ///
    /// It ends what is; that the user may not subscribe again is for the rules, or [`Builder::on_subscribe`], to say.
    ///
    /// # Errors
    /// The id or the name is none, or the backplane is unavailable: then revoke again.
    ///
    /// # Cancel safety
    /// A dropped call may have revoked or not; revoke again.
    pub async fn revoke_subscription(&self, user: &str, channel: &str) -> Result<Appended, RevokeError> {
        Ok(self.hub.revoke(&user.parse()?, Some(&channel.parse()?)).await?)
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

    /// Whether this node should be given connections: for the answer to a load balancer, within two seconds.
    ///
    /// # Errors
    /// It drains, or its backplane cannot serve.
    pub async fn ready(&self) -> Result<(), NotReady> {
        self.hub.ready().await
    }

    /// How many connections there are on this node.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.hub.connections()
    }
}

async fn publish_in_order(
    hub: &Arc<Hub>,
    name: ChannelName,
    drafts: Vec<(usize, Draft)>,
) -> Vec<(usize, Result<Appended, PublishError>)> {
    let mut outcomes = Vec::with_capacity(drafts.len());
    let mut stopped: Option<PublishError> = None;
    for (index, draft) in drafts {
        let outcome = match &stopped {
            Some(problem) => Err(problem.clone()),
            None => hub.publish(&Identity::Server, &name, draft).await.inspect(metrics::published),
        };
        stopped = outcome.as_ref().err().filter(|problem| problem.code().may_retry()).cloned();
        outcomes.push((index, outcome));
    }
    outcomes
}

/// What the messages of a [`Channel`] are of whose type nothing is known: [`Draft`]s in, [`crate::ReadMessage`]s out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Untyped {}

/// A channel, as the server sees it. Cheap to clone.
///
/// A `Channel` takes drafts and yields messages as they are; a `Channel<T>` ([`Tricast::channel_of`]) takes and yields
/// `T`s.
pub struct Channel<T = Untyped> {
    hub: Arc<Hub>,
    name: ChannelName,
    value: PhantomData<fn(T) -> T>,
}

impl<T> Channel<T> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &ChannelName {
        &self.name
    }

    /// The same channel, for drafts and messages as they are.
    #[must_use]
    pub fn untyped(&self) -> Channel {
        Channel { hub: Arc::clone(&self.hub), name: self.name.clone(), value: PhantomData }
    }

    /// Where the channel stands: the position of a reader who has everything.
    ///
    /// Taken *before* what a page shows is looked up, and given to the page, it makes the page go on where the server's
    /// view ends, without a hole: what was published since is delivered, and nothing before.
    ///
    /// # Errors
    /// No rule matches the channel, or the backplane is unavailable.
    ///
    /// # Examples
    /// ```
    /// use tricast::Tricast;
    ///
    /// async fn page(tricast: &Tricast) -> Result<String, Box<dyn std::error::Error>> {
    ///     let position = tricast.channel("chat:lobby")?.position().await?;
    ///     let lines = lines_from_the_database().await;
    ///     Ok(format!(
    ///         "<ul id=chat>{lines}</ul>
    ///          <script type=module>
    ///            import {{ Tricast }} from '/rt/client.js'
    ///            const room = new Tricast('/rt').channel('chat:lobby', {{ from: '{position}' }})
    ///            room.on('message', show)
    ///          </script>"
    ///     ))
    /// }
    /// # async fn lines_from_the_database() -> String { String::new() }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let tricast = Tricast::builder().rule("chat:{room}", tricast::Rule::stream()).build().await.unwrap();
    /// # assert!(page(&tricast).await.unwrap().contains("-0"));
    /// # }
    /// ```
    pub async fn position(&self) -> Result<Position, ReadError> {
        let topic = self.hub.allow(&Identity::Server, Action::Subscribe, &self.name);
        let topic = topic.map_err(|_| ReadError::UnknownChannel(self.name.clone()))?;
        let head = self.hub.logs.backplane.open(&topic).await;
        head.map(|head| head.position()).map_err(|_| ReadError::Unavailable(self.name.clone()))
    }

    pub(crate) async fn publish_draft(&self, draft: Draft) -> Result<Appended, PublishError> {
        self.hub.publish(&Identity::Server, &self.name, draft).await.inspect(metrics::published)
    }

    pub(crate) async fn reader(&self, start: Start) -> Result<Reader, ReadError> {
        Reader::open(Arc::clone(&self.hub), self.name.clone(), start).await
    }
}

impl Channel {
    /// Publishes as the server; see [`Tricast::publish`].
    ///
    /// # Errors
    /// As [`Tricast::publish`].
    ///
    /// # Cancel safety
    /// As [`Tricast::publish`].
    ///
    /// # Examples
    /// A key of a state that is set only if nobody else has set it:
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tricast::{AppendError, BackplaneError, Code, Draft, PublishError, Rule, Seq, Tricast};
    /// let tricast = Tricast::builder().rule("seats", Rule::state()).build().await?;
    /// let seats = tricast.channel("seats")?;
    /// let take = |name| Draft::json(name).map(|draft| draft.key("12A").only_if(Seq::ZERO));
    /// let taken = seats.publish(take("ada")?).await?;
    /// match seats.publish(take("bob")?).await {
    ///     Err(PublishError::Backplane(BackplaneError::Refused(AppendError::Conflict { present }))) => {
    ///         assert_eq!(present, taken.position.seq);
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// let late = seats.publish(take("eve")?).await.map_err(|problem| problem.code());
    /// assert_eq!(late, Err(Code::Conflict));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn publish(&self, draft: Draft) -> Result<Appended, PublishError> {
        self.publish_draft(draft).await
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
        self.reader(start).await
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Self { hub: Arc::clone(&self.hub), name: self.name.clone(), value: PhantomData }
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}
