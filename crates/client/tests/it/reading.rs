//! What subscriptions are told.

use tricast_client::{Code, Event, GapReason, Kind, Start, State, SubscribeError, Transport};
use tricast_testkit::net::Proxy;

use crate::support::{next, numbers, on, publish, server, server_at, soon, subscribe, until};

#[tokio::test]
async fn each_transport_delivers_history_and_news_in_order() {
    let server = server();
    for transport in Transport::ALL {
        let channel = format!("open:{transport}");
        let client = on(transport, server.address());
        publish(&client, &channel, 0..3).await;
        let mut room = subscribe(&client, &channel, Start::Last(2)).await;
        let Event::Subscribed(subscribed) = next(&mut room).await else { panic!("subscribed comes first") };
        assert_eq!(subscribed.kind, Kind::Stream);
        publish(&client, &channel, 3..6).await;
        assert_eq!(numbers(&mut room, 5).await, [1, 2, 3, 4, 5], "{transport}");
        assert_eq!(client.state().transport(), Some(transport));
        assert_eq!(room.position().unwrap().seq.get(), 6);
    }
}

#[tokio::test]
async fn a_cut_connection_is_resumed_without_loss_or_repetition() {
    let server = server();
    for transport in Transport::ALL {
        let channel = format!("open:{transport}");
        let proxy = Proxy::start(server.address());
        let (reader, writer) = (on(transport, proxy.address()), on(Transport::Poll, server.address()));
        let mut room = subscribe(&reader, &channel, None).await;
        for round in 0..3 {
            publish(&writer, &channel, round * 10..round * 10 + 5).await;
            proxy.cut();
            publish(&writer, &channel, round * 10 + 5..round * 10 + 10).await;
            let expected: Vec<u64> = (round * 10..round * 10 + 10).collect();
            assert_eq!(numbers(&mut room, 10).await, expected, "{transport}");
        }
    }
}

