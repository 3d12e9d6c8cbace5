//! A log of the system's own that this node reads for ever: what was revoked, and which nodes there are.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::backplane::BackplaneError;
use tricast_core::channel::Topic;
use tricast_core::log::Limit;
use tricast_core::message::Message;
use tricast_core::position::{Position, Seq};
use tricast_core::wake::Bell;

use super::feed::{Content, Feed};
use super::logs::{Got, Logs};

/// After what time it is tried again to read the log.
const RETRY: Duration = Duration::from_secs(1);

/// A reader of a log from its beginning, of a state with all its deletions.
pub(crate) struct Following {
    logs: Arc<Logs>,
    feed: Arc<Feed>,
    bell: Arc<Bell>,
    place: u64,
    position: Position,
}

/// What it read.
pub(crate) enum Followed {
    /// Messages, in their order.
    Messages(Vec<Arc<Message>>),
    /// Something is missing here; false where it began only then, and had nothing that could be wrong.
    Gap { had_read: bool },
}

impl Following {
    /// Begins as soon as the backplane answers.
    pub(crate) async fn begin(logs: Arc<Logs>, topic: &Topic) -> Self {
        let feed = loop {
            match logs.feeds.obtain(topic) {
                Ok(feed) => break feed,
                Err(error) => retry(topic, &error).await,
            }
        };
        let bell = Arc::<Bell>::default();
        let place = feed.readers().join(Arc::clone(&bell));
        let epoch = feed.head().epoch;
        let mut following = Self { logs, feed, bell, place, position: Position::new(epoch, Seq::ZERO) };
        following.position.epoch = loop {
            match following.logs.watch(&following.feed).await {
                Ok(head) => break head.epoch,
                Err(error) => retry(topic, &error).await,
            }
        };
        following
    }

    /// Waits for what comes next.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn next(&mut self) -> Followed {
        loop {
            match self.logs.read(&self.feed, self.position, Limit::default(), None).await {
                Got::Nothing { to } => {
                    self.position = self.position.advanced(to);
                    self.bell.rung().await;
                }
                Got::Messages(batch) => {
                    self.position = self.position.advanced(batch.to);
                    if let Content::Messages(messages) = batch.content {
                        return Followed::Messages(messages);
                    }
                }
                Got::Gap { position, .. } => {
                    let had_read = self.position.seq != Seq::ZERO;
                    self.position = position;
                    return Followed::Gap { had_read };
                }
                Got::Owed => self.bell.rung().await,
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.feed.leave(self.place);
    }
}

async fn retry(topic: &Topic, error: &BackplaneError) {
    tracing::warn!(channel = %topic.name, %error, "the log cannot be read; next try in a second");
    tokio::time::sleep(RETRY).await;
}
