//! URLs of Redis: where it is, in which arrangement, and who we are there.
//!
//! ```text
//! redis://[user:password@]host[:port][/db]
//! redis+sentinel://[user:password@]host:26379,host2:26379/service[/db]
//! redis+cluster://[user:password@]host:port,host2:port
//! ```
//! With `rediss` in place of `redis` all of it goes by TLS. `?cluster=true` makes the first form the third, and
//! `?prefix=shop` says what keys and channels begin with.

use std::fmt;

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Address {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// What a URL says.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) layout: Layout,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
    pub(crate) prefix: Option<String>,
}

/// How servers stand together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// One server.
    Plain(Address),
    /// The master that sentinels name.
    Sentinel { sentinels: Vec<Address>, service: String },
    /// A cluster, of which some nodes are known.
    Cluster(Vec<Address>),
}

/// Why a URL cannot be used. It never shows a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlError {
    /// The scheme is none of those known.
    #[error("the scheme is {0:?}, not one of redis, redis+sentinel, redis+cluster, or rediss in place of redis")]
    Scheme(String),
    /// There is no host.
    #[error("a host is missing")]
    NoHost,
    /// What follows a host is no port. It is not shown: where the host was forgotten it is a password.
    #[error("what follows the colon of a host is no port")]
    Port,
    /// More than one host where there is one server.
    #[error("more than one host needs redis+sentinel or redis+cluster")]
    ManyHosts,
    /// The path names no database.
    #[error("{0:?} is no number of a database")]
    Database(String),
    /// A cluster has one database only.
    #[error("a cluster has no database but 0")]
    ClusterDatabase,
    /// Sentinels must be told which service is meant.
    #[error("the name of the sentinels' service is missing: redis+sentinel://host:26379/service")]
    NoService,
    /// An option that is not known.
    #[error("{0:?} is no option")]
    Option(String),
    /// An option's value that is not known.
    #[error("{value:?} is no value of {option}")]
    Value {
        /// The option.
        option: String,
        /// What it was given.
        value: String,
    },
    /// Name, password or prefix are not percent-encoded text.
    #[error("the user, the password or the prefix is not percent-encoded text")]
    Encoding,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Plain,
    Sentinel,
    Cluster,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| UrlError::Scheme(String::new()))?;
        let (tls, kind) = match scheme {
            "redis" => (false, Kind::Plain),
            "rediss" => (true, Kind::Plain),
            "redis+sentinel" => (false, Kind::Sentinel),
            "rediss+sentinel" => (true, Kind::Sentinel),
            "redis+cluster" => (false, Kind::Cluster),
            "rediss+cluster" => (true, Kind::Cluster),
            other => return Err(UrlError::Scheme(other.to_owned())),
        };
        // Credentials are apart from here on: what is in them is in no error.
        let (login, rest) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (kind, prefix) = options(query, kind)?;
        let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (user, password) = login.split_once(':').unwrap_or((login, ""));
        let port = if kind == Kind::Sentinel { 26_379 } else { 6_379 };
        let hosts = hosts.split(',').map(|host| address(host, port)).collect::<Result<Vec<_>, _>>()?;
        let (layout, database) = layout(kind, hosts, path.trim_end_matches('/'))?;
        Ok(Self { layout, tls, user: decoded(user)?, password: decoded(password)?, database, prefix })
    }
}

fn options(query: &str, mut kind: Kind) -> Result<(Kind, Option<String>), UrlError> {
    let mut prefix = None;
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let (option, value) = part.split_once('=').unwrap_or((part, ""));
        match (option, value) {
            ("cluster", "true") if kind != Kind::Sentinel => kind = Kind::Cluster,
            ("cluster", "false") if kind != Kind::Cluster => {}
            ("prefix", value) => prefix = Some(decoded(value)?.unwrap_or_default()),
            ("cluster", _) => return Err(UrlError::Value { option: option.to_owned(), value: value.to_owned() }),
            _ => return Err(UrlError::Option(option.to_owned())),
        }
    }
    Ok((kind, prefix))
}

fn layout(kind: Kind, hosts: Vec<Address>, path: &str) -> Result<(Layout, i64), UrlError> {
    match kind {
        Kind::Plain => match <[Address; 1]>::try_from(hosts) {
            Ok([one]) => Ok((Layout::Plain(one), database(path)?)),
            Err(_) => Err(UrlError::ManyHosts),
        },
        Kind::Sentinel => {
            let (service, path) = path.split_once('/').unwrap_or((path, ""));
            let service = decoded(service)?.ok_or(UrlError::NoService)?;
            Ok((Layout::Sentinel { sentinels: hosts, service }, database(path)?))
        }
        Kind::Cluster => match database(path)? {
            0 => Ok((Layout::Cluster(hosts), 0)),
            _ => Err(UrlError::ClusterDatabase),
        },
    }
}

