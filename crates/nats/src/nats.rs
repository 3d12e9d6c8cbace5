//! The backplane: which channel is asked what.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::{StreamExt as _, stream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tricast_core::access::Scope;
use tricast_core::backplane::{Backplane, BackplaneError, BoxFuture, Events, Health, Slice};
use tricast_core::channel::{ChannelName, Kind, Topic};
use tricast_core::log::{Appended, Head, Limit, Log, Page};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

use crate::builder::{Builder, ConnectError};
use crate::channel::{Ask, Channel, Command, Job};
use crate::limits::{COMMANDS, HEADS};
use crate::link::Status;
use crate::shared::{Shared, unavailable, unknown};

/// A backplane on NATS JetStream. Begin with [`Nats::connect`].
///
/// It keeps tasks running until it is dropped, so it is made and used in a Tokio runtime.
///
/// # Examples
/// ```no_run
/// # async fn example() -> Result<(), tricast_nats::ConnectError> {
/// use std::time::Duration;
/// use tricast_nats::Nats;
/// let nats = Nats::builder("nats://127.0.0.1:4222").prefix("shop").timeout(Duration::from_secs(1)).connect().await?;
/// # Ok(())
/// # }
/// ```
pub struct Nats {
    shared: Arc<Shared>,
    channels: Arc<Channels>,
    status: Arc<Status>,
    /// Looks after the connection.
    keeper: JoinHandle<()>,
}

/// The channels that have a task. The lock guards the map, and is never held across an await.
#[derive(Default)]
pub(crate) struct Channels(Mutex<HashMap<(Kind, ChannelName), mpsc::Sender<Command>>>);

impl std::fmt::Debug for Nats {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Nats").field("store", &self.shared.store).finish_non_exhaustive()
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Channels {
    /// The way to a channel's task, which is begun if there is none.
    fn obtain(self: &Arc<Self>, shared: &Arc<Shared>, topic: &Topic) -> mpsc::Sender<Command> {
        let key = (topic.rule.kind(), topic.name.clone());
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = channels.get(&key).filter(|sender| !sender.is_closed()) {
            return sender.clone();
        }
        let (sender, commands) = mpsc::channel(COMMANDS);
        channels.insert(key.clone(), sender.clone());
        let (channel, all) = (Channel::new(Arc::clone(shared), topic.clone(), commands), Arc::downgrade(self));
        tokio::spawn(channel.run({
            // It has to know which is its own: another may have taken its place.
            let own = sender.downgrade();
            move || leave(&all, &key, &own)
        }));
        sender
    }

    fn get(&self, topic: &Topic) -> Option<mpsc::Sender<Command>> {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(&(topic.rule.kind(), topic.name.clone())).cloned()
    }
}

fn leave(all: &Weak<Channels>, key: &(Kind, ChannelName), own: &mpsc::WeakSender<Command>) {
    let (Some(all), Some(own)) = (all.upgrade(), own.upgrade()) else { return };
    let mut channels = all.0.lock().unwrap_or_else(PoisonError::into_inner);
    if channels.get(key).is_some_and(|sender| sender.same_channel(&own)) {
        channels.remove(key);
    }
}

impl Nats {
    /// Connects with everything as it is by default.
    ///
    /// # Errors
    /// The URL cannot be used; the server cannot be reached, does not take the credentials, has no JetStream, or is too old
    /// for replicas.
    pub async fn connect(url: impl Into<String>) -> Result<Self, ConnectError> {
        Self::builder(url).connect().await
    }

    /// Begins to say how to connect, and what to keep how.
    pub fn builder(url: impl Into<String>) -> Builder {
        Builder::new(url.into())
    }

    pub(crate) fn new(shared: Arc<Shared>, status: Arc<Status>, keeper: JoinHandle<()>) -> Self {
        Self { shared, channels: Arc::default(), status, keeper }
    }

    /// Asks a channel, and waits for no longer than an operation may take.
    async fn command<T>(
        &self,
        topic: &Topic,
        command: Command,
        answer: oneshot::Receiver<Result<T, BackplaneError>>,
    ) -> Result<T, BackplaneError> {
        self.shared.ready()?;
        let is_append = matches!(command, Command::Append(_));
        let asking = async {
            let mut command = command;
            loop {
                match self.channels.obtain(&self.shared, topic).send(command).await {
                    Ok(()) => break,
                    // It left just now.
                    Err(mpsc::error::SendError(back)) => command = back,
                }
            }
            // Who leaves without an answer was ended with the runtime.
            answer.await.unwrap_or_else(|_| Err(unknown("the channel's task ended")))
        };
        match tokio::time::timeout(self.shared.timeout, asking).await {
            Ok(answer) => answer,
            Err(_) if is_append => Err(unknown("NATS does not answer in time")),
            Err(_) => Err(unavailable("NATS does not answer in time")),
        }
    }

    async fn ask<T: Send + 'static>(
        &self,
        topic: &Topic,
        command: impl FnOnce(Ask) -> Command,
        question: impl FnOnce(&mut Log) -> T + Send + 'static,
    ) -> Result<T, BackplaneError> {
        let (sender, answer) = oneshot::channel();
        let ask = move |log: Result<&mut Log, BackplaneError>| drop(sender.send(log.map(question)));
        self.command(topic, command(Box::new(ask)), answer).await
    }

    async fn head(&self, topic: &Topic) -> Result<Head, BackplaneError> {
        self.ask(topic, Command::Ask, |log| log.head()).await
    }
}

impl Backplane for Nats {
    fn attach(&self, events: Arc<dyn Events>) {
        // A second call would be a bug of the hub; the first one stays.
        drop(self.shared.events.set(events));
    }

    fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(self.head(topic))
    }

    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        draft: Draft,
        publisher: &'a Scope,
    ) -> BoxFuture<'a, Result<Appended, BackplaneError>> {
        Box::pin(async move {
            let (reply, answer) = oneshot::channel();
            let job = Job { draft, publisher: publisher.clone(), reply };
            self.command(topic, Command::Append(job), answer).await
        })
    }

    fn find<'a>(
        &'a self,
        topic: &'a Topic,
        publisher: &'a Scope,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Position>, BackplaneError>> {
        let (publisher, id, clock) = (publisher.clone(), id.to_owned(), Arc::clone(&self.shared.clock));
        Box::pin(self.ask(topic, Command::Ask, move |log| log.find(&publisher, &id, clock.wall_ms())))
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
        Box::pin(self.ask(topic, Command::Ask, move |log| {
            let head = log.head();
            match decide(log.kind(), Some(after), &head) {
                Decision::Continue => Slice { head, messages: log.read(after, limit), to: log.extent(after, limit).to },
                Decision::Gap { .. } => Slice { head, messages: Vec::new(), to: after.seq },
            }
        }))
    }

    fn read_back<'a>(
        &'a self,
        topic: &'a Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>> {
        Box::pin(self.ask(topic, Command::Ask, move |log| (log.head(), log.read_back(before, limit))))
    }

    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(self.ask(topic, Command::Watch, |log| log.head()))
    }

    fn unwatch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            if let Some(channel) = self.channels.get(topic) {
                // One that left watches nothing.
                drop(channel.send(Command::Unwatch).await);
            }
        })
    }

    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>> {
        Box::pin(async move {
            let asking: Vec<_> = topics.iter().map(|topic| self.head(topic)).collect();
            stream::iter(asking).buffered(HEADS).collect().await
        })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(self.ask(topic, move |ask| Command::Renew(epoch, ask), |log| log.head()))
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async { self.status.health(&self.shared) })
    }
}
