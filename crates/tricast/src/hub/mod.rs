//! The channels alive on this node: publish, read, subscribe.
//!
//! The hub knows the rules, the backplane and its own [`Feed`]s; it knows no transport and no connection, but for how
//! many there are and that they are told to end.

mod feed;
mod feeds;
mod follow;
mod logs;
mod place;
mod rounds;
mod shared;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tricast_core::access::{Access, AccessRequest, Action, AsyncCondition, Identity, Verdict};
use tricast_core::backplane::BackplaneError;
use tricast_core::channel::{ChannelName, NameError, Pattern, Rule, Topic};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::limits::{COMMAND_OVERHEAD_BYTES, COMMANDS_PER_BATCH, SEND_OVERHEAD_BYTES};
use tricast_core::log::{AppendError, Appended};
use tricast_core::message::{Draft, DraftError};
use tricast_core::protocol::event::{Bye, Limits, Welcome};
use tricast_core::protocol::{ClientId, Code, Event, Ref, SubscribeTo};

use crate::auth::{AnyAuthenticator, Login};
use crate::cluster::Cluster;
use crate::edge::Edge;
use crate::presence::Presence;
use crate::revocation::Revocations;

use crate::hooks::{BegunPublish, HookError, Hooks, Refused};

pub(crate) use feed::{Batch, Content, Feed};
pub(crate) use feeds::{Capacity, Feeds, Known};
pub(crate) use follow::{Followed, Following};
pub(crate) use logs::{Ear, Got, Logs};

/// What the builder settled.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) message_bytes: usize,
    pub(crate) channels_per_connection: usize,
    pub(crate) heartbeat_ws: Duration,
    pub(crate) heartbeat_sse: Duration,
    pub(crate) write_timeout: Duration,
    /// How long a member stands whose last connection has gone.
    pub(crate) presence_grace: Duration,
    /// Requests must name this machine or this address in `Host`.
    pub(crate) local_only: Option<SocketAddr>,
}

impl Config {
    /// The longest WebSocket message: beyond the largest payload, however it was written, and its command.
    pub(crate) fn socket_message_bytes(&self) -> usize {
        2 * self.message_bytes + COMMAND_OVERHEAD_BYTES
    }

    /// The longest body of `send`: a full array of the largest payloads.
    pub(crate) fn send_body_bytes(&self) -> usize {
        COMMANDS_PER_BATCH * (self.message_bytes + SEND_OVERHEAD_BYTES)
    }
}

/// What a [`Hub`] is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) edge: Edge,
    pub(crate) rules: Vec<Ruled>,
    pub(crate) auth: Arc<dyn AnyAuthenticator>,
    pub(crate) hooks: Hooks,
    pub(crate) logs: Arc<Logs>,
    /// Where the logs are a store's that nodes share.
    pub(crate) cluster: Option<Arc<Cluster>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
}

pub(crate) struct Hub {
    pub(crate) config: Config,
    pub(crate) edge: Edge,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) logs: Arc<Logs>,
    cluster: Option<Arc<Cluster>>,
    pub(crate) presence: Arc<Presence>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) hooks: Hooks,
    pub(crate) auth: Arc<dyn AnyAuthenticator>,
    rules: Vec<Ruled>,
    /// Every connection holds a receiver, so the sender knows how many there are, and when the last has ended.
    drain: watch::Sender<Option<Draining>>,
}

/// That connections are to end, and over what time their clients shall come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Draining {
    pub(crate) spread: Duration,
}

/// A rule, and the channels it is for.
pub(crate) struct Ruled {
    pub(crate) pattern: Arc<Pattern>,
    pub(crate) rule: Arc<Rule>,
}

/// A channel with its rule, which lets somebody do what they want with it, as far as can be told at once.
pub(crate) struct Allowed {
    pub(crate) topic: Topic,
    /// What has to be asked before they may.
    pub(crate) ask: Option<Ask>,
}

/// A condition of a rule's, and what it is to decide.
pub(crate) struct Ask {
    pub(crate) condition: AsyncCondition,
    pub(crate) request: AccessRequest,
}

/// Why a node that drains ends its connections, and takes no new ones.
pub(crate) const GOING_AWAY: &str = "the server is going away";

/// The least time over which drained clients come back.
const MIN_SPREAD: Duration = Duration::from_millis(100);

/// What each connection adds to that time, so that a restart meets about this many reconnects a second at most.
const SPREAD_PER_CONNECTION: Duration = Duration::from_millis(1);

