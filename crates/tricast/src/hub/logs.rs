//! Where readers get what they read: from a node's own logs, or from its copies of those of a store.
//!
//! The embedded backplane and the readers share the very logs, so there is nothing to do but to ask it before a gap is
//! told. With any other, a channel that is read here has a copy ([`tricast_core::cache`], which decides), and here is who
//! drives it: who watches a channel for its readers, catches up where news were lost, and fetches what a reader lacks.
//!
//! # One question for all
//! However many readers come at once to a channel, where its log stands is asked once after they came, and what they
//! lack is fetched once: see [`super::shared`].
//!
//! # When the store does not answer
//! Readers stay, and keep what they have. What they wait for is owed: they are rung when the store answers again.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tricast_core::backplane::{Backplane, BackplaneError, Events, News, Slice, Uncertain};
use tricast_core::cache::{Filled, Filling, Fork, Heard, Learned};
use tricast_core::clock::Clock;
use tricast_core::log::{Head, Limit};
use tricast_core::message::{Encoding, Message, encode};
use tricast_core::position::{Position, Seq};
use tricast_core::protocol::GapReason;
use tricast_core::replay::{Decision, decide};
use tricast_core::wake::Bell;

use super::feed::{Batch, Content, Feed, Found};
use super::feeds::Feeds;
use super::shared::Shared;
use crate::expiry::Expiries;
use crate::wake::Sweeper;

/// The logs of all channels, as the readers of this node read them.
pub(crate) struct Logs {
    pub(crate) feeds: Arc<Feeds>,
    pub(crate) backplane: Arc<dyn Backplane>,
    clock: Arc<dyn Clock>,
    sweeper: Sweeper,
    /// When keys of states leave that are read here, as far as this node's clock tells.
    expiries: Arc<Expiries>,
    /// Rung when every copy may be behind.
    pub(super) uncertain: Bell,
}

/// What a reader is given.
#[derive(Debug)]
pub(crate) enum Got {
    /// It has everything, and stands at this seq.
    Nothing { to: Seq },
    /// Messages, up to a seq.
    Messages(Batch),
    /// Its position cannot be continued: the log stands here, and this position replaces its own.
    Gap { head: Head, reason: GapReason, position: Position },
    /// The backplane does not answer. The reader is rung when it does again.
    Owed,
}

impl Logs {
    pub(crate) fn new(
        feeds: Arc<Feeds>,
        backplane: Arc<dyn Backplane>,
        clock: Arc<dyn Clock>,
        sweeper: Sweeper,
    ) -> Self {
        Self { feeds, backplane, clock, sweeper, expiries: Arc::default(), uncertain: Bell::default() }
    }

