//! Rights that the application takes back: a user's connections, or a user's subscription to a channel.
//!
//! What is taken back is a message of a log, `@revoked`. Every node reads it and obeys, so a node that was cut off learns
//! of it as well, as soon as it reads on; one that finds a gap there ends all its users' connections, for it cannot know
//! whose. What was issued to a user before is refused from then on, as long as the log remembers.
//!
//! # How a connection learns
//! Each connection of a user holds [`Orders`], and is on the list of that user. An order rings the connection's bell, and
//! its session obeys when it next takes what is new, on whatever transport.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use tricast_core::access::{Identity, UserId, UserIdError};
use tricast_core::backplane::{Backplane, BackplaneError};
use tricast_core::channel::{ChannelName, Kind, NameError, Rule, Topic};
use tricast_core::clock::Clock;
use tricast_core::log::{Appended, Limit};
use tricast_core::message::{Draft, DraftError, Message, Payload};
use tricast_core::position::{Position, Seq};
use tricast_core::protocol::Code;
use tricast_core::replay::{Decision, decide};
use tricast_core::wake::Bell;

use crate::auth::Login;
use crate::hub::{Content, Feed, Feeds, Found, Hub};

/// What is remembered of whom: the newest so many, for so long.
const KEEP: u64 = 10_000;
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Channels in one connection's orders; with more, all of it is ended.
const ORDERS: usize = 1_024;

/// After what time it is tried again to read the log.
const RETRY: Duration = Duration::from_secs(1);

/// What is taken back, as the log has it.
#[derive(Debug, Serialize, Deserialize)]
struct Revoked {
    user: String,
    /// Nothing but this channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
}

/// What a connection of a user is told.
pub(crate) struct Orders {
    bell: Arc<Bell>,
    since_ms: u64,
    left: Mutex<Ordered>,
}

/// What is left to obey.
#[derive(Debug, Default)]
pub(crate) struct Ordered {
    /// All of it is over, for this reason.
    pub(crate) over: Option<Code>,
    /// These subscriptions are.
    pub(crate) channels: Vec<ChannelName>,
}

impl Orders {
    /// Takes what there is to obey.
    pub(crate) fn take(&self) -> Ordered {
        std::mem::take(&mut *self.lock())
    }

    fn give(&self, channel: Option<&ChannelName>, code: Code) {
        let mut left = self.lock();
        match channel {
            Some(channel) if left.channels.contains(channel) => {}
            Some(channel) if left.channels.len() < ORDERS => left.channels.push(channel.clone()),
            Some(_) | None => left.over = Some(code),
        }
        drop(left);
        self.bell.ring();
    }

    fn lock(&self) -> MutexGuard<'_, Ordered> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's place on its user's list. Dropping it leaves the list.
pub(crate) struct Listed {
    revocations: Arc<Revocations>,
    user: UserId,
    pub(crate) orders: Arc<Orders>,
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.revocations.users.remove_if_mut(&self.user, |_, listed| {
            listed.retain(|orders| !Arc::ptr_eq(orders, &self.orders));
            listed.is_empty()
        });
    }
}

/// Who is connected as which user, and since when what was issued to whom counts.
pub(crate) struct Revocations {
    feeds: Arc<Feeds>,
    backplane: Arc<dyn Backplane>,
    clock: Arc<dyn Clock>,
    topic: Topic,
    /// The log, which is not forgotten.
    _kept: Option<Arc<Feed>>,
    users: DashMap<UserId, Vec<Arc<Orders>>>,
    /// When a user was revoked, in milliseconds since the Unix epoch. No more of them than the log keeps.
    since: Mutex<HashMap<UserId, u64>>,
}

impl Revocations {
    pub(crate) fn new(feeds: Arc<Feeds>, backplane: Arc<dyn Backplane>, clock: Arc<dyn Clock>) -> Self {
        let topic = Topic { name: ChannelName::revoked(), rule: Arc::new(Rule::stream().keep(KEEP).ttl(TTL)) };
        // Before the application's channels, of which there may be as many as there may.
        let kept = feeds.obtain(&topic).ok();
        Self { feeds, backplane, clock, topic, _kept: kept, users: DashMap::new(), since: Mutex::default() }
    }

