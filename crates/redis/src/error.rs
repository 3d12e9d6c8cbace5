//! What goes wrong on the way to Redis and back.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tricast_core::backplane::BackplaneError;

use crate::url::{Address, UrlError};

/// Why Redis could not be used from the start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used.
    #[error("the URL of Redis cannot be used")]
    Url(#[source] UrlError),
    /// The prefix of keys has a character that would change which slot they belong to, or is empty.
    #[error("the prefix {0:?} is empty or has braces")]
    Prefix(String),
    /// Only a single server is trusted to have lost nothing when it restarts: elsewhere another takes its place.
    #[error("trust_restart is for a single server, and the URL names several")]
    TrustRestart,
    /// The certificates cannot be used.
    #[error("the certificates cannot be used")]
    Roots(#[source] Arc<dyn Error + Send + Sync>),
    /// The system has no random bits.
    #[error("the system has no random bits")]
    Entropy(#[source] getrandom::Error),
    /// A server cannot be used.
    #[error("Redis at {address} cannot be used")]
    Server {
        /// Where it is.
        address: String,
        /// What is wrong with it.
        #[source]
        cause: LinkError,
    },
    /// None of the sentinels names a master.
    #[error("no sentinel names a master of {0:?}")]
    NoMaster(String),
    /// None of the nodes says who has which slots.
    #[error("no node of the cluster says who has which slots")]
    NoSlots,
}

/// Why a server cannot be used, or no more.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// It cannot be reached.
    #[error("it cannot be reached")]
    Io(#[source] Arc<io::Error>),
    /// Its host is no name that a certificate could have.
    #[error("{0:?} is no name that a certificate could have")]
    Name(String),
    /// It does not take what it was asked.
    #[error("it refuses")]
    Refused(#[source] RedisError),
    /// It does not answer in time.
    #[error("it does not answer within {0:?}")]
    Silent(Duration),
    /// It answers what was not asked.
    #[error("its answer to {0} is not understood")]
    Answer(&'static str),
    /// It does not do what it has to.
    #[error("it does not do what it has to: {0}")]
    Unfit(String),
    /// It has started, and does not have its data yet.
    #[error("it still loads its data")]
    Loading,
    /// It is a replica.
    #[error("it is no master")]
    NoMaster,
    /// It was restarted, or was a replica meanwhile.
    #[error("it is in another life than before")]
    Stranger,
    /// A slot of it went to another.
    #[error("a slot of it went to another")]
    Moved,
    /// The connection ended.
    #[error("the connection ended")]
    Ended,
    /// Nobody says where it is.
    #[error("nobody says where it is")]
    Nowhere,
}

impl LinkError {
    pub(crate) fn io(error: io::Error) -> Self {
        Self::Io(Arc::new(error))
    }

    pub(crate) fn at(self, address: &Address) -> ConnectError {
        ConnectError::Server { address: address.to_string(), cause: self }
    }
}

impl From<RedisError> for LinkError {
    fn from(error: RedisError) -> Self {
        if error.is_io_error() { Self::io(io::Error::other(error)) } else { Self::Refused(error) }
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) maybe_applied: bool,
}

impl Failure {
    /// Nothing was done.
    pub(crate) fn before(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), maybe_applied: false }
    }

    /// It may have been done.
    pub(crate) fn after(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), maybe_applied: true }
    }
}

impl From<Failure> for BackplaneError {
    fn from(Failure { reason, maybe_applied }: Failure) -> Self {
        Self::Unavailable { reason, maybe_applied }
    }
}
