//! Rights that the application takes back: a user's connections, or a user's subscription to a channel.
//!
//! What is taken back is a message of a log, `@revoked`. Every node reads it and obeys, so a node that was cut off learns
//! of it as well, as soon as it reads on; one that finds a gap there ends all its users' connections, for it cannot know
//! whose. What was issued to a user before is refused from then on, as long as the log remembers.
//!
//! # How a connection learns
//! Each connection of a user holds [`Orders`], and is on the list of that user. An order rings the connection's bell, and
//! its session obeys when it next takes what is new, on whatever transport. What it asks the application for meanwhile
//! it has not got yet: so an order stays until the answer is there, and what was let in by an answer from before it is
//! ended by it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dashmap::DashMap;
use serde::{Deserialize, Serialize};
use tricast_core::access::{Identity, UserId, UserIdError};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, NameError, Rule, Topic};
use tricast_core::log::Appended;
use tricast_core::message::{Draft, DraftError, Message, Payload};
use tricast_core::protocol::Code;
use tricast_core::wake::Bell;

use crate::auth::Login;
use crate::hub::{Feed, Followed, Following, Hub, Logs};

/// What is remembered of whom: the newest so many, for so long.
const KEEP: u64 = 10_000;
const TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Channels in one connection's orders; with more, all of it is ended.
const ORDERS: usize = 1_024;

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
    /// Where it stands on its user's list. Changed by whoever changes the list.
    place: AtomicUsize,
    left: Mutex<Ordered>,
}

/// What is left to obey.
#[derive(Debug, Clone, Default)]
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

    /// As [`Orders::take`], but it is all there the next time as well.
    pub(crate) fn look(&self) -> Ordered {
        self.lock().clone()
    }

    /// Obeys these as well: another's, whose place on the list this takes.
    pub(crate) fn inherit(&self, other: &Self) {
        other.take().channels.iter().for_each(|channel| self.give(Some(channel), Code::Unauthorized));
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
            // A user may have very many connections, which may all end at once: none looks through all others.
            let place = self.orders.place.load(Ordering::Relaxed);
            if place < listed.len() {
                listed.swap_remove(place);
            }
            if let Some(moved) = listed.get(place) {
                moved.place.store(place, Ordering::Relaxed);
            }
            listed.is_empty()
        });
    }
}

/// Who is connected as which user, and since when what was issued to whom counts.
pub(crate) struct Revocations {
    logs: Arc<Logs>,
    topic: Topic,
    /// The log, which is not forgotten.
    _kept: Option<Arc<Feed>>,
    users: DashMap<UserId, Vec<Arc<Orders>>>,
    /// When a user was revoked, in milliseconds since the Unix epoch. No more of them than the log keeps.
    since: Mutex<HashMap<UserId, u64>>,
}

impl Revocations {
    pub(crate) fn new(logs: Arc<Logs>) -> Self {
        let topic = Topic { name: ChannelName::revoked(), rule: Arc::new(Rule::stream().keep(KEEP).ttl(TTL)) };
        // Before the application's channels, of which there may be as many as there may.
        let kept = logs.feeds.obtain(&topic).ok();
        Self { logs, topic, _kept: kept, users: DashMap::new(), since: Mutex::default() }
    }

