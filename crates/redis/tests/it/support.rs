//! What these tests share.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::{Backplane, BackplaneError, Events, News, Slice, Uncertain};
use tricast_core::channel::{Rule, Topic};
use tricast_core::log::{Appended, Limit};
use tricast_core::message::{Draft, Message};
use tricast_core::position::Position;
use tricast_redis::Redis;
use tricast_testkit::WATCHDOG;
use tricast_testkit::redis::{Cluster, Sentinels};

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
    /// Waits until something was told that is as it should be, and forgets it.
    pub(crate) async fn until(&self, what: &str, is_it: impl Fn(&Told) -> bool) -> Told {
        let waiting = async {
            loop {
                let more = self.more.notified();
                if let Some(found) = self.take(&is_it) {
                    return found;
                }
                more.await;
            }
        };
        timeout(WATCHDOG, waiting).await.unwrap_or_else(|_| panic!("not told: {what}"))
    }

    /// Waits until this seq of a channel is told.
    pub(crate) async fn grew(&self, name: &str, seq: u64) -> Option<Arc<Message>> {
        let is_it =
            |told: &Told| matches!(told, Told::Grew { channel, at, .. } if channel == name && at.seq.get() == seq);
        match self.until(&format!("{name} grew to {seq}"), is_it).await {
            Told::Grew { message, .. } => message,
            Told::Uncertain(_) => None,
        }
    }

    /// Appends until that is told: news come again some time after the server does.
    pub(crate) async fn again(&self, redis: &Redis, topic: &Topic) {
        let name = topic.name.as_str();
        let appending = async {
            loop {
                let seq = append(redis, topic, text("again").key("again")).await.position.seq.get();
                if timeout(Duration::from_millis(500), self.grew(name, seq)).await.is_ok() {
                    return;
                }
            }
        };
        timeout(WATCHDOG, appending).await.unwrap_or_else(|_| panic!("{name} is not told again"));
    }

    /// Waits until a channel is told to be uncertain, or all are.
    pub(crate) async fn uncertain(&self, name: &str) {
        let is_it =
            |told: &Told| matches!(told, Told::Uncertain(channel) if channel.as_deref().is_none_or(|it| it == name));
        self.until(&format!("{name} is uncertain"), is_it).await;
    }

    fn take(&self, is_it: impl Fn(&Told) -> bool) -> Option<Told> {
        let mut told = self.told.lock().unwrap();
        let index = told.iter().position(is_it)?;
        Some(told.remove(index))
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

/// The URL of a cluster, by all of its nodes.
pub(crate) fn cluster_url(cluster: &Cluster) -> String {
    format!("redis+cluster://{}", hosts(&cluster.urls()))
}

/// The URL of what sentinels look after.
pub(crate) fn sentinel_url(sentinels: &Sentinels) -> String {
    format!("redis+sentinel://{}/{}", hosts(&sentinels.urls()), Sentinels::NAME)
}

fn hosts(urls: &[String]) -> String {
    let hosts: Vec<&str> = urls.iter().map(|url| url.trim_start_matches("redis://")).collect();
    hosts.join(",")
}

/// A node that is connected, and what it is told.
pub(crate) async fn node(url: impl Into<String>) -> (Redis, Arc<Heard>) {
    let redis = Redis::connect(url).await.unwrap_or_else(|error| panic!("{error:?}"));
    let heard = Arc::new(Heard::default());
    redis.attach(Arc::clone(&heard) as _);
    (redis, heard)
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
pub(crate) async fn append(redis: &Redis, topic: &Topic, draft: Draft) -> Appended {
    redis.append(topic, draft, &server()).await.unwrap_or_else(|error| panic!("{}: {error}", topic.name))
}

/// Reads what comes after, or panics.
pub(crate) async fn read(redis: &Redis, topic: &Topic, after: Position) -> Slice {
    redis.read(topic, after, Limit::default()).await.unwrap_or_else(|error| panic!("{}: {error}", topic.name))
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Result<T, BackplaneError>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                // The server tells nobody when it is ready.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    timeout(WATCHDOG, asking).await.unwrap_or_else(|_| panic!("in vain: {what}"))
}