fn database(path: &str) -> Result<i64, UrlError> {
    if path.is_empty() {
        return Ok(0);
    }
    path.parse().ok().filter(|number| *number >= 0).ok_or_else(|| UrlError::Database(path.to_owned()))
}

pub(crate) fn address(text: &str, default_port: u16) -> Result<Address, UrlError> {
    // The colons of an IPv6 address are not the one before the port.
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err(UrlError::NoHost);
    }
    let port = match port {
        Some(port) => port.parse().map_err(|_| UrlError::Port)?,
        None => default_port,
    };
    Ok(Address { host: host.to_owned(), port })
}

/// Percent-decoded; `None` where there is nothing.
fn decoded(text: &str) -> Result<Option<String>, UrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<2>().ok_or(UrlError::Encoding)?;
        let digits = str::from_utf8(digits).map_err(|_| UrlError::Encoding)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| UrlError::Encoding)?);
        rest = after;
    }
    let text = String::from_utf8(bytes).map_err(|_| UrlError::Encoding)?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Target {
        Target::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
    }

    fn at(host: &str, port: u16) -> Address {
        Address { host: host.into(), port }
    }

    fn error(url: &str) -> UrlError {
        Target::parse(url).err().unwrap()
    }

    #[test]
    fn a_url_names_a_server_a_login_and_a_database() {
        let plain = parse("redis://localhost");
        assert_eq!((&plain.layout, plain.tls, plain.database), (&Layout::Plain(at("localhost", 6_379)), false, 0));
        assert_eq!((plain.user, plain.password), (None, None));
        let full = parse("rediss://ann:p%40ss:x@[::1]:7000/3");
        assert_eq!((&full.layout, full.tls, full.database), (&Layout::Plain(at("::1", 7_000)), true, 3));
        assert_eq!((full.user.as_deref(), full.password.as_deref()), (Some("ann"), Some("p@ss:x")));
        assert_eq!(parse("redis://:secret@h/").password.as_deref(), Some("secret"));
    }

    #[test]
    fn sentinels_come_with_the_name_of_their_service() {
        let Target { layout, database, .. } = parse("redis+sentinel://a,b:1/main/2");
        assert_eq!(layout, Layout::Sentinel { sentinels: vec![at("a", 26_379), at("b", 1)], service: "main".into() });
        assert_eq!(database, 2);
        assert_eq!(error("redis+sentinel://a:1"), UrlError::NoService);
    }

    #[test]
    fn a_cluster_is_named_by_its_scheme_or_by_an_option() {
        let nodes = Layout::Cluster(vec![at("a", 7_000), at("b", 7_001)]);
        assert_eq!(parse("redis+cluster://a:7000,b:7001").layout, nodes);
        assert_eq!(parse("redis://a:7000,b:7001?cluster=true").layout, nodes);
        assert!(parse("rediss+cluster://a").tls);
        let Target { layout, prefix, .. } = parse("redis://a:7000,b:7001?prefix=sh%6fp&cluster=true");
        assert_eq!((layout, prefix.as_deref()), (nodes, Some("shop")));
        assert_eq!(error("redis+cluster://a/1"), UrlError::ClusterDatabase);
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(error("http://h"), UrlError::Scheme("http".into()));
        assert_eq!(error("localhost:6379"), UrlError::Scheme(String::new()));
        assert_eq!(error("redis://"), UrlError::NoHost);
        assert_eq!(error("redis://a,b"), UrlError::ManyHosts);
        assert_eq!(error("redis://h:port"), UrlError::Port);
        assert_eq!(error("redis://h/x"), UrlError::Database("x".into()));
        assert_eq!(error("redis://h?db=1"), UrlError::Option("db".into()));
        assert_eq!(
            error("redis://h?cluster=maybe"),
            UrlError::Value { option: "cluster".into(), value: "maybe".into() }
        );
        assert_eq!(error("redis://u:%zz@h"), UrlError::Encoding);
        assert_eq!(parse("redis://u:pa?ss/w@h").password.as_deref(), Some("pa?ss/w"));
        assert_eq!(error("redis://h?prefix=%zz"), UrlError::Encoding);
    }
}
