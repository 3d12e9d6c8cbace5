//! Publishes and questions.

use std::time::Duration;

use tricast_client::{AskError, Client, Code, Draft, Json, Page, PublishError, Start, Transport};
use tricast_testkit::net::{Behaviour, Proxy};

use crate::support::{numbers, on, publish, server, soon, subscribe};

#[tokio::test]
async fn a_publish_is_acknowledged_with_its_position_and_a_repeat_with_the_first() {
    let server = server();
    for transport in Transport::ALL {
        let client = on(transport, server.address());
        let channel = format!("open:{transport}");
        let _room = subscribe(&client, &channel, None).await;
        let draft = Draft::json("x").unwrap().id("once");
        let first = soon(client.publish(&channel, draft.clone())).await.unwrap();
        let repeat = soon(client.publish(&channel, draft)).await.unwrap();
        assert_eq!((&*first.id, first.position.seq.get(), first.duplicate), ("once", 1, false), "{transport}");
        assert_eq!((repeat.position, repeat.duplicate), (first.position, true));
    }
}

#[tokio::test]
async fn without_anything_to_read_publishes_go_without_a_connection() {
    let server = server();
    let client = on(Transport::Ws, server.address());
    publish(&client, "open:a", 0..3).await;
    assert_eq!(client.state().as_str(), "idle");
}

#[tokio::test]
async fn publishes_across_cuts_are_in_the_log_once_and_in_order() {
    let server = server();
    for transport in Transport::ALL {
        let proxy = Proxy::start(server.address());
        let writer = on(transport, proxy.address());
        let channel = format!("open:{transport}");
        let _keeps_it_connected = subscribe(&writer, &channel, None).await;
        let mut reader = subscribe(&on(Transport::Ws, server.address()), &channel, None).await;
        // Connections end after a few answers, at any byte of one.
        proxy.behave(Behaviour::CutAfter(1_500));
        let cutting = tokio::spawn(async move {
            publish(&writer, &channel, 0..60).await;
            proxy
        });
        let expected: Vec<u64> = (0..60).collect();
        assert_eq!(numbers(&mut reader, 60).await, expected, "{transport}");
        let proxy = soon(cutting).await.unwrap();
        assert!(proxy.accepted() > 3, "{transport}: nothing was cut");
    }
}

#[tokio::test]
async fn concurrent_publishes_to_a_channel_keep_their_order() {
    let server = server();
    let client = on(Transport::Sse, server.address());
    let mut room = subscribe(&client, "open:a", None).await;
    let all = (0..200_u64).map(|number| client.publish("open:a", Draft::json(&number).unwrap()));
    let outcomes = soon(futures_util::future::join_all(all)).await;
    assert!(outcomes.iter().all(Result::is_ok));
    let expected: Vec<u64> = (0..200).collect();
    assert_eq!(numbers(&mut room, 200).await, expected);
}

#[tokio::test]
async fn what_cannot_be_published_says_why_and_names_the_channel() {
    let server = server();
    let client = on(Transport::Ws, server.address());
    let refused = soon(client.publish("closed:a", Draft::json("x").unwrap())).await.unwrap_err();
    assert!(matches!(&refused, PublishError::Refused { refusal, .. } if refusal.code == Code::Forbidden));
    assert!(refused.to_string().contains("closed:a"));
    let malformed = client.publish("open:a", Draft::json("x").unwrap().event("error")).await;
    assert!(matches!(malformed, Err(PublishError::Draft { .. })));
    let unnamed = client.publish("no spaces", Draft::json("x").unwrap()).await;
    assert!(matches!(unnamed, Err(PublishError::Name { .. })));
    let large = Draft::json(&"x".repeat(70_000)).unwrap();
    let large = soon(client.publish("open:a", large)).await;
    assert!(matches!(large, Err(PublishError::Refused { refusal, .. }) if refusal.code == Code::TooLarge));
}

#[tokio::test]
async fn a_full_outbox_refuses_and_a_dropped_publish_makes_room() {
    // Nobody listens there.
    let client = Client::builder("http://127.0.0.1:9/rt").outbox(1).build().unwrap();
    let draft = || Draft::json("x").unwrap();
    let mut waiting = Box::pin(client.publish("open:a", draft()));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    let full = client.publish("open:b", draft()).await;
    assert!(matches!(full, Err(PublishError::OutboxFull { most: 1, .. })));
    drop(waiting);
    let mut waiting = Box::pin(client.publish("open:b", draft()));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    soon(client.close()).await;
    assert!(matches!(soon(waiting).await, Err(PublishError::Closed { .. })));
}

#[tokio::test]
async fn history_pages_and_members_are_read_over_each_transport() {
    let server = server();
    for transport in Transport::ALL {
        let client = on(transport, server.address());
        let channel = format!("open:{transport}");
        publish(&client, &channel, 0..5).await;
        let shown = Json::of(&transport.as_str()).unwrap();
        let _room = soon(client.channel(&channel).unwrap().presence(shown.clone()).subscribe(None)).await.unwrap();
        let newest = soon(client.history(&channel, Page::newest().limit(2))).await.unwrap();
        assert_eq!((newest.messages.len(), newest.more, newest.position.seq.get()), (2, true, 5), "{transport}");
        let older = soon(client.history(&channel, Page::before(newest.messages[0].position()))).await.unwrap();
        assert_eq!((older.messages.len(), older.more), (3, false));
        let members = soon(client.members(&channel)).await.unwrap();
        let [member] = members.as_slice() else { panic!("{transport}: {members:?}") };
        assert_eq!((&member.client, member.data.as_ref()), (client.id(), Some(&shown)), "{transport}");
    }
}

#[tokio::test]
async fn a_call_that_nobody_serves_is_refused() {
    let server = server();
    let client = on(Transport::Ws, server.address());
    let answer: Result<u64, AskError> = soon(client.call("nothing", &1)).await;
    assert!(matches!(answer, Err(AskError::Refused { .. })), "{answer:?}");
}

#[tokio::test]
async fn a_publish_outlives_a_server_that_is_not_there_yet() {
    let server = server();
    let proxy = Proxy::start(server.address());
    proxy.behave(Behaviour::Refuse);
    let client = Client::builder(&format!("http://{}/rt", proxy.address()))
        .backoff(Duration::from_millis(10), Duration::from_millis(50))
        .build()
        .unwrap();
    let publishing = tokio::spawn({
        let client = client.clone();
        async move { client.publish("open:a", Draft::json(&1).unwrap()).await }
    });
    while proxy.accepted() < 2 {
        tokio::task::yield_now().await;
    }
    proxy.behave(Behaviour::Pass);
    soon(publishing).await.unwrap().unwrap();
    let mut room = subscribe(&client, "open:a", Start::Earliest).await;
    assert_eq!(numbers(&mut room, 1).await, [1]);
}
