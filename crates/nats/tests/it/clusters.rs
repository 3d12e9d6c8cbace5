//! Three servers, of which one may be gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tricast_core::backplane::{Backplane as _, BackplaneError};
use tricast_core::channel::{Kind, Rule, Topic};
use tricast_core::message::Payload;
use tricast_nats::Nats;
use tricast_testkit::WATCHDOG;
use tricast_testkit::fixtures::{saying, seqs, server, state, stream, topic};
use tricast_testkit::nats::Cluster;

use crate::several::all_is_there_once_on;
use crate::support::{append, append_at_last, contents, node_at, open_at_last};

pub(crate) fn url(cluster: &Cluster) -> String {
    format!("{}?replicas=3", cluster.url())
}

fn jetstream_of(topic: &Topic) -> &'static str {
    match topic.rule.kind() {
        Kind::Stream => "tc-logs",
        Kind::State => "tc-states",
    }
}

/// Appends one after the other until it is told to stop, each until it is acknowledged. Returns how many.
async fn keep_appending(nats: Arc<Nats>, topic: Topic, count: Arc<AtomicU32>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let number = count.load(Ordering::Relaxed).to_string();
        append_at_last(&nats, &topic, saying(&number).key(&*number).id(&*number)).await;
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Waits until it has come further.
async fn goes_on(count: &AtomicU32) {
    let reached = count.load(Ordering::Relaxed) + 20;
    let waiting = async {
        while count.load(Ordering::Relaxed) < reached {
            // It tells nobody.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(WATCHDOG, waiting).await.expect("appends go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn leaders_that_are_killed_take_nothing_with_them_and_end_no_epoch() {
    let mut cluster = Cluster::start();
    // However many there are, all are kept.
    const ALL: u64 = 1_000_000;
    for topic in [topic("led", Rule::stream().keep(ALL)), topic("led", Rule::state().keep(ALL))] {
        let (writer, _) = node_at(&url(&cluster)).await;
        let (watcher, heard) = node_at(&url(&cluster)).await;
        let before = watcher.watch(&topic).await.unwrap();
        let (count, stop) = (Arc::<AtomicU32>::default(), Arc::<AtomicBool>::default());
        let writing = tokio::spawn(keep_appending(writer, topic.clone(), Arc::clone(&count), Arc::clone(&stop)));
        goes_on(&count).await;
        for _ in 0..2 {
            let leader = cluster.leader(jetstream_of(&topic));
            cluster.kill(leader);
            goes_on(&count).await;
            cluster.restart(leader);
            goes_on(&count).await;
        }
        stop.store(true, Ordering::Relaxed);
        writing.await.unwrap();

        let acknowledged = u64::from(count.load(Ordering::Relaxed));
        let (fresh, _) = node_at(&url(&cluster)).await;
        for nats in [watcher, fresh] {
            let (head, messages) = contents(&nats, &topic).await;
            assert_eq!((head.epoch, head.head.get()), (before.epoch, acknowledged), "{}", topic.name);
            assert_eq!(seqs(&messages), (1..=acknowledged).collect::<Vec<_>>());
            for (number, message) in messages.iter().enumerate() {
                let Some(Payload::Json(json)) = &message.payload else { panic!("{message:?}") };
                assert_eq!(json.as_str(), format!("\"{number}\""), "appended twice, or in another order");
            }
        }
        heard.seq("led", acknowledged).await;
    }
}

/// What was measured of 2.9.10: of several nodes that append at once, all are acknowledged, and one message is there.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_too_old_for_replicas_are_refused() {
    let cluster = Cluster::of_the_system();
    let version = cluster.server(0).version();
    let numbers: Vec<u32> = version.split(['.', '-']).map_while(|number| number.parse().ok()).collect();
    let is_old = numbers < vec![2, 10, 25];
    let refused = Nats::connect(url(&cluster)).await.map(drop);
    assert_eq!(refused.is_err(), is_old, "{version}: {refused:?}");
    let without = Nats::connect(format!("{}?replicas=1&prefix=one", cluster.url())).await.map(drop);
    assert!(without.is_ok(), "{without:?}");
    let Err(error) = refused else { return };
    let told = error.to_string();
    assert!(told.contains("3 replicas need nats-server 2.10.25 or later") && told.contains(&version), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_majority_it_is_unavailable_and_with_one_it_goes_on() {
    let mut cluster = Cluster::start();
    let (nats, _) = node_at(&url(&cluster)).await;
    let topic = stream("minority");
    let before = append(&nats, &topic, saying("x").id("1")).await.position;
    let killed = [0, 1];
    for server in killed {
        cluster.kill(server);
    }
    let server = server();
    let appended = tokio::time::timeout(WATCHDOG, nats.append(&topic, saying("y").id("2"), &server));
    let appended = appended.await.expect("it answers in bounded time");
    assert!(matches!(appended, Err(BackplaneError::Unavailable { .. })), "{appended:?}");
    // A leader answers what it has until it knows that it is alone.
    let alone = async { while nats.open(&topic).await.is_ok() {} };
    tokio::time::timeout(WATCHDOG, alone).await.expect("it is unavailable in the end");
    cluster.restart(0);
    let after = append_at_last(&nats, &topic, saying("y").id("2")).await.position;
    assert_eq!((after.epoch, after.seq.get()), (before.epoch, 2));
    assert_eq!(seqs(&contents(&nats, &topic).await.1), [1, 2]);
}

/// It may be asked by who does not know how far it is behind.
#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_stood_still_tells_nothing_old() {
    let cluster = Cluster::start();
    let topic = stream("still");
    let (first, _) = node_at(&url(&cluster)).await;
    append(&first, &topic, saying("first")).await;
    let leader = cluster.leader("tc-logs");
    let follower = (leader + 1) % 3;
    let at = |number| format!("{}?replicas=3", cluster.server(number).url());
    let ((writer, _), (behind, _)) = (node_at(&at(leader)).await, node_at(&at(follower)).await);
    open_at_last(&behind, &topic).await;
    for _ in 0..5 {
        cluster.server(follower).pause();
        let mut last = None;
        for _ in 0..100 {
            last = Some(append_at_last(&writer, &topic, saying("more")).await.position);
        }
        cluster.server(follower).resume();
        let (head, messages) = contents(&behind, &topic).await;
        assert_eq!((head.position(), messages.last().map(|last| last.seq)), (last.unwrap(), last.map(|last| last.seq)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_nodes_append_at_once_all_is_there_once() {
    let cluster = Cluster::start();
    for topic in [stream("raced"), state("raced")] {
        all_is_there_once_on(&url(&cluster), topic, 3).await;
    }
}
