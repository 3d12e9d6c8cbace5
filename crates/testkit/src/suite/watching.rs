//! News.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::Instant;
use tricast_core::channel::{Kind, Topic};
use tricast_core::message::Draft;

use super::Factory;
use super::world::{World, append_many, at, set};
use crate::WATCHDOG;
use crate::fixtures::{saying, seq, state, stream};

/// In whatever order; and where the store is elsewhere, with the message as it is read.
pub async fn what_any_node_appends_is_told_to_who_watches(factory: &dyn Factory) {
    let world = World::of(factory).await;
    for topic in [stream("told"), state("told:state")] {
        let head = world.b.watch(&topic).await;
        for (number, node) in (1..=40_u64).zip(world.in_turn()) {
            node.append(&topic, set_or_say(&topic, number)).await;
        }
        for number in 1..=40 {
            world.b.heard.reaches(&topic, at(head, number)).await;
        }
        let (_, messages) = world.a.contents(&topic).await;
        for told in world.b.heard.of(&topic) {
            assert!((1..=40).contains(&told.at.seq.get()) && told.at.epoch == head.epoch, "{told:?}");
            let Some(message) = told.message else {
                assert!(!factory.is_shared(), "news without the message");
                continue;
            };
            assert_eq!(message.seq, told.at.seq);
            if let Some(read) = messages.iter().find(|read| read.seq == told.at.seq) {
                assert_eq!(message, *read);
            }
        }
    }
}

fn set_or_say(topic: &Topic, number: u64) -> Draft {
    let text = number.to_string();
    match topic.rule.kind() {
        Kind::Stream => saying(&text).id(text.as_str()).event("e"),
        Kind::State => set(&format!("k{}", number % 7), &text),
    }
}

/// Live delivery is active before the head is read: between the two there is no hole.
pub async fn from_the_head_of_a_watch_on_everything_is_told(factory: &dyn Factory) {
    const COUNT: u32 = 60;
    let world = World::of(factory).await;
    for round in 0..10 {
        let topic = stream(&format!("no-hole:{round}"));
        let head = world.b.open(&topic).await;
        let writer = tokio::spawn(append_many(world.a.clone(), topic.clone(), COUNT));
        // So that the watch begins at another moment each time.
        while world.b.open(&topic).await.head.get() < round {
            yield_now().await;
        }
        let watched = world.b.watch(&topic).await;
        writer.await.unwrap();
        for number in watched.head.get() + 1..=u64::from(COUNT) {
            world.b.heard.reaches(&topic, at(head, number)).await;
        }
    }
}

/// On whichever node.
pub async fn the_head_of_a_watch_is_not_older_than_what_was_acknowledged(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    for round in 0..20 {
        let topic = stream(&format!("not-older:{round}"));
        let mut position = a.append(&topic, saying("x")).await.position;
        for _ in 0..2 {
            assert_eq!(b.watch(&topic).await.position(), position);
            position = a.append(&topic, saying("x")).await.position;
            b.heard.reaches(&topic, position).await;
        }
        b.unwatch(&topic).await;
        assert_eq!(b.watch(&topic).await.position(), position);
    }
}

/// By whoever finds that it is over.
pub async fn the_deletion_of_a_key_whose_time_is_over_is_told(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("told:over");
    let head = world.b.watch(&topic).await;
    world.a.append(&topic, set("k", "x").ttl(Duration::from_millis(100))).await;
    world.pass(150).await;
    world.a.open(&topic).await;
    world.b.heard.reaches(&topic, at(head, 2)).await;
    let told = world.b.heard.of(&topic);
    let deletion = told.iter().find(|it| it.at.seq == seq(2)).and_then(|it| it.message.clone());
    assert!(deletion.is_none_or(|message| message.payload.is_none() && message.key.as_deref() == Some("k")));
}

/// What was on its way may still come.
pub async fn whoever_no_longer_watches_is_told_nothing_in_the_end(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("no-more");
    world.b.watch(&topic).await;
    let position = world.a.append(&topic, saying("x")).await.position;
    world.b.heard.reaches(&topic, position).await;
    world.b.unwatch(&topic).await;
    assert_silent_in_the_end(factory, &world, &topic).await;

    world.b.watch(&topic).await;
    let position = world.a.append(&topic, saying("x")).await.position;
    world.b.heard.reaches(&topic, position).await;
}

/// However often it began.
pub async fn one_end_is_enough_for_all_that_watch_a_channel_on_a_node(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("one-end");
    for _ in 0..3 {
        world.b.watch(&topic).await;
    }
    world.b.unwatch(&topic).await;
    assert_silent_in_the_end(factory, &world, &topic).await;
    world.b.unwatch(&topic).await;
    world.b.unwatch(&stream("one-end:never-watched")).await;
}

/// Appends until an append is not told, though one after it, on a channel that is watched, is.
async fn assert_silent_in_the_end(factory: &dyn Factory, world: &World<'_>, topic: &Topic) {
    if !factory.is_shared() {
        return;
    }
    let watched = stream(&format!("{}:watched", topic.name));
    world.b.watch(&watched).await;
    let started = Instant::now();
    loop {
        let position = world.a.append(topic, saying("x")).await.position;
        let after = world.a.append(&watched, saying("x")).await.position;
        world.b.heard.reaches(&watched, after).await;
        if !world.b.heard.has(topic, position) {
            return;
        }
        assert!(started.elapsed() < WATCHDOG, "{} is still told of", topic.name);
    }
}