    /// Where a channel's log stands, asked after this was called. From here on its readers are rung when it grows, and
    /// what is here reaches the answer at least.
    ///
    /// # Errors
    /// The backplane does not answer.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn watch(self: &Arc<Self>, feed: &Arc<Feed>) -> Result<Head, BackplaneError> {
        let Some(shared) = feed.shared() else { return self.backplane.watch(feed.topic()).await };
        let mut turn = match shared.turn().await {
            Ok(turn) => turn,
            Err(answered) => return answered,
        };
        let asked = if turn.is_watched() {
            self.backplane.open(feed.topic()).await
        } else {
            let head = self.backplane.watch(feed.topic()).await;
            turn.watched(head.is_ok());
            head
        };
        let head = match asked {
            Ok(head) => self.learn_and_catch_up(feed, &head).await.map(|()| head),
            Err(error) => Err(error),
        };
        turn.answer(head)
    }

    /// What there is for a reader after its position, asked for after this was called where it is not here. `encoding` of
    /// `None` gives the messages themselves.
    ///
    /// # Cancel safety
    /// Dropping it loses nothing.
    pub(crate) async fn read(
        self: &Arc<Self>,
        feed: &Arc<Feed>,
        after: Position,
        limit: Limit,
        encoding: Option<Encoding>,
    ) -> Got {
        if let Some(got) = self.read_here(feed, after, limit, encoding) {
            return got;
        }
        match self.read_elsewhere(feed, after, limit, encoding).await {
            Ok(got) => got,
            Err(error) => {
                tracing::debug!(channel = %feed.topic().name, %error, "readers wait for the backplane");
                feed.shared().inspect(|shared| shared.owe());
                Got::Owed
            }
        }
    }

    fn read_here(&self, feed: &Feed, after: Position, limit: Limit, encoding: Option<Encoding>) -> Option<Got> {
        match feed.read(after, limit, self.clock.wall_ms(), encoding) {
            Found::Nothing { to } => Some(Got::Nothing { to }),
            Found::Messages(batch) => Some(Got::Messages(batch)),
            Found::Elsewhere => None,
        }
    }

    async fn read_elsewhere(
        self: &Arc<Self>,
        feed: &Arc<Feed>,
        after: Position,
        limit: Limit,
        encoding: Option<Encoding>,
    ) -> Result<Got, BackplaneError> {
        let head = self.watch(feed).await?;
        if let Decision::Gap { reason, position } = decide(feed.topic().rule.kind(), Some(after), &head) {
            return Ok(Got::Gap { head, reason, position });
        }
        // The embedded backplane has said that the reader may go on here.
        let Some(shared) = feed.shared() else {
            return Ok(self.read_here(feed, after, limit, encoding).unwrap_or(Got::Nothing { to: after.seq }));
        };
        let mut fetch = shared.fetch().await;
        // Whoever fetched before may have fetched this.
        self.fill(feed, after).await?;
        if let Some(got) = self.read_here(feed, after, limit, encoding) {
            return Ok(got);
        }
        let slice = match fetch.page(after) {
            Some(slice) => slice,
            None => {
                let slice = Arc::new(self.backplane.read(feed.topic(), after, Limit::default()).await?);
                fetch.keep(after, &slice);
                slice
            }
        };
        drop(fetch);
        Ok(page(feed, after, &slice, limit, encoding))
    }

    /// Fetches what a reader at this position lacks, if it can become part of the copy and there is room for it.
    async fn fill(&self, feed: &Arc<Feed>, after: Position) -> Result<(), BackplaneError> {
        let Some(mut filling) = feed.with_cache(|cache| cache.lacks(after)).flatten() else { return Ok(()) };
        if !self.feeds.has_memory() {
            return Ok(());
        }
        loop {
            let slice = self.backplane.read(feed.topic(), filling.at(), Filling::PAGE).await?;
            match filling.take(slice) {
                Filled::More => {}
                Filled::Unfit => return Ok(()),
                Filled::Whole => {
                    feed.with_cache(|cache| cache.fill(filling));
                    self.see_to_expiry(feed);
                    return Ok(());
                }
            }
        }
    }

    /// Takes what the backplane said of a log, and what is missing for that.
    async fn learn_and_catch_up(self: &Arc<Self>, feed: &Arc<Feed>, head: &Head) -> Result<(), BackplaneError> {
        if self.learn(feed, head) { self.catch_up(feed).await } else { Ok(()) }
    }

    /// Takes what the backplane said of a log. Returns whether something is missing here.
    pub(super) fn learn(&self, feed: &Arc<Feed>, head: &Head) -> bool {
        let learned = feed.with_cache(|cache| (cache.learn(head), cache.wants().is_some()));
        let Some((learned, is_behind)) = learned else { return false };
        if learned == Learned::Anew {
            self.tell(feed);
        }
        is_behind
    }

    /// Reads what was missed until nothing is known to be missing.
    pub(super) async fn catch_up(self: &Arc<Self>, feed: &Arc<Feed>) -> Result<(), BackplaneError> {
        let Some(shared) = feed.shared() else { return Ok(()) };
        let turn = shared.catch_up().await;
        let done = self.read_what_is_missing(feed).await;
        drop(turn);
        // Also where the rest did not come: what did is here.
        self.tell(feed);
        done
    }

    async fn read_what_is_missing(&self, feed: &Arc<Feed>) -> Result<(), BackplaneError> {
        while let Some(after) = feed.with_cache(|cache| cache.wants()).flatten() {
            let slice = self.backplane.read(feed.topic(), after, Limit::default()).await?;
            let stands = || (feed.head(), feed.with_cache(|cache| cache.wants()));
            let before = stands();
            if let Some(Err(fork)) = feed.with_cache(|cache| cache.catch_up(after, &slice)) {
                self.end_epoch(feed, fork).await?;
            }
            // A store that answers less than it told of is asked again when it tells more.
            if stands() == before {
                break;
            }
        }
        Ok(())
    }

    /// Ends an epoch of which two lives were seen.
    async fn end_epoch(&self, feed: &Arc<Feed>, fork: Fork) -> Result<(), BackplaneError> {
        tracing::error!(channel = %feed.topic().name, %fork, "the log had two lives: its epoch ends");
        let head = self.backplane.renew(feed.topic(), fork.position.epoch).await?;
        // What is missing in it already is found by who catches up, or by the next news or round.
        self.learn(feed, &head);
        Ok(())
    }

    /// Sends somebody to do what news or a head ask for, unless somebody is on the way.
    pub(super) fn send(self: &Arc<Self>, feed: Arc<Feed>, errand: Errand) {
        if !feed.shared().is_some_and(Shared::falls_behind) {
            return;
        }
        let logs = Arc::clone(self);
        tokio::spawn(async move {
            feed.shared().inspect(|shared| shared.arrives());
            let done = match errand {
                Errand::CatchUp => logs.catch_up(&feed).await,
                Errand::Ask => logs.watch(&feed).await.map(drop),
                Errand::EndEpoch(fork) => logs.end_epoch(&feed, fork).await,
            };
            if let Err(error) = done {
                // Asked for again with the heads of all channels, a second later at most.
                tracing::debug!(channel = %feed.topic().name, %error, "what was missed cannot be read yet");
            }
        });
    }

    /// Rings a channel's readers, and sees to the keys that leave by themselves.
    pub(super) fn tell(&self, feed: &Arc<Feed>) {
        self.sweeper.tell(feed);
        self.see_to_expiry(feed);
    }

    fn see_to_expiry(&self, feed: &Arc<Feed>) {
        if let Some(next) = feed.with_cache(|cache| cache.log().next_expiry()) {
            self.expiries.set(&feed.topic().name, next);
        }
    }

    /// Rings the readers of a channel who are owed something.
    pub(super) fn pay(&self, feed: &Arc<Feed>) {
        if feed.shared().is_some_and(Shared::pay) {
            self.sweeper.tell(feed);
        }
    }

    /// Asks the backplane about states of which a key is due, so that it lets it leave. Ends when this is dropped.
    pub(crate) fn expire(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let logs = Arc::downgrade(self);
        Arc::clone(&self.expiries).run(Arc::clone(&self.clock), move |channel| {
            let Some(logs) = logs.upgrade() else { return };
            let Some(feed) = logs.feeds.get(channel) else { return };
            tokio::spawn(async move {
                // Whatever it answers: if the key is still there its time is not over by the log's clock.
                drop(logs.watch(&feed).await);
                tokio::time::sleep(AGAIN).await;
                logs.see_to_expiry(&feed);
            });
        })
    }
}

