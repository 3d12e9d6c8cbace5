//! What is watched: one subscription for each channel, whoever asks, wherever its server is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};
use tricast_core::channel::ChannelName;

use crate::error::{Failure, LinkError, chain};
use crate::refusal::Refusal;
use crate::shared::Shared;

/// How long to wait for word of where a slot went.
const PAUSE: Duration = Duration::from_millis(50);

impl Shared {
    /// Subscribes to a channel's news, unless that was done. Resolves when it is confirmed.
    pub(crate) async fn watch(self: &Arc<Self>, channel: &ChannelName) -> Result<(), Failure> {
        let deadline = Instant::now() + self.dialer.timeout;
        let pending = Pending::begin(self, channel);
        loop {
            let owner = self.map().owner(channel).ok_or_else(|| Failure::before("no server has the channel's slot"))?;
            let ear = owner.ear(deadline).await?;
            if ear.hears(&pending.feed) {
                pending.confirm();
                return Ok(());
            }
            let feeds = [pending.feed.clone()];
            let subscribed = timeout_at(deadline, ear.subscribe(&feeds)).await;
            match subscribed.unwrap_or(Err(Refusal::Lost(LinkError::Silent(self.dialer.timeout)))) {
                Ok(()) => {
                    pending.confirm();
                    return Ok(());
                }
                Err(refusal @ (Refusal::Moved(_) | Refusal::Later(_))) if Instant::now() < deadline => {
                    self.learn(&refusal);
                    sleep(PAUSE).await;
                }
                Err(refusal) => return Err(Failure::before(chain(&LinkError::from(refusal)))),
            }
        }
    }

    /// Ends the subscription to a channel's news.
    pub(crate) async fn unwatch(&self, channel: &ChannelName) {
        let feed = self.names.feed(channel);
        if self.watched().remove(&feed).is_none() {
            return;
        }
        let owner = self.map().owner(channel);
        let Some(ear) = owner.and_then(|owner| owner.listening()) else { return };
        if ear.hears(&feed) {
            // What is lost with it ended as well.
            drop(timeout_at(Instant::now() + self.dialer.timeout, ear.unsubscribe(&[feed])).await);
        }
    }
}

/// A watch that is not confirmed: given up, it leaves nothing to be subscribed again.
struct Pending<'a> {
    shared: &'a Shared,
    channel: &'a ChannelName,
    feed: String,
}

impl<'a> Pending<'a> {
    fn begin(shared: &'a Shared, channel: &'a ChannelName) -> Self {
        let feed = shared.names.feed(channel);
        shared.watched().entry(feed.clone()).or_insert_with(|| (channel.clone(), false));
        Self { shared, channel, feed }
    }

    fn confirm(&self) {
        self.shared.watched().insert(self.feed.clone(), (self.channel.clone(), true));
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let mut watched = self.shared.watched();
        if watched.get(&self.feed).is_some_and(|(_, confirmed)| !confirmed) {
            watched.remove(&self.feed);
        }
    }
}
