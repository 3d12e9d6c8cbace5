//! Proxies that are believed when they say on whose behalf they ask.
//!
//! Anybody can write `X-Forwarded-For` and `X-Forwarded-Host`. They count only in a request whose connection comes from
//! a trusted proxy; and of the addresses listed, each was written by the one to its right, so that from the right on
//! they are true up to the first that is not a trusted proxy's own.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use http::{Extensions, HeaderMap};
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";

/// The networks of trusted proxies.
#[derive(Debug, Default)]
pub(crate) struct Proxies(Vec<IpNet>);

impl Proxies {
    /// # Errors
    /// The first text that is neither a network nor an address.
    pub(crate) fn new(texts: Vec<String>) -> Result<Self, String> {
        let parsed = texts.into_iter().map(|text| network(&text).ok_or(text));
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    /// The address of the client that a request is from: the connection's, or behind trusted proxies the right-most
    /// that `X-Forwarded-For` lists and that is none of theirs.
    ///
    /// Beyond an entry that is no address nothing is believed: the answer is the proxy that wrote it. `None` where the
    /// server does not tell its handlers who connected.
    pub(crate) fn client_addr(&self, extensions: &Extensions, headers: &HeaderMap) -> Option<IpAddr> {
        let mut client = peer(extensions)?;
        let lines = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        let entries = lines.into_iter().rev().flat_map(|line| line.to_str().unwrap_or_default().rsplit(','));
        for entry in entries {
            if !self.trust(client) {
                break;
            }
            match address(entry.trim()) {
                Some(address) => client = address,
                None => break,
            }
        }
        Some(client)
    }

    /// The authority that a trusted proxy was asked by; of several, the one that the nearest proxy wrote.
    pub(crate) fn forwarded_host<'a>(&self, extensions: &Extensions, headers: &'a HeaderMap) -> Option<&'a str> {
        peer(extensions).filter(|peer| self.trust(*peer))?;
        let line = headers.get_all(FORWARDED_HOST).iter().next_back()?.to_str().ok()?;
        line.rsplit(',').next().map(str::trim)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Who connected. A listener of both families shows IPv4 peers as IPv6 ones.
fn peer(extensions: &Extensions) -> Option<IpAddr> {
    extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip().to_canonical())
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse().ok().map(|address: IpAddr| address.to_canonical().into()))
}

/// An entry of the list; some proxies write the port as well.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|entry| entry.strip_suffix(']')).unwrap_or(entry);
    let with_port = || entry.parse().ok().map(|address: SocketAddr| address.ip());
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn from(peer: &str) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::new(peer.parse().unwrap(), 1234)));
        extensions
    }

    fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
        lines.iter().map(|line| (http::HeaderName::from_static(name), line.parse().unwrap())).collect()
    }

    fn proxies() -> Proxies {
        Proxies::new(["10.0.0.0/8", "::1/128", "192.0.2.1"].map(str::to_owned).into()).unwrap()
    }

    #[track_caller]
    fn assert_client(peer: &str, lines: &[&str], client: &str) {
        let found = proxies().client_addr(&from(peer), &headers(FORWARDED_FOR, lines));
        assert_eq!(found, Some(client.parse().unwrap()), "{peer} {lines:?}");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_nobody_else() {
        for proxy in ["10.1.2.3", "::1", "192.0.2.1", "::ffff:10.1.2.3"] {
            assert_client(proxy, &["203.0.113.9"], "203.0.113.9");
        }
        assert_client("203.0.113.7", &["203.0.113.9"], "203.0.113.7");
        assert_client("::ffff:203.0.113.7", &["10.0.0.1"], "203.0.113.7");
        assert_client("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn what_a_client_writes_itself_stands_left_of_what_is_true() {
        assert_client("10.0.0.1", &["1.1.1.1, 203.0.113.9"], "203.0.113.9");
        assert_client("10.0.0.1", &["10.9.9.9, 203.0.113.9,10.0.0.2"], "203.0.113.9");
        assert_client("10.0.0.1", &["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9");
        assert_client("10.0.0.1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9");
    }

    #[test]
    fn beyond_what_is_no_address_nothing_is_believed() {
        for broken in ["unknown", "", "1.2.3.4.5", "203.0.113.9:", "_hidden", "[::1", "10.0.0.0/8"] {
            assert_client("10.0.0.1", &[&format!("1.1.1.1, {broken}, 10.0.0.2")], "10.0.0.2");
            assert_client("10.0.0.1", &[&format!("1.1.1.1, {broken}")], "10.0.0.1");
        }
        let mut bytes = HeaderMap::new();
        bytes.insert(FORWARDED_FOR, HeaderValue::from_bytes(b"1.1.1.1, \xff").unwrap());
        assert_eq!(proxies().client_addr(&from("10.0.0.1"), &bytes), Some("10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn an_entry_may_have_a_port() {
        assert_client("10.0.0.1", &["203.0.113.9:5000"], "203.0.113.9");
        assert_client("10.0.0.1", &["[2001:db8::1]:5000"], "2001:db8::1");
        assert_client("10.0.0.1", &["[2001:db8::1]"], "2001:db8::1");
        assert_client("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9");
    }

    #[test]
    fn who_is_not_known_to_have_connected_is_nobody() {
        let headers = headers(FORWARDED_FOR, &["203.0.113.9"]);
        assert_eq!(proxies().client_addr(&Extensions::new(), &headers), None);
        let hosts = self::headers(FORWARDED_HOST, &["app.example"]);
        assert_eq!(proxies().forwarded_host(&Extensions::new(), &hosts), None);
    }

    #[test]
    fn of_several_hosts_the_nearest_proxys_counts() {
        let host = |peer, lines: &[&str]| {
            let headers = headers(FORWARDED_HOST, lines);
            proxies().forwarded_host(&from(peer), &headers).map(str::to_owned)
        };
        assert_eq!(host("10.0.0.1", &["app.example"]).as_deref(), Some("app.example"));
        assert_eq!(host("10.0.0.1", &["evil.example", "evil.example, app.example"]).as_deref(), Some("app.example"));
        assert_eq!(host("203.0.113.7", &["app.example"]), None);
        assert_eq!(host("10.0.0.1", &[]), None);
    }

    #[test]
    fn what_is_no_network_is_named() {
        for bad in ["10.0.0.0/33", "proxy.example", "10.0.0", "", "*"] {
            assert_eq!(Proxies::new(vec!["10.0.0.0/8".to_owned(), bad.to_owned()]).unwrap_err(), bad);
        }
    }
}
