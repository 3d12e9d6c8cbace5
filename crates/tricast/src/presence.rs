//! Who is on a channel, on this node: places held by subscriptions, written to the members' state channels.
//!
//! [`tricast_core::presence`] decides; here is who drives it. A subscription holds a [`Membership`] for as long as it
//! lives; one task for the node sleeps until the next place is over. What has to be written is written by a task of its
//! own, so that a connection that ends in the middle of it leaves nothing half done.
//!
//! # Order
//! [`Presence::join`] resolves when the member is in the log, so whoever is told `subscribed` finds itself listed.

use std::collections::HashMap;
use std::hash::{Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use siphasher::sip::SipHasher24;
use tricast_core::access::{Identity, Scope, UserId};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, Rule, Topic};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::json::Json;
use tricast_core::limits::STATE_KEEP;
use tricast_core::log::Appended;
use tricast_core::message::Draft;
use tricast_core::presence::{Change, Outcome, Presence as Places, Who};
use tricast_core::protocol::ClientId;
use tricast_core::protocol::event::Member;
use tricast_core::wake::Bell;

use crate::expiry::sleep_unless_sooner;
use crate::hub::{Feed, Logs};

pub(crate) struct Presence {
    state: Mutex<State>,
    /// Rung when something may be due sooner than what the task sleeps for.
    sooner: Bell,
    logs: Arc<Logs>,
    clock: Arc<dyn Clock>,
    /// The rule of all members' channels.
    rule: Arc<Rule>,
    publisher: Scope,
    /// Makes of a user that is not to be shown what is shown in its place: the same for the same user, on one channel.
    disguise: SipHasher24,
}

/// Guarded by a lock that is taken alone, and never held while anything is written.
struct State {
    places: Places,
    /// The channels where somebody is.
    kept: HashMap<ChannelName, Kept>,
}

struct Kept {
    /// The log of the members' channel, which is not forgotten while somebody is there.
    _feed: Arc<Feed>,
    /// Whether members bear their user's id.
    shows_user: bool,
}

/// What a connection that is a member brings.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) user: Option<UserId>,
    pub(crate) client: ClientId,
    /// How long its place stands when it has gone.
    pub(crate) linger: Duration,
}

/// A place on a channel, held until this is dropped.
pub(crate) struct Membership {
    presence: Arc<Presence>,
    who: Who,
    linger: Duration,
}

/// Why a member does not show what it wants to.
#[derive(Debug)]
pub(crate) enum NotShown {
    /// The members' channel has no room for it.
    Full,
    /// The backplane does not answer; it is tried again.
    Unavailable,
}

impl Presence {
    pub(crate) fn new(logs: Arc<Logs>, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        let most = usize::try_from(STATE_KEEP).unwrap_or(usize::MAX);
        Self {
            state: Mutex::new(State { places: Places::new(most), kept: HashMap::new() }),
            sooner: Bell::default(),
            logs,
            clock,
            rule: Arc::new(Rule::state().keep(STATE_KEEP)),
            publisher: Identity::Server.scope(),
            disguise: SipHasher24::new_with_keys(entropy.next_u64(), entropy.next_u64()),
        }
    }

    /// The channel of a channel's members.
    pub(crate) fn topic(&self, channel: &ChannelName) -> Topic {
        Topic { name: channel.presence(), rule: Arc::clone(&self.rule) }
    }

    /// Makes a client a member, unless it is one; `None` where there is no room for one more.
    ///
    /// # Cancel safety
    /// A dropped call may have made it one; it leaves as if its connection had ended.
    pub(crate) async fn join(
        self: &Arc<Self>,
        topic: &Topic,
        visitor: &Visitor,
        data: Option<Json>,
    ) -> Option<Membership> {
        let Visitor { user, client, linger } = visitor.clone();
        let (channel, shows_user) = (&topic.name, topic.rule.shows_user());
        let who = Who { channel: channel.clone(), user, client };
        let feed = self.logs.feeds.obtain(&self.topic(channel)).ok()?;
        {
            let mut state = self.lock();
            if !state.places.hold(&who, data, self.clock.wall_ms()) {
                return None;
            }
            state.kept.entry(channel.clone()).or_insert(Kept { _feed: feed, shows_user });
        }
        let membership = Membership { presence: Arc::clone(self), who, linger };
        // Where its entry did not get into the log it is a member all the same, and is tried again.
        drop(self.settle(&membership.who).await);
        Some(membership)
    }

