//! Which epochs go on when a server does, and which end.

use std::time::Duration;

use tokio::time::timeout;
use tricast_core::backplane::Backplane as _;
use tricast_core::log::{Head, Limit};
use tricast_core::position::{Position, Seq};
use tricast_testkit::WATCHDOG;
use tricast_testkit::fixtures::{saying, server as server_scope, state, stream};
use tricast_testkit::redis::Redis as Server;

use crate::support::{append, eventually, node};

#[tokio::test]
async fn what_is_on_disk_before_it_is_acknowledged_goes_on_after_a_restart() {
    let mut server = Server::options().append_only().start();
    let (redis, _) = node(server.url()).await;
    let (chat, desk) = (stream("chat"), state("desk"));
    let untouched = redis.open(&stream("untouched")).await.unwrap();
    let first = append(&redis, &chat, saying("a").id("1")).await;
    append(&redis, &desk, saying("x").key("k")).await;
    for _ in 0..3 {
        server.restart();
        let head = eventually("the server answers", || redis.open(&chat)).await;
        assert_eq!(head.position(), first.position);
    }
    let again = append(&redis, &chat, saying("a").id("1")).await;
    assert_eq!((again.position, again.duplicate), (first.position, true));
    assert_eq!(append(&redis, &chat, saying("b")).await.position.seq.get(), 2);
    assert_eq!(append(&redis, &desk, saying("y").key("k")).await.position.seq.get(), 2);
    assert_eq!(redis.open(&stream("untouched")).await.unwrap(), untouched);
}

#[tokio::test]
async fn a_node_that_comes_after_the_restart_finds_the_same_epoch() {
    let mut server = Server::options().append_only().start();
    let chat = stream("chat");
    let first = {
        let (redis, _) = node(server.url()).await;
        append(&redis, &chat, saying("a")).await.position
    };
    server.restart();
    let (redis, _) = node(server.url()).await;
    assert_eq!(redis.open(&chat).await.unwrap().position(), first);
}

#[tokio::test]
async fn without_its_data_a_server_begins_new_epochs() {
    let mut server = Server::start();
    let (redis, _) = node(server.url()).await;
    let chat = stream("chat");
    let first = append(&redis, &chat, saying("a").id("1")).await.position;
    server.restart_empty();
    let head = eventually("the server answers", || redis.open(&chat)).await;
    assert_eq!(head.head, Seq::ZERO);
    assert_ne!(head.epoch, first.epoch);
    assert!(!append(&redis, &chat, saying("a").id("1")).await.duplicate, "an id is remembered in its epoch only");
}

#[tokio::test]
async fn what_a_snapshot_brings_back_is_older_than_what_was_acknowledged_so_its_epochs_end() {
    for is_trusted in [false, true] {
        let mut server = Server::start();
        let builder = tricast_redis::Redis::builder(server.url()).trust_restart(is_trusted);
        let redis = builder.connect().await.unwrap();
        let (chat, desk) = (stream("chat"), state("desk"));
        let first = append(&redis, &chat, saying("saved").id("1")).await.position;
        append(&redis, &desk, saying("saved").key("k").held_by("a", None)).await;
        server.command(&["SAVE"]);
        if !is_trusted {
            append(&redis, &chat, saying("lost")).await;
        }
        server.restart();
        let head = eventually("the server answers", || redis.open(&chat)).await;
        assert_eq!(head.epoch == first.epoch, is_trusted);
        assert_eq!(head.head.get(), u64::from(is_trusted));
        assert_eq!(append(&redis, &chat, saying("saved").id("1")).await.duplicate, is_trusted);
        let (_, page) = redis.read_back(&desk, None, Limit::default()).await.unwrap();
        assert_eq!(page.messages.len(), usize::from(is_trusted), "nothing of the earlier life is left");
    }
}

#[tokio::test]
async fn once_a_replica_was_there_a_restart_ends_the_epochs() {
    let mut server = Server::options().append_only().start();
    let (redis, _) = node(server.url()).await;
    let (chat, us) = (stream("chat"), server_scope());
    append(&redis, &chat, saying("a")).await;
    let replica = Server::options().replica_of(&server).start();
    seen(&server).await;
    drop(replica);
    let known = eventually("the server is known again", || redis.append(&chat, saying("b"), &us)).await.position;
    server.restart();
    let head = eventually("the server answers", || redis.open(&chat)).await;
    assert_ne!(head.epoch, known.epoch);
    assert_eq!(server.command(&["EXISTS", "tc:replicated"]), one(), "and it is not forgotten");
}

/// What was measured: a promoted replica gives the numbers of messages that it never saw to others.
#[tokio::test]
async fn a_replica_that_lags_and_takes_over_goes_on_with_no_epoch() {
    let mut master = Server::options().append_only().start();
    let replica = Server::options().append_only().replica_of(&master).start();
    let topics = [stream("a"), stream("b"), state("c")];
    let mut before: Vec<Head> = Vec::new();
    {
        let (redis, _) = node(master.url()).await;
        for topic in &topics {
            append(&redis, topic, saying("seen").key("k")).await;
        }
        master.replicate(&["SET", "mark", "1"]);
        replica.pause();
        for topic in &topics {
            append(&redis, topic, saying("lost").key("k")).await;
            before.push(redis.open(topic).await.unwrap());
        }
    }
    master.kill();
    replica.resume();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    let (redis, _) = node(replica.url()).await;
    for (topic, before) in topics.iter().zip(before) {
        let after = append(&redis, topic, saying("other").key("k")).await.position;
        assert_ne!(after.epoch, before.epoch, "{}", topic.name);
        assert_eq!(after.seq.get(), 1, "{}", topic.name);
    }
}

/// Nobody who is connected notices that a server was a replica meanwhile, if that was short: the script does.
#[tokio::test]
async fn a_server_that_was_a_replica_for_a_moment_is_another() {
    let server = Server::start();
    let other = Server::start();
    let replica = Server::options().replica_of(&server).start();
    let (redis, _) = node(server.url()).await;
    let chat = stream("chat");
    append(&redis, &chat, saying("seen")).await;
    server.replicate(&["SET", "mark", "1"]);
    drop(replica);
    // What is acknowledged from now on is lost, for the server will take what the other had before.
    other.command(&["REPLICAOF", "127.0.0.1", &server.address().port().to_string()]);
    synced(&other).await;
    let before = append(&redis, &chat, saying("seen")).await.position;
    other.command(&["REPLICAOF", "NO", "ONE"]);
    let lost = append(&redis, &chat, saying("lost")).await.position;
    server.command(&["REPLICAOF", "127.0.0.1", &other.address().port().to_string()]);
    synced(&server).await;
    server.command(&["REPLICAOF", "NO", "ONE"]);
    let after = eventually("the server is found again", || redis.open(&chat)).await;
    assert_eq!(lost, Position { seq: lost.seq, ..before });
    assert_ne!(after.epoch, lost.epoch);
}

async fn synced(server: &Server) {
    // It tells nobody when it has everything.
    wait("a replica has everything", || server.info("master_link_status").as_deref() == Some("up")).await;
}

/// Waits until a node has seen a replica, which it looks for each second.
async fn seen(server: &Server) {
    wait("a node sees the replica", || server.command(&["EXISTS", "tc:replicated"]) == one()).await;
}

fn one() -> tricast_testkit::redis::Reply {
    tricast_testkit::redis::Reply::Integer(1)
}

async fn wait(what: &str, mut is_so: impl FnMut() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(20)).await; // nobody tells
        }
    };
    timeout(WATCHDOG, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
