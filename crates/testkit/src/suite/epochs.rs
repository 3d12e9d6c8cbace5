//! The end of an epoch.

use std::collections::HashSet;
use std::time::Duration;

use tricast_core::channel::Topic;
use tricast_core::log::{Head, Limit};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Seq};

use super::Factory;
use super::world::{Node, World, at, entries, set};
use crate::fixtures::{saying, server, state, stream};

/// Though every node says so, and several times over.
pub async fn an_epoch_ends_once_for_everybody(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("renew");
    for id in ["1", "2", "3"] {
        world.a.append(&topic, saying("x").id(id)).await;
    }
    let old = world.b.open(&topic).await;
    let tasks: Vec<_> =
        (world.in_turn().take(6).cloned()).map(|node| tokio::spawn(renew(node, topic.clone(), old.epoch))).collect();
    let mut heads = HashSet::new();
    for task in tasks {
        heads.insert(task.await.unwrap().epoch);
    }
    assert!(heads.len() == 1 && !heads.contains(&old.epoch), "{old:?}, then {heads:?}");
    for node in world.nodes() {
        let head = node.open(&topic).await;
        assert!(heads.contains(&head.epoch));
        assert_eq!((head.first.get(), head.head, head.floor), (1, Seq::ZERO, Seq::ZERO));
        assert_eq!(node.heads(std::slice::from_ref(&topic)).await, [head]);
        let slice = node.read(&topic, old.before_first(), Limit::default()).await;
        assert_eq!((slice.head, slice.messages.len()), (head, 0));
        assert!(node.contents(&topic).await.1.is_empty());
        assert_eq!(node.find(&topic, &server(), "1").await, None);
    }
    let anew = world.b.append(&topic, saying("x").id("1")).await;
    assert_eq!((anew.position, anew.duplicate), (at(world.a.open(&topic).await, 1), false));
}

async fn renew(node: Node, topic: Topic, epoch: Epoch) -> Head {
    node.renew(&topic, epoch).await
}

/// Whoever is late.
pub async fn ending_an_epoch_that_is_over_changes_nothing(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("renew:late");
    let old = world.a.open(&topic).await;
    let new = world.a.renew(&topic, old.epoch).await;
    let position = world.b.append(&topic, saying("x")).await.position;
    assert_eq!(position, at(new, 1));
    for node in world.nodes() {
        for epoch in [old.epoch, Epoch::from_bits(1)] {
            assert_eq!(node.renew(&topic, epoch).await.position(), position);
        }
    }
    assert_eq!(world.a.contents(&topic).await.1.len(), 1);
}

/// Of a channel that nobody has written to neither.
pub async fn an_epoch_is_never_used_twice(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let (idle, used) = (stream("renew:idle"), stream("renew:used"));
    let mut epochs = HashSet::new();
    for node in world.in_turn().take(10) {
        for topic in [&idle, &used] {
            let head = node.open(topic).await;
            assert!(epochs.insert(head.epoch), "{} had it before", head.epoch);
        }
        node.append(&used, saying("x")).await;
        for topic in [&idle, &used] {
            let head = node.open(topic).await;
            node.renew(topic, head.epoch).await;
        }
    }
}

/// Keys, holders, deletions, and when keys would have left.
pub async fn with_its_epoch_a_state_forgets_everything(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("renew:state");
    world.a.append(&topic, set("held", "x").held_by("a", Some(1))).await;
    world.a.append(&topic, set("timed", "x").ttl(Duration::from_millis(100))).await;
    world.a.append(&topic, set("gone", "x")).await;
    world.a.append(&topic, Draft::delete("gone")).await;
    let old = world.a.open(&topic).await;
    let new = world.b.renew(&topic, old.epoch).await;
    world.pass(150).await;
    for node in world.nodes() {
        assert_eq!(node.open(&topic).await, new);
    }
    let shown = world.b.append(&topic, set("held", "x").held_by("b", None)).await;
    assert_eq!((shown.position, shown.duplicate), (at(new, 1), false));
    world.a.append(&topic, set("timed", "x").only_if(Seq::ZERO)).await;
    assert_eq!(entries(&world.a.contents(&topic).await.1), ["1 held", "2 timed"]);
}

/// It need not watch anew.
pub async fn who_watches_is_told_of_the_next_epoch(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("renew:watched");
    let old = world.b.watch(&topic).await;
    world.a.renew(&topic, old.epoch).await;
    let position = world.a.append(&topic, saying("x")).await.position;
    world.b.heard.reaches(&topic, position).await;
}
