//! Reading forwards.

use std::sync::Arc;

use tricast_core::access::UserId;
use tricast_core::channel::{Rule, Topic};
use tricast_core::limits::{EVENT_NAME_BYTES, KEY_BYTES, PUBLISH_ID_BYTES, USER_ID_BYTES};
use tricast_core::log::{Head, Limit};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Epoch, Position, Seq};

use super::Factory;
use super::world::{World, append_many, at, messages};
use crate::fixtures::{saying, seq, seqs, server, state, stream, topic};

/// `to` leads from one to the next.
pub async fn pages_follow_each_other_to_the_head(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = stream("pages");
    for _ in 0..25 {
        a.append(&topic, saying("x")).await;
    }
    let head = b.open(&topic).await;
    for (after, last) in [(0, 10), (10, 20), (20, 25), (25, 25)] {
        let slice = b.read(&topic, at(head, after), messages(10)).await;
        assert_eq!(seqs(&slice.messages), (after + 1..=last).collect::<Vec<_>>());
        assert_eq!((slice.head, slice.to.get()), (head, last));
    }
}

/// A single message that is larger comes all the same.
pub async fn a_page_is_bounded_by_bytes_and_never_empty(factory: &dyn Factory) {
    let World { a, b, .. } = World::of(factory).await;
    let topic = stream("bytes");
    for _ in 0..6 {
        a.append(&topic, Draft::binary(vec![7; 1_000])).await;
    }
    let head = b.open(&topic).await;
    for (bytes, count) in [(1, 1), (999, 1), (1_000, 1), (1_999, 1), (2_000, 2), (5_999, 5), (6_000, 6), (9_999, 6)] {
        let slice = b.read(&topic, at(head, 0), Limit { messages: 100, bytes }).await;
        assert_eq!((slice.messages.len(), slice.to.get()), (count, count as u64), "{bytes}");
    }
}

/// Another epoch, a number that was never given, one whose followers are gone, a snapshot of a stream.
pub async fn nothing_is_read_where_a_position_cannot_be_continued(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("gaps", Rule::stream().keep(3));
    for _ in 0..10 {
        world.a.append(&topic, saying("x")).await;
    }
    let head = world.a.open(&topic).await;
    let elsewhere = Position::new(Epoch::from_bits(1), seq(9));
    let based = Position { base: Some(seq(9)), ..at(head, 8) };
    for after in [elsewhere, at(head, 11), at(head, 0), at(head, 6), based] {
        for node in world.nodes() {
            let slice = node.read(&topic, after, Limit::default()).await;
            assert_eq!((slice.head, slice.messages.len(), slice.to), (head, 0, after.seq), "{after}");
        }
    }
    assert_eq!(seqs(&world.b.read(&topic, at(head, 7), Limit::default()).await.messages), [8, 9, 10]);
}