/// What somebody is sent for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errand {
    /// Something is known to be missing.
    CatchUp,
    /// What is known is in doubt.
    Ask,
    /// Two lives of a log were seen.
    EndEpoch(Fork),
}

/// After what time the store is asked again whether a key has left that is due by this node's clock: for that it is the
/// store's that counts.
const AGAIN: Duration = Duration::from_millis(200);

/// What a reader is given of a page that was fetched for it.
fn page(feed: &Feed, after: Position, slice: &Slice, limit: Limit, encoding: Option<Encoding>) -> Got {
    let Slice { head, messages, to } = slice;
    if let Decision::Gap { reason, position } = decide(feed.topic().rule.kind(), Some(after), head) {
        return Got::Gap { head: *head, reason, position };
    }
    let mut bytes = 0;
    let fits = |(nth, message): &(usize, &Arc<Message>)| {
        bytes += message.size();
        *nth == 0 || (*nth < limit.messages && bytes <= limit.bytes)
    };
    let count = messages.iter().enumerate().take_while(fits).count();
    let Some(last) = messages[..count].last() else { return Got::Nothing { to: *to } };
    let to = if count == messages.len() { *to } else { last.seq };
    let messages = &messages[..count];
    let (size, content) = match encoding {
        Some(encoding) => {
            let bytes = Bytes::from(encode(&feed.topic().name, head.epoch, messages, encoding));
            (bytes.len(), Content::Encoded(bytes))
        }
        None => (messages.iter().map(|message| message.size()).sum(), Content::Messages(messages.to_vec())),
    };
    Got::Messages(Batch { to, count, size, content })
}

/// Hears what a backplane with a store of its own tells. Does not keep what it tells it to.
pub(crate) struct Ear(pub(crate) Weak<Logs>);

impl Events for Ear {
    fn grew(&self, news: News<'_>) {
        let Some(logs) = self.0.upgrade() else { return };
        let (Some(feed), Some(message)) = (logs.feeds.get(news.channel), news.message) else { return };
        match feed.with_cache(|cache| cache.hear(news.epoch, Arc::clone(message))) {
            Some(Heard::Grew) => logs.tell(&feed),
            Some(Heard::Behind) => logs.send(feed, Errand::CatchUp),
            Some(Heard::Doubt) => logs.send(feed, Errand::Ask),
            Some(Heard::Fork(fork)) => logs.send(feed, Errand::EndEpoch(fork)),
            Some(Heard::Nothing) | None => {}
        }
    }

    fn uncertain(&self, what: Uncertain<'_>) {
        let Some(logs) = self.0.upgrade() else { return };
        match what {
            Uncertain::Channel(name) => {
                if let Some(feed) = logs.feeds.get(name) {
                    logs.send(feed, Errand::Ask);
                }
            }
            Uncertain::All => {
                logs.uncertain.ring();
            }
        }
    }
}
