//! Ids: what is published twice is there once.

use std::time::Duration;

use tokio::time::{self, Instant};
use tricast_core::access::{Identity, Scope, User};
use tricast_core::channel::{Rule, Topic};
use tricast_core::limits::DEDUP_MS;
use tricast_core::message::Draft;
use tricast_core::position::{Position, Seq};

use super::Factory;
use super::world::{Node, World, set};
use crate::WATCHDOG;
use crate::fixtures::{saying, seq, seqs, server, state, stream, topic};

fn user(id: &str) -> Scope {
    Identity::from(User::new(id.parse().expect("a user's id"))).scope()
}

/// Whatever else the repeat says.
pub async fn a_repeat_answers_the_first_position_on_every_node(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("repeat");
    world.a.append(&topic, saying("other")).await;
    let first = world.a.append(&topic, saying("x").id("1")).await;
    world.b.append(&topic, saying("other")).await;
    for node in world.in_turn().take(4) {
        let again = node.append(&topic, saying("y").event("e").id("1")).await;
        assert_eq!((again.position, again.duplicate), (first.position, true));
    }
    assert_eq!(world.b.open(&topic).await.head.get(), 3);
}

/// Texts that run together never make two publishers one.
pub async fn an_id_is_one_publishers_on_one_channel(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topics = [stream("publishers"), stream("publishers:2")];
    let publishers = [
        (server(), "1"),
        (Identity::Anonymous.scope(), "1"),
        (user("server"), "1"),
        (user("anonymous"), "1"),
        (user("a"), "b:c"),
        (user("a:b"), "c"),
        (user("a"), "1"),
        (user("ä {x}* \u{1f600}"), "1"),
    ];
    for topic in &topics {
        for (number, ((publisher, id), node)) in publishers.iter().zip(world.in_turn()).enumerate() {
            let appended = node.append_as(publisher, topic, saying("x").id(*id)).await;
            assert_eq!((appended.position.seq.get(), appended.duplicate), (number as u64 + 1, false), "{publisher:?}");
        }
        for (number, (publisher, id)) in publishers.iter().enumerate() {
            let again = world.b.append_as(publisher, topic, saying("x").id(*id)).await;
            assert_eq!((again.position.seq.get(), again.duplicate), (number as u64 + 1, true), "{publisher:?}");
        }
    }
}

/// One of them appends, the others are told where.
pub async fn an_id_that_many_publish_at_once_is_appended_once(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("at-once:id");
    for round in 1..=10_u64 {
        let tasks: Vec<_> = (world.in_turn().take(8).cloned())
            .map(|node| tokio::spawn(publish(node, topic.clone(), saying("x").id(round.to_string()))))
            .collect();
        let mut firsts = 0;
        for task in tasks {
            let (position, duplicate) = task.await.unwrap();
            assert_eq!(position.seq.get(), round);
            firsts += usize::from(!duplicate);
        }
        assert_eq!(firsts, 1);
    }
    assert_eq!(seqs(&world.b.contents(&topic).await.1), (1..=10).collect::<Vec<_>>());
}

async fn publish(node: Node, topic: Topic, draft: Draft) -> (Position, bool) {
    let appended = node.append(&topic, draft).await;
    (appended.position, appended.duplicate)
}

/// A store that is behind says that it knows nothing, never anything false.
pub async fn an_id_is_found_where_it_was_appended_and_nowhere_else(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let (topic, other) = (stream("find"), stream("find:2"));
    for node in world.nodes() {
        assert_eq!(node.find(&topic, &server(), "1").await, None);
    }
    world.a.append(&topic, saying("x")).await;
    let position = world.a.append(&topic, saying("x").id("1")).await.position;
    world.a.append(&other, saying("x").id("2")).await;
    for node in world.nodes() {
        let asked = Instant::now();
        while node.find(&topic, &server(), "1").await.is_none_or(|found| {
            assert_eq!(found, position);
            false
        }) {
            assert!(asked.elapsed() < WATCHDOG, "never found");
            time::sleep(Duration::from_millis(5)).await; // nobody tells when a store has caught up
        }
        for (topic, publisher, id) in
            [(&other, server(), "1"), (&topic, Identity::Anonymous.scope(), "1"), (&topic, server(), "2")]
        {
            assert_eq!(node.find(topic, &publisher, id).await, None, "{} {publisher:?} {id}", topic.name);
        }
    }
    assert_eq!(world.b.open(&topic).await.head.get(), 2);
}

