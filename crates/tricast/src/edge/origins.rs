//! Origins: where a page is from, as its browser says.
//!
//! Source: [RFC 6454](https://www.rfc-editor.org/rfc/rfc6454), protocol section 6, "Origin and Host".

use std::collections::HashSet;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// `scheme://host[:port]` in one form: lower case, with the port that the scheme implies where none is given.
///
/// `null`, which a browser says of a page without an origin, is none.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    scheme: Box<str>,
    host: Box<str>,
    port: Option<u16>,
}

impl Origin {
    /// Whether this is the origin of a page that the server of this authority gave out.
    ///
    /// The server does not know whether a proxy in front of it speaks TLS, so the scheme says which port is implied.
    pub(crate) fn is_of(&self, authority: &str) -> bool {
        // An application's own scheme belongs to no server.
        let Some(implied) = implied_port(&self.scheme) else { return false };
        match host_and_port(authority, implied) {
            Some((host, port)) => host.eq_ignore_ascii_case(&self.host) && Some(port) == self.port,
            None => false,
        }
    }
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let text = text.to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://").ok_or(NoOrigin)?;
        let starts = scheme.starts_with(|c: char| c.is_ascii_lowercase());
        let is_scheme = starts && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
        // A port of 0 stands for none here: no origin has it.
        let (host, port) = host_and_port(authority, 0).ok_or(NoOrigin)?;
        if !is_scheme || !is_host(host) || (port == 0 && host.len() < authority.len()) {
            return Err(NoOrigin);
        }
        let port = if port == 0 { implied_port(scheme) } else { Some(port) };
        Ok(Self { scheme: scheme.into(), host: host.into(), port })
    }
}

/// A text that is no origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoOrigin;

/// The origins that an application lets in beside its own.
#[derive(Debug, Default)]
pub(crate) struct Origins(HashSet<Origin>);

impl Origins {
    /// # Errors
    /// The first text that is no origin.
    pub(crate) fn new(texts: Vec<String>) -> Result<Self, String> {
        let parsed = texts.into_iter().map(|text| text.parse().map_err(|NoOrigin| text));
        Ok(Self(parsed.collect::<Result<_, _>>()?))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn lists(&self, origin: &Origin) -> bool {
        self.0.contains(origin)
    }
}

/// Splits `host[:port]`, an IPv6 address standing in brackets; `None` where the port is no port.
pub(crate) fn host_and_port(authority: &str, default: u16) -> Option<(&str, u16)> {
    let after_host = authority.rfind(']').map_or(0, |end| end + 1);
    match authority.get(after_host..)?.find(':') {
        Some(colon) => {
            let (host, port) = authority.split_at(after_host + colon);
            let digits = port.get(1..).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?;
            Some((host, digits.parse().ok()?))
        }
        None => (!authority.is_empty()).then_some((authority, default)),
    }
}

fn implied_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// A name or an address as browsers write them: neither user, path nor wildcard.
fn is_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address);
    }
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_of(origin: &str, authority: &str) -> bool {
        origin.parse::<Origin>().is_ok_and(|origin| origin.is_of(authority))
    }

    #[test]
    fn an_origin_is_that_of_the_authority_it_names() {
        assert!(is_of("http://app.example", "app.example"));
        assert!(is_of("https://app.example", "APP.example:443"));
        assert!(is_of("http://app.example:80", "app.example"));
        assert!(is_of("http://[::1]:8000", "[::1]:8000"));
        for foreign in
            ["https://evil.example", "null", "", "http://app.example:8080", "http://app.example.evil.example"]
        {
            assert!(!is_of(foreign, "app.example"), "{foreign}");
        }
        assert!(!is_of("https://app.example", "app.example:80"), "another port is another origin");
        assert!(!is_of("file://app.example", "app.example"));
    }

    #[test]
    fn a_listed_origin_is_known_in_whatever_form_it_was_written() {
        let listed = ["https://App.example:443", "http://[::1]:3000", "capacitor://localhost"];
        let origins = Origins::new(listed.map(str::to_owned).into()).unwrap();
        for known in ["https://app.example", "http://[::1]:3000", "capacitor://localhost"] {
            assert!(origins.lists(&known.parse().unwrap()), "{known}");
        }
        for other in ["http://app.example", "https://app.example:444", "https://www.app.example", "ionic://localhost"] {
            assert!(!origins.lists(&other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn what_is_no_origin_is_named() {
        let bad = [
            "null",
            "*",
            "app.example",
            "https://*.app.example",
            "https://app.example/",
            "https://app.example/page",
            "https://ann@app.example",
            "https://app.example:",
            "https://app.example:0",
            "https://app.example:+80",
            "https://app.example:65536",
            "https://",
            "://app.example",
            "https://[::0001]",
            "https://app.example https://b.example",
            "",
        ];
        for bad in bad {
            let texts = vec!["https://good.example".to_owned(), bad.to_owned()];
            assert_eq!(Origins::new(texts).unwrap_err(), bad);
        }
    }
}