impl Hub {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { config, edge, rules, auth, hooks, logs, cluster, clock, entropy } = parts;
        let presence = Presence::new(Arc::clone(&logs), Arc::clone(&clock), &*entropy, cluster.clone());
        let revocations = Revocations::new(Arc::clone(&logs));
        let (presence, revocations, drain) = (Arc::new(presence), Arc::new(revocations), watch::Sender::new(None));
        Self { config, edge, clock, entropy, logs, cluster, presence, revocations, hooks, auth, rules, drain }
    }

    /// The channel with its rule, if there is one and it does not refuse `who` outright.
    ///
    /// Somebody may have to be asked yet: see [`Hub::judge`].
    pub(crate) fn allow(&self, who: &Identity, action: Action, name: &ChannelName) -> Result<Topic, Code> {
        self.judge(who, action, name).map(|allowed| allowed.topic)
    }

    /// What the rules say of somebody who wants to do this.
    pub(crate) fn judge(&self, who: &Identity, action: Action, name: &ChannelName) -> Result<Allowed, Code> {
        if let Some(channel) = name.presence_of() {
            return self.judge_presence(who, action, &channel);
        }
        let Ruled { pattern, rule } = self.rule_of(name)?;
        let access = match action {
            Action::Subscribe => rule.subscribe_access(),
            Action::Publish => rule.publish_access(),
        };
        let ask = asked(access, who, action, pattern, name)?;
        Ok(Allowed { topic: Topic { name: name.clone(), rule: Arc::clone(rule) }, ask })
    }

    /// Whether what is told of a channel may be given to anybody.
    pub(crate) fn is_public(&self, name: &ChannelName) -> bool {
        self.rule_of(name).is_ok_and(|ruled| ruled.rule.is_public())
    }

    /// Whether a rule says of its own who may see who is there, and this is a channel of members.
    pub(crate) fn asks_of_presence(&self, name: &ChannelName) -> bool {
        let rule = name.presence_of().and_then(|channel| self.rule_of(&channel).ok().map(|ruled| &ruled.rule));
        rule.is_some_and(|rule| rule.presence_access().is_some())
    }

    fn rule_of(&self, name: &ChannelName) -> Result<&Ruled, Code> {
        let mut matching = self.rules.iter().filter(|ruled| ruled.pattern.matches(name.as_str()).is_some());
        matching.next().ok_or(Code::UnknownChannel)
    }

    /// Whoever may subscribe to a channel may read who is on it, unless its rule says otherwise; nobody may write that
    /// but the hub itself.
    fn judge_presence(&self, who: &Identity, action: Action, channel: &ChannelName) -> Result<Allowed, Code> {
        let mut allowed = self.judge(who, Action::Subscribe, channel)?;
        if !allowed.topic.rule.has_presence() {
            return Err(Code::UnknownChannel);
        }
        if action == Action::Publish {
            return Err(Code::Forbidden);
        }
        if let Some(access) = allowed.topic.rule.presence_access() {
            let own = asked(access, who, action, &self.rule_of(channel)?.pattern, channel)?;
            allowed.ask = both(allowed.ask, own);
        }
        Ok(Allowed { topic: self.presence.topic(channel), ..allowed })
    }

    /// The channel to subscribe to, if `who` may, and may show there what it wants to.
    pub(crate) fn allow_subscribe(&self, who: &Identity, to: &SubscribeTo) -> Result<Topic, Code> {
        let topic = self.allow(who, Action::Subscribe, &to.name)?;
        let bytes = to.presence.as_ref().map_or(0, |data| data.as_str().len());
        if topic.rule.has_presence() && bytes > self.config.message_bytes {
            return Err(Code::TooLarge);
        }
        Ok(topic)
    }

    /// Publishes, whoever it was that brought it.
    pub(crate) async fn publish(
        self: &Arc<Self>,
        who: &Identity,
        name: &ChannelName,
        draft: Draft,
    ) -> Result<Appended, PublishError> {
        match self.begin_publish(who, name, draft).await? {
            BegunPublish::Appended(appended) => Ok(appended),
            BegunPublish::Asked(answer) => answer.get().await?,
        }
    }

    /// The channel to publish to, if `who` may.
    pub(crate) fn judge_publish(&self, who: &Identity, name: &ChannelName) -> Result<Allowed, PublishError> {
        self.judge(who, Action::Publish, name).map_err(|code| match code {
            Code::Forbidden => PublishError::Forbidden(name.clone()),
            _ => PublishError::UnknownChannel(name.clone()),
        })
    }

    /// The first event of a connection, told to this client.
    pub(crate) fn welcome(
        &self,
        client: &ClientId,
        login: &Login,
        heartbeat: Duration,
        reference: Option<Ref>,
    ) -> Event {
        let now = self.clock.wall_ms();
        let limits = Limits {
            message: self.config.message_bytes as u64,
            channels: self.config.channels_per_connection as u64,
            batch: COMMANDS_PER_BATCH as u64,
        };
        let (user, expires_in) = (login.who.user().map(Box::from), login.expires_in(now));
        Event::Welcome(Welcome { user, expires_in, reference, ..Welcome::new(client.clone(), heartbeat, now, limits) })
    }

    /// The id of a client that chose none.
    pub(crate) fn new_client(&self) -> ClientId {
        ClientId::from_bits(self.entropy.next_u64(), self.entropy.next_u64())
    }

    /// The last words to a connection, where connections are being ended.
    pub(crate) fn farewell(&self) -> Option<Bye> {
        let Draining { spread } = self.draining()?;
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        let after = Duration::from_millis(self.entropy.below(spread.saturating_add(1)));
        Some(Bye { after: Some(after), ..Bye::new(Code::Draining, GOING_AWAY) })
    }

    /// What a connection holds for as long as it lives, and by which it learns that it shall end.
    pub(crate) fn connect(&self) -> watch::Receiver<Option<Draining>> {
        self.drain.subscribe()
    }

    /// Whether connections are being ended.
    pub(crate) fn draining(&self) -> Option<Draining> {
        *self.drain.borrow()
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.drain.receiver_count()
    }

    /// Tells every connection to end, and waits until all have, or `within` is over.
    pub(crate) async fn drain(&self, within: Duration) {
        let crowd = u32::try_from(self.connections()).unwrap_or(u32::MAX);
        let spread = SPREAD_PER_CONNECTION.saturating_mul(crowd).min(within).max(MIN_SPREAD);
        self.drain.send_replace(Some(Draining { spread }));
        // The outcome is the same: whoever is left when the time is over is cut by the server's end.
        drop(tokio::time::timeout(within, self.drain.closed()).await);
        if let Some(cluster) = &self.cluster {
            cluster.leave(self.config.presence_grace).await;
        }
    }
}