/// The log forgets messages sooner than ids.
pub async fn an_id_outlives_its_message(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("outlives", Rule::stream().keep(2));
    let first = world.a.append(&topic, saying("x").id("1")).await;
    for _ in 0..5 {
        world.a.append(&topic, saying("x")).await;
    }
    assert_eq!(world.b.open(&topic).await.first.get(), 5);
    for node in world.nodes() {
        let again = node.append(&topic, saying("x").id("1")).await;
        assert_eq!((again.position, again.duplicate), (first.position, true));
    }
}

/// There may be ten thousand.
pub async fn hundreds_of_newer_ids_push_none_out(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("hundreds");
    for (number, node) in (1..=400_u64).zip(world.in_turn()) {
        assert_eq!(node.append(&topic, saying("x").id(number.to_string())).await.position.seq.get(), number);
    }
    for number in [1_u64, 2, 200, 399, 400] {
        let again = world.b.append(&topic, saying("x").id(number.to_string())).await;
        assert_eq!((again.position.seq.get(), again.duplicate), (number, true));
    }
}

/// 1 to 64 visible ASCII characters, capitals apart.
pub async fn an_id_may_be_any_visible_text(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("visible");
    let visible: String = ('!'..='~').collect();
    let mut ids = vec![visible[..64].to_owned(), visible[30..].to_owned(), "*".repeat(64)];
    ids.extend(["a", "A", ".", "*", ">", "{x}", "\"", "\\", "'", "%s"].map(str::to_owned));
    for duplicate in [false, true] {
        for ((number, id), node) in (1..).zip(&ids).zip(world.in_turn()) {
            let appended = node.append(&topic, saying("x").id(id.as_str())).await;
            assert_eq!((appended.position.seq.get(), appended.duplicate), (number, duplicate), "{id}");
        }
    }
}

/// Told only of stores whose time is not real.
pub async fn an_id_is_forgotten_after_five_minutes_and_no_sooner(factory: &dyn Factory) {
    if !factory.is_time_virtual() {
        return;
    }
    let world = World::of(factory).await;
    let topic = stream("five-minutes");
    world.a.append(&topic, saying("x").id("1")).await;
    world.pass(DEDUP_MS - 1).await;
    assert!(world.b.append(&topic, saying("x").id("1")).await.duplicate);
    world.pass(1).await;
    assert_eq!(world.b.find(&topic, &server(), "1").await, None);
    let anew = world.b.append(&topic, saying("x").id("1")).await;
    assert_eq!((anew.position.seq.get(), anew.duplicate), (2, false));
}

/// The id is looked up before anything else.
pub async fn a_repeat_is_a_repeat_even_where_its_condition_no_longer_holds(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("conditional");
    let draft = set("k", "x").only_if(Seq::ZERO).id("1");
    let first = world.a.append(&topic, draft.clone()).await;
    for node in world.nodes() {
        let again = node.append(&topic, draft.clone()).await;
        assert_eq!((again.position, again.duplicate), (first.position, true));
    }
    assert!(world.b.try_append(&topic, draft.id("2")).await.is_err());
}

/// What was set meanwhile stays.
pub async fn a_repeated_deletion_of_what_was_absent_deletes_nothing(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("absent");
    world.a.append(&topic, set("other", "x")).await;
    let first = world.a.append(&topic, Draft::delete("k").id("1")).await;
    assert_eq!((first.position.seq, first.duplicate), (seq(1), false));
    world.b.append(&topic, set("k", "x")).await;
    for node in world.nodes() {
        let again = node.append(&topic, Draft::delete("k").id("1")).await;
        assert_eq!((again.position, again.duplicate), (first.position, true));
    }
    assert_eq!(seqs(&world.b.contents(&topic).await.1), [1, 2]);
}
