//! Servers that keep streams together.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{NATS, Nats, Options};
use crate::WATCHDOG;
use crate::daemon::Program;
use crate::port::Port;

/// Three NATS servers of one cluster, so that a stream may have three replicas and one of them may be gone. They end when
/// this value goes.
///
/// # Examples
///
/// ```no_run
/// use tricast_testkit::nats::Cluster;
///
/// let mut cluster = Cluster::start();
/// let created = cluster.request("$JS.API.STREAM.CREATE.s", r#"{"name":"s","subjects":["s"],"num_replicas":3}"#);
/// let leader = cluster.leader("s");
/// cluster.kill(leader);
/// assert_ne!(cluster.leader("s"), leader);
/// ```
#[derive(Debug)]
pub struct Cluster {
    servers: Vec<Nats>,
    running: [bool; SERVERS],
    _routes: Vec<Port>,
}

const SERVERS: usize = 3;

impl Cluster {
    /// Starts servers of the version that `cargo xtask test` installs, or the system's where it did not, and waits until they have found each other.
    ///
    /// # Panics
    ///
    /// If NATS is not installed, or the servers do not find each other.
    pub fn start() -> Self {
        Self::of(&Program::of_the_tests(NATS))
    }

    /// Starts servers of the version that the system has, which may be an old one.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start).
    pub fn of_the_system() -> Self {
        Self::of(&Program::of_the_system(NATS))
    }

    fn of(program: &Program) -> Self {
        let ports: Vec<Port> = (0..SERVERS).map(|_| Port::take()).collect();
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://{}", port.address())).collect();
        let start = |(number, port): (usize, &Port)| {
            let (listen, routes) = (port.address(), routes.join(", "));
            Options { program: program.clone(), ..Nats::options() }
                .configuration(&format!("server_name: n{number}"))
                .configuration(&format!("cluster {{ name: tests, listen: \"{listen}\", routes: [{routes}] }}"))
                .start()
        };
        let servers = ports.iter().enumerate().map(start).collect();
        let cluster = Self { servers, running: [true; SERVERS], _routes: ports };
        cluster.wait_until_it_works();
        cluster
    }

    /// A URL of all servers.
    pub fn url(&self) -> String {
        let addresses: Vec<String> = self.servers.iter().map(|server| server.address().to_string()).collect();
        format!("nats://{}", addresses.join(","))
    }

    /// One of the servers: to pause it, or to be asked alone.
    pub fn server(&self, number: usize) -> &Nats {
        &self.servers[number]
    }

    /// Sends a request to a server that runs, and returns the answer.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub fn request(&self, subject: &str, payload: &str) -> String {
        let runs = self.running.iter().position(|running| *running).expect("a server runs");
        self.servers[runs].request(subject, payload)
    }

    /// Which server leads a stream, as soon as one does and all others that run have what it has.
    ///
    /// # Panics
    ///
    /// If none does.
    pub fn leader(&self, stream: &str) -> usize {
        let mut leader = None;
        self.wait("a leader that is followed", |server| {
            let info = server.ask(&format!("$JS.API.STREAM.INFO.{stream}"), "", PATIENCE).ok();
            let info: Value = info.and_then(|info| serde_json::from_str(&info).ok()).unwrap_or_default();
            let replicas = info["cluster"]["replicas"].as_array().map(Vec::as_slice).unwrap_or_default();
            let follows = |replica: &&Value| replica["current"] == true && replica["offline"] != true;
            let following = replicas.iter().filter(follows).count();
            let others = self.running.iter().filter(|running| **running).count() - 1;
            leader = number(&info["cluster"]["leader"]).filter(|number| self.running[*number] && following >= others);
            leader.is_some()
        });
        leader.expect("it was waited for")
    }

    /// Kills a server (SIGKILL). Its folder stays.
    pub fn kill(&mut self, number: usize) {
        self.running[number] = false;
        self.servers[number].kill();
    }

    /// Starts a server again with its data, and waits until those that run work together.
    ///
    /// # Panics
    ///
    /// If it does not come back.
    pub fn restart(&mut self, number: usize) {
        self.servers[number].restart();
        self.running[number] = true;
        self.wait_until_it_works();
    }

    /// Until a stream can be created, by way of every server that runs, which all of those keep.
    fn wait_until_it_works(&self) {
        let running = self.running.iter().filter(|running| **running).count();
        let probe = format!(r#"{{"name":"probe","subjects":["probe"],"storage":"memory","num_replicas":{running}}}"#);
        self.wait("the servers to find each other", |server| {
            let created = server.ask("$JS.API.STREAM.CREATE.probe", &probe, PATIENCE);
            let deleted = server.ask("$JS.API.STREAM.DELETE.probe", "", PATIENCE);
            [created, deleted].iter().all(|answer| answer.as_ref().is_ok_and(|text| !text.contains("\"error\"")))
        });
    }

    /// Until this holds of every server that runs.
    fn wait(&self, what: &str, mut holds: impl FnMut(&Nats) -> bool) {
        let started = Instant::now();
        for (server, _) in self.servers.iter().zip(self.running).filter(|(_, running)| *running) {
            while !holds(server) {
                let log = server.log();
                assert!(started.elapsed() < WATCHDOG, "in vain: {what}\n{log}");
                thread::sleep(PAUSE); // they tell nobody
            }
        }
    }
}

/// A server's, by its name.
fn number(name: &Value) -> Option<usize> {
    name.as_str()?.strip_prefix('n')?.parse().ok()
}

/// How long a server has to answer that may not be able to.
const PATIENCE: Duration = Duration::from_millis(500);

const PAUSE: Duration = Duration::from_millis(50);
