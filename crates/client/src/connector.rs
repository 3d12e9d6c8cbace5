//! Connections: plain, or by TLS where the address says so.

use std::error::Error;

use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use tower_service::Service;

use crate::error::{BuildError, Failure};

/// What opens them, by the feature `tls`.
#[cfg(feature = "tls")]
pub(crate) type Inner = hyper_rustls::HttpsConnector<HttpConnector>;

/// What opens them, without the feature `tls`.
#[cfg(not(feature = "tls"))]
pub(crate) type Inner = HttpConnector;

/// A connection that is open.
pub(crate) type Connection = <Inner as Service<Uri>>::Response;

/// Opens connections, for HTTP and for WebSockets alike.
#[derive(Debug, Clone)]
pub(crate) struct Connector(Inner);

impl Connector {
    /// Reads the certificates that the system trusts, if they are needed.
    #[cfg(feature = "tls")]
    pub(crate) fn new(needs_tls: bool) -> Result<Self, BuildError> {
        use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};

        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| BuildError::Certificates(std::io::Error::other(error)))?;
        let config = if needs_tls {
            config.with_native_roots().map_err(BuildError::Certificates)?.with_no_client_auth()
        } else {
            config.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
        };
        let builder = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        Ok(Self(builder.wrap_connector(tcp())))
    }

    /// Without the feature there is no TLS, and nobody who needs it gets this far.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn new(_needs_tls: bool) -> Result<Self, BuildError> {
        Ok(Self(tcp()))
    }

    /// What opens connections for HTTP, which keeps them.
    pub(crate) fn into_inner(self) -> Inner {
        self.0
    }

    /// Opens a connection to wherever an address points.
    pub(crate) async fn connect(mut self, uri: Uri) -> Result<Connection, Failure> {
        std::future::poll_fn(|cx| self.0.poll_ready(cx))
            .await
            .map_err(|error| Failure::unreachable(error.to_string()))?;
        self.0.call(uri).await.map_err(|error| Failure::unreachable(error.to_string()))
    }
}

fn tcp() -> HttpConnector {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp
}

/// An error and what caused it, in one line.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
