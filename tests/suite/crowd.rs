//! Many readers of one channel. Issue 2, "what must be seen": 200 connections per transport, 1,000 messages: every
//! reader has all, in order, once.

use serde_json::json;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::client::{Query, Reader, watchdog};
use crate::matrix::Case;
use crate::server::Server;

const READERS: usize = 200;
const MESSAGES: u64 = 1_000;

/// One transport after another: they would only share the same two cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

over_every_transport!(every_one_of_many_readers_gets_everything_in_order_once);

async fn every_one_of_many_readers_gets_everything_in_order_once(case: Case) {
    let _turn = ONE_AT_A_TIME.lock().await;
    let server = Server::start(case.backplane).await;
    let mut readers = JoinSet::new();
    for _ in 0..READERS {
        let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
        readers.spawn(async move {
            for seq in 1..=MESSAGES {
                let message = reader.message().await;
                assert_eq!((&message["seq"], &message["data"]), (&json!(seq), &json!(seq)));
            }
        });
    }
    for number in 1..=MESSAGES {
        server.publish("chat:a", number).await;
        if number % 20 == 0 {
            // Lets the readers be woken in between: some of it is live, some catches up.
            tokio::task::yield_now().await;
        }
    }
    let all = async { while readers.join_next().await.transpose().unwrap().is_some() {} };
    watchdog("all readers", all).await;
}
