//! What these tests share.

use std::sync::{Arc, Mutex};

use tokio::sync::Notify;
use tokio::time::timeout;
use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::{Backplane, BackplaneError, Events, News, Uncertain};
use tricast_core::channel::{Rule, Topic};
use tricast_core::log::{Appended, Head, Limit};
use tricast_core::message::{Draft, Message};
use tricast_core::position::Position;
use tricast_nats::Nats;
use tricast_testkit::{WATCHDOG, nats};

/// What a node was told.
#[derive(Default)]
pub(crate) struct Heard {
    told: Mutex<Vec<Told>>,
    more: Notify,
}

/// One of the things that a node is told.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Told {
    Grew { channel: String, at: Position, message: Option<Arc<Message>> },
    Uncertain(Option<String>),
}

impl Heard {
    /// Waits until something was told that is as it should be, and forgets what came before it.
    async fn until(&self, what: &str, is_it: impl Fn(&Told) -> bool) {
        let waiting = async {
            loop {
                let more = self.more.notified();
                if self.take(&is_it) {
                    return;
                }
                more.await;
            }
        };
        timeout(WATCHDOG, waiting).await.unwrap_or_else(|_| panic!("not told: {what}"));
    }

    /// Waits until this seq of a channel is told, with its message.
    pub(crate) async fn grew(&self, name: &str, seq: u64) {
        let is_it = |told: &Told| matches!(told, Told::Grew { channel, at, message: Some(message) } if channel == name && at.seq.get() == seq && message.seq == at.seq);
        self.until(&format!("{name} grew to {seq}"), is_it).await;
    }

    /// Waits until a channel is told to be uncertain, or all are.
    pub(crate) async fn uncertain(&self, name: &str) {
        let is_it =
            |told: &Told| matches!(told, Told::Uncertain(channel) if channel.as_deref().is_none_or(|it| it == name));
        self.until(&format!("{name} is uncertain"), is_it).await;
    }

    pub(crate) fn all(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    fn take(&self, is_it: impl Fn(&Told) -> bool) -> bool {
        let mut told = self.told.lock().unwrap();
        let Some(index) = told.iter().position(is_it) else { return false };
        told.drain(..=index);
        true
    }

    fn add(&self, told: Told) {
        self.told.lock().unwrap().push(told);
        self.more.notify_one();
    }
}

impl Events for Heard {
    fn grew(&self, news: News<'_>) {
        let News { channel, epoch, seq, message } = news;
        let at = Position::new(epoch, seq);
        self.add(Told::Grew { channel: channel.to_string(), at, message: message.cloned() });
    }

    fn uncertain(&self, what: Uncertain<'_>) {
        self.add(Told::Uncertain(match what {
            Uncertain::All => None,
            Uncertain::Channel(channel) => Some(channel.to_string()),
        }));
    }
}

/// A node that is connected, and what it is told.
pub(crate) async fn node(server: &nats::Nats) -> (Arc<Nats>, Arc<Heard>) {
    let nats = Nats::connect(server.url()).await.unwrap_or_else(|error| panic!("{error:?}"));
    let heard = Arc::new(Heard::default());
    nats.attach(Arc::clone(&heard) as _);
    (Arc::new(nats), heard)
}

pub(crate) fn stream(name: &str) -> Topic {
    topic(name, Rule::stream())
}

pub(crate) fn state(name: &str) -> Topic {
    topic(name, Rule::state())
}

pub(crate) fn topic(name: &str, rule: Rule) -> Topic {
    Topic { name: name.parse().unwrap(), rule: Arc::new(rule) }
}

pub(crate) fn server() -> Scope {
    Identity::Server.scope()
}

pub(crate) fn text(text: &str) -> Draft {
    Draft::json(text).unwrap()
}

/// Appends, or panics.
pub(crate) async fn append(nats: &Nats, topic: &Topic, draft: Draft) -> Appended {
    nats.append(topic, draft, &server()).await.unwrap_or_else(|error| panic!("{}: {error}", topic.name))
}

/// Repeats the draft, which has an id, until it is acknowledged.
pub(crate) async fn append_at_last(nats: &Nats, topic: &Topic, draft: Draft) -> Appended {
    let repeating = async {
        loop {
            match nats.append(topic, draft.clone(), &server()).await {
                Ok(appended) => return appended,
                Err(BackplaneError::Unavailable { .. }) => pause().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(WATCHDOG, repeating).await.unwrap_or_else(|_| panic!("{} is not served again", topic.name))
}

/// Opens the channel as soon as the store can be asked again.
pub(crate) async fn open_at_last(nats: &Nats, topic: &Topic) -> Head {
    let repeating = async {
        loop {
            match nats.open(topic).await {
                Ok(head) => return head,
                Err(BackplaneError::Unavailable { maybe_applied: false, .. }) => pause().await,
                Err(error) => panic!("{error}"),
            }
        }
    };
    timeout(WATCHDOG, repeating).await.unwrap_or_else(|_| panic!("{} is not served again", topic.name))
}

async fn pause() {
    // A store that comes back says nothing: it is asked now and then.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
}

/// All that is in the log.
pub(crate) async fn contents(nats: &Nats, topic: &Topic) -> (Head, Vec<Arc<Message>>) {
    let head = open_at_last(nats, topic).await;
    let (mut after, mut all) = (head.before_first(), Vec::new());
    loop {
        let slice = nats.read(topic, after, Limit::default()).await.unwrap();
        all.extend(slice.messages);
        after = after.advanced(slice.to);
        if slice.to >= slice.head.head {
            return (slice.head, all);
        }
    }
}

pub(crate) fn seqs(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.get()).collect()
}

/// How many messages a JetStream stream has.
pub(crate) fn stored(server: &nats::Nats, stream: &str) -> u64 {
    let info: serde_json::Value =
        serde_json::from_str(&server.request(&format!("$JS.API.STREAM.INFO.{stream}"), "")).unwrap();
    info["state"]["messages"].as_u64().unwrap()
}
