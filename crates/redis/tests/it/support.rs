//! What these tests share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use tricast_core::backplane::{Backplane, BackplaneError, Slice};
use tricast_core::channel::Topic;
use tricast_core::log::{Appended, Limit};
use tricast_core::message::Draft;
use tricast_core::position::Position;
use tricast_redis::Redis;
use tricast_testkit::WATCHDOG;
use tricast_testkit::fixtures::{saying, server};
use tricast_testkit::heard::Heard;
use tricast_testkit::redis::{Cluster, Sentinels};

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

/// Appends until that is told: news come again some time after the server does.
pub(crate) async fn told_again(heard: &Heard, redis: &Redis, topic: &Topic) {
    let name = topic.name.as_str();
    let appending = async {
        loop {
            let seq = append(redis, topic, saying("again").key("again")).await.position.seq.get();
            if timeout(Duration::from_millis(500), heard.seq(name, seq)).await.is_ok() {
                return;
            }
        }
    };
    timeout(WATCHDOG, appending).await.unwrap_or_else(|_| panic!("{name} is not told again"));
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
