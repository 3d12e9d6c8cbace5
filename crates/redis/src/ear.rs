//! A connection on which one server tells news.
//!
//! News have a connection of their own, because Redis ends one that reads too slowly once it has subscriptions, and
//! pages of history are read slowly. There is no queue here: what has arrived is told by the task that reads the socket,
//! and what it does not read yet waits in Redis, which bounds it (`client-output-buffer-limit pubsub`) and ends the
//! connection. Then everything watched is subscribed again, and told to be uncertain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use redis::aio::{AsyncPushSender, MultiplexedConnection, SendError};
use redis::{PushInfo, PushKind, Value, cmd, pipe};
use tokio::sync::Notify;
use tricast_core::backplane::News;
use tricast_core::channel::ChannelName;

use crate::dial::Running;
use crate::error::LinkError;
use crate::refusal::Refusal;
use crate::reply::Told;
use crate::shared::Shared;
use crate::url::Address;

/// Subscriptions that are sent in one go.
const AT_ONCE: usize = 256;

/// A connection with subscriptions.
pub(crate) struct Ear {
    pub(crate) address: Address,
    connection: MultiplexedConnection,
    heard: Arc<Heard>,
}

/// What came on it.
struct Heard {
    shared: Weak<Shared>,
    /// Guards the two maps; never held while somebody is told.
    feeds: Mutex<Feeds>,
    lost: Notify,
}

#[derive(Default)]
struct Feeds {
    /// The confirmed subscriptions, by the name they have in Redis.
    confirmed: HashMap<String, ChannelName>,
    /// Those that we end ourselves, and how often that is still to be confirmed.
    ending: HashMap<String, usize>,
}

impl Ear {
    pub(crate) async fn open(shared: &Arc<Shared>, address: &Address) -> Result<(Self, Running), LinkError> {
        let heard = Arc::new(Heard { shared: Arc::downgrade(shared), feeds: Mutex::default(), lost: Notify::new() });
        let wire = shared.dialer.dial(address, Some(Pushes(Arc::clone(&heard)))).await?;
        Ok((Self { address: address.clone(), connection: wire.connection, heard }, wire.task))
    }

    /// Whether the channel's news are told here.
    pub(crate) fn hears(&self, feed: &str) -> bool {
        self.heard.feeds().confirmed.contains_key(feed)
    }

    /// Subscribes, and waits until all is confirmed or refused.
    pub(crate) async fn subscribe(&self, feeds: &[String]) -> Result<(), Refusal> {
        let mut refused = Ok(());
        for some in feeds.chunks(AT_ONCE) {
            let answers = self.send("SSUBSCRIBE", some).await?;
            for answer in answers {
                if let Value::ServerError(error) = answer {
                    refused = Err(Refusal::from(&error));
                }
            }
        }
        refused
    }

    /// Ends subscriptions.
    pub(crate) async fn unsubscribe(&self, feeds: &[String]) -> Result<(), Refusal> {
        for some in feeds.chunks(AT_ONCE) {
            self.heard.feeds().end(some);
            let answers = self.send("SUNSUBSCRIBE", some).await?;
            for (feed, answer) in some.iter().zip(answers) {
                if matches!(answer, Value::ServerError(_)) {
                    self.heard.feeds().is_ended(feed);
                }
            }
        }
        Ok(())
    }

    /// What is subscribed, and in none of these.
    pub(crate) fn others(&self, wanted: &HashMap<String, ChannelName>) -> Vec<String> {
        self.heard.feeds().confirmed.keys().filter(|feed| !wanted.contains_key(*feed)).cloned().collect()
    }

    /// Whether the server still answers.
    pub(crate) async fn check(&self) -> Result<(), LinkError> {
        match self.connection.clone().send_packed_command(&cmd("PING")).await? {
            Value::ServerError(error) => Err(LinkError::Refused(error.into())),
            _ => Ok(()),
        }
    }

    /// Resolves when the server has ended a subscription by itself: its slot went elsewhere.
    pub(crate) async fn lost(&self) {
        self.heard.lost.notified().await;
    }

    async fn send(&self, name: &str, feeds: &[String]) -> Result<Vec<Value>, Refusal> {
        let mut commands = pipe();
        for feed in feeds {
            commands.cmd(name).arg(feed);
        }
        Ok(self.connection.clone().send_packed_commands(&commands, 0, feeds.len()).await?)
    }
}

impl Feeds {
    fn end(&mut self, feeds: &[String]) {
        for feed in feeds {
            self.confirmed.remove(feed);
            *self.ending.entry(feed.clone()).or_default() += 1;
        }
    }

    /// Whether it was we who ended it.
    fn is_ended(&mut self, feed: &str) -> bool {
        let Some(count) = self.ending.get_mut(feed) else { return false };
        *count -= 1;
        if *count == 0 {
            self.ending.remove(feed);
        }
        true
    }
}

impl Heard {
    fn feeds(&self) -> MutexGuard<'_, Feeds> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hear(&self, info: &PushInfo) {
        let Some(Value::BulkString(feed)) = info.data.first() else { return };
        let Ok(feed) = str::from_utf8(feed) else { return };
        match (&info.kind, info.data.get(1)) {
            (PushKind::SMessage, Some(Value::BulkString(bytes))) => self.tell(feed, bytes),
            (PushKind::SSubscribe, _) => {
                if let Some(channel) = self.shared.upgrade().and_then(|shared| shared.names.channel(feed)) {
                    self.feeds().confirmed.insert(feed.to_owned(), channel);
                }
            }
            (PushKind::SUnsubscribe, _) => {
                let mut feeds = self.feeds();
                if !feeds.is_ended(feed) {
                    feeds.confirmed.remove(feed);
                    // The library takes it for the answer to whatever was asked last: no further word can be trusted.
                    self.lost.notify_one();
                }
            }
            _ => {}
        }
    }

    fn tell(&self, feed: &str, bytes: &[u8]) {
        let channel = self.feeds().confirmed.get(feed).cloned();
        let (Some(channel), Some(shared)) = (channel, self.shared.upgrade()) else { return };
        let (Some(told), Some(events)) = (Told::parse(bytes), shared.events.get()) else { return };
        let message = told.message();
        events.grew(News { channel: &channel, epoch: told.epoch, seq: told.seq, message: message.as_ref() });
    }
}

struct Pushes(Arc<Heard>);

impl AsyncPushSender for Pushes {
    fn send(&self, info: PushInfo) -> Result<(), SendError> {
        self.0.hear(&info);
        Ok(())
    }
}
