//! URLs of NATS: where it is, who we are there, and what is kept how.
//!
//! ```text
//! nats://[name:password@ | token@]host[:port][,host2[:port]][?replicas=3&prefix=tc]
//! ```
//! With `tls` in place of `nats` all of it goes by TLS.

use async_nats::{ConnectOptions, ServerAddr};

use crate::builder::ConnectError;

/// What a URL says.
pub(crate) struct Target {
    /// The servers that are tried first; they tell of others.
    pub(crate) servers: Vec<ServerAddr>,
    tls: bool,
    login: Option<Login>,
    pub(crate) prefix: Option<String>,
    pub(crate) replicas: Option<usize>,
}

enum Login {
    User(String, String),
    Token(String),
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, ConnectError> {
        let (scheme, rest) = url.split_once("://").ok_or(ConnectError::Url)?;
        let tls = match scheme {
            "nats" => false,
            "tls" => true,
            _ => return Err(ConnectError::Url),
        };
        // Credentials are apart from here on: what is in them is in no error.
        let (login, rest) = match rest.rsplit_once('@') {
            Some((login, rest)) => (Some(login), rest),
            None => (None, rest),
        };
        let (hosts, query) = rest.split_once('?').unwrap_or((rest, ""));
        let server = |host: &str| match format!("{scheme}://{host}").parse::<ServerAddr>() {
            Ok(server) if !server.host().is_empty() && !host.contains(['/', '#']) => Ok(server),
            Ok(_) | Err(_) => Err(ConnectError::Url),
        };
        let servers = hosts.trim_end_matches('/').split(',').map(server).collect::<Result<_, _>>()?;
        let login = match login.map(|login| login.split_once(':').ok_or(login)) {
            Some(Ok((name, password))) => Some(Login::User(decoded(name)?, decoded(password)?)),
            Some(Err(token)) => Some(Login::Token(decoded(token)?)),
            None => None,
        };
        let (mut prefix, mut replicas) = (None, None);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("prefix", value)) => prefix = Some(decoded(value)?),
                Some(("replicas", value)) => {
                    let number = value.parse().map_err(|_| ConnectError::Option(option.to_owned()))?;
                    replicas = Some(number);
                }
                _ => return Err(ConnectError::Option(option.to_owned())),
            }
        }
        Ok(Self { servers, tls, login, prefix, replicas })
    }

    pub(crate) fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new().require_tls(self.tls);
        match &self.login {
            Some(Login::User(name, password)) => options.user_and_password(name.clone(), password.clone()),
            Some(Login::Token(token)) => options.token(token.clone()),
            None => options,
        }
    }
}

/// Undoes percent encoding.
fn decoded(text: &str) -> Result<String, ConnectError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        bytes.push(match (byte, after) {
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(*high).zip(digit(*low)).map(|(high, low)| 16 * high + low).ok_or(ConnectError::Url)?
            }
            (byte, _) => *byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| ConnectError::Url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Target {
        Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn servers(target: &Target) -> Vec<(String, u16)> {
        target.servers.iter().map(|server| (server.host().to_owned(), server.port())).collect()
    }

    #[test]
    fn a_url_names_servers_credentials_and_options() {
        let target = parse("nats://ann:a%40b%2Fc@one,two:4333,[::1]:1/?replicas=3&prefix=shop");
        assert_eq!(servers(&target), [("one".into(), 4_222), ("two".into(), 4_333), ("::1".into(), 1)]);
        assert!(matches!(&target.login, Some(Login::User(name, password)) if name == "ann" && password == "a@b/c"));
        assert_eq!((target.replicas, target.prefix.as_deref(), target.tls), (Some(3), Some("shop"), false));

        let target = parse("tls://to%2Dken@one");
        assert!(matches!(&target.login, Some(Login::Token(token)) if token == "to-ken") && target.tls);
        assert_eq!(servers(&target), [("one".into(), 4_222)]);
        assert_eq!((target.replicas, target.prefix), (None, None));
    }

    #[test]
    fn what_is_no_url_of_nats_is_refused_without_being_shown() {
        for bad in [
            "",
            "nats",
            "nats://",
            "ws://a",
            "redis://a",
            "nats://a:b",
            "nats://a,,b",
            "nats://a/b",
            "nats://a#b",
            "nats://%zz@a",
            "nats://%ff@a",
        ] {
            assert!(matches!(Target::parse(bad), Err(ConnectError::Url)), "{bad}");
        }
        for secret in ["nats://tok?secret@host?a=b", "nats://ann:se#cret@host?a=b"] {
            let refused = Target::parse(secret).map(drop).unwrap_err();
            assert!(matches!(&refused, ConnectError::Option(option) if option == "a=b"), "{refused}");
        }
        for bad in ["replicas", "replicas=many", "replicas=-1", "prefixes=a"] {
            let refused = Target::parse(&format!("nats://ann:secret@a?{bad}")).map(drop).unwrap_err();
            assert!(matches!(&refused, ConnectError::Option(option) if option == bad), "{refused}");
            assert!(!refused.to_string().contains("secret"));
        }
    }

    #[test]
    fn a_percent_sign_alone_is_itself() {
        assert_eq!(decoded("plain%").unwrap(), "plain%");
    }
}
