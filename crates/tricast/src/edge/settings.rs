//! What an application settles about the edge.

use std::sync::Arc;

use tricast_core::clock::Clock;

use super::{Connections, Edge, Most, Origins, Proxies, Publishing};
use crate::builder::{BuildError, Builder};

/// Connections of a node unless configured.
const CONNECTIONS: usize = 100_000;

/// The most publishes a second that can be counted.
const MOST_PER_SECOND: u32 = 1_000_000;

/// The settings as they were given.
#[derive(Debug, Clone)]
pub(crate) struct EdgeSettings {
    origins: Vec<String>,
    proxies: Vec<String>,
    connections: usize,
    connections_per_user: usize,
    connections_per_ip: usize,
    publishes_per_second: u32,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            origins: Vec::new(),
            proxies: Vec::new(),
            connections: CONNECTIONS,
            connections_per_user: 0,
            connections_per_ip: 0,
            publishes_per_second: 0,
        }
    }
}

impl EdgeSettings {
    pub(crate) fn build(self, clock: Arc<dyn Clock>) -> Result<Edge, EdgeProblem> {
        let origins = Origins::new(self.origins).map_err(EdgeProblem::Origin)?;
        let proxies = Proxies::new(self.proxies).map_err(EdgeProblem::Proxy)?;
        if self.connections == 0 {
            return Err(EdgeProblem::Zero("connections"));
        }
        if self.publishes_per_second > MOST_PER_SECOND {
            return Err(EdgeProblem::TooLarge("publishes_per_second"));
        }
        let some = |most: usize| Some(most).filter(|most| *most > 0);
        let (per_user, per_address) = (some(self.connections_per_user), some(self.connections_per_ip));
        let connections = Connections::new(Most { all: self.connections, per_user, per_address });
        let publishing = Publishing::new(self.publishes_per_second, clock);
        Ok(Edge { origins, proxies, connections, publishing })
    }
}

/// What cannot work about them.
#[derive(Debug)]
pub(crate) enum EdgeProblem {
    Origin(String),
    Proxy(String),
    Zero(&'static str),
    TooLarge(&'static str),
}

impl From<EdgeProblem> for BuildError {
    fn from(problem: EdgeProblem) -> Self {
        match problem {
            EdgeProblem::Origin(origin) => Self::Origin(origin),
            EdgeProblem::Proxy(proxy) => Self::Proxy(proxy),
            EdgeProblem::Zero(name) => Self::Zero(name),
            EdgeProblem::TooLarge(name) => Self::TooLarge(name),
        }
    }
}

impl Builder {
    /// Lets the pages of other origins in: they may open WebSockets and send, and CORS lets them read. Default: none,
    /// so that only pages of the server's own authority may.
    ///
    /// An origin is `scheme://host[:port]`, without a path or a wildcard; `null` is none.
    ///
    /// # Examples
    /// ```
    /// let builder = tricast::Tricast::builder().allowed_origins(["https://app.example", "http://localhost:5173"]);
    /// # let _ = builder;
    /// ```
    pub fn allowed_origins(mut self, origins: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.edge.origins.extend(origins.into_iter().map(Into::into));
        self
    }

    /// Believes these proxies, each a network or an address, when they say on whose behalf they ask: in their requests
    /// `X-Forwarded-Host` is the server's own authority, and a client's address is the right-most of `X-Forwarded-For`
    /// that is no trusted proxy's. Default: none, and both headers are ignored.
    ///
    /// A proxy is known by the address it connects from, so the router must learn that address, as it does under
    /// [`serve`](crate::serve) and `into_make_service_with_connect_info`; else nobody is trusted.
    ///
    /// # Examples
    /// ```
    /// let builder = tricast::Tricast::builder().trusted_proxies(["10.0.0.0/8", "::1/128", "192.0.2.7"]);
    /// # let _ = builder;
    /// ```
    pub fn trusted_proxies(mut self, proxies: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.edge.proxies.extend(proxies.into_iter().map(Into::into));
        self
    }

    /// Sets how many connections this node takes: WebSockets, SSE streams, and polls while they wait. One more is told
    /// `too_many`, and when to come back. Default: 100,000.
    pub fn connections(mut self, connections: usize) -> Self {
        self.edge.connections = connections;
        self
    }

    /// Sets how many connections a user may have on this node; 0: no limit. Default: 0. One more is told `too_many`.
    ///
    /// A back end whose token lets it do anything is no user here.
    pub fn connections_per_user(mut self, connections: usize) -> Self {
        self.edge.connections_per_user = connections;
        self
    }

    /// Sets how many connections an address may have on this node, of users and anonymous callers together; of IPv6, a
    /// network of 64 bits. 0: no limit. Default: 0.
    ///
    /// Behind proxies it needs [`Builder::trusted_proxies`], or all clients have the proxy's address. Where the server
    /// does not tell its handlers who connected, there are no addresses and there is no such limit.
    pub fn connections_per_ip(mut self, connections: usize) -> Self {
        self.edge.connections_per_ip = connections;
        self
    }

    /// Sets how many messages a second a caller may publish on average, and twice as many in a burst; 0: no limit.
    /// Default: 0. One more is told `rate_limited`, and when to try again.
    ///
    /// On a WebSocket it is the connection that is counted; by `send` it is the user, or the address of an anonymous
    /// caller. A back end whose token lets it do anything is not limited, nor is what the application itself publishes.
    pub fn publishes_per_second(mut self, publishes: u32) -> Self {
        self.edge.publishes_per_second = publishes;
        self
    }
}
