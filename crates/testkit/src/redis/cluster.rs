//! Three shards.

use super::{Redis, Reply};
use crate::daemon::wait_until;

/// A Redis Cluster of three shards, each with a replica if it is wanted. Shards are counted from 0.
#[derive(Debug)]
pub struct Cluster {
    shards: Vec<Shard>,
}

#[derive(Debug)]
struct Shard {
    master: Redis,
    /// A replica; after a failover the former master, which is down.
    other: Option<Redis>,
}

impl Cluster {
    /// Starts the nodes, gives each shard its third of the slots, and waits until all nodes say that the cluster works.
    ///
    /// # Panics
    ///
    /// If Redis is not installed, or the nodes do not find together.
    pub fn start(with_replicas: bool) -> Self {
        let node = || Redis::options().node().start();
        let shards = (0..SHARDS).map(|_| Shard { master: node(), other: with_replicas.then(node) }).collect();
        let cluster = Self { shards };
        cluster.assign_slots();
        cluster.introduce();
        for Shard { master, other } in &cluster.shards {
            if let Some(replica) = other {
                replica.command(&["CLUSTER", "REPLICATE", &id(master)]);
            }
        }
        cluster.wait_until_it_works();
        cluster
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes().map(Redis::url).collect()
    }

    /// The master of a shard.
    pub fn master(&self, shard: usize) -> &Redis {
        &self.shards[shard].master
    }

    /// The shard that a key belongs to, until its slot is moved.
    pub fn shard_of(&self, key: &str) -> usize {
        let slot = self.slot(key);
        (0..SHARDS)
            .find(|shard| (first_slot(*shard)..first_slot(shard + 1)).contains(&slot))
            .expect("slots end at 16,384")
    }

    /// Kills the master of a shard, and waits until its replica has taken over and the others know.
    ///
    /// # Panics
    ///
    /// If the shard has no replica that runs, or it does not take over.
    pub fn fail_over(&mut self, shard: usize) {
        let Shard { master, other } = &mut self.shards[shard];
        let replica = other.as_mut().expect("a cluster that was started with replicas");
        master.kill();
        wait_until("the replica is promoted", || replica.is_master());
        std::mem::swap(master, replica);
        let new = id(&self.shards[shard].master);
        wait_until("every node knows the new master", || {
            self.alive().all(|node| works(node) && knows_master(node, &new))
        });
    }

    /// Starts what [`fail_over`](Self::fail_over) killed, and waits until it follows the new master.
    pub fn revive(&mut self, shard: usize) {
        let former = self.shards[shard].other.as_mut().expect("a cluster that was started with replicas");
        former.restart();
        wait_until("the former master is a replica", || former.is_replica());
        former.wait_for_master();
    }

    /// Kills the master of a shard whose place nobody takes, or, if it has a replica, might take soon.
    pub fn kill(&mut self, shard: usize) {
        self.shards[shard].master.kill();
    }

    /// Starts the master of a shard again, without its data if there were none on disk, and waits until all works.
    pub fn restart(&mut self, shard: usize) {
        self.shards[shard].master.restart();
        self.wait_until_it_works();
    }

    /// Moves the slot of a key, with everything in it, to the master of another shard.
    pub fn move_slot(&self, key: &str, to: usize) {
        let (slot, to) = (self.slot(key).to_string(), self.master(to));
        let owners = self.shards.iter().map(|shard| &shard.master);
        let from = owners.into_iter().find(|node| node.try_command(&["EXISTS", key]).is_ok_and(|it| !is_error(&it)));
        let from = from.expect("somebody has every slot");
        to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
        from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
        let port = to.address().port().to_string();
        loop {
            let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.list().is_empty() {
                break;
            }
            let mut migrate = vec!["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"];
            migrate.extend(keys.list().iter().map(Reply::text));
            from.command(&migrate);
        }
        for node in [to, from].into_iter().chain(self.shards.iter().map(|shard| &shard.master)) {
            node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
        }
    }

    fn assign_slots(&self) {
        for (shard, Shard { master, .. }) in self.shards.iter().enumerate() {
            let (first, last) = (first_slot(shard).to_string(), (first_slot(shard + 1) - 1).to_string());
            master.command(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]);
            // Two nodes of the same epoch would first have to agree on who has it.
            master.command(&["CLUSTER", "SET-CONFIG-EPOCH", &(shard + 1).to_string()]);
        }
    }

    /// Makes every node known to every other, without waiting for word to go around.
    fn introduce(&self) {
        for node in self.nodes() {
            for other in self.nodes() {
                let (port, bus) = (other.address().port().to_string(), other.bus_port().to_string());
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
            }
        }
        let count = self.nodes().count().to_string();
        wait_until("the nodes know each other", || {
            self.nodes().all(|node| field(node, "cluster_known_nodes") == count && knows_all_by_name(node))
        });
    }

    fn wait_until_it_works(&self) {
        wait_until("the cluster works", || self.alive().all(works));
        for node in self.alive().filter(|node| !node.is_master()) {
            node.wait_for_master();
        }
    }

    fn slot(&self, key: &str) -> usize {
        match self.alive().next().map(|node| node.command(&["CLUSTER", "KEYSLOT", key])) {
            Some(Reply::Integer(slot)) => usize::try_from(slot).expect("a slot is not negative"),
            other => panic!("no slot: {other:?}"),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = &Redis> {
        self.shards.iter().flat_map(|shard| std::iter::once(&shard.master).chain(&shard.other))
    }

    fn alive(&self) -> impl Iterator<Item = &Redis> {
        self.nodes().filter(|node| node.try_command(&["PING"]).is_ok())
    }
}

fn first_slot(shard: usize) -> usize {
    (shard * 16_384).div_ceil(SHARDS)
}

fn works(node: &Redis) -> bool {
    field(node, "cluster_state") == "ok"
}

/// Whether nobody is left whose name has not come yet.
fn knows_all_by_name(node: &Redis) -> bool {
    !node.command(&["CLUSTER", "NODES"]).text().contains("handshake")
}

/// Whether it takes the node with this id for a master.
fn knows_master(node: &Redis, id: &str) -> bool {
    let nodes = node.command(&["CLUSTER", "NODES"]);
    nodes.text().lines().any(|line| line.starts_with(id) && line.contains("master"))
}

fn field(node: &Redis, name: &str) -> String {
    let info = node.command(&["CLUSTER", "INFO"]);
    let value = info.text().lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().to_owned()
}

fn id(node: &Redis) -> String {
    node.command(&["CLUSTER", "MYID"]).text().to_owned()
}

fn is_error(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(_))
}

const SHARDS: usize = 3;
