//! The channels on which this node has members, as its log tells the others.

use std::collections::HashSet;
use std::hash::{Hash as _, Hasher as _};
use std::sync::Arc;

use siphasher::sip::SipHasher13;
use tokio::sync::Mutex;
use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::message::Draft;

use crate::hub::Logs;

/// Channels are kept in so many parts, each under a lock that is held while it is written: so that who joins one channel
/// rarely waits for another.
const PARTS: usize = 64;

pub(super) struct Held {
    logs: Arc<Logs>,
    topic: Topic,
    publisher: Scope,
    parts: Vec<Mutex<HashSet<ChannelName>>>,
}

impl Held {
    pub(super) fn new(logs: Arc<Logs>, topic: Topic) -> Self {
        let parts = std::iter::repeat_with(Mutex::default).take(PARTS).collect();
        Self { logs, topic, publisher: Identity::Server.scope(), parts }
    }

    /// Writes that there are members on a channel, unless that is written.
    pub(super) async fn hold(&self, channel: &ChannelName) -> Result<(), BackplaneError> {
        let mut part = self.part(channel).lock().await;
        if part.contains(channel) {
            return Ok(());
        }
        let draft = Draft::json_text("{}").map_err(super::unavailable)?.key(channel.as_str());
        self.logs.backplane.append(&self.topic, draft, &self.publisher).await?;
        part.insert(channel.clone());
        Ok(())
    }

    /// Takes away the channels on which there are none any more.
    pub(super) async fn tidy(&self, has_members: impl Fn(&ChannelName) -> bool) {
        for part in &self.parts {
            let mut part = part.lock().await;
            let empty: Vec<_> = part.iter().filter(|channel| !has_members(channel)).cloned().collect();
            for channel in empty {
                let draft = Draft::delete(channel.as_str());
                // Tried again the next time.
                if self.logs.backplane.append(&self.topic, draft, &self.publisher).await.is_ok() {
                    part.remove(&channel);
                }
            }
        }
    }

    /// Nothing of it may be in the log any more: whoever comes next writes it anew.
    pub(super) async fn forget(&self) {
        for part in &self.parts {
            part.lock().await.clear();
        }
    }

    fn part(&self, channel: &ChannelName) -> &Mutex<HashSet<ChannelName>> {
        let mut hash = SipHasher13::new();
        channel.hash(&mut hash);
        &self.parts[usize::try_from(hash.finish() % PARTS as u64).unwrap_or(0)]
    }
}
