//! How to connect, and what to keep how.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tricast_core::clock::{Clock, Entropy};

use crate::link::{AGAIN, Status, is_there, keep, on_event};
use crate::nats::Nats;
use crate::shared::Shared;
use crate::store::{Names, Store, StoreError, within};
use crate::system::{SystemClock, SystemEntropy};
use crate::url::Target;

/// How a [`Nats`] is to be. Comes from [`Nats::builder`].
#[must_use]
pub struct Builder {
    url: String,
    prefix: Option<String>,
    timeout: Duration,
    replicas: Option<usize>,
    clock: Option<Arc<dyn Clock>>,
    entropy: Option<Arc<dyn Entropy>>,
}

/// How many servers may keep a JetStream stream.
const REPLICAS: RangeInclusive<usize> = 1..=5;

/// What streams and subjects begin with unless it is said otherwise.
const PREFIX: &str = "tc";

/// The longest that connecting to one server takes before it is given up; creating the streams comes after it.
const CONNECTING: Duration = Duration::from_secs(5);

impl Builder {
    pub(crate) fn new(url: String) -> Self {
        Self { url, prefix: None, timeout: Duration::from_secs(2), replicas: None, clock: None, entropy: None }
    }

    /// What all streams and subjects begin with: 1 to 32 of `[A-Za-z0-9_-]`, `tc` unless it is said here or by the URL. Nodes
    /// with the same prefix share their channels.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// The longest that an operation takes, 2 seconds unless said otherwise: then it is answered that NATS is unavailable.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many servers keep each stream, 1 to 5; 1 unless it is said here or by the URL. Says so when the streams are created: those
    /// that exist are left as they are, and health tells where that is something else.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = Some(replicas);
        self
    }

    /// Takes the time from here, in place of the system.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Takes random bits from here, in place of the system. Two nodes must not be given the same.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = Some(entropy);
        self
    }

    /// Connects, creates the streams that are not there, and finds out whether they still have what they had.
    ///
    /// # Errors
    /// The URL or an option cannot be used; the server cannot be reached, does not take the credentials, has no JetStream, or
    /// is too old for replicas.
    pub async fn connect(self) -> Result<Nats, ConnectError> {
        let target = Target::parse(&self.url)?;
        let prefix = self.prefix.or(target.prefix.clone());
        let names = Names::new(prefix.as_deref().unwrap_or(PREFIX)).ok_or(ConnectError::Prefix)?;
        let replicas = self.replicas.or(target.replicas).unwrap_or(1);
        if !REPLICAS.contains(&replicas) {
            return Err(ConnectError::Replicas(replicas));
        }
        let entropy = match self.entropy {
            Some(entropy) => entropy,
            None => Arc::new(SystemEntropy::new().map_err(|error| ConnectError::Entropy(error.to_string()))?),
        };
        let clock = self.clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let connection = Arc::new(watch::Sender::new(0));
        let heard = Arc::clone(&connection);
        let options = target.options().name("tricast").connection_timeout(CONNECTING).subscription_capacity(NEWS);
        let options = options.event_callback(move |event| {
            on_event(&heard, &event);
            async {}
        });
        let client = options.connect(&*target.servers).await.map_err(|error| ConnectError::Connect(Box::new(error)))?;
        connection.send_if_modified(|count| {
            *count += u64::from(!is_there(*count));
            true
        });
        let store = Store::new(client, names, connection.subscribe());
        let shared = Arc::new(Shared::new(store, (clock, entropy), self.timeout, replicas));
        let status = Arc::new(Status::default());
        let differs = prepare(&shared).await.map_err(|error| ConnectError::JetStream(error.to_string()))?;
        status.differs(differs);
        let mut changes = connection.subscribe();
        changes.mark_unchanged();
        let keeper = tokio::spawn(keep(Arc::clone(&shared), Arc::clone(&status), changes));
        Ok(Nats::new(shared, status, keeper))
    }
}

/// Finds out what is there. A server that has just started may leave a first request without an answer.
async fn prepare(shared: &Shared) -> Result<Option<String>, StoreError> {
    let end = within(CONNECTING);
    loop {
        match shared.prepare(within(CONNECTING / 5)).await {
            Ok((differs, _)) => return Ok(differs),
            Err(StoreError::Refused(why)) => return Err(StoreError::Refused(why)),
            Err(error) if Instant::now() >= end => return Err(error),
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// News of one channel that wait to be taken; of more some are lost, and read when that is noticed.
const NEWS: usize = 4_096;

/// Why there is no [`Nats`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is none, or not of NATS. It is not told, for it may have a password.
    #[error(
        "the url must be nats://host:port or tls://host:port, with name:password@ or token@ before the host, \
        and more hosts after a comma each"
    )]
    Url,
    /// JetStream keeps no stream that often.
    #[error("replicas must be 1 to 5, not {0}")]
    Replicas(usize),
    /// An option of the URL is not known, or its value is none.
    #[error("{0:?} is no option of the url, which has prefix=… and replicas=…")]
    Option(String),
    /// The prefix is malformed.
    #[error("prefix must be 1 to 32 of [A-Za-z0-9_-]")]
    Prefix,
    /// The system has no randomness to give.
    #[error("the system has no randomness to give: {0}")]
    Entropy(String),
    /// The server cannot be reached, or does not take the credentials.
    #[error("NATS cannot be connected to")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The streams could not be created, or read.
    #[error("JetStream cannot be used: {0}")]
    JetStream(String),
}
