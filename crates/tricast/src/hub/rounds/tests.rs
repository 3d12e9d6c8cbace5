use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use tricast_core::channel::Rule;
use tricast_core::message::Draft;
use tricast_core::protocol::Start;
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::entropy::Seeded;
use tricast_testkit::store::{News, Node, Store};

use super::*;
use crate::{Builder, Read, Reader, Tricast};

struct World {
    store: Store,
    clock: Arc<VirtualClock>,
}

impl World {
    fn new() -> Self {
        let clock = Arc::new(VirtualClock::default());
        let store = Store::new(Arc::clone(&clock) as _, Arc::new(Seeded::new(1)));
        Self { store, clock }
    }

    async fn node(&self, settle: impl FnOnce(Builder) -> Builder) -> (Tricast, Arc<Node>) {
        let node = self.store.node();
        let builder = Tricast::builder().rule("{any}", Rule::stream()).clock(Arc::clone(&self.clock) as _);
        (settle(builder).backplane(Arc::clone(&node)).build().await.unwrap(), node)
    }
}

async fn read(tricast: &Tricast, channel: &str) -> Reader {
    tricast.channel(channel).unwrap().read(Start::Latest).await.unwrap()
}

async fn seq(reader: &mut Reader) -> u64 {
    match reader.next().await {
        Some(Read::Message(message)) => message.position().seq.get(),
        other => panic!("{other:?}"),
    }
}

fn read_here(node: &Node) -> usize {
    node.watched().iter().filter(|channel| !channel.is_system()).count()
}

#[tokio::test(start_paused = true)]
async fn a_lost_tail_is_found_on_more_channels_than_one_round_asks_about() {
    let world = World::new();
    let (reading, node) = world.node(|builder| builder).await;
    let (writing, _) = world.node(|builder| builder).await;
    let channels: Vec<String> = (0..HEADS_PER_ROUND + 500).map(|number| format!("c{number}")).collect();
    let mut readers = join_all(channels.iter().map(|channel| read(&reading, channel))).await;
    node.tell(News::DropNext(usize::MAX));
    for channel in &channels {
        writing.publish(channel, Draft::json("x").unwrap()).await.unwrap();
    }
    assert!(join_all(readers.iter_mut().map(seq)).await.iter().all(|seq| *seq == 1));
}

#[tokio::test(start_paused = true)]
async fn a_channel_is_watched_a_while_longer_than_somebody_reads_it() {
    let world = World::new();
    let (tricast, node) = world.node(|builder| builder).await;
    let first = read(&tricast, "a").await;
    drop(first);
    tokio::time::sleep(ROUND * 3).await;
    assert_eq!(read_here(&node), 1, "who polls is gone between any two requests");
    let mut reader = read(&tricast, "a").await;
    world.clock.advance(LINGER);
    tokio::time::sleep(ROUND * 3).await;
    assert_eq!(read_here(&node), 1);
    drop(reader);
    tokio::time::sleep(ROUND * 3).await;
    world.clock.advance(LINGER);
    tokio::time::sleep(ROUND * 3).await;
    assert_eq!(read_here(&node), 0);
    reader = read(&tricast, "a").await;
    tricast.publish("a", Draft::json("x").unwrap()).await.unwrap();
    assert_eq!(seq(&mut reader).await, 1, "it is watched again");
}

#[tokio::test(start_paused = true)]
async fn who_comes_to_a_full_node_waits_for_no_linger() {
    let world = World::new();
    let (tricast, _) = world.node(|builder| builder.channels(2)).await;
    let kept = read(&tricast, "a").await;
    let (mut others, mut number) = (Vec::new(), 0);
    while let Ok(other) = tricast.channel(&format!("b{number}")).unwrap().read(Start::Latest).await {
        others.push(other);
        number += 1;
    }
    assert!((1..10).contains(&number));
    drop(others);
    tokio::time::sleep(ROUND * 3).await;
    read(&tricast, "c").await;
    drop(kept);
}

#[tokio::test(start_paused = true)]
async fn copies_are_let_go_where_they_are_more_than_a_node_may_have() {
    const MOST: u64 = 1_000_000;
    let world = World::new();
    let (tricast, _) = world.node(|builder| builder.memory_bytes(MOST)).await;
    let mut reader = read(&tricast, "a").await;
    for _ in 0..40 {
        tricast.publish("a", Draft::json(&"x".repeat(50_000)).unwrap()).await.unwrap();
        assert!(seq(&mut reader).await > 0);
    }
    tokio::time::sleep(ROUND * 3).await;
    assert!(tricast.hub().logs.feeds.has_memory());
    let mut earliest = tricast.channel("a").unwrap().read(Start::Earliest).await.unwrap();
    for expected in 1..=40 {
        assert_eq!(seq(&mut earliest).await, expected, "what is not here is read from the store");
    }
}

#[tokio::test(start_paused = true)]
async fn readers_are_given_what_they_wait_for_when_the_store_answers_again() {
    let world = World::new();
    let (reading, node) = world.node(|builder| builder).await;
    let (writing, _) = world.node(|builder| builder).await;
    let mut reader = read(&reading, "a").await;
    node.down();
    for _ in 0..3 {
        writing.publish("a", Draft::json("x").unwrap()).await.unwrap();
    }
    tokio::time::sleep(ROUND * 3).await;
    node.up();
    assert_eq!([seq(&mut reader).await, seq(&mut reader).await, seq(&mut reader).await], [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_forgets_or_gives_numbers_twice_tells_every_reader_a_gap() {
    let world = World::new();
    let (tricast, _) = world.node(|builder| builder).await;
    for lose in [Store::forget, |store: &Store| store.rewind(2), |store: &Store| store.fork(2)] {
        let mut readers = [read(&tricast, "a").await, read(&tricast, "a").await];
        for _ in 0..3 {
            tricast.publish("a", Draft::json("x").unwrap()).await.unwrap();
            for reader in &mut readers {
                seq(reader).await;
            }
        }
        lose(&world.store);
        tricast.publish("a", Draft::json("y").unwrap()).await.unwrap();
        for reader in &mut readers {
            assert!(matches!(reader.next().await, Some(Read::Gap(_))));
        }
    }
}
