//! The Rust client beside the raw ones: what it makes of a server is what is on the wire.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tricast_client::{Client, Draft, Entries, Event, Start, Subscription};

use crate::board::{Board, View};
use crate::client::{Query, Reader, Transport, watchdog};
use crate::matrix::Case;
use crate::server::Server;

over_every_transport!(
    what_it_publishes_comes_to_raw_readers_in_its_order_once,
    it_reads_what_a_raw_reader_reads,
    it_goes_on_where_a_raw_reader_stood,
);
over_transports_of_many_channels!(a_board_of_its_is_the_one_on_the_wire);

const MESSAGES: u64 = 200;

/// Over the way that a raw reader of the case goes; a raw event stream is an event stream to it.
fn client(case: Case, server: &Server) -> Client {
    let transport = match case.transport {
        Transport::Ws => tricast_client::Transport::Ws,
        Transport::SseGet | Transport::SsePost | Transport::RawSse => tricast_client::Transport::Sse,
        Transport::PollGet | Transport::PollPost => tricast_client::Transport::Poll,
    };
    Client::builder(&format!("{}/rt", server.origin())).transports([transport]).build().unwrap()
}

async fn subscribe(client: &Client, channel: &str, start: Start) -> Subscription {
    watchdog("a subscription", client.channel(channel).unwrap().subscribe(start)).await.unwrap()
}

async fn next(subscription: &mut Subscription) -> Event {
    watchdog("an event", subscription.next()).await.expect("the subscription goes on")
}

/// The next message: its seq and what it carries.
async fn message(subscription: &mut Subscription) -> (u64, Value) {
    loop {
        match next(subscription).await {
            Event::Message(message) => break (message.seq.get(), message.json().unwrap()),
            Event::Subscribed(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn what_it_publishes_comes_to_raw_readers_in_its_order_once(case: Case) {
    let server = Server::start(case.backplane).await;
    let client = client(case, &server);
    let mut reader = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
    for number in 1..=MESSAGES {
        let draft = Draft::json(&number).unwrap().id(format!("m{number}"));
        let published = watchdog("a publish", client.publish("chat:a", draft)).await.unwrap();
        assert_eq!((published.position.seq.get(), published.duplicate), (number, false));
        assert_eq!(reader.message().await["data"], json!(number));
    }
    let again = Draft::json("again").unwrap().id("m1");
    let repeated = watchdog("a repeat", client.publish("chat:a", again)).await.unwrap();
    assert_eq!((repeated.position.seq.get(), repeated.duplicate), (1, true));
}

async fn it_reads_what_a_raw_reader_reads(case: Case) {
    let server = Server::start(case.backplane).await;
    let client = client(case, &server);
    server.publish_all("chat:a", 1..=MESSAGES / 2).await;
    let mut own = subscribe(&client, "chat:a", Start::Last(30)).await;
    let mut raw = Reader::open(case.transport, &server, &Query::of("chat:a").from("last:30")).await;
    server.publish_all("chat:a", MESSAGES / 2 + 1..=MESSAGES).await;
    for seq in MESSAGES / 2 - 29..=MESSAGES {
        let on_the_wire = raw.message().await;
        assert_eq!(message(&mut own).await, (seq, on_the_wire["data"].clone()));
        assert_eq!(on_the_wire["seq"], json!(seq));
    }
}

/// A position is nobody's own: what one kind of reader leaves another takes up.
async fn it_goes_on_where_a_raw_reader_stood(case: Case) {
    let server = Server::start(case.backplane).await;
    let client = client(case, &server);
    let mut raw = Reader::open(case.transport, &server, &Query::of("chat:a")).await;
    server.publish_all("chat:a", 1..=3).await;
    assert_eq!(raw.seqs(3).await, [1, 2, 3]);
    let position = raw.cursor().parse().unwrap();
    drop(raw);
    server.publish_all("chat:a", 4..=6).await;
    let mut own = subscribe(&client, "chat:a", Start::At(position)).await;
    for seq in 4..=6 {
        assert_eq!(message(&mut own).await.0, seq);
    }
    let position = own.position().unwrap().to_string();
    server.publish("chat:a", 7).await;
    let mut raw = Reader::open(case.transport, &server, &Query::of("chat:a").cursor(&position)).await;
    assert_eq!(raw.seqs(1).await, [7]);
}

async fn a_board_of_its_is_the_one_on_the_wire(case: Case) {
    let mut board = Board::start(case.backplane).await;
    let client = client(case, &board.server);
    for number in 0..100 {
        board.set(format!("k{}", number % 40)).await;
        if number % 7 == 0 {
            board.delete(format!("k{}", number % 40)).await;
        }
    }
    let mut own = subscribe(&client, board.channel, Start::Earliest).await;
    let mut entries = Entries::new();
    while !entries.is_live() {
        entries.apply(&next(&mut own).await);
    }
    let own: BTreeMap<String, u64> =
        entries.iter().map(|(key, message)| (key.to_owned(), message.json().unwrap())).collect();
    let mut raw = View::default();
    raw.read_until_live(&mut board.read(case.transport, board.query()).await).await;
    assert_eq!(own, raw.map);
    assert!(own.len() > 20, "{own:?}");
}
