//! What nodes tell while a server is gone, stands still, or forgets what it was told.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tricast_core::backplane::{Backplane as _, BackplaneError, Health};
use tricast_core::log::Limit;
use tricast_testkit::fixtures::{self, saying, server, stream};
use tricast_testkit::redis::Redis as Server;

use crate::support::{append, eventually, node, told_again};

#[tokio::test]
async fn whoever_watches_is_told_to_be_uncertain_and_hears_again_by_itself() {
    for is_kept in [true, false] {
        let mut server = if is_kept { Server::options().append_only().start() } else { Server::start() };
        let (redis, heard) = node(server.url()).await;
        let chat = stream("chat");
        let before = redis.watch(&chat).await.unwrap();
        append(&redis, &chat, saying("a")).await;
        assert!(heard.seq("chat", 1).await.message.is_some());
        server.kill();
        let while_gone = redis.append(&chat, saying("b"), &fixtures::server()).await;
        assert!(matches!(while_gone, Err(BackplaneError::Unavailable { .. })));
        server.restart();
        heard.doubt_of("chat").await;
        let head = eventually("the server answers", || redis.open(&chat)).await;
        assert_eq!(head.epoch == before.epoch, is_kept);
        told_again(&heard, &redis, &chat).await;
        assert_eq!(redis.health().await, Health::Up);
    }
}

#[tokio::test]
async fn while_the_server_is_known_to_be_gone_the_answer_comes_at_once() {
    let mut server = Server::start();
    let (redis, _) = node(server.url()).await;
    let chat = stream("chat");
    server.kill();
    // The first one finds out.
    drop(redis.open(&chat).await);
    let asked = Instant::now();
    for _ in 0..100 {
        let answer = redis.append(&chat, saying("a"), &fixtures::server()).await;
        let Err(BackplaneError::Unavailable { reason, maybe_applied }) = answer else { panic!("{answer:?}") };
        assert!(!maybe_applied, "{reason}");
        assert!(reason.contains(&server.address().to_string()), "{reason}");
    }
    assert!(asked.elapsed() < Duration::from_secs(1));
    assert!(matches!(redis.health().await, Health::Down(_)));
}

#[tokio::test]
async fn a_server_that_stands_still_is_unavailable_in_time_and_nothing_is_there_twice() {
    let server = Server::start();
    let (redis, heard) = node(server.url()).await;
    let (redis, chat) = (Arc::new(redis), stream("chat"));
    redis.watch(&chat).await.unwrap();
    append(&redis, &chat, saying("before")).await;
    server.pause();
    let stood = Instant::now();
    while stood.elapsed() < Duration::from_secs(5) {
        let asked = Instant::now();
        let some = (0..20).map(|n| {
            let (redis, chat) = (Arc::clone(&redis), chat.clone());
            tokio::spawn(async move { redis.append(&chat, saying("x").id(n.to_string()), &fixtures::server()).await })
        });
        for answer in futures_util::future::join_all(some).await {
            assert!(matches!(answer.unwrap(), Err(BackplaneError::Unavailable { .. })));
        }
        assert!(asked.elapsed() < Duration::from_millis(2_500), "{:?}", asked.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await; // as somebody would who tries again
    }
    server.resume();
    for n in 0..20 {
        let again = || redis.append(&chat, saying("x").id(n.to_string()), SERVER.get_or_init(fixtures::server));
        eventually("the server answers", again).await;
    }
    heard.doubt_of("chat").await;
    let (head, page) = redis.read_back(&chat, None, Limit::default()).await.unwrap();
    assert_eq!((head.head.get(), page.messages.len()), (21, 21));
    told_again(&heard, &redis, &chat).await;
}

static SERVER: std::sync::OnceLock<tricast_core::access::Scope> = std::sync::OnceLock::new();

#[tokio::test]
async fn calls_beyond_what_may_be_under_way_are_refused_before_they_are_sent() {
    let server = Server::start();
    let (redis, _) = node(server.url()).await;
    let chat = stream("chat");
    server.pause();
    let scope = fixtures::server();
    let calls = (0..5_000).map(|_| redis.append(&chat, saying("x"), &scope));
    let answers = futures_util::future::join_all(calls).await;
    let refused =
        answers.iter().filter(|it| matches!(it, Err(BackplaneError::Unavailable { maybe_applied: false, .. })));
    assert_eq!(refused.count(), 5_000 - 4_096);
    server.resume();
    eventually("the server answers", || redis.open(&chat)).await;
}

#[tokio::test]
async fn scripts_that_a_server_forgot_are_loaded_again() {
    let server = Server::start();
    let (redis, _) = node(server.url()).await;
    let chat = stream("chat");
    append(&redis, &chat, saying("a")).await;
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(append(&redis, &chat, saying("b")).await.position.seq.get(), 2);
    server.command(&["SCRIPT", "FLUSH"]);
    assert_eq!(redis.heads(&[chat.clone(), chat]).await.remove(1).unwrap().head.get(), 2);
}

#[tokio::test]
async fn a_connection_for_news_that_is_cut_is_made_again() {
    let server = Server::start();
    let (redis, heard) = node(server.url()).await;
    let topics: Vec<_> = (0..600).map(|n| stream(&format!("c{n}"))).collect();
    futures_util::future::join_all(topics.iter().map(|topic| redis.watch(topic))).await;
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    heard.doubt_of("c599").await;
    told_again(&heard, &redis, &topics[599]).await;
    for topic in &topics[..599] {
        redis.unwatch(topic).await;
    }
    server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    heard.doubt_of("c599").await;
    assert_eq!(server.command(&["PUBSUB", "SHARDCHANNELS"]).list().len(), 1, "what nobody watches stays away");
}

#[tokio::test]
async fn a_log_that_was_taken_away_ends_the_epoch() {
    let here = Server::start();
    let (redis, _) = node(here.url()).await;
    let chat = stream("chat");
    let before = redis.open(&chat).await.unwrap().position();
    append(&redis, &chat, saying("a").id("1")).await;
    here.command(&["DEL", "tc:{chat}:log"]);
    let slice = redis.read(&chat, before, Limit::default()).await.unwrap();
    assert!(slice.head.epoch != before.epoch && slice.messages.is_empty());
    here.command(&["DEL", "tc:{chat}:meta"]);
    let appended = redis.append(&chat, saying("a").id("1"), &server()).await.unwrap();
    assert!(appended.position.epoch != slice.head.epoch && !appended.duplicate);
    let slice = redis.read(&chat, redis.open(&chat).await.unwrap().before_first(), Limit::default()).await.unwrap();
    assert_eq!(slice.messages.len(), 1, "no meta means that the log is gone too");
}
