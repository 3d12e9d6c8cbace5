//! What is told of states.

use std::collections::BTreeMap;

use tricast_client::{Client, Draft, Entries, Event, Page, Transport};
use tricast_testkit::net::Proxy;

use crate::support::{message, next, on, server, soon, subscribe};

#[tokio::test]
async fn a_state_is_told_as_a_snapshot_and_live_once() {
    let server = server();
    for transport in Transport::ALL {
        let client = on(transport, server.address());
        let channel = format!("state:{transport}");
        for key in ["a", "b", "c"] {
            let draft = Draft::json(key).unwrap().key(key);
            soon(client.publish(&channel, draft)).await.unwrap();
        }
        soon(client.publish(&channel, Draft::delete("c"))).await.unwrap();
        let mut board = subscribe(&client, &channel, None).await;
        let mut told = Vec::new();
        loop {
            match next(&mut board).await {
                Event::Message(message) => told.push(message.key.clone().unwrap()),
                Event::Live { position } => break assert_eq!((position.seq.get(), position.base), (4, None)),
                Event::Subscribed(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(told, ["a".into(), "b".into()], "{transport}");
        soon(client.publish(&channel, Draft::delete("a"))).await.unwrap();
        let deletion = message(&mut board).await;
        assert!(deletion.is_deletion() && deletion.key.as_deref() == Some("a"));
    }
}

#[tokio::test]
async fn a_board_is_the_logs_though_its_connections_are_cut_while_keys_churn() {
    let server = server();
    for transport in Transport::ALL {
        let channel = format!("state:churn:{transport}");
        let proxy = Proxy::start(server.address());
        let writer = on(Transport::Ws, server.address());
        churn(&writer, &channel, 0).await;
        let reader = Client::builder(&format!("http://{}/rt", proxy.address())).transports([transport]).buffer(16);
        let reader = reader.backoff(SHORT, SHORT).build().unwrap();
        let mut board = subscribe(&reader, &channel, None).await;
        let mut entries = Entries::new();
        for round in 1..4 {
            for _ in 0..10 {
                entries.apply(&next(&mut board).await);
            }
            proxy.cut();
            churn(&writer, &channel, round).await;
        }
        let end = soon(writer.publish(&channel, Draft::json(&true).unwrap().key("end"))).await.unwrap();
        while board.position().is_none_or(|at| at.seq < end.position.seq) || !entries.is_live() {
            entries.apply(&next(&mut board).await);
        }
        let told: BTreeMap<_, _> = entries.iter().map(|(key, it)| (key.to_owned(), it.position())).collect();
        let log = soon(writer.history(&channel, Page::newest().limit(1_000))).await.unwrap();
        let log = log.messages.iter().map(|it| (it.key.as_deref().unwrap().to_owned(), it.position()));
        assert_eq!(told, log.collect(), "{transport}");
    }
}

/// Sets many keys, and deletes some that were there.
async fn churn(writer: &Client, channel: &str, round: u64) {
    for number in 0..60 {
        let key = format!("k{}", (number * 7 + round * 13) % 80);
        let draft = if number % 5 == 4 { Draft::delete(key) } else { Draft::json(&round).unwrap().key(key) };
        soon(writer.publish(channel, draft)).await.unwrap();
    }
}

const SHORT: std::time::Duration = std::time::Duration::from_millis(20);
