//! Servers that go, and come back with all, with less, or with nothing.

use std::time::{Duration, Instant};

use tricast_core::backplane::{Backplane as _, BackplaneError, Health};
use tricast_testkit::fixtures::{saying, seqs, server, state, stream};
use tricast_testkit::nats;

use crate::support::{append, append_at_last, contents, node, open_at_last, stored};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_keeps_epochs_messages_and_ids() {
    let mut server = nats::Nats::start();
    let (nats, heard) = node(&server).await;
    let topics = [stream("kept"), state("kept")];
    let mut before = Vec::new();
    for topic in &topics {
        nats.watch(topic).await.unwrap();
        before.push(append(&nats, topic, saying("x").key("k").id("1")).await.position);
    }
    server.kill();
    heard_down(&nats).await;
    server.restart();
    heard.doubt_of("kept").await;
    let (late, _) = node(&server).await;
    for (topic, before) in topics.iter().zip(before) {
        for nats in [&nats, &late] {
            assert_eq!(open_at_last(nats, topic).await.position(), before);
            let again = append(nats, topic, saying("x").key("k").id("1")).await;
            assert_eq!((again.position, again.duplicate), (before, true));
        }
    }
    assert_eq!(nats.health().await, Health::Up);
}

/// Waits until the node knows that its server is gone; then it answers at once.
async fn heard_down(nats: &tricast_nats::Nats) {
    let waiting = async {
        while nats.health().await == Health::Up {
            // Nothing tells when a connection was found to be lost.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(tricast_testkit::WATCHDOG, waiting).await.unwrap();
    let asked = Instant::now();
    let answer = nats.append(&stream("down"), saying("x"), &server()).await;
    assert!(matches!(answer, Err(BackplaneError::Unavailable { maybe_applied: false, .. })), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(1), "at once where it is known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_empty_begins_new_epochs_and_says_so() {
    let mut server = nats::Nats::start();
    let (nats, heard) = node(&server).await;
    for topic in [stream("lost"), state("lost")] {
        nats.watch(&topic).await.unwrap();
        append(&nats, &topic, saying("x").key("k")).await;
        let before = nats.open(&topic).await.unwrap();
        heard.forget();
        server.restart_empty();
        heard.doubt_of("lost").await;
        let after = open_at_last(&nats, &topic).await;
        assert_ne!(after.epoch, before.epoch);
        assert_eq!(after.head.get(), 0);
        heard.forget();
        append_at_last(&nats, &topic, saying("y").key("k").id("2")).await;
        assert!(heard.seq("lost", 1).await.message.is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_back_with_an_older_copy_begins_new_epochs() {
    let mut server = nats::Nats::start();
    let (nats, heard) = node(&server).await;
    let topics = [stream("older"), state("older"), stream("untouched")];
    for topic in &topics {
        nats.watch(topic).await.unwrap();
        append(&nats, topic, saying("before").key("k")).await;
    }
    server.save();
    heard.doubt_of("older").await;
    let mut before = Vec::new();
    for topic in &topics {
        append_at_last(&nats, topic, saying("before").key("k").id("1")).await;
        for topic in &topics[..2] {
            append(&nats, topic, saying("after").key("k")).await;
        }
        before.push(open_at_last(&nats, topic).await);
    }
    heard.forget();
    server.restart_saved();
    heard.doubt_of("older").await;
    // A node that knows nothing of what was, and comes when that was noticed.
    for topic in &topics {
        open_at_last(&nats, topic).await;
    }
    let (fresh, _) = node(&server).await;
    for (topic, before) in topics.iter().zip(before) {
        let after = open_at_last(&nats, topic).await;
        assert_ne!(after.epoch, before.epoch, "{}", topic.name);
        assert_eq!(after, open_at_last(&fresh, topic).await);
    }
}

/// Whoever comes first after the loss, and writes more than was lost, cannot know of it: those who know tell.
#[tokio::test(flavor = "multi_thread")]
async fn a_fork_that_grew_longer_than_what_was_lost_is_found_on_the_channel() {
    let mut server = nats::Nats::start();
    let (known, _) = node(&server).await;
    let topic = stream("fork");
    append(&known, &topic, saying("1")).await;
    server.save();
    append_at_last(&known, &topic, saying("lost").id("lost")).await;
    let before = open_at_last(&known, &topic).await;
    server.restart_saved();
    let (fresh, _) = node(&server).await;
    for n in 0..50 {
        append(&fresh, &topic, saying("new").id(n.to_string())).await;
    }
    let after = append_at_last(&known, &topic, saying("last").id("last")).await.position;
    let (head, messages) = contents(&fresh, &topic).await;
    assert_eq!(head.epoch, after.epoch);
    assert_ne!(head.epoch, before.epoch);
    assert_eq!(seqs(&messages), (1..=head.head.get()).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_server_is_stopped_an_append_is_answered_in_time_and_what_became_of_it_is_found() {
    let server_ = nats::Nats::start();
    let (nats, _) = node(&server_).await;
    let topic = stream("stopped");
    server_.pause();
    // A signal takes its time, so the first ones may still be answered.
    let (mut count, mut asked) = (1, Instant::now());
    let answer = loop {
        let answer = nats.append(&topic, saying("x").id(count.to_string()), &server()).await;
        if answer.is_err() {
            break answer;
        }
        (count, asked) = (count + 1, Instant::now());
    };
    assert!(matches!(answer, Err(BackplaneError::Unavailable { .. })), "{answer:?}");
    assert!((Duration::from_secs(1)..Duration::from_secs(4)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    let asked = Instant::now();
    let answer = nats.open(&topic).await;
    assert!(matches!(answer, Err(BackplaneError::Unavailable { maybe_applied: false, .. })), "{answer:?}");
    assert!(asked.elapsed() < Duration::from_secs(4));
    // The server is stopped for five seconds.
    tokio::time::sleep(Duration::from_secs(1)).await;
    server_.resume();
    for n in 1..=count + 1 {
        let position = append_at_last(&nats, &topic, saying("x").id(n.to_string())).await.position;
        assert_eq!(position.seq.get(), n, "each was appended once");
    }
    let (_, messages) = contents(&nats, &topic).await;
    assert_eq!(seqs(&messages), (1..=count + 1).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_ends_the_epoch_and_a_later_version_does_not() {
    let server_ = nats::Nats::start();
    let (nats, _) = node(&server_).await;
    let garbled = stream("garbled");
    let before = append(&nats, &garbled, saying("x")).await.position;
    // base64url of `garbled` and `later`.
    assert!(server_.request("tc.log.Z2FyYmxlZA", "\u{1}garbage").contains("\"seq\""));
    let after = append(&nats, &garbled, saying("y")).await.position;
    assert_ne!(after.epoch, before.epoch);
    let (late, _) = node(&server_).await;
    assert_eq!(late.open(&garbled).await.unwrap().position(), after);

    let later = stream("later");
    append(&nats, &later, saying("x")).await;
    assert!(server_.request("tc.log.bGF0ZXI", "\u{9}unknown").contains("\"seq\""));
    for nats in [&nats, &late] {
        let answer = nats.open(&later).await;
        assert!(
            matches!(&answer, Err(BackplaneError::Unavailable { reason, .. }) if reason.contains("version 9")),
            "{answer:?}"
        );
    }
    assert!(stored(&server_, "tc-logs") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_that_is_gone_ends_the_epoch() {
    let server = nats::Nats::start();
    let (nats, heard) = node(&server).await;
    let topic = state("gone");
    let before = nats.watch(&topic).await.unwrap();
    for n in 0..300 {
        append(&nats, &topic, saying("x").key((n % 3).to_string())).await;
    }
    let purged = server.request("$JS.API.STREAM.PURGE.tc-states", r#"{"filter":"tc.part.>"}"#);
    assert!(purged.contains("\"purged\":1"), "{purged}");
    let (fresh, _) = node(&server).await;
    let after = fresh.open(&topic).await.unwrap();
    assert_ne!(after.epoch, before.epoch);
    heard.doubt_of("gone").await;
    assert_eq!(nats.open(&topic).await.unwrap(), after);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_were_deleted_are_created_again_under_new_epochs() {
    let server = nats::Nats::start();
    let (nats, heard) = node(&server).await;
    let topic = stream("deleted");
    let before = nats.watch(&topic).await.unwrap();
    assert!(server.request("$JS.API.STREAM.DELETE.tc-logs", "").contains("true"));
    heard.doubt_of("deleted").await;
    assert_ne!(open_at_last(&nats, &topic).await.epoch, before.epoch);
    append_at_last(&nats, &topic, saying("x").id("1")).await;
    heard.seq("deleted", 1).await;
}
