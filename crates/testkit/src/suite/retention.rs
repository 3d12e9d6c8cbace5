//! What a stream forgets.

use std::time::Duration;

use tricast_core::channel::{Kind, Rule, Topic};
use tricast_core::log::{Head, Limit, Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::replay::{Decision, decide};

use super::Factory;
use super::world::{World, at};
use crate::fixtures::{saying, seqs, server, topic};

/// The newest ones.
pub async fn a_stream_keeps_as_many_messages_as_its_rule_says(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("keep", Rule::stream().keep(5));
    for (number, node) in (1..=12_u64).zip(world.in_turn()) {
        node.append(&topic, saying("x")).await;
        let (head, messages) = world.b.contents(&topic).await;
        let first = number.saturating_sub(4).max(1);
        assert_eq!((head.first.get(), head.head.get()), (first, number));
        assert_eq!(seqs(&messages), (first..=number).collect::<Vec<_>>());
    }
}

/// By the log's own account: what the reference keeps.
pub async fn a_stream_keeps_as_many_bytes_as_its_rule_says(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("keep-bytes", Rule::stream().keep_bytes(5_000));
    let mut log = reference(&topic, world.a.open(&topic).await);
    let sizes = [100, 900, 1, 2_000, 1_500, 700, 10, 10, 4_700, 300, 4_999, 0, 0, 0, 2_400, 2_400];
    for (size, node) in sizes.into_iter().zip(world.in_turn()) {
        let draft = Draft::binary(vec![7; size]).id(size.to_string()).event("e");
        log.append(draft.clone(), &server(), STAMP).unwrap();
        node.append(&topic, draft).await;
        assert_eq!(world.b.open(&topic).await, log.head(), "after {size} bytes");
    }
}

/// Of a stream there is always a last word.
pub async fn the_newest_message_stays_however_large_it_is(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("keep-newest", Rule::stream().keep_bytes(1_000));
    for number in 1..=3 {
        world.a.append(&topic, Draft::binary(vec![7; 5_000])).await;
        let (head, messages) = world.b.contents(&topic).await;
        assert_eq!((head.first.get(), seqs(&messages)), (number, vec![number]));
    }
}

/// Who has everything is continued, whatever expired.
pub async fn messages_leave_when_they_are_old_and_the_head_stays(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("age", Rule::stream().ttl(Duration::from_millis(200)));
    world.a.append(&topic, saying("x").id("1")).await;
    let position = world.b.append(&topic, saying("x")).await.position;
    world.pass(250).await;
    for node in world.nodes() {
        let head = node.open(&topic).await;
        assert_eq!((head.first.get(), head.position()), (3, position));
        assert_eq!(decide(Kind::Stream, Some(position), &head), Decision::Continue);
        let slice = node.read(&topic, position, Limit::default()).await;
        assert_eq!((slice.head, slice.messages.len(), slice.to), (head, 0, position.seq));
        let lost = node.read(&topic, at(head, 0), Limit::default()).await;
        assert_eq!((lost.head, lost.messages.len(), lost.to.get()), (head, 0, 0));
        let (history, page) = node.read_back(&topic, None, Limit::default()).await;
        assert_eq!((history, page.messages.len(), page.more), (head, 0, false));
        assert_eq!(node.heads(std::slice::from_ref(&topic)).await, [head]);
    }
    assert!(world.b.append(&topic, saying("x").id("1")).await.duplicate, "ids stay");
    assert_eq!(world.b.append(&topic, saying("x")).await.position, at(world.a.open(&topic).await, 3));
}

/// As each has its own time.
pub async fn of_old_and_new_messages_the_old_leave(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("age:mixed", Rule::stream().ttl(Duration::from_millis(300)));
    for _ in 0..3 {
        world.a.append(&topic, saying("old")).await;
    }
    world.pass(350).await;
    world.b.append(&topic, saying("new")).await;
    let (head, messages) = world.a.contents(&topic).await;
    // Real time may have taken the new one too.
    assert!(head.first.get() >= 4 && head.head.get() == 4, "{head:?}");
    assert!(messages.iter().all(|message| message.seq.get() == 4));
}

const STAMP: Stamp = Stamp { now_ms: 1_700_000_000_000, tag: 0 };

/// What is to be done, in the same epoch.
fn reference(topic: &Topic, head: Head) -> Log {
    Log::new(topic.rule.kind(), head.epoch, topic.rule.retention())
}
