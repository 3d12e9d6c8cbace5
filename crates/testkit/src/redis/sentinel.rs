//! A master that others watch over.

use std::fs;
use std::net::SocketAddr;

use super::{Redis, Reply, options, reply};
use crate::daemon::{Daemon, Program, wait_until};

/// A master, its replica, and sentinels that put the replica in the master's place when it is gone.
#[derive(Debug)]
pub struct Sentinels {
    sentinels: Vec<Daemon>,
    master: Redis,
    replica: Redis,
}

impl Sentinels {
    /// The name under which the sentinels know the master.
    pub const NAME: &'static str = "tricast";

    /// Starts a master, its replica and so many sentinels, most of which have to agree on who puts the replica in place.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or the sentinels do not find each other.
    pub fn start(count: usize) -> Self {
        let master = Redis::start();
        let replica = Redis::options().replica_of(&master).start();
        let sentinels = (0..count).map(|number| sentinel(&master, number)).collect();
        let it = Self { sentinels, master, replica };
        it.wait_until_it_works();
        it
    }

    /// The URLs of the sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("redis://{}", sentinel.address())).collect()
    }

    /// The master: after [`wait_for_failover`](Self::wait_for_failover), the former replica.
    pub fn master(&self) -> &Redis {
        &self.master
    }

    /// Kills the master (SIGKILL).
    pub fn kill_master(&mut self) {
        self.master.kill();
    }

    /// Waits until the replica is the master and every sentinel says so.
    ///
    /// # Panics
    ///
    /// If that does not happen.
    pub fn wait_for_failover(&mut self) {
        wait_until("the replica is promoted", || self.replica.is_master());
        let address = self.replica.address();
        wait_until("every sentinel names the new master", || {
            self.sentinels.iter().all(|sentinel| named_master(sentinel) == Some(address))
        });
        std::mem::swap(&mut self.master, &mut self.replica);
    }

    /// Starts what [`kill_master`](Self::kill_master) killed, and waits until the sentinels have made it a replica.
    pub fn revive(&mut self) {
        self.replica.restart();
        wait_until("the former master is a replica", || self.replica.is_replica());
        self.replica.wait_for_master();
    }

    fn wait_until_it_works(&self) {
        let others = (self.sentinels.len() - 1).to_string();
        wait_until("the sentinels know the replica and each other", || {
            self.sentinels.iter().all(|sentinel| {
                let Ok(reply) = reply::ask(sentinel.address(), &[&["SENTINEL", "MASTER", Self::NAME]]) else {
                    return false;
                };
                value(&reply, "num-slaves") == "1" && value(&reply, "num-other-sentinels") == others
            })
        });
    }
}

fn sentinel(master: &Redis, number: usize) -> Daemon {
    let name = Sentinels::NAME;
    // One is the first to notice. If several stood for election at once, nobody might win, and they would wait.
    let patience_ms = 500 + 500 * number;
    let daemon = Daemon::start(Program::of_the_system("redis-server"), options::is_ready, |command, folder, port| {
        let of_master = master.address().port();
        let configuration = format!(
            "bind 127.0.0.1\nport {port}\n\
             sentinel monitor {name} 127.0.0.1 {of_master} 1\n\
             sentinel down-after-milliseconds {name} {patience_ms}\n\
             sentinel failover-timeout {name} 3000\n",
        );
        // A file, because a sentinel notes in it what it learns.
        fs::write(folder.join("sentinel.conf"), configuration).expect("a new folder takes files");
        command.args(["sentinel.conf", "--sentinel"]);
    });
    // They would speak every two seconds, and look at the servers every ten.
    let faster = ["SENTINEL", "DEBUG", "publish-period", "200", "info-period", "200", "ping-period", "100"];
    reply::ask(daemon.address(), &[&faster]).expect("a sentinel that answers");
    daemon
}

fn named_master(sentinel: &Daemon) -> Option<SocketAddr> {
    let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", Sentinels::NAME];
    let answer = reply::ask(sentinel.address(), &[&question]).ok()?;
    let [host, port] = answer.list() else { return None };
    format!("{}:{}", host.text(), port.text()).parse().ok()
}

/// The value after a name, where both stand in one list.
fn value<'a>(reply: &'a Reply, name: &str) -> &'a str {
    let mut pairs = reply.list().chunks_exact(2);
    pairs.find(|pair| pair[0].text() == name).map_or("", |pair| pair[1].text())
}
