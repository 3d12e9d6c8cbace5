//! What stands between a client and its server.

use std::time::Duration;

use tricast_client::{Client, State, Transport};
use tricast_testkit::net::{Behaviour, Proxy};
use tricast_testkit::nginx::{Nginx, Preset};

use crate::support::{client, numbers, publish, server, soon, subscribe, until};

#[tokio::test]
async fn where_upgrades_are_blocked_it_reads_a_stream_and_where_streams_are_or_never_come_it_polls() {
    let server = server();
    let presets = [
        (Preset::NoUpgrade, Transport::Sse),
        (Preset::PollOnly, Transport::Poll),
        (Preset::Buffering, Transport::Poll),
    ];
    for (preset, expected) in presets {
        let nginx = Nginx::start(preset, server.address());
        let url = format!("http://{}/rt", nginx.address());
        let client = Client::builder(&url).connect_timeout(Duration::from_secs(1)).build().unwrap();
        let channel = format!("open:{preset:?}");
        let mut room = subscribe(&client, &channel, None).await;
        assert_eq!(client.state().transport(), Some(expected), "{preset:?}");
        publish(&client, &channel, 0..3).await;
        assert_eq!(numbers(&mut room, 3).await, [0, 1, 2]);
    }
}

#[tokio::test]
async fn through_a_bare_proxy_it_reads_too() {
    let server = server();
    let nginx = Nginx::start(Preset::Plain, server.address());
    let client = client(nginx.address(), &Transport::ALL);
    let mut room = subscribe(&client, "open:plain", None).await;
    publish(&client, "open:plain", 0..3).await;
    assert_eq!(numbers(&mut room, 3).await, [0, 1, 2]);
}

#[tokio::test]
async fn a_silent_server_is_left_for_the_next_transport_within_the_connect_timeout() {
    let server = server();
    let proxy = Proxy::start(server.address());
    proxy.behave(Behaviour::Stall);
    let client = Client::builder(&format!("http://{}/rt", proxy.address()))
        .connect_timeout(Duration::from_millis(50))
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .build()
        .unwrap();
    let channel = client.channel("open:a").unwrap();
    let subscribing = tokio::spawn(channel.subscribe(None));
    until(&client, |state| matches!(state, State::Waiting { .. })).await;
    assert!(proxy.accepted() >= 3, "each transport had its turn");
    proxy.behave(Behaviour::Pass);
    soon(subscribing).await.unwrap().unwrap();
}
