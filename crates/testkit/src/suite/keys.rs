//! Keys that leave by themselves.

use std::time::Duration;

use tricast_core::channel::{Rule, Topic};
use tricast_core::log::{AppendError, Limit};
use tricast_core::message::Draft;
use tricast_core::position::{Position, Seq};

use super::Factory;
use super::world::{Node, World, at, entries, set};
use crate::fixtures::{saying, seq, state, topic};

/// The time that keys have here.
const TTL: Duration = Duration::from_millis(100);

/// In milliseconds: long enough for it to be over.
const LONGER: u64 = 150;

/// Both nodes, at once, in every way.
pub async fn a_key_leaves_by_one_deletion_whoever_looks(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("leaves");
    let head = world.a.open(&topic).await;
    world.a.append(&topic, set("stays", "x")).await;
    world.a.append(&topic, set("k", "x").ttl(TTL)).await;
    world.a.append(&topic, set("l", "x").ttl(TTL)).await;
    world.pass(LONGER).await;
    let tasks: Vec<_> = (world.in_turn().take(8).cloned().enumerate())
        .map(|(way, node)| tokio::spawn(look(node, topic.clone(), way, at(head, 0))))
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (_, messages) = world.a.contents(&topic).await;
    assert_eq!(messages, world.b.contents(&topic).await.1, "one deletion for all nodes");
    let left = entries(&messages);
    // Of two keys that are due together, either may be first.
    let wanted = [["1 stays", "4 -k", "5 -l"], ["1 stays", "4 -l", "5 -k"]];
    assert!(wanted.iter().any(|wanted| left == *wanted), "{left:?}");
    assert!(messages[1..].iter().all(|message| message.expires.is_none()));
}

/// Four ways to look, each of which has to show that the keys have left.
async fn look(node: Node, topic: Topic, way: usize, start: Position) {
    let head = match way / 2 {
        0 => node.open(&topic).await,
        1 => node.read(&topic, start, Limit::default()).await.head,
        2 => node.heads(std::slice::from_ref(&topic)).await[0],
        _ => node.read_back(&topic, None, Limit::default()).await.0,
    };
    assert_eq!(head.head.get(), 5, "way {way}");
}

/// Each way to ask, on a channel of its own.
pub async fn everything_that_answers_lets_keys_leave_first(factory: &dyn Factory) {
    let World { a, b, .. } = &World::of(factory).await;
    let topics: Vec<Topic> = (0..6).map(|way| state(&format!("answers:{way}"))).collect();
    let mut starts = Vec::new();
    for topic in &topics {
        starts.push(at(a.open(topic).await, 0));
        a.append(topic, set("k", "x").ttl(TTL)).await;
    }
    factory.pass(Duration::from_millis(LONGER)).await;

    assert_eq!(b.open(&topics[0]).await.head.get(), 2);
    let slice = b.read(&topics[1], starts[1], Limit::default()).await;
    assert_eq!((entries(&slice.messages), slice.to.get()), (vec!["2 -k".to_owned()], 2));
    let (head, page) = b.read_back(&topics[2], None, Limit::default()).await;
    assert_eq!((head.head.get(), page.messages.len()), (2, 0));
    assert_eq!(b.watch(&topics[3]).await.head.get(), 2);
    assert_eq!(b.heads(&topics[4..5]).await[0].head.get(), 2);
    assert_eq!(b.append(&topics[5], set("l", "x")).await.position.seq.get(), 3);
}

/// And one of its own comes before it.
pub async fn a_rules_time_is_every_keys_that_has_none_of_its_own(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("rule", Rule::state().ttl(TTL));
    world.a.append(&topic, set("long", "x").ttl(Duration::from_secs(3_600))).await;
    world.a.append(&topic, set("short", "x")).await;
    let (_, messages) = world.b.contents(&topic).await;
    assert_eq!(messages[0].expires, Some(messages[0].at + 3_600_000));
    if let Some(short) = messages.get(1).filter(|message| message.payload.is_some()) {
        assert_eq!(short.expires, Some(short.at + 100));
    }
    world.pass(LONGER).await;
    assert_eq!(entries(&world.b.contents(&topic).await.1), ["1 long", "3 -short"]);
}

/// Its number is that of no message any more.
pub async fn a_key_whose_time_is_over_is_absent_to_a_condition(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("over", Rule::state().keep(1));
    world.a.append(&topic, set("k", "x").ttl(TTL)).await;
    world.pass(LONGER).await;
    let conflict = Err(AppendError::Conflict { present: Seq::ZERO });
    assert_eq!(world.b.try_append(&topic, set("k", "y").only_if(seq(1))).await, conflict);
    assert_eq!(world.b.append(&topic, set("k", "y").only_if(Seq::ZERO)).await.position.seq.get(), 3);
    let deleted = world.a.append(&topic, Draft::delete("k")).await;
    assert_eq!(deleted.position.seq.get(), 4);
}

/// Its newest message says when it leaves, if ever.
pub async fn a_change_ends_a_keys_time(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("change");
    world.a.append(&topic, set("k", "x").ttl(TTL)).await;
    // Real time may have taken it already; either way it is there for good.
    let changed = world.b.append(&topic, set("k", "y")).await.position;
    world.pass(LONGER).await;
    for node in world.nodes() {
        assert_eq!(node.open(&topic).await.position(), changed);
    }
    assert_eq!(world.b.contents(&topic).await.1[0].payload, saying("y").payload);
}

/// Nothing is left of its time.
pub async fn a_deleted_key_leaves_only_once(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("once");
    world.a.append(&topic, set("k", "x").ttl(TTL)).await;
    world.b.append(&topic, Draft::delete("k")).await;
    world.pass(LONGER).await;
    for node in world.nodes() {
        assert_eq!(node.open(&topic).await.head.get(), 2);
    }
}
