//! What an application settles before the first channel exists.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tricast_core::backplane::Backplane;
use tricast_core::channel::{Pattern, PatternError, Rule, RuleError};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::limits::{CHANNELS_PER_CONNECTION, MESSAGE_BYTES};

use crate::auth::{AnyAuthenticator, Authenticator, Nobody};
use crate::cluster::Cluster;
use crate::edge::EdgeSettings;
use crate::handle::Tricast;
use crate::hooks::{HOOK_TIMEOUT, HooksBuilder, HooksProblem};
use crate::hub::{Capacity, Config, Ear, Feeds, Hub, Logs, Parts, Ruled};
use crate::memory::Memory;
use crate::system::{SystemClock, SystemEntropy};
use crate::wake::Sweeper;

/// Channels that a node keeps unless configured.
const CHANNELS: usize = 1_000_000;

/// Bytes of all logs unless configured.
const MEMORY_BYTES: u64 = 1 << 30;

/// The largest settings that are taken. "No limit" is none of them: a parser needs one.
const MOST_MESSAGE_BYTES: usize = 16 * 1024 * 1024;
const MOST_CHANNELS_PER_CONNECTION: usize = 65_536;
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often old messages and unused channels are looked for.
const MAINTENANCE: Duration = Duration::from_secs(60);

/// The logs of what is taken back, of who lives and of what nodes share are none of the application's channels. A node alone
/// has the first of them.
const SYSTEM_CHANNELS: usize = 3;

/// How often the tasks of a node look whether it is still there.
const GONE: Duration = Duration::from_secs(1);

/// Builds a [`Tricast`]. Setters take anything; [`Builder::build`] says what is wrong.
///
/// # Examples
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), tricast::BuildError> {
/// use std::time::Duration;
/// use tricast::{Access, Rule, Tricast};
/// let tricast = Tricast::builder()
///     .rule("chat:{room}", Rule::stream().keep(1_000).publish(Access::Anyone))
///     .rule("user:{id}", Rule::stream().ttl(Duration::from_secs(3_600)))
///     .build()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    rules: Vec<(String, Rule)>,
    config: Config,
    capacity: Capacity,
    pub(crate) hooks: HooksBuilder,
    hook_timeout: Duration,
    pub(crate) edge: EdgeSettings,
    auth: Arc<dyn AnyAuthenticator>,
    backplane: Option<Arc<dyn Backplane>>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            config: Config {
                message_bytes: MESSAGE_BYTES,
                channels_per_connection: CHANNELS_PER_CONNECTION,
                heartbeat_ws: Duration::from_secs(25),
                heartbeat_sse: Duration::from_secs(15),
                write_timeout: Duration::from_secs(10),
                presence_grace: Duration::from_secs(5),
                local_only: None,
            },
            capacity: Capacity { channels: CHANNELS, bytes: MEMORY_BYTES },
            hooks: HooksBuilder::default(),
            hook_timeout: HOOK_TIMEOUT,
            edge: EdgeSettings::default(),
            auth: Arc::new(Nobody),
            backplane: None,
            clock: None,
            entropy: None,
        }
    }
}

impl Builder {
    /// Adds a rule for the channels that match a pattern ([`Pattern`]). The first rule that matches a channel decides;
    /// a channel that none matches does not exist.
    pub fn rule(mut self, pattern: impl Into<String>, rule: Rule) -> Self {
        self.rules.push((pattern.into(), rule));
        self
    }

    /// Says how to find out who a caller is. Without it every caller is anonymous.
    ///
    /// # Examples
    /// ```
    /// use axum::Extension;
    /// use tricast::auth::{Authenticated, FromRequest};
    /// use tricast::{Access, Rule, Tricast, User};
    ///
    /// // What the application's own middleware puts into each request.
    /// #[derive(Clone)]
    /// struct Account(String);
    ///
    /// let builder = Tricast::builder()
    ///     .authenticate(FromRequest::new(|Extension(Account(id)): Extension<Account>| {
    ///         Some(Authenticated::user(User::new(id.parse().ok()?)))
    ///     }))
    ///     .rule("user:{user}", Rule::stream().subscribe(Access::Owner));
    /// # let _ = builder;
    /// ```
    pub fn authenticate(mut self, authenticator: impl Authenticator) -> Self {
        self.auth = Arc::new(authenticator);
        self
    }

