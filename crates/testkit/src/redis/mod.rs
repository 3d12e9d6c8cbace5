//! The real Redis: one server, a [`Cluster`], or a master and its replica under the eyes of [`Sentinels`].
//!
//! Each server has a loopback port of its own, which it keeps while it is down, and a temporary folder. It ends, and its
//! folder goes, when its value goes.

mod cluster;
mod options;
mod reply;
mod sentinel;

pub use cluster::Cluster;
pub use options::Options;
pub use reply::Reply;
pub use sentinel::Sentinels;

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::daemon::{Daemon, wait_until};
use crate::port::Port;

/// A Redis server.
///
/// # Examples
///
/// ```no_run
/// use tricast_testkit::redis::Redis;
///
/// let mut redis = Redis::options().append_only().start();
/// redis.command(&["SET", "key", "value"]);
/// redis.restart();
/// assert_eq!(redis.command(&["GET", "key"]).text(), "value");
/// ```
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
    /// Name and password, as AUTH takes them.
    login: Option<(String, String)>,
    tls: Option<Port>,
    bus: Option<Port>,
}

impl Redis {
    /// Starts a server that keeps everything in memory, and evicts nothing.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or does not start; prints its log.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// Begins to say how a server is to be.
    pub fn options() -> Options {
        Options::default()
    }

    /// Where it listens, or would if it ran.
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// Its URL, with name and password if it has them.
    pub fn url(&self) -> String {
        let login = self.login.as_ref().map(|(name, password)| format!("{name}:{password}@"));
        format!("redis://{}{}", login.unwrap_or_default(), self.address())
    }

    /// The URL by TLS.
    ///
    /// # Panics
    ///
    /// If it was started without [`Options::tls`].
    pub fn tls_url(&self) -> String {
        let port = self.tls.as_ref().expect("a server that was started with TLS");
        let login = self.login.as_ref().map(|(name, password)| format!("{name}:{password}@"));
        format!("rediss://{}localhost:{}", login.unwrap_or_default(), port.number())
    }

    /// The file with the certificate of `localhost` that [`tls_url`](Self::tls_url) shows; it signs itself.
    pub fn certificate(&self) -> PathBuf {
        self.daemon.folder().join(options::CERTIFICATE)
    }

    /// Sends a command on a connection of its own.
    ///
    /// # Panics
    ///
    /// If there is no reply, or an error.
    pub fn command(&self, command: &[&str]) -> Reply {
        match self.try_command(command) {
            Ok(Reply::Error(error)) => panic!("{command:?}: {error}"),
            Ok(reply) => reply,
            Err(error) => panic!("{command:?}: {error}"),
        }
    }

    /// Sends a command on a connection of its own. What Redis refuses is a reply too.
    ///
    /// # Errors
    ///
    /// Redis does not run, or ends the connection.
    pub fn try_command(&self, command: &[&str]) -> io::Result<Reply> {
        self.ask(&[command])
    }

    /// Sends a write, and waits until a replica has it.
    ///
    /// # Panics
    ///
    /// If no replica confirms it within [`WATCHDOG`](crate::WATCHDOG).
    pub fn replicate(&self, write: &[&str]) {
        let confirmed = self.ask(&[write, &["WAIT", "1", "10000"]]);
        assert!(matches!(confirmed, Ok(Reply::Integer(1..))), "{write:?}: {confirmed:?}");
    }

    /// A line of what `INFO` says, or nothing if it has no such line.
    pub fn info(&self, name: &str) -> Option<String> {
        let info = self.command(&["INFO"]);
        let value = info.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::to_owned)
    }

    /// Kills it (SIGKILL). Its folder stays.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Kills it if it runs, starts it on the same port with the data of its folder, and waits until it answers.
    pub fn restart(&mut self) {
        self.daemon.restart();
    }

    /// As [`restart`](Self::restart), but without its data: a new server in the old one's place.
    pub fn restart_empty(&mut self) {
        self.daemon.kill();
        let data = self.daemon.folder().join(options::DATA);
        fs::remove_dir_all(&data)
            .and_then(|()| fs::create_dir(&data))
            .expect("a server that is down lets go of its data");
        self.daemon.restart();
    }

    /// Stops it (SIGSTOP): connections stay open, and nothing is answered until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on (SIGCONT), with what it has been sent meanwhile.
    pub fn resume(&self) {
        self.daemon.resume();
    }

    /// What it has printed since it was first started.
    pub fn log(&self) -> String {
        self.daemon.log()
    }

    fn ask(&self, commands: &[&[&str]]) -> io::Result<Reply> {
        let Some((name, password)) = &self.login else { return reply::ask(self.address(), commands) };
        let name = if name.is_empty() { "default" } else { name };
        let login: &[&str] = &["AUTH", name, password];
        reply::ask(self.address(), &[&[login], commands].concat())
    }

    /// Waits until it has all that its master had.
    fn wait_for_master(&self) {
        wait_until("the replica follows its master", || self.line("master_link_status").as_deref() == Some("up"));
    }

    fn is_master(&self) -> bool {
        self.line("role").as_deref() == Some("master")
    }

    fn is_replica(&self) -> bool {
        self.line("role").as_deref() == Some("slave")
    }

    /// As [`info`](Self::info), or nothing while it does not answer: sentinels cut connections when they change a role.
    fn line(&self, name: &str) -> Option<String> {
        let info = self.try_command(&["INFO"]).ok()?;
        let value = info.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        value.map(str::to_owned)
    }

    /// The port on which the nodes of a cluster speak to each other.
    fn bus_port(&self) -> u16 {
        self.bus.as_ref().expect("a node of a cluster").number()
    }
}
