//! How to connect.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::backplane::Redis;
use crate::dial::{Dialer, Running};
use crate::error::{ConnectError, LinkError};
use crate::link::Trust;
use crate::random;
use crate::request::Names;
use crate::shard::{Place, Shard};
use crate::shared::Shared;
use crate::topology::Map;
use crate::url::{Layout, Target};

/// What keys begin with unless said otherwise.
const PREFIX: &str = "tc";

/// How long Redis may take to answer unless said otherwise.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How a [`Redis`] is to connect.
///
/// # Examples
/// ```no_run
/// # async fn connect() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use tricast_redis::Redis;
/// let redis = Redis::builder("rediss+cluster://app:secret@redis-1:6379,redis-2:6379")
///     .prefix("shop")
///     .timeout(Duration::from_millis(500))
///     .connect()
///     .await?;
/// # drop(redis);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    url: String,
    prefix: Option<String>,
    timeout: Duration,
    trust_restart: bool,
    roots: Option<Vec<u8>>,
}

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        Self { url, prefix: None, timeout: TIMEOUT, trust_restart: false, roots: None }
    }

    /// What the names of keys and of channels begin with; `tc`, unless it is said here or by the URL (`?prefix=…`). Those who
    /// share a Redis for different purposes need different ones, for what is published knows no databases.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// How long Redis may take to answer before it counts as unavailable; 2 s by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Says that the server loses nothing that it acknowledged when it restarts, so that epochs go on.
    ///
    /// Not needed where it tells so itself: it stands alone, with `appendonly yes` and `appendfsync always`. Said of a
    /// server that does lose messages, their loss is silent.
    pub fn trust_restart(mut self, trust: bool) -> Self {
        self.trust_restart = trust;
        self
    }

    /// The certificates that are trusted, as PEM, in place of the system's.
    pub fn tls_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// An option or the URL cannot be used, or Redis cannot: it is not there, does not take us, or lacks what is needed.
    pub async fn connect(self) -> Result<Redis, ConnectError> {
        random::check().map_err(ConnectError::Entropy)?;
        let target = Target::parse(&self.url).map_err(ConnectError::Url)?;
        let prefix = self.prefix.or(target.prefix.clone()).unwrap_or_else(|| PREFIX.to_owned());
        if prefix.is_empty() || prefix.contains(['{', '}']) {
            return Err(ConnectError::Prefix(prefix));
        }
        let is_single = matches!(target.layout, Layout::Plain(_));
        if self.trust_restart && !is_single {
            return Err(ConnectError::TrustRestart);
        }
        let dialer = Dialer::new(&target, self.roots.as_deref(), self.timeout)?;
        let names = Names::new(prefix);
        let trust = Trust { is_single, restart: self.trust_restart, replicated: names.replicated() };
        let shared = Arc::new(Shared::new(dialer, names, trust, target.layout));
        match &shared.layout {
            Layout::Plain(address) => connect_to_one(&shared, Place::At(address.clone())).await,
            Layout::Sentinel { sentinels, service } => {
                let place = Place::Named { sentinels: sentinels.clone(), service: service.clone() };
                connect_to_one(&shared, place).await
            }
            Layout::Cluster(_) => connect_to_cluster(&shared).await,
        }
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may have a password.
        f.debug_struct("Builder").field("prefix", &self.prefix).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

async fn connect_to_one(shared: &Arc<Shared>, place: Place) -> Result<Redis, ConnectError> {
    let shard = Shard::start(shared, place.clone());
    *shared.map.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Map::one(Arc::clone(&shard));
    let redis = Redis::new(Arc::clone(shared));
    match (shard.tried(deadline(shared)).await, place) {
        (Ok(()), _) => Ok(redis),
        (Err(cause), Place::At(address)) => Err(cause.at(&address)),
        (Err(LinkError::Nowhere), Place::Named { service, .. }) => Err(ConnectError::NoMaster(service)),
        (Err(cause), place @ Place::Named { .. }) => Err(ConnectError::Server { address: place.to_string(), cause }),
    }
}

/// Some of its servers may be down, but not all.
async fn connect_to_cluster(shared: &Arc<Shared>) -> Result<Redis, ConnectError> {
    let redis = Redis::new(Arc::clone(shared));
    shared.refresh().await?;
    let shards = shared.map().shards().to_vec();
    let deadline = deadline(shared);
    let tried = join_all(shards.iter().map(|shard| shard.tried(deadline))).await;
    if tried.iter().all(Result::is_err)
        && let Some((Err(cause), shard)) = tried.into_iter().zip(&shards).next()
    {
        return Err(ConnectError::Server { address: shard.place.to_string(), cause });
    }
    Ok(redis.keeping(Running::spawn(Arc::clone(shared).keep_map())))
}

/// Connecting takes two steps, each of which has its own.
fn deadline(shared: &Shared) -> Instant {
    Instant::now() + 2 * shared.dialer.timeout
}