    /// Keeps the logs in a store that several nodes share. Without it they are in the memory of this process, and end with
    /// it.
    ///
    /// The crates `tricast-redis` and `tricast-nats` have one each; [`crate::backplane`] says what it takes to write another.
    /// It is this node's alone: another node connects by itself.
    pub fn backplane(mut self, backplane: impl Backplane + 'static) -> Self {
        self.backplane = Some(Arc::new(backplane));
        self
    }

    /// Sets how many bytes a message's payload may have, as stored. Default: 65,536.
    pub fn message_bytes(mut self, bytes: usize) -> Self {
        self.config.message_bytes = bytes;
        self
    }

    /// Sets how many channels one connection may have. Default: 128.
    pub fn channels_per_connection(mut self, channels: usize) -> Self {
        self.config.channels_per_connection = channels;
        self
    }

    /// Sets how many channels this node keeps, those at rest included. For one more, those that are idle longest and that nobody reads are
    /// forgotten; where all are read it is refused as `unavailable`. Default: 1,000,000.
    pub fn channels(mut self, channels: usize) -> Self {
        self.capacity.channels = channels;
        self
    }

    /// Sets how many bytes the logs of all channels may have, by the node's own account. Beyond it the streams that are
    /// idle longest let their messages go, and states that nobody reads are forgotten whole; where that is not enough,
    /// publishing is refused as `unavailable`. Default: 1 GiB.
    pub fn memory_bytes(mut self, bytes: u64) -> Self {
        self.capacity.bytes = bytes;
        self
    }

    /// Sets after what silence a WebSocket is pinged; after two it is closed. Default: 25 s.
    pub fn heartbeat_ws(mut self, heartbeat: Duration) -> Self {
        self.config.heartbeat_ws = heartbeat;
        self
    }

    /// Sets after what silence an SSE stream carries a comment. Default: 15 s.
    pub fn heartbeat_sse(mut self, heartbeat: Duration) -> Self {
        self.config.heartbeat_sse = heartbeat;
        self
    }

    /// Sets how long a WebSocket's reader may take no byte before it is closed. Default: 10 s.
    ///
    /// SSE streams and polls are written by the server that runs the router: see [`crate::Serve::write_timeout`], which
    /// holds for WebSockets too, so that the shorter of the two counts.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout;
        self
    }

    /// Sets how long a client stays a member of a channel with presence ([`Rule::presence`]) when its last connection has
    /// gone: who comes back within it, on whatever transport, never left. Default: 5 s.
    ///
    /// Who polls is gone between any two requests, and stays for two of its waits (at least this time), and this time
    /// once more.
    pub fn presence_grace(mut self, grace: Duration) -> Self {
        self.config.presence_grace = grace;
        self
    }

    /// Sets how long a hook may take; a slower one is dropped, and its caller is told `timeout`. Default: 10 s.
    pub fn hook_timeout(mut self, timeout: Duration) -> Self {
        self.hook_timeout = timeout;
        self
    }

    /// Answers only requests whose `Host` is a loopback name (on any port) or this address.
    ///
    /// For servers on a developer's machine: a web page that rebinds its own name to that machine is refused
    /// (DNS rebinding).
    pub fn local_only(mut self, listen: SocketAddr) -> Self {
        self.config.local_only = Some(listen);
        self
    }

    /// Runs on another clock than the system's. For tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Draws from another source than the system's random generator. For tests.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Checks everything and starts. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// A pattern or a rule cannot work, a setting is zero or too large, or the system has no randomness.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub async fn build(self) -> Result<Tricast, BuildError> {
        let rules = self.rules.into_iter().map(checked).collect::<Result<Vec<_>, _>>()?;
        let public = rules.iter().find(|ruled| ruled.rule.is_public());
        if let Some(ruled) = public.filter(|_| self.auth.is_required()) {
            return Err(BuildError::NotPublic(ruled.pattern.as_str().to_owned()));
        }
        check_config(&self.config, self.capacity, self.hook_timeout)?;
        let hooks = self.hooks.build(self.hook_timeout)?;
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let edge = self.edge.build(Arc::clone(&clock))?;
        let entropy = match self.entropy {
            Some(entropy) => entropy,
            None => Arc::new(SystemEntropy::new().map_err(BuildError::Entropy)?),
        };
        let own = if self.backplane.is_some() { SYSTEM_CHANNELS } else { 1 };
        let capacity = Capacity { channels: self.capacity.channels + own, ..self.capacity };
        let (config, auth) = (self.config, self.auth);
        let is_shared = self.backplane.is_some();
        let (logs, chores) = logs(self.backplane, capacity, &clock, &*entropy);
        let cluster = is_shared.then(|| Arc::new(Cluster::new(Arc::clone(&logs), &*entropy)));
        let parts = Parts { config, edge, rules, auth, hooks, logs, cluster: cluster.clone(), clock, entropy };
        let hub = Arc::new(Hub::new(parts));
        tokio::spawn(until_gone(Arc::downgrade(&hub), chores));
        if let Some(cluster) = cluster {
            tokio::spawn(until_gone(Arc::downgrade(&hub), Arc::clone(&cluster).keep_lease()));
            tokio::spawn(until_gone(Arc::downgrade(&hub), cluster.watch_over()));
            tokio::spawn(until_gone(Arc::downgrade(&hub), Arc::clone(&hub.presence).watch_over()));
        }
        tokio::spawn(until_gone(Arc::downgrade(&hub), Arc::clone(&hub.presence).run()));
        tokio::spawn(until_gone(Arc::downgrade(&hub), Arc::clone(&hub.revocations).run()));
        tokio::spawn(maintain(Arc::downgrade(&hub)));
        Ok(Tricast::new(hub))
    }
}

