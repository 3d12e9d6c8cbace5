//! How long keys stay in Redis that nobody asks for any more.

use std::time::Duration;

use tricast_core::backplane::Backplane as _;
use tricast_core::channel::Rule;
use tricast_core::message::Draft;
use tricast_testkit::fixtures::{saying, state, stream, topic};
use tricast_testkit::redis::{Redis as Server, Reply};

use crate::support::{append, node};

const HOUR_MS: i64 = 60 * 60 * 1_000;

/// The least that a channel's keys have left; `None` where one of them stays for ever.
fn left(server: &Server, channel: &str) -> Option<i64> {
    let keys = server.command(&["KEYS", &format!("tc:{{{channel}}}:*")]);
    let left = keys.list().iter().map(|key| match server.command(&["PTTL", key.text()]) {
        Reply::Integer(left) => left,
        other => panic!("{}: {other:?}", key.text()),
    });
    left.min().filter(|least| *least >= 0)
}

#[tokio::test]
async fn an_idle_channel_lives_a_day_longer_and_as_long_as_its_messages() {
    let server = Server::start();
    let (redis, _) = node(server.url()).await;
    redis.open(&stream("unwritten")).await.unwrap();
    append(&redis, &stream("chat"), saying("a")).await;
    let week = topic("week", Rule::stream().ttl(Duration::from_secs(7 * 24 * 3_600)));
    append(&redis, &week, saying("a")).await;
    for (channel, hours) in [("unwritten", 24), ("chat", 24), ("week", 7 * 24)] {
        let left = left(&server, channel).unwrap_or(i64::MAX);
        assert!((hours * HOUR_MS..(hours + 3) * HOUR_MS).contains(&left), "{channel}: {left}");
    }
    let forever = topic("forever", Rule::stream().ttl(Duration::MAX));
    redis.open(&forever).await.unwrap();
    assert!(left(&server, "forever").is_some(), "it has no message yet");
    append(&redis, &forever, saying("a")).await;
    assert_eq!(left(&server, "forever"), None);
}

#[tokio::test]
async fn asking_prolongs_a_channels_life() {
    let server = Server::start();
    let (redis, _) = node(server.url()).await;
    let chat = stream("chat");
    append(&redis, &chat, saying("a")).await;
    for key in ["tc:{chat}:meta", "tc:{chat}:log"] {
        server.command(&["PEXPIRE", key, "60000"]);
    }
    redis.heads(&[chat]).await.remove(0).unwrap();
    assert!(left(&server, "chat").is_some_and(|left| left > 24 * HOUR_MS));
}

#[tokio::test]
async fn a_state_lives_as_long_as_it_has_a_key() {
    let server = Server::start();
    let (redis, _) = node(server.url()).await;
    let desk = state("desk");
    append(&redis, &desk, saying("x").key("short").ttl(Duration::from_secs(48 * 3_600)).held_by("n", None)).await;
    let with_time = left(&server, "desk").unwrap();
    assert!(with_time > (48 + 24) * HOUR_MS, "{with_time}");
    append(&redis, &desk, saying("x").key("long")).await;
    assert_eq!(left(&server, "desk"), None);
    append(&redis, &desk, Draft::delete("short")).await;
    assert_eq!(left(&server, "desk"), None);
    append(&redis, &desk, Draft::delete("long")).await;
    let emptied = left(&server, "desk").unwrap();
    assert!((24 * HOUR_MS..27 * HOUR_MS).contains(&emptied), "{emptied}");
}
