//! What these tests share.

use std::sync::Arc;

use tokio::time::timeout;
use tricast_core::backplane::{Backplane, BackplaneError};
use tricast_core::channel::Topic;
use tricast_core::log::{Appended, Head, Limit};
use tricast_core::message::{Draft, Message};
use tricast_nats::Nats;
use tricast_testkit::fixtures::server;
use tricast_testkit::heard::Heard;
use tricast_testkit::{WATCHDOG, nats};

/// A node that is connected, and what it is told.
pub(crate) async fn node(server: &nats::Nats) -> (Arc<Nats>, Arc<Heard>) {
    node_at(&server.url()).await
}

pub(crate) async fn node_at(url: &str) -> (Arc<Nats>, Arc<Heard>) {
    let nats = Nats::connect(url).await.unwrap_or_else(|error| panic!("{error:?}"));
    let heard = Arc::new(Heard::default());
    nats.attach(Arc::clone(&heard) as _);
    (Arc::new(nats), heard)
}

/// Appends, or panics.
pub(crate) async fn append(nats: &Nats, topic: &Topic, draft: Draft) -> Appended {
    nats.append(topic, draft, &server()).await.unwrap_or_else(|error| panic!("{}: {error}", topic.name))
}

/// Repeats the draft, which has an id, until it is acknowledged.
pub(crate) async fn append_at_last(nats: &Nats, topic: &Topic, draft: Draft) -> Appended {
    let mut last = None;
    let repeating = async {
        loop {
            match nats.append(topic, draft.clone(), &server()).await {
                Ok(appended) => return appended,
                Err(error @ BackplaneError::Unavailable { .. }) => last = Some(error),
                Err(error) => panic!("{error}"),
            }
            pause().await;
        }
    };
    let repeated = timeout(WATCHDOG, repeating).await;
    repeated.unwrap_or_else(|_| panic!("{} is not served again: {last:?}", topic.name))
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

/// How many messages a JetStream stream has.
pub(crate) fn stored(server: &nats::Nats, stream: &str) -> u64 {
    let info: serde_json::Value =
        serde_json::from_str(&server.request(&format!("$JS.API.STREAM.INFO.{stream}"), "")).unwrap();
    info["state"]["messages"].as_u64().unwrap()
}
