//! Several servers on one store, as processes that can be killed.

use std::time::{Duration, Instant};

use serde_json::Value;
use tricast_testkit::net::Proxy;
use tricast_testkit::process::Server;
use tricast_testkit::redis::Redis;

use crate::clients::{Sub, publish};
use crate::tricast;

const ROOM: &str = "room:a";

/// A node is believed to live for 20 s after it last said so, others wait 10 s more, and a machine may be slow.
const LET_GO: Duration = Duration::from_secs(90);

fn node(redis: &Redis) -> Server {
    let arguments = ["serve", "--dev", "--listen", "127.0.0.1:0", "--backplane", &redis.url()];
    Server::start(&mut tricast(&arguments))
}

/// The next member that is told, by its key; and whether it came.
fn member(watcher: &Sub, within: Duration) -> Option<(String, bool)> {
    let until = Instant::now() + within;
    while let Some(line) = watcher.within(until.saturating_duration_since(Instant::now())) {
        let event: Value = serde_json::from_str(&line).unwrap();
        if event["type"] == "message" {
            return Some((event["key"].as_str().unwrap().to_owned(), event["deleted"] != true));
        }
    }
    None
}

#[test]
fn a_node_that_is_killed_leaves_no_members_behind_and_its_readers_go_on() {
    let redis = Redis::start();
    let (dies, lives) = (node(&redis), node(&redis));
    let watcher = Sub::at(&lives.url("/rt"), &["--json", "@presence/room:a"]);
    let soon = Duration::from_secs(20);

    let lost = Sub::at(&dies.url("/rt"), &[ROOM]);
    let (lost_member, came) = member(&watcher, soon).unwrap();
    assert!(came);
    let proxy = Proxy::start(dies.address());
    publish(&lives, &[ROOM, "0"]);
    let moves = Sub::at(&format!("http://{}/rt", proxy.address()), &[ROOM, "--from", "earliest"]);
    let (moved_member, came) = member(&watcher, soon).unwrap();
    assert!(came && moved_member != lost_member);
    // Others see it come before it has a position; it has one now, and from here on it misses nothing.
    assert_eq!(moves.next(), "room:a 1 0");

    proxy.redirect(lives.address());
    // Killed, as the kernel does it: it says nothing to anybody.
    drop(dies);
    for number in 1..=3 {
        publish(&lives, &[ROOM, &number.to_string()]);
    }
    for number in 1..=3 {
        assert_eq!(moves.next(), format!("room:a {} {number}", number + 1), "it goes on elsewhere, and misses nothing");
    }

    assert_eq!(member(&watcher, LET_GO), Some((lost_member, false)));
    assert_eq!(member(&watcher, Duration::from_secs(10)), None, "once, and nobody else");
    drop((lost, moves));
}
