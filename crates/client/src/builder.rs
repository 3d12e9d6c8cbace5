//! Making a client.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tricast_core::clock::Entropy as _;
use tricast_core::protocol::ClientId;

use crate::backoff::Pace;
use crate::client::Client;
use crate::connector::Connector;
#[cfg(feature = "tls")]
use crate::connector::Roots;
use crate::driver::{Driver, Network, Shared, TokenSource};
use crate::engine::{Config, Engine};
use crate::error::BuildError;
use crate::limits::{BACKOFF_BASE, BACKOFF_CAP, BUFFERED_EVENTS, CONNECT_TIMEOUT, OUTBOX};
use crate::state::State;
use crate::system::SystemEntropy;
use crate::transport::Transport;
use crate::transport::http::Http;
use crate::transport::ws::Sockets;
use crate::url::Mount;

/// What a client is made of. Begin with [`Client::builder`].
#[must_use]
pub struct Builder {
    url: String,
    transports: Vec<Transport>,
    client: Option<ClientId>,
    tokens: Option<TokenSource>,
    connect_timeout: Duration,
    pace: Pace,
    outbox: usize,
    buffer: usize,
    #[cfg(feature = "tls")]
    roots: Option<Vec<u8>>,
}

impl Builder {
    pub(crate) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            transports: Transport::ALL.to_vec(),
            client: None,
            tokens: None,
            connect_timeout: CONNECT_TIMEOUT,
            pace: Pace { base: BACKOFF_BASE, cap: BACKOFF_CAP },
            outbox: OUTBOX,
            buffer: BUFFERED_EVENTS,
            #[cfg(feature = "tls")]
            roots: None,
        }
    }

    /// The transports to try, best first. Default: [`Transport::ALL`].
    pub fn transports(mut self, transports: impl IntoIterator<Item = Transport>) -> Self {
        self.transports.clear();
        for transport in transports {
            if !self.transports.contains(&transport) {
                self.transports.push(transport);
            }
        }
        self
    }

    /// Where bearer tokens come from. It is asked before the first connection, ahead of each token's end, and when a token
    /// was refused; a refusal right after another one closes the client.
    ///
    /// Tokens travel in the `Authorization` header or in a WebSocket's frames, never in an address. A source that fails is
    /// asked again after five seconds. Of what is logged here none bears a token; but at the level `trace` the WebSocket
    /// library prints whole frames (its targets begin with `tungstenite`), so keep that one above it.
    ///
    /// # Examples
    /// ```
    /// # use std::convert::Infallible;
    /// # use tricast_client::Client;
    /// let builder = Client::builder("https://app.example/rt").token(|| async { Ok::<_, Infallible>("ey…".to_owned()) });
    /// ```
    pub fn token<F, Fut, E>(mut self, source: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        self.tokens = Some(Arc::new(move || {
            let token = source();
            Box::pin(async move { token.await.map_err(Into::into) })
        }));
        self
    }

    /// The id under which the server knows this client, kept across reconnects and transports. Default: random.
    pub fn client_id(mut self, client: ClientId) -> Self {
        self.client = Some(client);
        self
    }

    /// The time that a transport has to prove that it delivers; doubled in each failed round, up to 30 s. Default 5 s.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long to wait between rounds of tries: a random time of at most `base`, doubled in each failed round up to `cap`.
    /// Default 500 ms and 30 s.
    pub fn backoff(mut self, base: Duration, cap: Duration) -> Self {
        self.pace = Pace { base, cap };
        self
    }

    /// Publishes that may wait for their acknowledgement; one more is refused
    /// ([`OutboxFull`](crate::PublishError::OutboxFull)). Default 1,000.
    pub fn outbox(mut self, publishes: usize) -> Self {
        self.outbox = publishes;
        self
    }

    /// Events that a subscription holds while nobody takes them, at least one. Beyond it the channel is read no further
    /// until half of them are taken; then reading goes on in the log. Default 1,024.
    pub fn buffer(mut self, events: usize) -> Self {
        self.buffer = events;
        self
    }

    /// Trusts these certificate authorities, in PEM, in place of those that the system trusts.
    #[cfg(feature = "tls")]
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Some(pem.into());
        self
    }

    /// Makes the client, which connects once it has something to read.
    ///
    /// # Errors
    /// The address, the list of transports or the system's certificates cannot be used, or there is no tokio runtime.
    pub fn build(self) -> Result<Client, BuildError> {
        let mount = Mount::parse(&self.url)?;
        let connector = self.connector(&mount)?;
        let Self { transports, client, tokens, connect_timeout, pace, outbox, buffer, .. } = self;
        if transports.is_empty() {
            return Err(BuildError::NoTransport);
        }
        let runtime = Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let client = client.unwrap_or_else(|| ClientId::from_bits(SystemEntropy.next_u64(), SystemEntropy.next_u64()));
        let has_tokens = tokens.is_some();
        let config = Config { client: client.clone(), transports, connect_timeout, pace, outbox, has_tokens };
        let shared = Arc::new(Shared::new(Engine::new(config, Arc::new(SystemEntropy))));
        let sockets = Sockets { connector: connector.clone(), mount: mount.clone(), client: client.clone() };
        let network = Network { sockets, http: Http::new(connector, mount), tokens };
        let (sender, states) = watch::channel(State::Idle);
        runtime.spawn(Driver::run(Arc::clone(&shared), network, sender));
        Ok(Client::new(shared, states, client, buffer))
    }

    #[cfg(feature = "tls")]
    fn connector(&self, mount: &Mount) -> Result<Connector, BuildError> {
        let roots = match &self.roots {
            _ if !mount.needs_tls() => Roots::None,
            None => Roots::System,
            Some(pem) => Roots::These(pem),
        };
        Connector::new(&roots)
    }

    #[cfg(not(feature = "tls"))]
    fn connector(&self, mount: &Mount) -> Result<Connector, BuildError> {
        if mount.needs_tls() {
            return Err(BuildError::NoTls { url: self.url.as_str().into() });
        }
        Ok(Connector::new())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("url", &self.url)
            .field("transports", &self.transports)
            .field("has_tokens", &self.tokens.is_some())
            .finish_non_exhaustive()
    }
}
