//! The client as applications hold it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{oneshot, watch};
use tricast_core::channel::{ChannelName, Kind, NameError};
use tricast_core::clock::Entropy as _;
use tricast_core::json::Json;
use tricast_core::limits::METHOD_BYTES;
use tricast_core::message::{Draft, Payload};
use tricast_core::protocol::event::Member;
use tricast_core::protocol::{ClientId, Code, Command, Event, Publish, Ref};

use crate::builder::Builder;
use crate::driver::Shared;
use crate::error::{AskError, Closed, PublishError, Refusal};
use crate::history::{History, Page};
use crate::outbox::Entry;
use crate::output::Published;
use crate::questions::Question;
use crate::state::State;
use crate::subscription::Channel;
use crate::system::SystemEntropy;

/// A client of one Tricast server: channels over one connection, which is a WebSocket where that works, an SSE stream where
/// it does not, and long-polling where nothing else does.
///
/// It connects while it has subscriptions, and is [`Idle`](State::Idle) without; then publishes and questions go by POST.
/// Cheap to clone. When the last clone and the last subscription are gone, its connection ends.
///
/// # Examples
/// ```no_run
/// use tricast_client::{Client, Draft, Event, Start};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder("http://127.0.0.1:8000/rt").build()?;
/// let mut room = client.channel("chat:1")?.subscribe(Start::Last(50)).await?;
/// client.publish("chat:1", Draft::json("hello")?).await?;
/// while let Some(event) = room.next().await {
///     match event {
///         Event::Message(message) => println!("{}", message.json::<String>()?),
///         Event::Gap(gap) => println!("messages are missing ({})", gap.reason),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    handle: Arc<Handle>,
}

/// Closes the client when it goes.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) buffer: usize,
    states: watch::Receiver<State>,
    client: ClientId,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.with(|engine, _| engine.close(None));
    }
}

impl Client {
    /// Begins to make a client for a server's mount point: `http://127.0.0.1:8000/rt`.
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    pub(crate) fn new(shared: Arc<Shared>, states: watch::Receiver<State>, client: ClientId, buffer: usize) -> Self {
        Self { handle: Arc::new(Handle { shared, buffer, states, client }) }
    }

    /// The id under which the server knows this client.
    #[must_use]
    pub fn id(&self) -> &ClientId {
        &self.handle.client
    }

