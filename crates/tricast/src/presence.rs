//! Who is on a channel, on this node: places held by subscriptions, written to the members' state channels.
//!
//! [`tricast_core::presence`] decides; here is who drives it. A subscription holds a [`Membership`] for as long as it
//! lives; one task for the node sleeps until the next place is over. What has to be written is written by a task of its
//! own, so that a connection that ends in the middle of it leaves nothing half done.
//!
//! # Several nodes
//! Where nodes share a store ([`Cluster`]) the log knows which of them hold a member. One that another node has written
//! is found, and nothing is appended; it leaves when the last node lets go. What was written and may be lost (the log
//! began anew, or this node was taken for dead) is written again.
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
use tricast_core::log::{Appended, Limit};
use tricast_core::message::Draft;
use tricast_core::position::{Position, Seq};
use tricast_core::presence::{Change, Outcome, Presence as Places, Who};
use tricast_core::protocol::ClientId;
use tricast_core::protocol::event::Member;
use tricast_core::wake::Bell;

use crate::cluster::Cluster;
use crate::expiry::sleep_unless_sooner;
use crate::hub::{Feed, Logs};
use crate::members;

pub(crate) struct Presence {
    state: Mutex<State>,
    /// Rung when something may be due sooner than what the task sleeps for.
    sooner: Bell,
    logs: Arc<Logs>,
    clock: Arc<dyn Clock>,
    /// The rule of all members' channels.
    rule: Arc<Rule>,
    publisher: Scope,
    /// By what users are disguised who are not to be shown, where there is no other node.
    secret: (u64, u64),
    /// The other nodes on the same store, if it is one that nodes share.
    cluster: Option<Arc<Cluster>>,
}

/// Guarded by a lock that is taken alone, and never held while anything is written.
struct State {
    places: Places,
    /// The channels where somebody is.
    kept: HashMap<ChannelName, Kept>,
}