/// All up to the head is in the page, and nothing above it.
pub async fn the_head_of_a_page_is_of_the_same_moment(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let topic = topic("moment", Rule::stream().keep(200));
    let writers: Vec<_> =
        (world.in_turn().take(2).cloned()).map(|node| tokio::spawn(append_many(node, topic.clone(), 400))).collect();
    let mut after = at(world.a.open(&topic).await, 0);
    while after.seq < seq(800) {
        let slice = world.b.read(&topic, after, messages(1_000)).await;
        if after.seq < slice.head.first.back(1) {
            assert!(slice.messages.is_empty(), "{:?} past a gap", seqs(&slice.messages));
            after = slice.head.before_first();
        } else {
            assert_eq!(seqs(&slice.messages), (after.seq.get() + 1..=slice.head.head.get()).collect::<Vec<_>>());
            assert_eq!(slice.to, slice.head.head);
            after = after.advanced(slice.to);
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
}

/// By either way of reading, on either node, and in the news.
pub async fn every_field_is_read_as_it_was_appended(factory: &dyn Factory) {
    let world = World::of(factory).await;
    let (on_stream, on_state) = (stream("fields"), state("fields:state"));
    let every_byte: Vec<u8> = (0..=255).collect();
    let user: UserId = "ü".repeat(USER_ID_BYTES / 2).parse().expect("a user's id");
    let drafts = vec![
        Draft::json_text(r#"{"a":[1,-0,1.0,1e400,12345678901234567890,true,null],"é":"\u0000\ud800\n"}"#).unwrap(),
        Draft::json_text("null").unwrap(),
        Draft::json_text(r#""""#).unwrap(),
        Draft::binary([]),
        Draft::binary(every_byte),
        saying("x").event("e".repeat(EVENT_NAME_BYTES)).id("~".repeat(PUBLISH_ID_BYTES)).user(user.clone()),
        Draft::binary(*b"\r\n\0").event("a.b:c/d-e_f").user(user),
    ];
    for draft in &drafts {
        world.a.append(&on_stream, draft.clone()).await;
    }
    assert_read(&world, &on_stream, &drafts).await;

    let keys = ["k".repeat(KEY_BYTES), "é*[x]{y} \"z\"\\".to_owned(), " ".to_owned(), "0".to_owned()];
    let mut drafts: Vec<Draft> = drafts.iter().zip(&keys).map(|(draft, key)| draft.clone().key(key.as_str())).collect();
    drafts.push(saying("x").key("gone"));
    drafts.push(Draft::delete("gone").event("left").id("d"));
    for draft in &drafts {
        world.a.append(&on_state, draft.clone()).await;
    }
    let _ = drafts.remove(keys.len());
    assert_read(&world, &on_state, &drafts).await;
}

async fn assert_read(world: &World<'_>, topic: &Topic, drafts: &[Draft]) {
    let (_, first) = world.a.contents(topic).await;
    let (_, second) = world.b.contents(topic).await;
    assert_eq!(first, second, "times and tags are the same on every node");
    assert_eq!(first.len(), drafts.len());
    for (message, draft) in first.iter().zip(drafts) {
        assert_is(message, draft);
    }
    let tags: std::collections::HashSet<u32> = first.iter().map(|message| message.tag).collect();
    assert!(tags.len() > 1, "tags tell messages apart");
    let (_, page) = world.b.read_back(topic, None, Limit::default()).await;
    let present: Vec<Arc<Message>> = first.into_iter().filter(|message| message.payload.is_some()).collect();
    assert_eq!(page.messages, present);
}

fn assert_is(message: &Message, draft: &Draft) {
    let Message { payload, event, id, key, user, expires, .. } = message;
    assert_eq!((payload, event, id), (&draft.payload, &draft.event, &draft.id));
    assert_eq!((key, user, *expires), (&draft.key, &draft.user, None));
}

/// Each of them nearly the largest there is.
pub async fn three_hundred_large_messages_are_read_page_by_page(factory: &dyn Factory) {
    const BYTES: usize = 60_000;
    let world = World::of(factory).await;
    let topic = topic("large", Rule::stream().keep_bytes(64 * 1_024 * 1_024));
    let payload = |number: u64| {
        let mut bytes = vec![b'x'; BYTES];
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes
    };
    for (number, node) in (1..=300).zip(world.in_turn()) {
        node.append(&topic, Draft::binary(payload(number))).await;
    }
    let head = world.b.open(&topic).await;
    let Head { first, head: newest, .. } = head;
    assert_eq!((first.get(), newest.get()), (1, 300));
    let mut after = at(head, 0);
    while after.seq < newest {
        let slice = world.b.read(&topic, after, Limit::default()).await;
        assert_eq!(slice.messages.len(), Limit::default().bytes / BYTES);
        for message in &slice.messages {
            after = after.advanced(after.seq.next().unwrap_or(Seq::ZERO));
            assert_eq!(message.seq, after.seq);
            assert_is(message, &Draft::binary(payload(message.seq.get())));
        }
    }
    assert_eq!(world.a.find(&topic, &server(), "1").await, None);
}