/// The logs, on this backplane or on the embedded one, and what is to be done for them as long as the node is there.
fn logs(
    backplane: Option<Arc<dyn Backplane>>,
    capacity: Capacity,
    clock: &Arc<dyn Clock>,
    entropy: &dyn Entropy,
) -> (Arc<Logs>, Pin<Box<dyn Future<Output = ()> + Send>>) {
    let sweeper = Sweeper::start();
    let new = |feeds, backplane| Arc::new(Logs::new(feeds, backplane, Arc::clone(clock), sweeper.clone()));
    if let Some(backplane) = backplane {
        let feeds = Arc::new(Feeds::of_copies(capacity, Arc::clone(clock), entropy, sweeper.clone()));
        let logs = new(feeds, backplane);
        logs.backplane.attach(Arc::new(Ear(Arc::downgrade(&logs))));
        let (rounds, expire) = (Arc::clone(&logs).make_rounds(), logs.expire());
        let chores = Box::pin(async move {
            tokio::join!(rounds, expire);
        });
        return (logs, chores);
    }
    let feeds = Arc::new(Feeds::new(capacity, Arc::clone(clock), entropy, sweeper.clone()));
    let memory = Arc::new(Memory::new(Arc::clone(&feeds), Arc::clone(clock), entropy));
    memory.attach(Arc::clone(&feeds) as _);
    let expire = memory.expire();
    (new(feeds, memory), Box::pin(expire))
}

/// Runs a task of this node for as long as the node is there.
async fn until_gone(hub: std::sync::Weak<Hub>, task: impl Future<Output = ()>) {
    let gone = async {
        let mut ticks = tokio::time::interval(GONE);
        while hub.strong_count() > 0 {
            ticks.tick().await;
        }
    };
    tokio::select! {
        () = task => {}
        () = gone => {}
    }
}

async fn maintain(hub: std::sync::Weak<Hub>) {
    let mut ticks = tokio::time::interval(MAINTENANCE);
    loop {
        ticks.tick().await;
        let Some(hub) = hub.upgrade() else { return };
        hub.logs.feeds.maintain(hub.clock.wall_ms());
    }
}

fn checked((pattern, rule): (String, Rule)) -> Result<Ruled, BuildError> {
    let parsed = pattern.parse::<Pattern>().map_err(BuildError::Pattern)?;
    match rule.check(&parsed) {
        Ok(()) => Ok(Ruled { pattern: Arc::new(parsed), rule: Arc::new(rule) }),
        Err(problem) => Err(BuildError::Rule { pattern, problem }),
    }
}