struct Kept {
    /// The log of the members' channel, which is not forgotten while somebody is there.
    feed: Arc<Feed>,
    /// Its life in which the members were written.
    life: u32,
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
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotShown {
    /// The members' channel has no room for it.
    Full,
    /// The backplane does not answer; it is tried again.
    Unavailable,
}

impl Presence {
    pub(crate) fn new(
        logs: Arc<Logs>,
        clock: Arc<dyn Clock>,
        entropy: &dyn Entropy,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        let most = usize::try_from(STATE_KEEP).unwrap_or(usize::MAX);
        Self {
            state: Mutex::new(State { places: Places::new(most), kept: HashMap::new() }),
            sooner: Bell::default(),
            logs,
            clock,
            rule: Arc::new(members()),
            publisher: Identity::Server.scope(),
            secret: (entropy.next_u64(), entropy.next_u64()),
            cluster,
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
        if self.cluster.is_some() {
            // What it does not answer now is tried again with what is to be written.
            drop(self.logs.watch(&feed).await);
        }
        {
            let mut state = self.lock();
            if !state.places.hold(&who, data, self.clock.wall_ms()) {
                return None;
            }
            let life = feed.life();
            state.kept.entry(channel.clone()).or_insert(Kept { feed, life, shows_user });
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
        let mut next = Some(first);
        let mut result = Ok(());
        while let Some(change) = next {
            let wrote = self.append(who, &change).await;
            result = match (&wrote, &change) {
                (Wrote::Outcome(Outcome::Failed), _) => Err(NotShown::Unavailable),
                (Wrote::Outcome(Outcome::Refused), Change::Show(_)) => Err(NotShown::Full),
                _ => Ok(()),
            };
            let now = self.clock.monotonic();
            next = self.change(&who.channel, |places| {
                match wrote {
                    Wrote::Found(seq, member) => places.found(who, seq, member),
                    Wrote::Outcome(outcome) => places.written(who, &change, outcome, now),
                }
                if result == Err(NotShown::Unavailable) { None } else { places.next(who) }
            });
        }
        result
    }

    async fn append(&self, who: &Who, change: &Change) -> Wrote {
        match self.try_append(who, change).await {
            Ok(wrote) => wrote,
            Err(BackplaneError::Refused(_)) => Wrote::Outcome(Outcome::Refused),
            Err(_) => Wrote::Outcome(Outcome::Failed),
        }
    }

    async fn try_append(&self, who: &Who, change: &Change) -> Result<Wrote, BackplaneError> {
        let secret = match &self.cluster {
            Some(cluster) => {
                cluster.hold(&who.channel).await?;
                cluster.secret().await?
            }
            None => self.secret,
        };
        let topic = self.topic(&who.channel);
        let Some(draft) = self.draft(who, change, secret) else { return Ok(Wrote::Outcome(Outcome::Refused)) };
        let Appended { position, duplicate } = self.logs.backplane.append(&topic, draft, &self.publisher).await?;
        if duplicate && matches!(change, Change::Show(_)) {
            let before = Position::new(position.epoch, position.seq.back(1));
            let slice = self.logs.backplane.read(&topic, before, Limit { messages: 1, bytes: 0 }).await?;
            let entry = slice.messages.first().filter(|message| message.seq == position.seq);
            if let Some(member) = entry.and_then(|message| members::member(message)) {
                return Ok(Wrote::Found(position.seq, member));
            }
        }
        Ok(Wrote::Outcome(Outcome::Written(position.seq)))
    }

    /// `None` if the member would nest too deep for a message. What a command or a query may bring does not.
    fn draft(&self, who: &Who, change: &Change, secret: (u64, u64)) -> Option<Draft> {
        let shows_user = self.lock().kept.get(&who.channel).is_some_and(|kept| kept.shows_user);
        let key = key(who, shows_user, secret);
        let holder = self.cluster.as_ref().map_or_else(|| Arc::from("here"), |cluster| Arc::clone(cluster.node()));
        match change {
            Change::Show(member) => {
                let shown = if shows_user { member.clone() } else { Member { user: None, ..member.clone() } };
                let shows = shown.data.as_ref().map(|data| fingerprint(data.as_str()));
                Some(Draft::json_text(&shown.to_json()).ok()?.key(key).held_by(holder, shows))
            }
            Change::Remove(_) => Some(Draft::delete(key).held_by(holder, None)),
        }
    }

    /// Writes anew what may be lost, and says where there are members no more, for ever. Nothing without other nodes.
    pub(crate) async fn watch_over(self: Arc<Self>) {
        let Some(cluster) = self.cluster.clone() else { return };
        let mut lives = cluster.lives();
        loop {
            tokio::time::sleep(LOOK).await;
            let now = cluster.lives();
            if now != lives {
                lives = now;
                cluster.hold_anew().await;
                self.write_anew(None).await;
            }
            for channel in self.channels_begun_anew() {
                self.write_anew(Some(&channel)).await;
            }
            cluster.tidy(|channel| self.lock().kept.contains_key(channel)).await;
        }
    }

    async fn write_anew(self: &Arc<Self>, channel: Option<&ChannelName>) {
        let doubted = self.lock().places.doubt(channel);
        for who in doubted {
            // What failed is due again.
            drop(self.settle(&who).await);
        }
    }

    /// The channels whose members' log is another than that in which they were written.
    fn channels_begun_anew(&self) -> Vec<ChannelName> {
        let mut state = self.lock();
        let mut anew = Vec::new();
        for (channel, kept) in &mut state.kept {
            let life = kept.feed.life();
            if std::mem::replace(&mut kept.life, life) != life {
                anew.push(channel.clone());
            }
        }
        anew
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

/// What became of a change.
enum Wrote {
    Outcome(Outcome),
    /// The member is there, as another node wrote it.
    Found(Seq, Member),
}

/// The rule of all members' channels.
pub(crate) fn members() -> Rule {
    Rule::state().keep(STATE_KEEP)
}

/// How often it is looked for what has to be written anew.
const LOOK: Duration = Duration::from_secs(1);

/// The member's key: its user is part of it, so that nobody takes another's place by borrowing a client id. Who is not to
/// be shown is disguised: as the same for the same user, on one channel.
fn key(who: &Who, shows_user: bool, secret: (u64, u64)) -> String {
    match &who.user {
        None => who.client.as_str().to_owned(),
        Some(user) if shows_user => format!("{user}/{}", who.client.as_str()),
        Some(user) => {
            let mut disguise = SipHasher24::new_with_keys(secret.0, secret.1);
            (who.channel.as_str(), user.as_str()).hash(&mut disguise);
            format!("~{:016x}/{}", disguise.finish(), who.client.as_str())
        }
    }
}

/// Stands for what a member shows: nodes must agree on it.
fn fingerprint(data: &str) -> u64 {
    let mut hash = SipHasher24::new();
    hash.write(data.as_bytes());
    hash.finish()
}
