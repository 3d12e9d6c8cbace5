//! Many readers of one channel: every one has all, in order, once, whether it was there before or comes in mid-stream.

use futures_util::{FutureExt as _, StreamExt as _};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tricast::{Access, Draft, Read, Rule, Start, Tricast};

use crate::client::{Query, Reader, Transport, seq_of, type_of, watchdog};
use crate::matrix::Case;
use crate::server::Server;

const READERS: usize = 200;
const MESSAGES: u64 = 1_000;

/// One transport after another: they would only share the same two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

over_every_transport!(
    every_one_of_many_readers_gets_everything_in_order_once,
    who_comes_in_mid_stream_gets_all_after_its_position_once,
);

async fn every_one_of_many_readers_gets_everything_in_order_once(case: Case) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let server = Server::start(case.backplane).await;
    let mut readers = JoinSet::new();
    // What a crowd on a server of its own would find is found by fewer.
    let messages = if case.backplane.is_in_process() { MESSAGES } else { MESSAGES / 10 };
    for _ in 0..READERS {
        let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
        readers.spawn(async move {
            for seq in 1..=messages {
                let message = reader.message().await;
                assert_eq!((&message["seq"], &message["data"]), (&json!(seq), &json!(seq)));
            }
        });
    }
    for number in 1..=messages {
        server.publish("chat:a", number).await;
        if number % 20 == 0 {
            // Lets the readers be woken in between: some of it is live, some catches up.
            tokio::task::yield_now().await;
        }
    }
    let all = async { while readers.join_next().await.transpose().unwrap().is_some() {} };
    watchdog("all readers", all).await;
}

/// How many arrive, each while some more are published.
const ARRIVALS: u64 = 50;
const PER_ARRIVAL: u64 = 10;

/// A position is handed out in the middle of a stream of messages: it and what follows it are everything.
async fn who_comes_in_mid_stream_gets_all_after_its_position_once(case: Case) {
    let server = Server::start(case.backplane).await;
    let mut readers = JoinSet::new();
    for arrival in 0..ARRIVALS {
        let publishing = tokio::spawn(publish_some(server.tricast.clone(), arrival * PER_ARRIVAL, PER_ARRIVAL));
        let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
        publishing.await.unwrap();
        readers.spawn(async move {
            let begin = beginning(&mut reader, case.transport).await;
            for seq in begin + 1..=ARRIVALS * PER_ARRIVAL {
                assert_eq!(reader.message().await["seq"], json!(seq), "of one who came after {begin}");
            }
        });
    }
    watchdog("all who arrived", readers.join_all()).await;
}

/// The seq after which a reader was told that it begins.
async fn beginning(reader: &mut Reader, transport: Transport) -> u64 {
    if transport == Transport::RawSse {
        return seq_of(&reader.cursor().into());
    }
    loop {
        let event = reader.next_event().await;
        if type_of(&event) == "subscribed" {
            return seq_of(&event["position"]);
        }
    }
}

const TEN_THOUSAND: usize = 10_000;

/// What is published before anybody reads, and as many again while all do.
const ROUND: u64 = 30;

async fn node() -> Tricast {
    let rule = Rule::stream().keep(10_000).publish(Access::Anyone);
    Tricast::builder().rule("chat:{room}", rule).build().await.unwrap()
}

async fn publish(tricast: &Tricast, number: u64) {
    tricast.publish("chat:a", Draft::json(&number).unwrap()).await.unwrap();
}

/// Publishes so many, after those before; who arrives meanwhile has its turn, in the middle of its arrival too.
async fn publish_some(tricast: Tricast, before: u64, count: u64) {
    for number in before + 1..=before + count {
        publish(&tricast, number).await;
        tokio::task::yield_now().await;
    }
}

async fn read(tricast: &Tricast) -> tricast::Reader {
    tricast.channel("chat:a").unwrap().read(Start::Latest).await.unwrap()
}

/// Reads up to a message, which all before it must precede, each once.
async fn read_to(reader: &mut tricast::Reader, last: u64) {
    for seq in reader.position().seq.get() + 1..=last {
        match reader.next().await {
            Some(Read::Message(message)) => assert_eq!(message.position().seq.get(), seq),
            other => panic!("{other:?} where {seq} is next"),
        }
    }
}

/// On one thread, where no reader runs before it is polled: a publish that waited for one of them would never end.
#[tokio::test]
async fn a_publish_to_ten_thousand_readers_waits_for_none_of_them() {
    let tricast = node().await;
    let mut readers = Vec::with_capacity(TEN_THOUSAND);
    for _ in 0..TEN_THOUSAND {
        let mut reader = read(&tricast).await;
        // Asleep on its bell, as it is in an application.
        assert!(reader.next().now_or_never().is_none());
        readers.push(reader);
    }
    let publishes = async {
        for number in 1..=ROUND {
            publish(&tricast, number).await;
        }
    };
    watchdog("publishes that nobody reads", publishes).await;
    let position = read(&tricast).await.position();
    assert_eq!(position.seq.get(), ROUND, "all of them are in the log");
    for reader in &mut readers {
        watchdog("a reader", read_to(reader, ROUND)).await;
        assert!(reader.next().now_or_never().is_none(), "each message once");
    }
}

/// On several threads, so that publishing, sweeping and reading happen at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_ten_thousand_readers_gets_everything_in_order_once() {
    let tricast = node().await;
    let mut readers = JoinSet::new();
    for _ in 0..TEN_THOUSAND {
        let mut reader = read(&tricast).await;
        readers.spawn(async move {
            read_to(&mut reader, ROUND).await;
            assert!(reader.next().now_or_never().is_none(), "each message once");
        });
    }
    for number in 1..=ROUND {
        publish(&tricast, number).await;
        // Some of it is live, some catches up.
        tokio::task::yield_now().await;
    }
    let read = watchdog("ten thousand readers", readers.join_all()).await;
    assert_eq!(read.len(), TEN_THOUSAND);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_arrive_while_others_publish_get_each_message_once() {
    const ARRIVALS: u64 = 1_000;
    const PER_ARRIVAL: u64 = 4;
    let tricast = node().await;
    let mut readers = JoinSet::new();
    for arrival in 0..ARRIVALS {
        let publishing = tokio::spawn(publish_some(tricast.clone(), arrival * PER_ARRIVAL, PER_ARRIVAL));
        let mut reader = read(&tricast).await;
        publishing.await.unwrap();
        readers.spawn(async move {
            read_to(&mut reader, ARRIVALS * PER_ARRIVAL).await;
            assert!(reader.next().now_or_never().is_none(), "each message once");
        });
    }
    watchdog("all who arrived", readers.join_all()).await;
}
