//! Failovers and moving slots.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use tricast_core::backplane::{Backplane as _, BackplaneError, Health};
use tricast_core::channel::Topic;
use tricast_core::log::{Head, Limit};

use tricast_redis::Redis;
use tricast_testkit::WATCHDOG;
use tricast_testkit::fixtures::{saying, server, state, stream};
use tricast_testkit::redis::{Cluster, Reply, Sentinels};

use crate::support::{append, cluster_url, eventually, node, read, sentinel_url, told_again};

#[tokio::test]
async fn when_a_master_is_replaced_each_channel_has_lost_nothing_or_begins_anew() {
    let mut cluster = Cluster::start(true);
    let (redis, heard) = node(cluster_url(&cluster)).await;
    let topics: Vec<Topic> =
        (0..30).map(|n| if n % 2 == 0 { stream(&format!("c{n}")) } else { state(&format!("c{n}")) }).collect();
    let mut before = Vec::new();
    for topic in &topics {
        redis.watch(topic).await.unwrap();
        append(&redis, topic, saying("a").key("k").id("1")).await;
        before.push(append(&redis, topic, saying("b").key("l")).await.position);
    }
    cluster.fail_over(0);
    let mut ended = 0;
    for (topic, before) in topics.iter().zip(before) {
        let head = eventually("the channel has a server", || redis.open(topic)).await;
        if head.epoch == before.epoch {
            assert_eq!(head.position(), before);
            continue;
        }
        ended += 1;
        assert_eq!(cluster.shard_of(&feed(topic)), 0, "{} was not touched", topic.name);
        heard.doubt_of(topic.name.as_str()).await;
        let appended = append(&redis, topic, saying("a").key("k").id("1")).await;
        assert!(!appended.duplicate);
        assert_eq!(read(&redis, topic, head.before_first()).await.messages.len(), 1);
        told_again(&heard, &redis, topic).await;
    }
    assert!(ended > 3, "{ended} of 30 channels were there");
    assert_eq!(redis.health().await, Health::Up);
    cluster.revive(0);
    let shard = topics.iter().find(|topic| cluster.shard_of(&feed(topic)) == 0).unwrap();
    append(&redis, shard, saying("c").key("m")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_channels_along() {
    let cluster = Cluster::start(false);
    let (redis, heard) = node(cluster_url(&cluster)).await;
    let redis = Arc::new(redis);
    for topic in [stream("moving"), state("moving:too")] {
        let name = topic.name.as_str();
        redis.watch(&topic).await.unwrap();
        append(&redis, &topic, saying("a").key("k").id("1")).await;
        let (to, writing) =
            ((cluster.shard_of(&feed(&topic)) + 1) % 3, tokio::spawn(write(Arc::clone(&redis), topic.clone())));
        tokio::task::block_in_place(|| cluster.move_slot(&feed(&topic), to));
        heard.doubt_of(name).await;
        writing.await.unwrap();
        let head = redis.open(&topic).await.unwrap();
        let (_, page) = redis.read_back(&topic, None, Limit::default()).await.unwrap();
        let ids: HashSet<_> = page.messages.iter().map(|message| message.id.clone()).collect();
        assert_eq!(ids.len(), page.messages.len(), "nothing is there twice");
        let appended = append(&redis, &topic, saying("b").key("l")).await.position;
        assert_eq!((appended.epoch, appended.seq.get()), (head.epoch, head.head.get() + 1));
        told_again(&heard, &redis, &topic).await;
        let meta = cluster.master(to).command(&["EXISTS", &format!("{}:meta", feed(&topic))]);
        assert_eq!(meta, Reply::Integer(1));
    }
}

/// Appends as one who tries again until it is done.
async fn write(redis: Arc<Redis>, topic: Topic) {
    let (server, started) = (server(), Instant::now());
    for n in 0..300 {
        let draft = || saying("x").key(format!("k{n}")).id(format!("w{n}"));
        while redis.append(&topic, draft(), &server).await.is_err() {
            assert!(started.elapsed() < WATCHDOG, "{} is not there again", topic.name);
        }
    }
}

#[tokio::test]
async fn while_one_server_of_a_cluster_is_gone_the_others_serve() {
    let mut cluster = Cluster::start(false);
    let (redis, _) = node(cluster_url(&cluster)).await;
    let topics: Vec<Topic> = (0..20).map(|n| stream(&format!("c{n}"))).collect();
    for topic in &topics {
        append(&redis, topic, saying("a")).await;
    }
    cluster.master(1).command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    for shard in [0, 2] {
        cluster.master(shard).command(&["CONFIG", "SET", "cluster-require-full-coverage", "no"]);
    }
    cluster.kill(1);
    for topic in &topics {
        match (cluster_shard(topic), redis.append(topic, saying("b"), &server()).await) {
            (1, Err(BackplaneError::Unavailable { .. })) => {}
            (0 | 2, Ok(appended)) => assert_eq!(appended.position.seq.get(), 2),
            (shard, other) => panic!("{} on {shard}: {other:?}", topic.name),
        }
    }
    for (topic, head) in topics.iter().zip(redis.heads(&topics).await) {
        match (cluster_shard(topic), head) {
            (1, Err(BackplaneError::Unavailable { .. })) => {}
            (0 | 2, Ok(head)) => assert_eq!(head.head.get(), 2),
            (shard, other) => panic!("{} on {shard}: {other:?}", topic.name),
        }
    }
    assert!(matches!(redis.health().await, Health::Degraded(_)));
    cluster.restart(1);
    for topic in &topics {
        eventually("every server answers", || redis.open(topic)).await;
    }
    assert!(redis.heads(&topics).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_master_that_sentinels_replace_is_followed_and_its_epochs_end() {
    let mut sentinels = Sentinels::start(3);
    let (redis, heard) = node(sentinel_url(&sentinels)).await;
    let chat = stream("chat");
    redis.watch(&chat).await.unwrap();
    let before = append(&redis, &chat, saying("a")).await.position;
    sentinels.kill_master();
    sentinels.wait_for_failover();
    heard.doubt_of("chat").await;
    let head: Head = eventually("the new master answers", || redis.open(&chat)).await;
    assert_ne!(head.epoch, before.epoch);
    told_again(&heard, &redis, &chat).await;
    sentinels.revive();
    append(&redis, &chat, saying("c")).await;
    assert_eq!(redis.open(&chat).await.unwrap().epoch, head.epoch);
}

fn feed(topic: &Topic) -> String {
    format!("tc:{{{}}}", topic.name)
}

/// Which third of the slots a channel is in, when no node can be asked for.
fn cluster_shard(topic: &Topic) -> usize {
    let crc = topic.name.as_str().bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| (crc << 1) ^ (0x1021 * (crc >> 15)))
    });
    usize::from(crc % 16_384) * 3 / 16_384
}