    /// What the client is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.handle.states.borrow().clone()
    }

    /// What the client is doing, now and whenever that changes. Who looks rarely sees the newest state and not all that were
    /// between. It ends after [`State::Closed`], and keeps no client alive.
    pub fn states(&self) -> impl Stream<Item = State> + Send + Unpin + use<> {
        let mut states = self.handle.states.clone();
        states.mark_changed();
        Box::pin(futures_util::stream::unfold(states, |mut states| async move {
            states.changed().await.ok()?;
            let state = states.borrow_and_update().clone();
            Some((state, states))
        }))
    }

    /// A channel, to be subscribed to.
    ///
    /// # Errors
    /// The name cannot be one.
    pub fn channel(&self, name: &str) -> Result<Channel, NameError> {
        Ok(Channel::new(name.parse()?, Arc::clone(&self.handle)))
    }

    /// Publishes a message, and waits until it is in the log. The channel need not be subscribed.
    ///
    /// Until it is acknowledged it is repeated with the same id (that of the draft, else a random one) over whatever
    /// transport lives, so it is in the log once. Publishes to one channel keep the order in which they were first polled. It
    /// waits for as long as there is no server, unless the application stops it; while there is something to read,
    /// [`Client::state`] tells how that goes.
    ///
    /// # Errors
    /// The message is not one, too many wait already, the server refused, or nobody can tell whether it came through.
    ///
    /// # Cancel safety
    /// Dropping it gives up: the message is not sent (again). If it was sent before, it may be in the log.
    pub async fn publish(&self, channel: &str, draft: Draft) -> Result<Published, PublishError> {
        let name =
            ChannelName::from_str(channel).map_err(|source| PublishError::Name { channel: channel.into(), source })?;
        let publish = command_of(name.clone(), draft)?;
        let (id, size) = (publish.id.clone().unwrap_or_default(), publish.payload.as_ref().map_or(0, Payload::len));
        let (reply, answer) = oneshot::channel();
        let entry = |reference| {
            let command = Command::Publish(Publish { reference: Some(Ref::number(reference)), ..publish });
            Entry { reference, id, text: command.to_json(), size, reply, sent_at: None }
        };
        let reference = self.handle.shared.with(|engine, _| engine.publish(&name, entry))?;
        let pending = Pending { shared: &self.handle.shared, reference };
        let answer = answer.await;
        pending.settled();
        answer.unwrap_or_else(|_| Err(PublishError::Closed { channel: name, closed: self.why_closed() }))
    }

    /// Reads a page of what a channel retains.
    ///
    /// # Errors
    /// The name cannot be one, the server refused, or did not answer within 15 seconds.
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn history(&self, channel: &str, page: Page) -> Result<History, AskError> {
        let name = name_of(channel)?;
        let question = |reference| Command::History { channel: name, from: page.from, limit: page.limit, reference };
        match self.ask(channel, true, question).await? {
            Event::History(history) => Ok(history.into()),
            _ => Err(AskError::Unanswered { about: channel.into() }),
        }
    }

    /// Reads who is on a channel, where it keeps presence.
    ///
    /// # Errors
    /// As [`Client::history`].
    ///
    /// # Cancel safety
    /// Dropping it changes nothing.
    pub async fn members(&self, channel: &str) -> Result<Vec<Member>, AskError> {
        let name = name_of(channel)?;
        let question = |reference| Command::Presence { channel: name, data: None, reference };
        match self.ask(channel, true, question).await? {
            Event::Presence(presence) => Ok(presence.members),
            _ => Err(AskError::Unanswered { about: channel.into() }),
        }
    }

    /// Calls a method of the application on the server.
    ///
    /// # Errors
    /// The argument has no JSON form, the server refused, or no answer came within 15 seconds or on the connection on which
    /// the call was made. It is never repeated, so [`AskError::Unanswered`] leaves open whether it took effect.
    ///
    /// # Cancel safety
    /// Dropping it stops waiting; the call may take effect.
    pub async fn call<A: Serialize + ?Sized, T: DeserializeOwned>(
        &self,
        method: &str,
        argument: &A,
    ) -> Result<T, AskError> {
        if method.is_empty() || method.len() > METHOD_BYTES {
            let problem = format!("a method has 1 to {METHOD_BYTES} bytes").into();
            return Err(AskError::Name { about: method.into(), problem });
        }
        let refuse = |source| AskError::Argument { about: method.into(), source: Arc::new(source) };
        let data = Some(Json::of(argument).map_err(refuse)?);
        let question = |reference| Command::Call { method: method.into(), data, reference };
        let answer = self.ask(method, false, question).await?;
        let Event::Result { data, .. } = answer else { return Err(AskError::Unanswered { about: method.into() }) };
        serde_json::from_str(data.as_str())
            .map_err(|source| AskError::Answer { about: method.into(), source: Arc::new(source) })
    }

    /// Ends the connection and all subscriptions for good, and waits until its tasks have ended. Publishes that are not
    /// acknowledged fail.
    ///
    /// # Cancel safety
    /// The client is closed all the same; dropping it stops waiting.
    pub async fn close(&self) {
        self.handle.shared.with(|engine, _| engine.close(None));
        let mut states = self.handle.states.clone();
        // The sender lives as long as the driver.
        while states.changed().await.is_ok() {}
    }

    async fn ask(
        &self,
        about: &str,
        repeatable: bool,
        command: impl FnOnce(Option<Ref>) -> Command,
    ) -> Result<Event, AskError> {
        let (reply, answer) = oneshot::channel();
        let question = |reference| {
            let text = command(Some(Ref::number(reference))).to_json();
            Question { about: about.into(), text, repeatable, reply }
        };
        let shared = &self.handle.shared;
        let reference = shared.with(|engine, now| engine.ask(about, question, now))?;
        let pending = Pending { shared, reference };
        let answer = answer.await;
        pending.settled();
        answer.unwrap_or_else(|_| Err(AskError::Closed { about: about.into(), closed: self.why_closed() }))
    }

    fn why_closed(&self) -> Closed {
        self.handle.shared.with(|engine, _| engine.closed().cloned()).unwrap_or(Closed(None))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", self.id()).field("state", &self.state().as_str()).finish()
    }
}

/// A command that somebody waits for; it is abandoned when this goes.
struct Pending<'a> {
    shared: &'a Shared,
    reference: u64,
}

impl Pending<'_> {
    /// There is nothing to abandon.
    fn settled(self) {
        std::mem::forget(self);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        self.shared.with(|engine, _| engine.abandon(self.reference));
    }
}

fn name_of(channel: &str) -> Result<ChannelName, AskError> {
    channel
        .parse()
        .map_err(|error: NameError| AskError::Name { about: channel.into(), problem: error.to_string().into() })
}

/// The command that publishes a draft, with an id.
fn command_of(channel: ChannelName, draft: Draft) -> Result<Publish, PublishError> {
    // Whether the channel is a state is the server's to know; only what is on a state has a key.
    let kind = if draft.key.is_some() { Kind::State } else { Kind::Stream };
    if let Err(source) = draft.check(kind, usize::MAX) {
        return Err(PublishError::Draft { channel, source });
    }
    if draft.user.is_some() {
        let refusal = Refusal::new(Code::Forbidden, "who publishes is the server's to say").about(&channel);
        return Err(PublishError::Refused { channel, refusal });
    }
    let random = || ClientId::from_bits(SystemEntropy.next_u64(), SystemEntropy.next_u64()).as_str().into();
    let Draft { payload, event, id, key, ttl_ms, condition, .. } = draft;
    Ok(Publish {
        channel,
        payload,
        event,
        id: Some(id.unwrap_or_else(random)),
        key: key.map(|key| (*key).into()),
        ttl: ttl_ms.map(std::time::Duration::from_millis),
        condition,
        reference: None,
    })
}