fn check_config(config: &Config, capacity: Capacity, hook_timeout: Duration) -> Result<(), BuildError> {
    let zeros = [
        ("message_bytes", config.message_bytes == 0),
        ("channels", capacity.channels == 0),
        ("memory_bytes", capacity.bytes == 0),
        ("channels_per_connection", config.channels_per_connection == 0),
        ("heartbeat_ws", config.heartbeat_ws.is_zero()),
        ("heartbeat_sse", config.heartbeat_sse.is_zero()),
        ("write_timeout", config.write_timeout.is_zero()),
        ("presence_grace", config.presence_grace.is_zero()),
        ("hook_timeout", hook_timeout.is_zero()),
    ];
    let too_large = [
        ("message_bytes", config.message_bytes > MOST_MESSAGE_BYTES),
        ("channels_per_connection", config.channels_per_connection > MOST_CHANNELS_PER_CONNECTION),
        ("heartbeat_ws", config.heartbeat_ws > LONGEST),
        ("heartbeat_sse", config.heartbeat_sse > LONGEST),
        ("write_timeout", config.write_timeout > LONGEST),
        ("presence_grace", config.presence_grace > LONGEST),
        ("hook_timeout", hook_timeout > LONGEST),
    ];
    let culprit = |checks: &[(&'static str, bool)]| checks.iter().find(|(_, bad)| *bad).map(|(name, _)| *name);
    match (culprit(&zeros), culprit(&too_large)) {
        (Some(name), _) => Err(BuildError::Zero(name)),
        (None, Some(name)) => Err(BuildError::TooLarge(name)),
        (None, None) => Ok(()),
    }
}

/// Why a [`Builder`] could not build.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A pattern cannot be understood.
    #[error("a pattern cannot be understood")]
    Pattern(#[source] PatternError),
    /// A rule cannot work.
    #[error("the rule for {pattern:?} cannot work")]
    Rule {
        /// Its pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        problem: RuleError,
    },
    /// A rule is public, and every caller has to say who it is.
    #[error("the rule for {0:?} is public, but every caller has to be authenticated")]
    NotPublic(String),
    /// The method of a call is empty or longer than 128 bytes, or is served twice.
    #[error("the method {0:?} must have 1 to 128 bytes and one hook")]
    Method(String),
    /// A setting is zero that must not be.
    #[error("{0} must not be zero")]
    Zero(&'static str),
    /// A setting is larger than anything sensible: 16 MiB of message, 65,536 channels, a day.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// An origin to be let in is none.
    #[error("allowed_origins: {0:?} is no origin, `scheme://host[:port]`")]
    Origin(String),
    /// A proxy to be trusted is neither a network nor an address.
    #[error("trusted_proxies: {0:?} is neither a network, as `10.0.0.0/8`, nor an address")]
    Proxy(String),
    /// The system has no randomness to give.
    #[error("the system's random generator does not work")]
    Entropy(#[source] getrandom::Error),
}

impl From<HooksProblem> for BuildError {
    fn from(problem: HooksProblem) -> Self {
        match problem {
            HooksProblem::Pattern(problem) => Self::Pattern(problem),
            HooksProblem::Method(method) => Self::Method(method),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn error(builder: Builder) -> String {
        let error = builder.build().await.map(drop).unwrap_err();
        let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        format!("{error}{source}")
    }

    #[tokio::test]
    async fn what_cannot_work_is_refused_by_name() {
        let builder = Tricast::builder;
        let bad_pattern = error(builder().rule("chat:{room", Rule::stream())).await;
        assert_eq!(bad_pattern, "a pattern cannot be understood: pattern \"chat:{room\": a { is not closed");
        let bad_rule = error(builder().rule("a", Rule::stream().keep(0))).await;
        assert_eq!(bad_rule, "the rule for \"a\" cannot work: keep is zero, so nothing could ever be read");
        let zero = error(builder().heartbeat_sse(Duration::ZERO)).await;
        assert_eq!(zero, "heartbeat_sse must not be zero");
        let large = error(builder().message_bytes(usize::MAX)).await;
        assert_eq!(large, "message_bytes is too large");
        let bad_hook = error(builder().on_subscribe("{}", |_| async { Ok(()) })).await;
        assert_eq!(bad_hook, "a pattern cannot be understood: pattern \"{}\": \"\" is not a parameter's name");
        let call = |_| async { Ok(()) };
        for builder in [builder().on_call("m", call).on_call("m", call), builder().on_call("m".repeat(129), call)] {
            assert!(error(builder).await.ends_with("must have 1 to 128 bytes and one hook"));
        }
        assert_eq!(error(builder().hook_timeout(Duration::ZERO)).await, "hook_timeout must not be zero");
        assert_eq!(error(builder().heartbeat_ws(Duration::MAX)).await, "heartbeat_ws is too large");
        assert_eq!(error(builder().connections(0)).await, "connections must not be zero");
        assert_eq!(error(builder().publishes_per_second(1_000_001)).await, "publishes_per_second is too large");
        let no_origin = error(builder().allowed_origins(["https://app.example", "null"])).await;
        assert_eq!(no_origin, "allowed_origins: \"null\" is no origin, `scheme://host[:port]`");
        let no_network = error(builder().trusted_proxies(["10.0.0.0/8", "proxy"])).await;
        assert!(no_network.starts_with("trusted_proxies: \"proxy\" is neither"), "{no_network}");
    }
}
