//! Connections: plain, or by TLS where the address says so.

use std::error::Error;
#[cfg(feature = "tls")]
use std::{io, sync::Arc};

use http::Uri;
#[cfg(feature = "tls")]
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
#[cfg(feature = "tls")]
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
#[cfg(feature = "tls")]
use rustls::{ClientConfig, RootCertStore};
use tower_service::Service;

#[cfg(feature = "tls")]
use crate::error::BuildError;
use crate::error::Failure;

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

/// Whose certificates are believed.
#[cfg(feature = "tls")]
pub(crate) enum Roots<'a> {
    /// Nobody's: no certificate will be shown.
    None,
    /// Those of the authorities that the system trusts.
    System,
    /// Those of these authorities, in PEM.
    These(&'a [u8]),
}

#[cfg(feature = "tls")]
impl Roots<'_> {
    fn config(&self) -> Result<ClientConfig, BuildError> {
        // Named, for a program may have several providers and no default.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(|error| BuildError::Certificates(io::Error::other(error)))?;
        let config = match self {
            Self::None => config.with_root_certificates(RootCertStore::empty()),
            Self::System => config.with_native_roots().map_err(BuildError::Certificates)?,
            Self::These(pem) => config.with_root_certificates(store(pem).map_err(BuildError::Certificates)?),
        };
        Ok(config.with_no_client_auth())
    }
}

#[cfg(feature = "tls")]
fn store(pem: &[u8]) -> io::Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        store.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    if store.is_empty() { Err(io::Error::other("there is no certificate in it")) } else { Ok(store) }
}

impl Connector {
    /// Connections by TLS, where the address says so, and plain ones.
    #[cfg(feature = "tls")]
    pub(crate) fn new(roots: &Roots<'_>) -> Result<Self, BuildError> {
        let builder = HttpsConnectorBuilder::new().with_tls_config(roots.config()?).https_or_http().enable_http1();
        Ok(Self(builder.wrap_connector(tcp())))
    }

    /// Plain connections.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn new() -> Self {
        Self(tcp())
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

/// An error and what caused it, in one line. Some errors tell their cause themselves: nothing is told twice.
pub(crate) fn causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let told = error.to_string();
        if !line.ends_with(&told) {
            line = format!("{line}: {told}");
        }
        cause = error.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        source: Option<Box<Told>>,
    }

    #[test]
    fn a_cause_that_was_told_already_is_not_told_again() {
        let told = |text, source: Option<Told>| Told { text, source: source.map(Box::new) };
        let reset = || told("reset", None);
        assert_eq!(causes(&told("no answer: reset", Some(reset()))), "no answer: reset");
        assert_eq!(causes(&told("no answer", Some(told("cut", Some(reset()))))), "no answer: cut: reset");
    }
}
