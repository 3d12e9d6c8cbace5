//! Holding a request. Protocol, 6 "Long-poll": an answer comes at once when there is something to tell, else when
//! something comes, else empty after `wait`.

use serde_json::json;

use crate::client::{Answer, Poll, Query, Transport, eventually};
use crate::server::{Backplane, Server};

const BOTH: [Transport; 2] = [Transport::PollGet, Transport::PollPost];

fn poller(transport: Transport, server: &Server, query: &Query) -> Poll {
    Poll::new(transport, server.address, query.clone())
}

/// Sends a poll and waits until the node holds it.
async fn park(server: &Server, poll: &Poll) -> tokio::task::JoinHandle<Answer> {
    let (request, address, before) = (poll.request(), server.address, server.connections());
    let parked = tokio::spawn(async move { Answer::read(request.send(address).await).await });
    eventually("the poll is held", || server.connections() == before + 1).await;
    parked
}

#[tokio::test]
async fn the_first_answer_tells_where_the_reader_stands() {
    let server = Server::start(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    for transport in BOTH {
        // The longest wait: what comes within the watchdog came at once.
        let answer = poller(transport, &server, &Query::of("chat:a").wait(60.0)).answer().await;
        let subscribed = json!({"type": "subscribed", "channel": "chat:a", "kind": "stream",
            "position": position, "head": position});
        assert_eq!((answer.cursor, answer.events), (position.clone(), vec![subscribed]));
    }
}

#[tokio::test]
async fn a_poll_is_held_until_something_comes() {
    let server = Server::start(Backplane::Memory).await;
    for transport in BOTH {
        let mut poll = poller(transport, &server, &Query::of("chat:a").wait(60.0));
        poll.answer().await;
        let parked = park(&server, &poll).await;
        let position = server.publish("chat:a", 1).await;
        let answer = parked.await.unwrap();
        assert_eq!((answer.types(), &answer.cursor), (vec!["message"], &position));
    }
}

#[tokio::test]
async fn any_of_its_channels_ends_the_wait() {
    let server = Server::start(Backplane::Memory).await;
    let mut poll = poller(Transport::PollGet, &server, &Query::of_all(&["chat:a", "chat:b"]).wait(60.0));
    poll.answer().await;
    let parked = park(&server, &poll).await;
    let second = server.publish("chat:b", 1).await;
    let answer = parked.await.unwrap();
    assert_eq!(answer.events[0]["channel"], "chat:b");
    assert_eq!(answer.cursor, format!("{}-0,{second}", server.epoch("chat:a").await));
}

#[tokio::test]
async fn without_news_the_answer_is_empty_and_keeps_the_cursor() {
    let server = Server::start(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    for transport in BOTH {
        for wait in [0.0, 0.2, 1.0] {
            let query = Query::of("chat:a").cursor(&position).wait(wait);
            let answer = poller(transport, &server, &query).answer().await;
            assert_eq!((answer.events, &answer.cursor), (vec![], &position));
        }
    }
}

#[tokio::test]
async fn who_is_behind_is_answered_at_once() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("few:a", 1..=10).await;
    for transport in BOTH {
        let ask = async |cursor: &str| {
            let query = Query::of("few:a").cursor(cursor).wait(60.0);
            poller(transport, &server, &query).answer().await
        };
        let behind = ask(&positions[7]).await;
        assert_eq!((behind.types(), behind.cursor.as_str()), (vec!["message"; 2], positions[9].as_str()));
        let gap = ask(&positions[0]).await;
        assert_eq!(gap.types(), ["subscribed", "gap", "message", "message", "message"]);
        assert_eq!(gap.cursor, positions[9]);
        let beyond = ask(&positions[9].replace("-10", "-99")).await;
        assert_eq!((beyond.types(), beyond.cursor.as_str()), (vec!["subscribed", "gap"], positions[9].as_str()));
    }
}

/// A poll that holds a place in one channel and has none in another is told about the other at once.
#[tokio::test]
async fn a_channel_without_a_place_does_not_wait_for_the_others() {
    let server = Server::start(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    let query = Query::of_all(&["chat:a", "chat:b"]).cursor(format!("{position},-")).wait(60.0);
    let answer = poller(Transport::PollGet, &server, &query).answer().await;
    assert_eq!((answer.types(), &answer.events[0]["channel"]), (vec!["subscribed"], &json!("chat:b")));
    assert_eq!(answer.cursor, format!("{position},{}-0", server.epoch("chat:b").await));
}

/// Protocol, 5.1: at most one batch, 512 messages; 6: a batch that was cut is followed by the next request, which
/// answers at once.
#[tokio::test]
async fn a_long_log_comes_in_batches_without_waiting() {
    let server = Server::start(Backplane::Memory).await;
    server.publish_all("chat:a", 1..=1_200).await;
    for transport in BOTH {
        let mut poll = poller(transport, &server, &Query::of("chat:a").from("earliest").wait(60.0));
        let mut seqs = Vec::new();
        while seqs.len() < 1_200 {
            let page = poll.answer().await.seqs();
            assert!((1..=512).contains(&page.len()), "{}", page.len());
            seqs.extend(page);
        }
        assert_eq!(seqs, (1..=1_200).collect::<Vec<_>>());
    }
}

/// Protocol, 5.1: a batch has 256 KiB, and at least one message.
#[tokio::test]
async fn a_batch_is_bounded_in_bytes_too() {
    let server = Server::start(Backplane::Memory).await;
    for _ in 0..20 {
        server.publish("chat:a", "x".repeat(60_000)).await;
    }
    let mut poll = poller(Transport::PollGet, &server, &Query::of("chat:a").from("earliest"));
    let mut pages = Vec::new();
    while pages.iter().sum::<usize>() < 20 {
        pages.push(poll.answer().await.seqs().len());
    }
    assert!(pages.iter().all(|page| (1..=5).contains(page)), "{pages:?}");
}

/// A batch is shared fairly among the channels: a long log does not keep a short one waiting.
#[tokio::test]
async fn a_batch_is_shared_among_channels() {
    let server = Server::start(Backplane::Memory).await;
    server.publish_all("chat:long", 1..=1_000).await;
    server.publish_all("chat:short", 1..=3).await;
    let query = Query::of_all(&["chat:long", "chat:short"]).from("earliest");
    let answer = poller(Transport::PollGet, &server, &query).answer().await;
    let of = |channel: &str| {
        answer.events.iter().filter(|event| event["channel"] == channel && event["type"] == "message").count()
    };
    assert_eq!(of("chat:short"), 3);
    assert!((1..=512).contains(&of("chat:long")), "{}", of("chat:long"));
}

/// An answer that was lost is asked for again with the cursor before it.
#[tokio::test]
async fn the_same_cursor_is_answered_the_same() {
    let server = Server::start(Backplane::Memory).await;
    let positions = server.publish_all("chat:a", 1..=5).await;
    let query = Query::of("chat:a").cursor(&positions[1]);
    for _ in 0..2 {
        assert_eq!(poller(Transport::PollGet, &server, &query).answer().await.seqs(), [3, 4, 5]);
    }
}

#[tokio::test]
async fn nobody_keeps_an_answer() {
    let server = Server::start(Backplane::Memory).await;
    for transport in BOTH {
        let response = Query::of("chat:a").request(transport).send(server.address).await;
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("content-type"), Some("application/json"));
    }
}

/// Protocol, 2: `wait` is 0 to 60 s, outside: `bad_request`.
#[tokio::test]
async fn a_wait_outside_its_range_is_refused() {
    let server = Server::start(Backplane::Memory).await;
    for transport in BOTH {
        for (wait, status) in [(-1.0, 400), (60.5, 400), (1e300, 400), (60.0, 200), (0.0, 200)] {
            let response = Query::of("chat:a").wait(wait).request(transport).send(server.address).await;
            assert_eq!(response.status, status, "{transport:?} {wait}");
            let body = response.json().await;
            if status == 400 {
                assert_eq!(body["code"], "bad_request");
                assert!(body["message"].as_str().unwrap().contains("wait"), "{body}");
            }
        }
    }
    let word = crate::client::http::Request::get("/rt/poll?channel=chat:a&wait=long").send(server.address).await;
    assert_eq!(word.status, 400);
}

/// Protocol, 7: `unavailable` is 503 and may be tried again. Here a node has no room for a second channel.
#[tokio::test]
async fn what_cannot_be_served_now_says_when_to_try_again() {
    let (server, _reader) = Server::start_full(Backplane::Memory).await;
    let position = server.publish("chat:a", 1).await;
    for transport in BOTH {
        // A cursor changes nothing: a client must not take what will be there again as unsubscribed.
        for query in [Query::of("chat:b"), Query::of_all(&["chat:a", "chat:b"]).cursor(&position)] {
            let response = query.request(transport).send(server.address).await;
            assert_eq!(response.status, 503);
            assert!(response.header("retry-after").is_some());
            let error = response.json().await;
            assert_eq!((&error["code"], &error["channel"]), (&json!("unavailable"), &json!("chat:b")));
        }
    }
}

#[tokio::test]
async fn a_poller_that_goes_away_is_forgotten() {
    let server = Server::start(Backplane::Memory).await;
    let mut poll = poller(Transport::PollGet, &server, &Query::of("chat:a").wait(60.0));
    poll.answer().await;
    let parked = park(&server, &poll).await;
    parked.abort();
    eventually("the node noticed", || server.connections() == 0).await;
}
