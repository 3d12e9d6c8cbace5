//! Fairness among the channels of one connection. Issue 3: reading is fair between them; protocol, 5.1: a batch is shared
//! fairly among its channels, and a single larger message still goes.

use std::collections::HashMap;

use crate::client::{Query, Reader};
use crate::matrix::Case;
use crate::server::Server;

over_transports_of_many_channels!(channels_of_large_messages_keep_no_other_waiting);

/// Each of these messages is larger than its channel's share, so that five of them fill a batch; and for each channel
/// there are more than one batch holds.
async fn channels_of_large_messages_keep_no_other_waiting(case: Case) {
    const EACH: usize = 8;
    let server = Server::start(case.backplane).await;
    let names: Vec<String> = (0..9).map(|number| format!("chat:{number}")).collect();
    for name in &names {
        for _ in 0..EACH {
            server.publish(name, "x".repeat(60_000)).await;
        }
    }
    let query = Query { channels: names.clone(), ..Query::default() }.from("earliest");
    let mut reader = Reader::open(case.transport, &server, &query).await;
    let mut counts: HashMap<String, usize> = HashMap::new();
    while !counts.values().any(|count| *count == EACH) {
        let message = reader.message().await;
        *counts.entry(message["channel"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    // The first to be at its end is one of those of which a batch had the most.
    for name in &names {
        assert!(counts.contains_key(name), "{name} had nothing when another had all: {counts:?}");
    }
}
