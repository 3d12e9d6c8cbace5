//! Numbers, order, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tricast_core::channel::{Rule, Topic};
use tricast_core::log::{AppendError, Limit};
use tricast_core::message::{Draft, Payload};
use tricast_core::position::{Position, Seq};

use super::Factory;
use super::world::{Node, World, at, set};
use crate::fixtures::{saying, seq, seqs, server, state, stream, topic};

/// Whichever node appends.
pub async fn a_stream_is_numbered_from_1_without_holes(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("numbers:stream");
    let head = world.a.open(&topic).await;
    for (number, node) in (1..=30).zip(world.in_turn()) {
        let appended = node.append(&topic, saying("x")).await;
        assert_eq!((appended.position, appended.duplicate), (at(head, number), false));
    }
    let (head, messages) = world.b.contents(&topic).await;
    assert_eq!((head.first.get(), head.head.get()), (1, 30));
    assert_eq!(seqs(&messages), (1..=30).collect::<Vec<_>>());
}

/// So that whoever hears of a number knows whether it missed another.
pub async fn a_state_is_numbered_from_1_without_holes(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = state("numbers:state");
    let head = world.a.open(&topic).await;
    for (number, node) in (1..=30).zip(world.in_turn()) {
        let key = format!("k{}", number % 4);
        let draft = if number > 8 && number % 8 == 0 { Draft::delete(key) } else { set(&key, "x") };
        assert_eq!(node.append(&topic, draft).await.position, at(head, number));
    }
    assert_eq!(world.b.open(&topic).await.head.get(), 30);
}

/// Both nodes append to one channel, several at a time on each.
pub async fn of_appends_at_once_none_is_lost_and_none_is_there_twice(factory: &dyn Factory) {
    const WRITERS: usize = 12;
    const EACH: usize = 25;
    let world = World::of(factory).await;
    let topic = stream("at-once");
    let tasks: Vec<_> = (world.in_turn().take(WRITERS).cloned().enumerate())
        .map(|(writer, node)| tokio::spawn(append_many(node, topic.clone(), writer, EACH)))
        .collect();
    let mut acknowledged = BTreeMap::new();
    for task in tasks {
        let mine = task.await.unwrap();
        assert!(mine.is_sorted_by_key(|(position, _)| position.seq), "one after the other, yet not in order");
        acknowledged.extend(mine.into_iter().map(|(position, text)| (position.seq.get(), text)));
    }
    let (_, messages) = world.b.contents(&topic).await;
    assert_eq!(seqs(&messages), (1..=(WRITERS * EACH) as u64).collect::<Vec<_>>());
    for message in messages {
        let Some(Payload::Json(json)) = &message.payload else { panic!("no JSON at {}", message.seq) };
        assert_eq!(acknowledged.remove(&message.seq.get()).as_deref(), Some(json.as_str()));
    }
}

/// Where each was said to be, and what it says.
async fn append_many(node: Node, topic: Topic, writer: usize, count: usize) -> Vec<(Position, String)> {
    let mut all = Vec::new();
    for number in 0..count {
        let text = format!("{writer}/{number}");
        let appended = node.append(&topic, saying(&text).id(text.as_str())).await;
        assert!(!appended.duplicate);
        all.push((appended.position, format!("\"{text}\"")));
    }
    all
}

/// A message is acknowledged no earlier than it is in the log.
pub async fn what_was_acknowledged_is_read_at_once_on_every_node(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("acknowledged");
    let topics = [topic.clone()];
    for (number, node) in (1..=20).zip(world.in_turn()) {
        let position = node.append(&topic, saying("x")).await.position;
        for node in world.nodes() {
            assert_eq!(node.open(&topic).await.position(), position);
            let before = Position::new(position.epoch, seq(number - 1));
            assert_eq!(seqs(&node.read(&topic, before, Limit::default()).await.messages), [number]);
            assert_eq!(node.heads(&topics).await[0].position(), position);
        }
    }
}

/// While others append, whatever is asked.
pub async fn a_head_never_goes_back(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("never-back");
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> = (world.in_turn().take(4).cloned())
        .map(|node| tokio::spawn(watch_the_head(node, topic.clone(), Arc::clone(&is_over))))
        .collect();
    for node in world.in_turn().take(150) {
        node.append(&topic, saying("x")).await;
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        assert!(reader.await.unwrap() <= seq(150));
    }
}

async fn watch_the_head(node: Node, topic: Topic, is_over: Arc<AtomicBool>) -> Seq {
    let topics = [topic.clone()];
    let mut last = node.open(&topic).await;
    for how in (0..4).cycle() {
        let head = match how {
            0 => node.open(&topic).await,
            1 => node.heads(&topics).await[0],
            2 => node.read(&topic, last.position(), Limit::default()).await.head,
            _ => node.read_back(&topic, None, Limit { messages: 1, bytes: 1 }).await.0,
        };
        assert_eq!(head.epoch, last.epoch);
        assert!(head.head >= last.head && head.first >= last.first, "{head:?} after {last:?}");
        last = head;
        if is_over.load(Ordering::SeqCst) {
            break;
        }
    }
    last.head
}

/// Whichever node's clock is ahead.
pub async fn time_never_goes_back_in_a_log(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = stream("time");
    for (number, node) in (0..20).zip(world.in_turn()) {
        node.append(&topic, saying("x")).await;
        if number % 5 == 0 {
            world.pass(2).await;
        }
    }
    let (_, messages) = world.a.contents(&topic).await;
    assert!(messages.is_sorted_by_key(|message| message.at), "{messages:?}");
    assert!(messages.iter().all(|message| message.at > 0) && messages[0].at < messages[19].at);
}

/// The head stays, and the id is free for a better draft.
pub async fn what_is_refused_says_why_and_changes_nothing(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = topic("refused", Rule::state().keep(1));
    a.append(&topic, set("k", "x")).await;
    let head = a.open(&topic).await;
    let full = AppendError::Full { most_keys: 1, most_bytes: topic.rule.retention().keep_bytes };
    let refused = [
        (saying("x").id("1"), AppendError::NoKey),
        (set("k", "y").id("1").only_if(seq(7)), AppendError::Conflict { present: seq(1) }),
        (set("l", "y").id("1").only_if(seq(7)), AppendError::Conflict { present: Seq::ZERO }),
        (set("l", "y").id("1"), full),
    ];
    for (draft, reason) in refused {
        for node in [&a, &b] {
            assert_eq!(node.try_append(&topic, draft.clone()).await, Err(reason));
            assert_eq!(node.open(&topic).await, head);
            assert_eq!(node.find(&topic, &server(), "1").await, None);
        }
    }
    let appended = b.append(&topic, set("k", "y").id("1")).await;
    assert_eq!((appended.position.seq.get(), appended.duplicate), (2, false));
}
