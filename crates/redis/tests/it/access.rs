//! Who is let in, over what, and what a server has to be.

use std::error::Error as _;
use std::fs;
use std::time::Duration;

use tokio::time::timeout;
use tricast_core::backplane::{Backplane as _, BackplaneError, Health};
use tricast_core::log::Limit;
use tricast_core::position::Seq;
use tricast_redis::{ConnectError, LinkError, Redis};
use tricast_testkit::WATCHDOG;
use tricast_testkit::fixtures::{self, saying, server, state, stream};
use tricast_testkit::redis::Redis as Server;

use crate::support::{append, node};

#[tokio::test]
async fn tls_is_spoken_with_whom_the_roots_vouch_for_and_with_nobody_else() {
    let server = Server::options().tls().user("ann", "s:e/c@t").start();
    let url = server.tls_url().replace("s:e/c@t", "s%3Ae%2Fc%40t");
    let pem = fs::read(server.certificate()).unwrap();
    let redis = Redis::builder(&*url).tls_roots(pem).connect().await.unwrap();
    let chat = stream("chat");
    redis.watch(&chat).await.unwrap();
    assert_eq!(append(&redis, &chat, saying("a")).await.position.seq.get(), 1);
    let error = Redis::connect(url).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Server { cause: LinkError::Io(_), .. }), "{error:?}");
    let wrong = Redis::builder("rediss://localhost:1").tls_roots("-----BEGIN CERTIFICATE-----\nAA==\n").connect();
    assert!(matches!(wrong.await.unwrap_err(), ConnectError::Roots(_)));
}

/// The commands that the README names are enough.
#[tokio::test]
async fn a_user_who_may_do_only_what_is_needed_does_all() {
    let here = Server::start();
    let readme = include_str!("../../README.md");
    let rule = readme.lines().find_map(|line| line.strip_prefix("ACL SETUSER tricast ")).unwrap();
    let words: Vec<&str> = ["ACL", "SETUSER", "tricast"].into_iter().chain(rule.split(' ')).collect();
    here.command(&words);
    let (redis, heard) = node(format!("redis://tricast:secret@{}", here.address())).await;
    let (chat, desk) = (stream("chat"), state("desk"));
    let head = redis.watch(&chat).await.unwrap();
    append(&redis, &chat, saying("a").id("1")).await;
    heard.seq("chat", 1).await;
    append(&redis, &desk, saying("a").key("k").held_by("n", None).ttl(Duration::from_millis(1))).await;
    append(&redis, &desk, saying("a").key("l").only_if(Seq::ZERO)).await;
    redis.read(&chat, head.position(), Limit::default()).await.unwrap();
    redis.read_back(&desk, None, Limit::default()).await.unwrap();
    redis.find(&chat, &server(), "1").await.unwrap();
    assert!(redis.heads(&[chat.clone(), desk]).await.iter().all(Result::is_ok));
    redis.renew(&chat, head.epoch).await.unwrap();
    redis.unwatch(&chat).await;
    assert_eq!(redis.health().await, Health::Up);
}

