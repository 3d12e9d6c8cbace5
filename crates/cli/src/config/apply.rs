//! From what a file says to what the library is told.

use std::net::SocketAddr;
use std::time::Duration;

use tricast::core::protocol::Secret;
use tricast::{Builder, Jwt, Serve, Tricast};

use super::Config;
use super::auth::Key;
use super::server::LISTEN;
use crate::backplane::Backplane;

/// What is said of the server beside the channels.
#[derive(Debug)]
pub(crate) struct Serving {
    /// The address to listen on, unless the command line has one.
    pub(crate) listen: SocketAddr,
    /// Under which path the channels are.
    pub(crate) mount: String,
    /// Where the logs are kept, unless the command line says.
    pub(crate) backplane: Backplane,
    /// Where a file says so; the library has defaults.
    bounds: Option<Bounds>,
}

#[derive(Debug)]
struct Bounds {
    connections: usize,
    header: Duration,
    write: Duration,
    drain: Duration,
}

impl Default for Serving {
    fn default() -> Self {
        Self { listen: LISTEN, mount: "/rt".to_owned(), backplane: Backplane::Memory, bounds: None }
    }
}

impl Serving {
    pub(crate) fn configure(&self, serve: Serve) -> Serve {
        let Some(bounds) = &self.bounds else { return serve };
        serve
            .connections(bounds.connections)
            .header_timeout(bounds.header)
            .write_timeout(bounds.write)
            .drain_timeout(bounds.drain)
    }
}

/// What tokens are signed by, and what they have to say for whoever verifies them.
pub(crate) struct Signing<'a> {
    pub(crate) secret: &'a Secret,
    pub(crate) audience: Option<&'a str>,
    pub(crate) issuer: Option<&'a str>,
}

impl Config {
    /// What signs tokens; `None` where the file has no secret: a public key only verifies.
    pub(crate) fn signing(&self) -> Option<Signing<'_>> {
        let auth = self.auth.as_ref()?;
        let Key::Hs256(secret) = &auth.key else { return None };
        Some(Signing { secret, audience: auth.audience.as_deref(), issuer: auth.issuer.as_deref() })
    }

    /// What verifies tokens; `None` where the file has no key.
    pub(crate) fn verifier(&self) -> Option<&Jwt> {
        self.auth.as_ref().map(|auth| &auth.jwt)
    }

    /// What has the channels, and how to serve it.
    pub(crate) fn apply(self) -> (Builder, Serving) {
        let Self { server, auth, limits, backplane, channels, file: _ } = self;
        let mut builder = Tricast::builder()
            .message_bytes(limits.message_bytes)
            .channels_per_connection(limits.channels_per_connection)
            .heartbeat_ws(server.heartbeat_ws)
            .heartbeat_sse(server.heartbeat_sse)
            .write_timeout(limits.write_timeout)
            .allowed_origins(server.allowed_origins)
            .trusted_proxies(server.trusted_proxies)
            .connections(limits.connections)
            .connections_per_ip(usize::try_from(limits.connections_per_ip).unwrap_or(usize::MAX))
            .connections_per_user(usize::try_from(limits.connections_per_user).unwrap_or(usize::MAX))
            .publishes_per_second(limits.publishes_per_second);
        if let Some(auth) = auth {
            builder = builder.authenticate(auth.jwt);
        }
        for channel in channels {
            builder = builder.rule(channel.pattern.as_str(), channel.rule);
        }
        let bounds = Bounds {
            connections: with_room(limits.connections),
            header: limits.header_timeout,
            write: limits.write_timeout,
            drain: server.drain,
        };
        (builder, Serving { listen: server.listen, mount: server.mount, backplane, bounds: Some(bounds) })
    }
}

/// Sockets for so many connections: who is one too many has to be told so, and `/healthz` answered.
fn with_room(connections: usize) -> usize {
    connections.saturating_add(connections / 4).saturating_add(1_024)
}
