//! What is kept, and what is deleted in time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream as futures};
use tricast_core::backplane::{Backplane as _, BackplaneError};
use tricast_core::channel::Rule;
use tricast_core::clock::Clock as _;
use tricast_core::limits::DEDUP_IDS;
use tricast_core::log::Limit;
use tricast_core::message::Draft;
use tricast_nats::Nats;
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::fixtures::{saying, seqs, server, state, stream, topic};
use tricast_testkit::{WATCHDOG, nats};

use crate::support::{append, contents, node, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_kept_in_checkpoints_and_read_from_them_as_it_was() {
    let server = nats::Nats::start();
    let (nats, _) = node(&server).await;
    let topic = state("checkpoints");
    let changes = (0..10_000).map(|n| {
        let draft = saying(&n.to_string()).key((n % 50).to_string());
        if n % 97 == 0 { Draft::delete((n % 50).to_string()).id(n.to_string()) } else { draft }
    });
    let nats_ = &nats;
    let topic_ = &topic;
    futures::iter(changes)
        .for_each_concurrent(8, |draft| async move {
            let _ = append(nats_, topic_, draft).await;
        })
        .await;
    append(&nats, &topic, saying("held").key("held").held_by("a", Some(1))).await;

    until(|| stored(&server, "tc-states") < 600).await;
    let (fresh, _) = node(&server).await;
    assert_eq!(contents(&fresh, &topic).await, contents(&nats, &topic).await);
    let limit = Limit { messages: 1_000, bytes: usize::MAX };
    let pages = [nats.read_back(&topic, None, limit).await, fresh.read_back(&topic, None, limit).await];
    assert_eq!(pages[0], pages[1]);
    let again = append(&fresh, &topic, Draft::delete("3").id("97")).await;
    assert!(again.duplicate, "ids are kept too");
    let held = append(&fresh, &topic, saying("held").key("held").held_by("b", Some(1))).await;
    assert!(held.duplicate, "and who holds what");
    let let_go = append(&nats, &topic, Draft::delete("held").held_by("a", None)).await;
    assert_eq!(let_go.position, held.position, "on every node");
}

/// Waits for what is done in its own time.
async fn until(is_done: impl Fn() -> bool) {
    let waiting = async {
        while !is_done() {
            // Deleting says nothing when it is done.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WATCHDOG, waiting).await.unwrap_or_else(|_| panic!("too much is stored"));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_stream_what_is_needed_no_more_is_deleted() {
    let server = nats::Nats::start();
    let (nats, _) = node(&server).await;
    let topic = topic("trimmed", Rule::stream().keep(50));
    for n in 0..1_000 {
        append(&nats, &topic, saying(&n.to_string())).await;
    }
    until(|| stored(&server, "tc-logs") < 300).await;
    let (fresh, _) = node(&server).await;
    assert_eq!(contents(&fresh, &topic).await, contents(&nats, &topic).await);
    assert_eq!(seqs(&contents(&fresh, &topic).await.1), (951..=1_000).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_with_ids_that_are_remembered_are_not_deleted_with_their_messages() {
    let server_ = nats::Nats::start();
    let (nats, _) = node(&server_).await;
    let topic = topic("ids", Rule::stream().keep(1));
    let first = append(&nats, &topic, saying("x").id("first")).await.position;
    let ids = (0..DEDUP_IDS - 1).map(|n| saying("x").id(n.to_string()));
    let (nats_, topic_) = (&nats, &topic);
    futures::iter(ids)
        .for_each_concurrent(256, |draft| async move {
            let _ = append(nats_, topic_, draft).await;
        })
        .await;
    let (fresh, _) = node(&server_).await;
    assert_eq!(fresh.find(&topic, &server(), "first").await, Ok(Some(first)));
    append(&fresh, &topic, saying("x").id("one more")).await;
    assert_eq!(fresh.find(&topic, &server(), "first").await, Ok(None), "10,000 newer ones came");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_does_not_take_is_refused_and_what_it_takes_is_split() {
    let server_ = nats::Nats::options().configuration("max_payload: 4096").start();
    let (nats, _) = node(&server_).await;
    for topic in [stream("small"), state("small")] {
        let large = nats.append(&topic, saying(&"x".repeat(5_000)).key("k"), &server()).await;
        let Err(BackplaneError::Unavailable { reason, maybe_applied: false }) = large else { panic!("{large:?}") };
        assert!(reason.contains("max_payload"), "{reason}");
        let (nats_, topic_) = (&nats, &topic);
        let drafts = (0..1_000).map(|n| saying(&"x".repeat(1_000)).key((n % 40).to_string()));
        futures::iter(drafts)
            .for_each_concurrent(64, |draft| async move {
                let _ = append(nats_, topic_, draft).await;
            })
            .await;
        let (fresh, _) = node(&server_).await;
        let (head, messages) = contents(&fresh, &topic).await;
        assert_eq!(head.head.get(), 1_000);
        assert_eq!((head, messages), contents(&nats, &topic).await);
    }
}

async fn node_at(server: &nats::Nats, clock: &Arc<VirtualClock>) -> Nats {
    Nats::builder(server.url()).clock(Arc::clone(clock) as _).connect().await.unwrap()
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test(flavor = "multi_thread")]
async fn a_state_without_keys_that_nobody_asked_for_in_a_day_is_forgotten_and_no_other() {
    let server = nats::Nats::start();
    let clock = Arc::new(VirtualClock::default());
    clock.advance(Duration::from_secs(1_700_000_000));
    let nats = node_at(&server, &clock).await;
    let (empty, emptied, full) = (state("empty"), state("emptied"), state("full"));
    let before = nats.open(&empty).await.unwrap();
    append(&nats, &full, saying("x").key("k")).await;
    append(&nats, &emptied, saying("x").key("k")).await;
    append(&nats, &emptied, Draft::delete("k")).await;
    assert_eq!(stored(&server, "tc-states"), 6);
    // Once an hour and a half, by its clock, everything is looked at.
    clock.advance(35 * HOUR);
    // That it deleted nothing is told by nobody: it looks each second.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert_eq!(stored(&server, "tc-states"), 6, "at {}", clock.wall_ms());
    clock.advance(3 * HOUR);
    until(|| stored(&server, "tc-states") == 2).await;
    assert_ne!(nats.open(&empty).await.unwrap().epoch, before.epoch);
    assert_eq!(contents(&nats, &full).await.1.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_asked_for_lives_on() {
    let server = nats::Nats::start();
    let clock = Arc::new(VirtualClock::default());
    clock.advance(Duration::from_secs(1_700_000_000));
    let nats = node_at(&server, &clock).await;
    let (kept, alive) = (state("asked"), stream("asked"));
    let before = nats.open(&kept).await.unwrap();
    let position = append(&nats, &alive, saying("x")).await.position;
    for _ in 0..3 {
        clock.advance(23 * HOUR);
        assert_eq!(nats.open(&kept).await.unwrap(), before);
        assert_eq!(nats.open(&alive).await.unwrap().position(), position);
    }
    assert_eq!(stored(&server, "tc-logs"), 5, "each time it said so");
}
