//! Channels and their epochs.

use std::collections::HashSet;

use tricast_core::backplane::Health;
use tricast_core::channel::Topic;
use tricast_core::log::Limit;
use tricast_core::message::Payload;
use tricast_core::position::{Epoch, Position, Seq};

use super::Factory;
use super::world::{World, at, set};
use crate::fixtures::{saying, server, state, stream};

/// "I have nothing yet" is already a position.
pub async fn opening_a_channel_mints_its_epoch_and_the_epoch_stays(factory: &dyn Factory) {
    let world = World::of(factory).await;
    for topic in [stream("opening:stream"), state("opening:state")] {
        let head = world.a.open(&topic).await;
        assert_eq!((head.first.get(), head.head, head.floor), (1, Seq::ZERO, Seq::ZERO), "{}", topic.name);
        for node in world.nodes() {
            assert_eq!(node.open(&topic).await, head);
        }
        let slice = world.b.read(&topic, head.position(), Limit::default()).await;
        assert_eq!((slice.head, slice.messages.len(), slice.to), (head, 0, Seq::ZERO));
        let draft = if topic.name == state("opening:state").name { set("k", "x") } else { saying("x") };
        assert_eq!(world.b.append(&topic, draft).await.position, at(head, 1));
    }
}

/// A read, a history, a watch, a look at heads or an append, each the first thing that happens.
pub async fn whatever_touches_a_channel_first_mints_its_epoch(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let elsewhere = Position::new(Epoch::from_bits(1), Seq::ZERO);
    let topic = |how: &str| stream(&format!("first:{how}"));

    let head = a.read(&topic("read"), elsewhere, Limit::default()).await.head;
    assert_eq!(b.open(&topic("read")).await, head);
    let (head, _) = a.read_back(&topic("history"), None, Limit::default()).await;
    assert_eq!(b.open(&topic("history")).await, head);
    let head = a.watch(&topic("watch")).await;
    assert_eq!(b.open(&topic("watch")).await, head);
    let heads = a.heads(&[topic("heads")]).await;
    assert_eq!(b.open(&topic("heads")).await, heads[0]);
    let appended = a.append(&topic("append"), saying("x")).await.position;
    assert_eq!(b.open(&topic("append")).await.position(), appended);
    // Looking an id up may or may not.
    assert_eq!(a.find(&topic("find"), &server(), "1").await, None);
    assert_eq!(a.open(&topic("find")).await, b.open(&topic("find")).await);
}

/// However many nodes are first.
pub async fn all_who_open_at_once_are_given_one_epoch(factory: &dyn Factory) {
    let world = World::of(factory).await;
    for round in 0..10 {
        let topic = stream(&format!("together:{round}"));
        let tasks: Vec<_> = (world.in_turn().take(8).cloned())
            .map(|node| {
                tokio::spawn({
                    let topic = topic.clone();
                    async move { node.open(&topic).await }
                })
            })
            .collect();
        let mut epochs = HashSet::new();
        for task in tasks {
            epochs.insert(task.await.unwrap().epoch);
        }
        assert_eq!(epochs.len(), 1, "{epochs:?}");
    }
}

/// Whatever the store makes of dots, slashes and capitals.
pub async fn a_name_may_have_every_character_and_its_full_length(factory: &dyn Factory) {
    let every = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:@/-";
    let mut names = vec![every.to_owned(), ["a", &".".repeat(254)].concat(), ["@presence/", &"z".repeat(255)].concat()];
    names.extend(["a", "A", ":", "/", "-", "_"].map(|text| text.repeat(255)));
    names.extend([".", "..", "-", "@", "@revoked", "a.b", "a..b", ".a", "a.", "/", "//", "0"].map(str::to_owned));
    assert_apart(&World::of(factory).await, &names).await;
}

/// Names that a careless key or subject would make one.
pub async fn channels_with_similar_names_never_mix(factory: &dyn Factory) {
    let tails = ["", ":", "::", ":a", ".a", "/a", "@a", "_a", "-a", "a", "A", ":a:log", ":a:meta", ":a:keys", ":a/1"];
    assert_apart(&World::of(factory).await, &tails.map(|tail| format!("similar{tail}"))).await;
}

/// Every channel has an epoch of its own, and what was appended to it.
async fn assert_apart(world: &World<'_>, names: &[String]) {
    let topics: Vec<Topic> = names.iter().map(|name| stream(name)).collect();
    for (topic, node) in topics.iter().zip(world.in_turn()) {
        let appended = node.append(topic, saying(topic.name.as_str()).id("1")).await;
        assert_eq!((appended.position.seq.get(), appended.duplicate), (1, false), "{}", topic.name);
    }
    let mut epochs = HashSet::new();
    for topic in &topics {
        let (head, messages) = world.b.contents(topic).await;
        let Some(Payload::Json(json)) = &messages[0].payload else { panic!("no JSON in {}", topic.name) };
        assert_eq!((messages.len(), json.as_str()), (1, format!("\"{}\"", topic.name).as_str()));
        assert!(epochs.insert(head.epoch), "{}: another's epoch", topic.name);
    }
}

/// Untouched ones among them, and one twice.
pub async fn heads_come_in_the_order_asked_for(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topics: Vec<Topic> = (0..40).map(|number| stream(&format!("heads:{number}"))).collect();
    for (count, topic) in topics.iter().enumerate().skip(1).step_by(2) {
        for _ in 0..count % 4 {
            a.append(topic, saying("x")).await;
        }
    }
    let asked: Vec<Topic> = topics.iter().rev().chain(&topics[..1]).cloned().collect();
    let heads = b.heads(&asked).await;
    for (topic, head) in asked.iter().zip(&heads) {
        assert_eq!(a.open(topic).await, *head, "{}", topic.name);
    }
    assert_eq!(heads[..4].iter().map(|head| head.head.get()).collect::<Vec<_>>(), [3, 0, 1, 0]);
    assert!(a.heads(&[]).await.is_empty());
}

/// As long as its store is.
pub async fn it_is_well(factory: &dyn Factory) {
    for node in World::of(factory).await.nodes() {
        assert_eq!(node.backplane.health().await, Health::Up);
    }
}