#[tokio::test]
async fn a_killed_and_restarted_server_is_a_gap_and_reading_goes_on() {
    for transport in Transport::ALL {
        let first = server();
        let address = first.address();
        let client = on(transport, address);
        let mut room = subscribe(&client, "open:a", None).await;
        publish(&client, "open:a", 0..2).await;
        assert_eq!(numbers(&mut room, 2).await, [0, 1]);
        drop(first);
        until(&client, |state| matches!(state, State::Waiting { .. })).await;
        let _second = server_at(address);
        until(&client, |state| matches!(state, State::Connected { .. })).await;
        publish(&client, "open:a", 7..9).await;
        let mut reasons = Vec::new();
        let first_number = loop {
            match next(&mut room).await {
                Event::Gap(gap) => reasons.push(gap.reason),
                Event::Message(message) => break message.json::<u64>().unwrap(),
                Event::Subscribed(_) => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((reasons, first_number), (vec![GapReason::Epoch], 7), "{transport}");
        assert_eq!(numbers(&mut room, 1).await, [8]);
    }
}

#[tokio::test]
async fn cursors_are_kept_when_the_transport_changes() {
    let server = server();
    let writer = on(Transport::Poll, server.address());
    let mut position = None;
    for (round, transport) in (0..).zip([Transport::Ws, Transport::Poll, Transport::Sse, Transport::Ws]) {
        let client = on(transport, server.address());
        let start = position.map_or(Start::Latest, Start::At);
        if round > 0 {
            publish(&writer, "open:hop", [round * 2 - 1]).await;
        }
        let mut room = subscribe(&client, "open:hop", start).await;
        publish(&writer, "open:hop", [round * 2]).await;
        let expected: Vec<u64> = if round == 0 { vec![0] } else { vec![round * 2 - 1, round * 2] };
        assert_eq!(numbers(&mut room, expected.len()).await, expected, "{transport}");
        position = room.position();
    }
}

#[tokio::test]
async fn what_nobody_takes_stays_in_the_log_until_it_is_taken() {
    let server = server();
    for transport in Transport::ALL {
        let channel = format!("open:slow:{transport}");
        let url = server.url("/rt");
        let reader = tricast_client::Client::builder(&url).transports([transport]).buffer(8).build().unwrap();
        let writer = on(Transport::Ws, server.address());
        let mut room = subscribe(&reader, &channel, None).await;
        publish(&writer, &channel, 0..100).await;
        let expected: Vec<u64> = (0..100).collect();
        assert_eq!(numbers(&mut room, 100).await, expected, "{transport}");
    }
}

#[tokio::test]
async fn whoever_is_slower_than_the_log_is_told_of_a_gap() {
    let server = server();
    for transport in Transport::ALL {
        let channel = format!("short:{transport}");
        let url = server.url("/rt");
        let reader = tricast_client::Client::builder(&url).transports([transport]).buffer(4).build().unwrap();
        let writer = on(Transport::Ws, server.address());
        let mut room = subscribe(&reader, &channel, None).await;
        publish(&writer, &channel, 0..40).await;
        let (mut told, mut gaps) = (Vec::new(), 0);
        while told.last() != Some(&39) {
            match next(&mut room).await {
                Event::Message(message) => told.push(message.json::<u64>().unwrap()),
                Event::Gap(gap) => {
                    assert_eq!(gap.reason, GapReason::Expired);
                    gaps += 1;
                }
                Event::Subscribed(_) => {}
                other => panic!("{other:?}"),
            }
        }
        assert!(told.is_sorted_by(|a, b| a < b) && gaps > 0, "{transport}: {told:?}, {gaps} gaps");
    }
}

#[tokio::test]
async fn a_channel_that_may_not_be_read_is_refused_and_the_others_go_on() {
    let server = server();
    for transport in Transport::ALL {
        let client = on(transport, server.address());
        let channel = format!("open:{transport}");
        let mut room = subscribe(&client, &channel, None).await;
        let refused = soon(client.channel("closed:a").unwrap().subscribe(None)).await.unwrap_err();
        let SubscribeError::Refused { channel: culprit, refusal } = refused else { panic!("{refused:?}") };
        assert_eq!((culprit.as_str(), refusal.code), ("closed:a", Code::Forbidden), "{transport}");
        publish(&client, &channel, 0..2).await;
        assert_eq!(numbers(&mut room, 2).await, [0, 1]);
        let twice = client.channel(&channel).unwrap().subscribe(None).await;
        assert!(matches!(twice, Err(SubscribeError::Twice { .. })));
    }
}

#[tokio::test]
async fn several_channels_share_a_connection_and_leave_it_alone() {
    let server = server();
    for transport in Transport::ALL {
        let client = on(transport, server.address());
        let mut rooms = Vec::new();
        for index in 0..4 {
            rooms.push(subscribe(&client, &format!("open:{transport}:{index}"), None).await);
        }
        rooms.remove(0);
        for index in 1..4 {
            publish(&client, &format!("open:{transport}:{index}"), 0..2).await;
        }
        for room in &mut rooms {
            assert_eq!(numbers(room, 2).await, [0, 1], "{transport}");
        }
        drop(rooms);
        until(&client, |state| matches!(state, State::Idle)).await;
    }
}

#[tokio::test]
async fn a_closed_client_ends_its_subscriptions_and_its_states() {
    let server = server();
    let client = on(Transport::Ws, server.address());
    let mut room = subscribe(&client, "open:a", None).await;
    let mut states = client.states();
    soon(client.close()).await;
    while !matches!(next(&mut room).await, Event::Unsubscribed { code: None }) {}
    assert!(soon(room.next()).await.is_none());
    assert!(client.state().is_closed());
    while soon(futures_util::StreamExt::next(&mut states)).await.is_some() {}
    let refused = client.channel("open:b").unwrap().subscribe(None).await;
    assert!(matches!(refused, Err(SubscribeError::Closed { .. })));
}

#[tokio::test]
async fn a_client_ends_with_its_last_handle_and_not_before() {
    let server = server();
    for transport in Transport::ALL {
        let client = on(transport, server.address());
        let channel = format!("open:{transport}");
        let mut room = subscribe(&client, &channel, None).await;
        let mut states = client.states();
        publish(&client, &channel, 0..1).await;
        drop(client);
        assert_eq!(numbers(&mut room, 1).await, [0], "a subscription is a handle: {transport}");
        drop(room);
        while soon(futures_util::StreamExt::next(&mut states)).await.is_some() {}
    }
}
