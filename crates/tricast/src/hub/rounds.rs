//! What is done once a second for all copies of a node: where their logs stand is asked, and those that nobody reads any
//! more are given up.
//!
//! News that vanish leave a hole, which the next news shows; or, if they were the last, nothing at all. So the heads of
//! the channels that are read here are asked for, many in one call: at a cost per node, not per reader.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::cache::Cache;
use tricast_core::limits::HEADS_PER_ROUND;

use super::feed::Feed;
use super::logs::{Errand, Logs};

/// The time between two rounds.
const ROUND: Duration = Duration::from_secs(1);

/// Channels in one question.
const HEADS: usize = 256;

/// How long a channel is watched that nobody reads any more: who polls is gone between any two requests.
const LINGER: Duration = Duration::from_secs(60);

/// About how many channels the store was asked, and answered.
#[derive(Debug, Default)]
struct Compared {
    asked: usize,
    answered: usize,
}

impl Logs {
    /// Makes the rounds, for ever.
    pub(crate) async fn make_rounds(self: Arc<Self>) {
        let mut next = 0;
        // So many are asked about at once, because what was told of them is in doubt.
        let mut in_doubt = 0;
        loop {
            let all_are = tokio::time::timeout(ROUND, self.uncertain.rung()).await.is_ok();
            let copies = self.feeds.copies();
            self.retire_idle(&copies).await;
            let is_begun = |feed: &&Arc<Feed>| feed.with_cache(|cache| cache.is_begun()) == Some(true);
            let mut begun: Vec<Arc<Feed>> = copies.iter().filter(is_begun).cloned().collect();
            drop(copies);
            if all_are {
                in_doubt = begun.len();
            }
            let first = if begun.is_empty() { 0 } else { next % begun.len() };
            begun.rotate_left(first);
            begun.truncate(in_doubt.max(HEADS_PER_ROUND));
            let Compared { asked, answered } = self.compare_heads(&begun).await;
            drop(begun);
            next = first + asked;
            in_doubt = in_doubt.saturating_sub(answered);
            self.feeds.keep_to_memory();
        }
    }

    /// Compares what is here with what the store has. Where it says nothing at all, the others are left to the next round.
    async fn compare_heads(self: &Arc<Self>, feeds: &[Arc<Feed>]) -> Compared {
        let mut compared = Compared::default();
        for feeds in feeds.chunks(HEADS) {
            let topics: Vec<_> = feeds.iter().map(|feed| feed.topic().clone()).collect();
            let mut is_silent = true;
            for (feed, head) in feeds.iter().zip(self.backplane.heads(&topics).await) {
                match head {
                    Ok(head) => {
                        if self.learn(feed, &head) {
                            self.send(Arc::clone(feed), Errand::CatchUp);
                        }
                        self.pay(feed);
                        compared.answered += 1;
                        is_silent = false;
                    }
                    Err(error) => {
                        tracing::debug!(channel = %feed.topic().name, %error, "the head cannot be compared");
                    }
                }
            }
            compared.asked += feeds.len();
            if is_silent {
                break;
            }
        }
        compared
    }

    /// Gives up the copies that nobody has read for a while; at once where there is no room for another channel.
    async fn retire_idle(&self, copies: &[Arc<Feed>]) {
        let (now, crowded) = (self.feeds.now(), self.feeds.is_crowded());
        for feed in copies {
            let Some(shared) = feed.shared() else { continue };
            let idle = shared.idle(is_used(feed), now);
            if idle.is_none_or(|idle| idle < LINGER && !crowded) {
                continue;
            }
            // Whoever comes meanwhile waits for this turn, and watches the channel again.
            let Ok(mut turn) = shared.turn().await else { continue };
            // Whoever came before has been answered by now, and reads on.
            if is_used(feed) {
                continue;
            }
            if turn.is_watched() {
                self.backplane.unwatch(feed.topic()).await;
                turn.watched(false);
            }
            feed.with_cache(Cache::close);
            drop(turn);
            self.tell(feed);
            self.feeds.give_up(feed);
        }
    }
}

/// Two hold it that do not count: the map, and who makes the rounds.
fn is_used(feed: &Arc<Feed>) -> bool {
    Arc::strong_count(feed) > 2
}

#[cfg(test)]
mod tests;