    /// Lets places go whose time is over, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let next = self.lock().places.due();
            let Some(at) = next else {
                self.sooner.rung().await;
                continue;
            };
            let now = self.clock.monotonic();
            if now < at {
                sleep_unless_sooner(at - now, &self.sooner).await;
                continue;
            }
            let over = self.lock().places.expire(now);
            for who in over {
                // What failed is due again.
                drop(self.settle(&who).await);
                self.change(&who.channel, |_| ());
            }
            tokio::task::yield_now().await;
        }
    }

    /// Writes what a member's log lacks, unless somebody is doing so.
    async fn settle(self: &Arc<Self>, who: &Who) -> Result<(), NotShown> {
        let Some(first) = self.lock().places.next(who) else { return Ok(()) };
        let (presence, who) = (Arc::clone(self), who.clone());
        let writing = tokio::spawn(async move { presence.write(&who, first).await });
        writing.await.unwrap_or(Err(NotShown::Unavailable))
    }

    async fn write(&self, who: &Who, first: Change) -> Result<(), NotShown> {
        let topic = self.topic(&who.channel);
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(change) = next {
            let outcome = match self.draft(who, &change) {
                Some(draft) => outcome(self.logs.backplane.append(&topic, draft, &self.publisher).await),
                None => Outcome::Refused,
            };
            let now = self.clock.monotonic();
            next = self.change(&who.channel, |places| {
                places.written(who, &change, outcome, now);
                if outcome == Outcome::Failed { None } else { places.next(who) }
            });
            result = match (outcome, &change) {
                (Outcome::Failed, _) => Err(NotShown::Unavailable),
                (Outcome::Refused, Change::Show(_)) => Err(NotShown::Full),
                (Outcome::Refused, Change::Remove(_)) | (Outcome::Written(_), _) => Ok(()),
            };
        }
        result
    }

    /// `None` if the member would nest too deep for a message. What a command or a query may bring does not.
    fn draft(&self, who: &Who, change: &Change) -> Option<Draft> {
        let shows_user = self.lock().kept.get(&who.channel).is_some_and(|kept| kept.shows_user);
        let key = self.key(who, shows_user);
        match change {
            Change::Show(member) if shows_user => Some(Draft::json_text(&member.to_json()).ok()?.key(key)),
            Change::Show(member) => {
                let member = Member { user: None, ..member.clone() };
                Some(Draft::json_text(&member.to_json()).ok()?.key(key))
            }
            Change::Remove(seq) => Some(Draft::delete(key).only_if(*seq)),
        }
    }

    /// The member's key: its user is part of it, so that nobody takes another's place by borrowing a client id.
    fn key(&self, who: &Who, shows_user: bool) -> String {
        match &who.user {
            None => who.client.as_str().to_owned(),
            Some(user) if shows_user => format!("{user}/{}", who.client.as_str()),
            Some(user) => {
                let mut disguise = self.disguise;
                (who.channel.as_str(), user.as_str()).hash(&mut disguise);
                format!("~{:016x}/{}", disguise.finish(), who.client.as_str())
            }
        }
    }

    /// Changes places on a channel, lets go of its log if nobody is there any more, and sees to what is due.
    fn change<T>(&self, channel: &ChannelName, change: impl FnOnce(&mut Places) -> T) -> T {
        let mut state = self.lock();
        let before = state.places.due();
        let result = change(&mut state.places);
        if !state.places.has_members(channel) {
            state.kept.remove(channel);
        }
        let due = state.places.due();
        drop(state);
        if due.is_some_and(|due| before.is_none_or(|before| due < before)) {
            self.sooner.ring();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Membership {
    /// Changes what the member shows.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) async fn show(&self, data: Json) -> Result<(), NotShown> {
        self.presence.lock().places.show(&self.who, data);
        self.presence.settle(&self.who).await
    }
}

impl Membership {
    /// Leaves at once; returns what the member showed.
    pub(crate) fn leave(mut self) -> Option<Json> {
        self.linger = Duration::ZERO;
        self.presence.lock().places.shown(&self.who).cloned()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let until = self.presence.clock.monotonic() + self.linger;
        self.presence.change(&self.who.channel, |places| places.release(&self.who, until));
    }
}

fn outcome(appended: Result<Appended, BackplaneError>) -> Outcome {
    match appended {
        Ok(appended) => Outcome::Written(appended.position.seq),
        Err(BackplaneError::Refused(_)) => Outcome::Refused,
        Err(_) => Outcome::Failed,
    }
}