    /// Obeys the log, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let bell = Arc::<Bell>::default();
        let feed = loop {
            match self.feeds.obtain(&self.topic) {
                Ok(feed) => break feed,
                Err(error) => retry(&error).await,
            }
        };
        let _place = Place { place: feed.readers().join(Arc::clone(&bell)), feed: Arc::clone(&feed) };
        let mut position = loop {
            match self.backplane.watch(&self.topic).await {
                Ok(head) => break Position::new(head.epoch, Seq::ZERO),
                Err(error) => retry(&error).await,
            }
        };
        loop {
            match feed.read(position, Limit::default(), self.clock.wall_ms(), None) {
                Found::Nothing { to } => {
                    position = position.advanced(to);
                    bell.rung().await;
                }
                Found::Messages(batch) => {
                    position = position.advanced(batch.to);
                    if let Content::Messages(messages) = batch.content {
                        messages.iter().for_each(|message| self.obey(message));
                    }
                }
                Found::Gap => match self.backplane.open(&self.topic).await {
                    Ok(head) => {
                        if let Decision::Gap { position: after, .. } = decide(Kind::Stream, Some(position), &head) {
                            // At the very beginning nothing was missed that anybody here could have had.
                            if position.seq != Seq::ZERO {
                                self.doubt_everybody();
                            }
                            position = after;
                        }
                    }
                    Err(error) => retry(&error).await,
                },
            }
        }
    }

    /// Whether what holds since then was taken back later.
    pub(crate) fn is_revoked(&self, user: &UserId, since_ms: u64) -> bool {
        self.lock().get(user).is_some_and(|at| since_ms < *at)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<UserId, u64>> {
        self.since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn obey(&self, message: &Message) {
        let Some(Payload::Json(json)) = &message.payload else { return };
        let Ok(Revoked { user, channel }) = serde_json::from_str(json.as_str()) else { return };
        let Ok(user) = user.parse::<UserId>() else { return };
        let channel = channel.map(|channel| channel.parse::<ChannelName>());
        let channel = match &channel {
            Some(Ok(channel)) => Some(channel),
            Some(Err(_)) => return,
            None => None,
        };
        if channel.is_none() {
            let mut since = self.lock();
            if since.len() as u64 >= KEEP {
                let horizon = message.at.saturating_sub(u64::try_from(TTL.as_millis()).unwrap_or(u64::MAX));
                since.retain(|_, at| *at > horizon);
                // As the log does, the oldest is forgotten.
                if since.len() as u64 >= KEEP
                    && let Some(oldest) = since.iter().min_by_key(|(_, at)| **at).map(|(user, _)| user.clone())
                {
                    since.remove(&oldest);
                }
            }
            since.insert(user.clone(), message.at);
        }
        let Some(listed) = self.users.get(&user) else { return };
        listed.iter().filter(|orders| orders.since_ms <= message.at).for_each(|orders| {
            orders.give(channel, Code::Unauthorized);
        });
    }

    /// Nobody knows whose rights were taken back: every user shows anew who it is.
    fn doubt_everybody(&self) {
        self.users.iter().for_each(|listed| listed.iter().for_each(|orders| orders.give(None, Code::Unavailable)));
    }
}

impl Hub {
    /// Puts a connection on its user's list; `None` where nobody signed in.
    pub(crate) fn list(&self, login: &Login, bell: &Arc<Bell>) -> Option<Listed> {
        let user = login.who.user_id()?.clone();
        let orders = Orders { bell: Arc::clone(bell), since_ms: login.since_ms, left: Mutex::default() };
        let orders = Arc::new(orders);
        self.revocations.users.entry(user.clone()).or_default().push(Arc::clone(&orders));
        // Listed first, then asked: what is revoked in between is told one way or the other.
        if self.revocations.is_revoked(&user, login.since_ms) {
            orders.give(None, Code::Unauthorized);
        }
        Some(Listed { revocations: Arc::clone(&self.revocations), user, orders })
    }

    /// Takes back what a user has: all of it, or a subscription.
    pub(crate) async fn revoke(
        &self,
        user: &UserId,
        channel: Option<&ChannelName>,
    ) -> Result<Appended, BackplaneError> {
        let (user, channel) = (user.to_string(), channel.map(ToString::to_string));
        // A value of two texts is always serialized, and nests no deeper than one object.
        let unserializable =
            |error: DraftError| BackplaneError::Unavailable { reason: error.to_string(), maybe_applied: false };
        let draft = Draft::json(&Revoked { user, channel }).map_err(unserializable)?;
        self.backplane.append(&self.revocations.topic, draft, &Identity::Server.scope()).await
    }
}

/// Why nothing was taken back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RevokeError {
    /// The text is no user's id.
    #[error("not a user's id")]
    User(#[from] UserIdError),
    /// The text is not a channel's name.
    #[error("not a channel name")]
    Channel(#[from] NameError),
    /// The backplane could not take it.
    #[error("the revocation could not be appended")]
    Backplane(#[from] BackplaneError),
}

/// A place on the log's list of readers.
struct Place {
    feed: Arc<Feed>,
    place: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.feed.leave(self.place);
    }
}

async fn retry(error: &BackplaneError) {
    tracing::warn!(%error, "the log of revocations cannot be read; next try in a second");
    tokio::time::sleep(RETRY).await;
}
