//! Keys that nodes hold.

use std::sync::Arc;

use tricast_core::channel::Topic;
use tricast_core::limits::HOLDERS_PER_KEY;
use tricast_core::message::{Draft, Message};

use super::Factory;
use super::world::{Node, World, entries, set};
use crate::fixtures::{saying, server, state};

/// The number it is shown under, and whether it was there.
async fn show(node: &Node, topic: &Topic, holder: &str, shows: Option<u64>, text: &str) -> (u64, bool) {
    let appended = node.append(topic, set("k", text).held_by(holder, shows)).await;
    (appended.position.seq.get(), appended.duplicate)
}

/// Where the log stands then, and whether that is a repeat.
async fn let_go(node: &Node, topic: &Topic, holder: &str) -> (u64, bool) {
    let appended = node.append(topic, Draft::delete("k").held_by(holder, None)).await;
    (appended.position.seq.get(), appended.duplicate)
}

async fn present(node: &Node, topic: &Topic) -> Vec<Arc<Message>> {
    node.read_back(topic, None, super::world::messages(10)).await.1.messages
}

/// A reconnect to another node appends nothing.
pub async fn a_key_that_two_nodes_hold_is_appended_once_and_leaves_with_the_last(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = state("holders");
    assert_eq!(show(&a, &topic, "a", Some(1), "x").await, (1, false));
    assert_eq!(show(&b, &topic, "b", Some(1), "x").await, (1, true));
    assert_eq!(show(&b, &topic, "c", None, "y").await, (1, true), "who has nothing to show takes what is shown");
    assert_eq!(show(&a, &topic, "a", Some(1), "x").await, (1, true));
    a.append(&topic, set("other", "x")).await;
    assert_eq!(let_go(&a, &topic, "a").await, (2, false));
    assert_eq!(let_go(&a, &topic, "a").await, (2, false));
    assert_eq!(let_go(&b, &topic, "b").await, (2, false));
    assert_eq!(entries(&present(&a, &topic).await), ["1 k", "2 other"]);
    assert_eq!(let_go(&a, &topic, "c").await, (3, false));
    assert_eq!(entries(&present(&b, &topic).await), ["2 other"]);
    assert_eq!(let_go(&b, &topic, "c").await, (3, false), "it is absent");
    assert_eq!(show(&b, &topic, "a", None, "x").await, (4, false), "it comes anew");
}

/// The others hold it still.
pub async fn any_holder_may_change_what_a_key_shows(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = state("holders:change");
    show(&a, &topic, "a", Some(1), "x").await;
    assert_eq!(show(&b, &topic, "b", Some(2), "y").await, (2, false));
    assert_eq!(show(&a, &topic, "a", Some(2), "y").await, (2, true));
    assert_eq!(show(&a, &topic, "a", Some(u64::MAX), "z").await, (3, false));
    assert_eq!(show(&b, &topic, "b", Some(u64::MAX), "z").await, (3, true));
    assert_eq!(present(&b, &topic).await[0].payload, saying("z").payload);
    assert_eq!(let_go(&b, &topic, "b").await, (3, false));
    assert_eq!(let_go(&a, &topic, "a").await, (4, false));
}

/// With a message, or with a deletion.
pub async fn whoever_does_not_hold_a_key_takes_it_from_all(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = state("holders:taken");
    show(&a, &topic, "a", Some(1), "x").await;
    show(&b, &topic, "b", Some(1), "x").await;
    assert_eq!(b.append(&topic, set("k", "y")).await.position.seq.get(), 2);
    assert_eq!(show(&a, &topic, "a", Some(1), "x").await, (3, false), "nobody held it");
    assert_eq!(let_go(&b, &topic, "b").await, (3, false));
    assert_eq!(b.append(&topic, Draft::delete("k")).await.position.seq.get(), 4);
    assert_eq!(let_go(&a, &topic, "a").await, (4, false));
    assert!(present(&a, &topic).await.is_empty());
    a.append(&topic, set("k", "z")).await;
    assert_eq!(let_go(&b, &topic, "b").await, (6, false), "of what nobody holds nobody is left");
}

/// The oldest of those that hold it.
pub async fn one_holder_more_than_there_may_be_pushes_the_first_out(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("holders:many");
    for (number, node) in (0..=HOLDERS_PER_KEY).zip(world.in_turn()) {
        assert_eq!(show(node, &topic, &number.to_string(), Some(1), "x").await, (1, number > 0));
    }
    for (number, node) in (1..HOLDERS_PER_KEY).zip(world.in_turn()) {
        assert_eq!(let_go(node, &topic, &number.to_string()).await, (1, false));
    }
    assert_eq!(let_go(&world.a, &topic, &HOLDERS_PER_KEY.to_string()).await, (2, false));
}

/// As any other's.
pub async fn a_hold_that_appends_nothing_is_a_duplicate_and_its_id_is_remembered(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = state("holders:id");
    show(&a, &topic, "a", Some(1), "x").await;
    let held = set("k", "x").held_by("b", Some(1)).id("1");
    assert_eq!(b.append(&topic, held.clone()).await.position.seq.get(), 1);
    a.append(&topic, Draft::delete("k")).await;
    let again = a.append(&topic, held).await;
    assert_eq!((again.position.seq.get(), again.duplicate), (1, true));
    assert!(present(&b, &topic).await.is_empty(), "a repeat appends nothing");
    assert_eq!(a.find(&topic, &server(), "2").await, None);
}