#[tokio::test]
async fn whoever_is_not_let_in_is_told_why() {
    let server = Server::options().password("secret").start();
    let error = Redis::connect(format!("redis://:wrong@{}", server.address())).await.unwrap_err();
    assert!(matches!(&error, ConnectError::Server { cause: LinkError::Refused(_), .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("wrong"), "a password is never told");
    let nobody = Redis::connect("redis://127.0.0.1:1").await.unwrap_err();
    assert_eq!(nobody.to_string(), "Redis at 127.0.0.1:1 cannot be used");
    assert!(nobody.source().is_some_and(|cause| cause.to_string() == "it cannot be reached"));
}

#[tokio::test]
async fn options_that_cannot_work_are_named() {
    let connect = async |builder: tricast_redis::Builder| builder.connect().await.unwrap_err();
    assert!(matches!(connect(Redis::builder("redis://h?x=1")).await, ConnectError::Url(_)));
    let braces = connect(Redis::builder("redis://h").prefix("a{b}")).await;
    assert!(matches!(braces, ConnectError::Prefix(prefix) if prefix == "a{b}"));
    assert!(matches!(
        connect(Redis::builder("redis+cluster://h").trust_restart(true)).await,
        ConnectError::TrustRestart
    ));
}

#[tokio::test]
async fn a_server_that_may_evict_is_down_until_it_may_not() {
    let here = Server::options().eviction("allkeys-lru").arguments(&["--maxmemory", "100mb"]).start();
    let (redis, _) = node(here.url()).await;
    let Health::Down(why) = redis.health().await else { panic!("it may evict") };
    assert!(why.contains("maxmemory-policy is allkeys-lru"), "{why}");
    here.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let well = async {
        while redis.health().await != Health::Up {
            tokio::time::sleep(Duration::from_millis(50)).await; // it is looked at each second
        }
    };
    timeout(WATCHDOG, well).await.unwrap();
}

#[tokio::test]
async fn a_server_without_memory_refuses_and_nothing_is_done() {
    let here = Server::start();
    let (redis, _) = node(here.url()).await;
    let (chat, desk) = (stream("chat"), state("desk"));
    append(&redis, &chat, saying("a")).await;
    append(&redis, &desk, saying("a").key("k")).await;
    here.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    for topic in [&chat, &desk] {
        let refused = redis.append(topic, saying("b").key("l").id("1"), &server()).await;
        let Err(BackplaneError::Unavailable { reason, maybe_applied: false }) = refused else { panic!("{refused:?}") };
        assert!(reason.contains("OOM"), "{reason}");
        assert_eq!(redis.open(topic).await.unwrap().head.get(), 1, "reading goes on");
    }
    here.command(&["CONFIG", "SET", "maxmemory", "0"]);
    assert_eq!(append(&redis, &chat, saying("b").id("1")).await.position.seq.get(), 2);
}

#[tokio::test]
async fn a_huge_page_is_read_in_one_piece() {
    let here = Server::start();
    let (redis, _) = node(here.url()).await;
    let big = fixtures::topic("big", tricast_core::channel::Rule::stream().keep(5_000).keep_bytes(1 << 30));
    let start = redis.open(&big).await.unwrap().position();
    let payload = "x".repeat(10_000);
    for _ in 0..25 {
        let scope = server();
        let some = (0..100).map(|_| redis.append(&big, saying(&payload), &scope));
        futures_util::future::try_join_all(some).await.unwrap();
    }
    let all = Limit { messages: usize::MAX, bytes: usize::MAX };
    let slice = redis.read(&big, start, all).await.unwrap();
    assert_eq!((slice.messages.len(), slice.to.get()), (2_500, 2_500));
    let (_, page) = redis.read_back(&big, None, all).await.unwrap();
    assert_eq!((page.messages.len(), page.more), (2_500, false));
}

#[tokio::test]
async fn the_last_number_of_an_epoch_is_the_last() {
    let here = Server::start();
    let (redis, _) = node(here.url()).await;
    for topic in [stream("chat"), state("desk")] {
        append(&redis, &topic, saying("a").key("k")).await;
        let key = format!("tc:{{{}}}:meta", topic.name);
        here.command(&["HSET", &key, "h", "9007199254740990"]);
        if topic.name.as_str() == "chat" {
            here.command(&["HSET", &key, "f", "9007199254740991"]);
        }
        here.command(&["DEL", &format!("tc:{{{}}}:log", topic.name)]);
        let last = append(&redis, &topic, saying("b").key("l")).await.position;
        assert_eq!(last.seq.get(), tricast_core::limits::MAX_SEQ);
        let refused = redis.append(&topic, saying("c").key("m"), &server()).await;
        let exhausted = tricast_core::log::AppendError::Exhausted(last.epoch);
        assert_eq!(refused, Err(BackplaneError::Refused(exhausted)));
        let slice =
            redis.read(&topic, tricast_core::position::Position::new(last.epoch, last.seq.back(1)), Limit::default());
        let slice = slice.await.unwrap();
        assert_eq!((slice.messages.len(), slice.to), (1, last.seq), "{}", topic.name);
    }
}
