//! How a server is to be.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::{Redis, Reply, reply};
use crate::daemon::{Daemon, Program};
use crate::port::Port;

/// How a [`Redis`] is to be. Without anything said it keeps nothing on disk, evicts nothing, and takes whoever comes.
#[derive(Debug, Default, Clone)]
pub struct Options {
    arguments: Vec<String>,
    login: Option<(String, String)>,
    is_replica: bool,
    has_tls: bool,
    is_node: bool,
}

impl Options {
    /// It keeps each write on disk before it is acknowledged: `appendonly yes`, `appendfsync always`.
    #[must_use]
    pub fn append_only(self) -> Self {
        self.arguments(&["--appendonly", "yes", "--appendfsync", "always"])
    }

    /// What it does when it may not take more memory, such as `allkeys-lru`.
    #[must_use]
    pub fn eviction(self, policy: &str) -> Self {
        self.arguments(&["--maxmemory-policy", policy])
    }

    /// It wants this password.
    #[must_use]
    pub fn password(self, password: &str) -> Self {
        let login = Some((String::new(), password.to_owned()));
        Self { login, ..self.arguments(&["--requirepass", password, "--masterauth", password]) }
    }

    /// It takes nobody but this user, who may do everything.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        let secret = format!(">{password}");
        let login = Some((name.to_owned(), password.to_owned()));
        let users = ["--user", name, "on", &secret, "~*", "&*", "+@all", "--user", "default", "off"];
        Self { login, ..self.arguments(&users) }
    }

    /// It follows `master`; [`start`](Self::start) waits until it has all that the master has. Both have the same
    /// password, or none.
    #[must_use]
    pub fn replica_of(self, master: &Redis) -> Self {
        let (host, port) = (master.address().ip().to_string(), master.address().port().to_string());
        Self { is_replica: true, ..self.arguments(&["--replicaof", &host, &port]) }
    }

    /// It speaks TLS too, on another port, with a certificate of its own.
    #[must_use]
    pub fn tls(self) -> Self {
        Self { has_tls: true, ..self }
    }

    /// More of its command line, as in `["--maxmemory", "2mb"]`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// It is a node of a cluster.
    pub(super) fn node(self) -> Self {
        let cluster =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-replica-validity-factor", "0"];
        Self { is_node: true, ..self.arguments(&cluster) }
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start; prints its log.
    pub fn start(&self) -> Redis {
        let (tls, bus) = (self.has_tls.then(Port::take), self.is_node.then(Port::take));
        let daemon = Daemon::start(Program::of_the_system("redis-server"), is_ready, |command, folder, port| {
            fs::create_dir(folder.join(DATA)).expect("a new folder takes another");
            command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--dir", DATA, "--save", ""]);
            // A replica is served at once, not when others may have come too.
            command.args(["--repl-diskless-sync-delay", "0"]);
            if let Some(port) = &tls {
                speak_tls(command, folder, port);
            }
            if let Some(port) = &bus {
                command.args(["--cluster-port", &port.number().to_string()]);
            }
            command.args(&self.arguments);
        });
        let redis = Redis { daemon, login: self.login.clone(), tls, bus };
        if self.is_replica {
            redis.wait_for_master();
        }
        redis
    }
}

fn speak_tls(command: &mut Command, folder: &Path, port: &Port) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("a certificate can be made");
    for (file, text) in [(CERTIFICATE, cert.pem()), (KEY, signing_key.serialize_pem())] {
        fs::write(folder.join(file), text).expect("a new folder takes files");
    }
    command.args(["--tls-port", &port.number().to_string(), "--tls-auth-clients", "no"]);
    // Redis looks for relative names in its data.
    command.arg("--tls-cert-file").arg(folder.join(CERTIFICATE)).arg("--tls-key-file").arg(folder.join(KEY));
    command.arg("--tls-ca-cert-file").arg(folder.join(CERTIFICATE));
}

/// True when it answers and has read its data, be it that it wants a password first.
pub(super) fn is_ready(address: SocketAddr) -> bool {
    match reply::ask(address, &[&["PING"]]) {
        Ok(Reply::Error(error)) => error.starts_with("NOAUTH"),
        Ok(reply) => reply.text() == "PONG",
        Err(_) => false,
    }
}

/// The folder of its data, in its own.
pub(super) const DATA: &str = "data";
pub(super) const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";