    /// Obeys the log, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut log = Following::begin(Arc::clone(&self.logs), &self.topic).await;
        loop {
            match log.next().await {
                Followed::Messages(messages) => messages.iter().for_each(|message| self.obey(message)),
                Followed::Gap { had_read: true } => self.doubt_everybody(),
                // At the very beginning nothing was missed that anybody here could have had.
                Followed::Gap { had_read: false } => {}
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
        // Nobody is woken under the list's lock.
        let listed = self.users.get(&user).map(|listed| listed.value().clone()).unwrap_or_default();
        listed.iter().filter(|orders| orders.since_ms <= message.at).for_each(|orders| {
            orders.give(channel, Code::Unauthorized);
        });
    }

    /// Nobody knows whose rights were taken back: every user shows anew who it is.
    fn doubt_everybody(&self) {
        let users: Vec<UserId> = self.users.iter().map(|listed| listed.key().clone()).collect();
        for user in users {
            let listed = self.users.get(&user).map(|listed| listed.value().clone()).unwrap_or_default();
            listed.iter().for_each(|orders| orders.give(None, Code::Unavailable));
        }
    }
}

impl Hub {
    /// Puts a connection on its user's list; `None` where nobody signed in.
    pub(crate) fn list(&self, login: &Login, bell: &Arc<Bell>) -> Option<Listed> {
        let user = login.who.user_id()?.clone();
        let (bell, since_ms) = (Arc::clone(bell), login.since_ms);
        let orders = Arc::new(Orders { bell, since_ms, place: AtomicUsize::default(), left: Mutex::default() });
        {
            let mut listed = self.revocations.users.entry(user.clone()).or_default();
            orders.place.store(listed.len(), Ordering::Relaxed);
            listed.push(Arc::clone(&orders));
        }
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
        self.logs.backplane.append(&self.revocations.topic, draft, &Identity::Server.scope()).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tricast;
    use crate::session::{Delivery, Session};
    use tricast_core::access::User;
    use tricast_core::log::Limit;
    use tricast_core::protocol::SubscribeTo;

    fn login(user: &str) -> Login {
        let mut login = Login::default();
        login.who = User::new(user.parse().unwrap()).into();
        login
    }

    async fn hub() -> Arc<Hub> {
        Arc::clone(Tricast::builder().rule("chat:{room}", Rule::stream()).build().await.unwrap().hub())
    }

    #[tokio::test]
    async fn the_list_of_a_user_goes_with_its_last_connection_in_whatever_order_they_end() {
        let hub = hub().await;
        assert!(hub.list(&Login::default(), &Arc::default()).is_none(), "nobody has no list");
        for ending in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [0, 2, 1]] {
            let mut listed: Vec<_> = (0..3).map(|_| hub.list(&login("ann"), &Arc::default())).collect();
            let other = hub.list(&login("bob"), &Arc::default());
            for (ended, index) in ending.into_iter().enumerate() {
                assert_eq!(hub.revocations.users.get(&"ann".parse().unwrap()).unwrap().len(), 3 - ended);
                listed[index] = None;
                hub.revoke(&"ann".parse().unwrap(), Some(&"chat:a".parse().unwrap())).await.unwrap();
                let left = listed.iter().flatten();
                // Whoever is left is told all the same.
                let told = async {
                    for one in left {
                        while one.orders.take().channels.is_empty() {
                            tokio::task::yield_now().await;
                        }
                    }
                };
                told.await;
            }
            drop(other);
            assert!(hub.revocations.users.is_empty(), "{ending:?}");
        }
    }

    #[tokio::test]
    async fn more_than_a_connection_can_be_told_one_by_one_ends_it() {
        let hub = hub().await;
        let listed = hub.list(&login("ann"), &Arc::default()).unwrap();
        for number in 0..ORDERS {
            let channel = format!("chat:{number}").parse().unwrap();
            // Twice the same is told once.
            listed.orders.give(Some(&channel), Code::Unauthorized);
            listed.orders.give(Some(&channel), Code::Unauthorized);
        }
        assert_eq!(listed.orders.look().over, None);
        listed.orders.give(Some(&"chat:more".parse().unwrap()), Code::Unauthorized);
        let Ordered { over, channels } = listed.orders.take();
        assert_eq!((over, channels.len()), (Some(Code::Unauthorized), ORDERS));
        assert!(listed.orders.take().channels.is_empty());
    }

    #[tokio::test]
    async fn what_was_told_to_a_connection_is_obeyed_though_it_was_renewed_in_between() {
        let hub = hub().await;
        let mut session = Session::new(Arc::clone(&hub), login("ann"), None);
        let channel: ChannelName = "chat:a".parse().unwrap();
        session.subscribe(&[SubscribeTo::new(channel.clone())], None, None).await;
        let told = hub.revocations.users.get(&"ann".parse().unwrap()).unwrap().value().clone();
        told[0].give(Some(&channel), Code::Unauthorized);
        session.log_in(login("ann")).await;
        let taken = session.take(Limit::default()).await;
        assert!(matches!(&taken.deliveries[..], [Delivery::Ended { .. }]), "{taken:?}");
        assert_eq!(session.channels().next(), None);
    }

    /// A node that finds a gap in the log cannot know whose rights it missed.
    #[tokio::test]
    async fn in_doubt_every_user_shows_anew_who_it_is() {
        let hub = hub().await;
        let listed = ["ann", "bob"].map(|user| hub.list(&login(user), &Arc::default()).unwrap());
        hub.revocations.doubt_everybody();
        assert_eq!(listed.each_ref().map(|one| one.orders.take().over), [Some(Code::Unavailable); 2]);
    }
}
