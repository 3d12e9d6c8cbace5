//! Where a server keeps its logs: in its own memory, or in a store that several share.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use tricast::core::protocol::Secret;
use tricast::{BuildError, Builder, Tricast};
use tricast_nats::Nats;
use tricast_redis::Redis;

/// A store, by its URL. It may bear a password, so it is never shown.
#[derive(Debug, Clone, Default)]
pub(crate) enum Backplane {
    /// The memory of the process.
    #[default]
    Memory,
    /// A Redis, or several.
    Redis(Secret),
    /// A NATS server with JetStream.
    Nats(Secret),
}

/// The text is no URL of a store that is known. It is not shown, for it may bear a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is none of memory, redis://… (rediss, redis+sentinel, redis+cluster) and nats://… (tls)")]
pub(crate) struct UnknownBackplane;

/// Why a server does not start on its backplane.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("the backplane on Redis cannot be used")]
    Redis(#[source] tricast_redis::ConnectError),
    #[error("the backplane on NATS cannot be used")]
    Nats(#[source] tricast_nats::ConnectError),
    #[error("cannot start")]
    Build(#[source] BuildError),
}

impl std::str::FromStr for Backplane {
    type Err = UnknownBackplane;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url == "memory" {
            return Ok(Self::Memory);
        }
        let (scheme, _) = url.split_once("://").ok_or(UnknownBackplane)?;
        match scheme {
            "redis" | "rediss" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster" | "rediss+cluster" => {
                Ok(Self::Redis(Secret::new(url)))
            }
            "nats" | "tls" => Ok(Self::Nats(Secret::new(url))),
            _ => Err(UnknownBackplane),
        }
    }
}

/// Reads a store's URL from the command line or the environment. Other than clap's own parsers it never shows the value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StoreUrl;

impl TypedValueParser for StoreUrl {
    type Value = Backplane;

    fn parse_ref(&self, command: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Backplane, clap::Error> {
        let known = value.to_str().ok_or(UnknownBackplane).and_then(str::parse);
        known.map_err(|unknown| {
            let told = format!("the value for '--backplane <URL>' {unknown}");
            command.clone().error(ErrorKind::ValueValidation, told)
        })
    }
}

impl Backplane {
    /// Connects, and builds on it.
    ///
    /// # Errors
    /// The store cannot be reached or used, or the builder finds something wrong.
    pub(crate) async fn build(self, builder: Builder) -> Result<Tricast, StartError> {
        let builder = match self {
            Self::Memory => builder,
            Self::Redis(url) => builder.backplane(Redis::connect(url.expose()).await.map_err(StartError::Redis)?),
            Self::Nats(url) => builder.backplane(Nats::connect(url.expose()).await.map_err(StartError::Nats)?),
        };
        builder.build().await.map_err(StartError::Build)
    }

    /// What it is, without where.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Memory => "memory: this server is alone, and a restart begins anew",
            Self::Redis(_) => "Redis, shared by all servers that name it",
            Self::Nats(_) => "NATS JetStream, shared by all servers that name it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_tells_the_store_and_is_never_shown() {
        let known = [("memory", "memory"), ("redis+cluster://u:hidden@a,b", "Redis"), ("nats://hidden@a", "NATS")];
        for (url, name) in known {
            let backplane: Backplane = url.parse().unwrap();
            assert!(backplane.name().starts_with(name), "{url}");
            assert!(!format!("{backplane:?}").contains("hidden"), "{url}");
        }
        for url in ["", "postgres://u:hidden@a", "redis", "REDIS://a"] {
            assert_eq!(url.parse::<Backplane>().map(|known| known.name()), Err(UnknownBackplane), "{url}");
        }
    }
}