/// What has to be asked before an access lets `who` in.
fn asked(
    access: &Access,
    who: &Identity,
    action: Action,
    pattern: &Arc<Pattern>,
    name: &ChannelName,
) -> Result<Option<Ask>, Code> {
    match access.judge(who, action, pattern, name) {
        Verdict::Allowed => Ok(None),
        Verdict::Refused => Err(Code::Forbidden),
        Verdict::Ask(condition) => {
            let request = AccessRequest::new(who.clone(), action, name.clone(), Arc::clone(pattern));
            Ok(Some(Ask { condition, request }))
        }
    }
}

/// One condition that holds where both do.
fn both(one: Option<Ask>, other: Option<Ask>) -> Option<Ask> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let (first, second) = (one.condition, other.condition);
            let condition: AsyncCondition = Arc::new(move |request: AccessRequest| {
                let (first, second) = (first(request.clone()), second(request));
                Box::pin(async move { first.await && second.await })
            });
            Some(Ask { condition, request: one.request })
        }
        (one, other) => one.or(other),
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("channels", &self.logs.feeds.len())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

/// Why a message was not published.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The text is not a channel's name.
    #[error("not a channel name")]
    Name(#[from] NameError),
    /// No rule's pattern matches the channel.
    #[error("no rule matches the channel {0}")]
    UnknownChannel(ChannelName),
    /// The rule does not let this publisher publish.
    #[error("publishing to the channel {0} is not allowed")]
    Forbidden(ChannelName),
    /// Something is wrong with the message.
    #[error("the message was refused")]
    Draft(#[from] DraftError),
    /// The application's hook refused it.
    #[error("the message was refused by the application")]
    Refused(#[from] Refused),
    /// The application's hook gave no answer.
    #[error("the application gave no answer about the message")]
    Hook(#[from] HookError),
    /// The backplane could not take it.
    #[error("the message could not be appended")]
    Backplane(#[from] BackplaneError),
}

impl PublishError {
    /// The code of the wire that says the same.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Name(_) => Code::BadRequest,
            Self::UnknownChannel(_) => Code::UnknownChannel,
            Self::Forbidden(_) => Code::Forbidden,
            Self::Draft(DraftError::TooLarge { .. }) => Code::TooLarge,
            Self::Draft(_) => Code::BadRequest,
            Self::Backplane(BackplaneError::Refused(AppendError::Conflict { .. })) => Code::Conflict,
            Self::Backplane(BackplaneError::Refused(AppendError::Full { .. })) => Code::TooLarge,
            Self::Refused(refused) => refused.code(),
            Self::Hook(error) => error.code(),
            Self::Backplane(_) => Code::Unavailable,
        }
    }

    /// After how long it may be tried again, where a hook said so.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refused) => refused.retry_after(),
            Self::Name(_)
            | Self::UnknownChannel(_)
            | Self::Forbidden(_)
            | Self::Draft(_)
            | Self::Hook(_)
            | Self::Backplane(_) => None,
        }
    }
}
