//! The address of a mount point, and of what is under it.

use http::Uri;
use http::uri::{PathAndQuery, Scheme};
use tricast_core::protocol::ClientId;

use crate::error::BuildError;

/// Where a server is mounted: `http` or `https`, a host, and a path without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    base: Uri,
}

impl Mount {
    /// Reads an address; `ws` and `wss` are taken for `http` and `https`.
    pub(crate) fn parse(url: &str) -> Result<Self, BuildError> {
        let invalid = |source| BuildError::Url { url: url.into(), source };
        let http = match url.split_once("://") {
            Some(("ws", rest)) => format!("http://{rest}"),
            Some(("wss", rest)) => format!("https://{rest}"),
            _ => url.to_owned(),
        };
        let uri: Uri = http.trim_end_matches('/').parse().map_err(|error| invalid(Some(error)))?;
        let is_http = uri.scheme() == Some(&Scheme::HTTP) || uri.scheme() == Some(&Scheme::HTTPS);
        let has_user = uri.authority().is_some_and(|authority| authority.as_str().contains('@'));
        if !is_http || has_user || uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(invalid(None));
        }
        Ok(Self { base: uri })
    }

    pub(crate) fn needs_tls(&self) -> bool {
        self.base.scheme() == Some(&Scheme::HTTPS)
    }

    /// The address of an endpoint.
    pub(crate) fn endpoint(&self, name: &str) -> Uri {
        self.join(self.base.scheme_str().unwrap_or("http"), name)
    }

    /// The address of the WebSocket endpoint, with who asks.
    pub(crate) fn socket(&self, client: &ClientId) -> Uri {
        self.join(if self.needs_tls() { "wss" } else { "ws" }, &format!("ws?client={client}"))
    }

    fn join(&self, scheme: &str, rest: &str) -> Uri {
        let path = format!("{}/{rest}", self.base.path().trim_end_matches('/'));
        let mut parts = self.base.clone().into_parts();
        parts.scheme = scheme.parse().ok();
        parts.path_and_query = PathAndQuery::try_from(path).ok();
        // A checked address with characters of ours behind it is one again.
        Uri::from_parts(parts).unwrap_or_else(|_| self.base.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_stand_under_the_mount() {
        let client: ClientId = "client-1".parse().unwrap();
        for (url, send, socket) in [
            ("http://127.0.0.1:8000/rt", "http://127.0.0.1:8000/rt/send", "ws://127.0.0.1:8000/rt/ws?client=client-1"),
            ("https://a.example/b/rt/", "https://a.example/b/rt/send", "wss://a.example/b/rt/ws?client=client-1"),
            ("wss://a.example", "https://a.example/send", "wss://a.example/ws?client=client-1"),
        ] {
            let mount = Mount::parse(url).unwrap();
            assert_eq!(mount.endpoint("send").to_string(), send);
            assert_eq!(mount.socket(&client).to_string(), socket);
        }
    }

    #[test]
    fn what_is_no_mount_point_is_refused() {
        for url in ["", "/rt", "127.0.0.1:8000/rt", "ftp://a/rt", "http://", "http://a/rt?x=1", "http://me:secret@a/rt"]
        {
            assert!(matches!(Mount::parse(url), Err(BuildError::Url { .. })), "{url}");
        }
    }
}
