//! `on_connect` and `on_disconnect`: who is let in, and what is told when it has gone.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::sync::Semaphore;
use tricast::{Builder, Connecting, Disconnected, Refused};

use super::{CODES, Count, Heard, RETRY_AFTER, refused, start};
use crate::client::{Block, Query, Reader, Sse, Transport, Ws, eventually, type_of, watchdog};
use crate::server::Server;

const CLIENT: &str = "client-of-this-test";

/// Lets everybody in but clients whose id is a code; notes who comes and who goes.
fn door(heard: &Heard) -> impl FnOnce(Builder) -> Builder {
    let (comes, goes) = (heard.clone(), heard.clone());
    move |builder| {
        let connect = move |connecting: Connecting| {
            let client = connecting.client.map_or_else(|| "nobody".to_owned(), |id| id.as_str().to_owned());
            comes.note(format!("{client} comes by {:?}", connecting.transport));
            async move {
                match CODES.iter().find(|(code, _)| *code == client) {
                    Some((code, _)) => Err(refused(code)),
                    None => Ok(()),
                }
            }
        };
        let disconnect = move |gone: Disconnected| {
            let client = gone.client.map_or_else(|| "nobody".to_owned(), |id| id.as_str().to_owned());
            goes.note(format!("{client} goes by {:?}", gone.transport));
            async {}
        };
        builder.on_connect(connect).on_disconnect(disconnect)
    }
}

async fn assert_bye(server: &Server, transport: Transport, code: &str) {
    let mut sse = Sse::open(transport, server.address, &Query::of("chat:a").client(code)).await;
    let block: Block = sse.block().await;
    let bye = block.json();
    assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!(code), &json!(true)), "{bye}");
    if code == "rate_limited" {
        let after = u64::try_from(RETRY_AFTER.as_millis()).unwrap();
        assert_eq!((bye["after"].as_u64(), block.retry), (Some(after), Some(after)));
    } else {
        assert!((1_000..=30_000).contains(&block.retry.unwrap()), "{block:?}");
    }
    assert_eq!(sse.try_block().await, None);
}

/// Protocol, 6 and 7: before anything else is told, by the status or, where that could not be seen, by `bye`.
#[tokio::test]
async fn who_is_refused_is_told_by_the_code_on_each_transport() {
    let heard = Heard::default();
    let server = start(door(&heard)).await;
    for (code, status) in CODES {
        let mut ws = Ws::open(server.address, &Query::of("chat:a").client(code)).await;
        let bye = ws.next_event().await;
        let reconnect = matches!(code, "rate_limited" | "unavailable" | "internal");
        assert_eq!((type_of(&bye), &bye["code"], &bye["reconnect"]), ("bye", &json!(code), &json!(reconnect)));
        assert_eq!(bye["reason"], format!("refused as {code}"));
        assert_eq!(bye["after"].is_u64(), code == "rate_limited");
        assert_eq!(ws.closed().await.reason, code);

        for transport in [Transport::SsePost, Transport::PollGet, Transport::PollPost] {
            let response = Query::of("chat:a").client(code).request(transport).send(server.address).await;
            assert_eq!(
                (response.status, response.header("retry-after").is_some()),
                (status, reconnect),
                "{transport:?}"
            );
            assert_eq!(response.json().await["code"], code);
        }
        for transport in [Transport::RawSse, Transport::SseGet] {
            if reconnect {
                assert_bye(&server, transport, code).await;
            } else {
                let response = Query::of("chat:a").client(code).request(transport).send(server.address).await;
                assert_eq!(response.status, status, "{transport:?}");
            }
        }
    }
    eventually("who was refused is gone", || server.connections() == 0).await;
    assert!(heard.all().iter().all(|word| word.contains(" comes ")), "of whom was refused nobody is told: {heard:?}");
}

/// Once for each WebSocket and each SSE stream; a poll has no connection.
#[tokio::test]
async fn a_connection_is_asked_about_once_and_told_of_once() {
    let heard = Heard::default();
    let server = start(door(&heard)).await;
    let mut expected = Vec::new();
    for transport in Transport::ALL {
        let reader = Reader::open(transport, &server, &Query::of("chat:a").client(CLIENT)).await;
        server.publish("chat:a", 1).await;
        let way = match transport {
            Transport::Ws => "Ws",
            Transport::PollGet | Transport::PollPost => "Poll",
            Transport::SseGet | Transport::SsePost | Transport::RawSse => "Sse",
        };
        expected.push(format!("{CLIENT} comes by {way}"));
        drop(reader);
        if !transport.is_poll() {
            expected.push(format!("{CLIENT} goes by {way}"));
        }
        eventually("the application being told", || heard.all().len() >= expected.len()).await;
    }
    assert_eq!(heard.all(), expected);
}

/// A WebSocket is given an id where it chose none; the others have none.
#[tokio::test]
async fn only_a_socket_has_an_id_that_it_did_not_choose() {
    let heard = Heard::default();
    let server = start(door(&heard)).await;
    let mut ws = Ws::open(server.address, &Query::default()).await;
    let welcome = ws.until("welcome").await;
    let _sse = Reader::open(Transport::SseGet, &server, &Query::of("chat:a")).await;
    let told = [format!("{} comes by Ws", welcome["client"].as_str().unwrap()), "nobody comes by Sse".to_owned()];
    assert_eq!(heard.all(), told);
}

#[tokio::test]
async fn a_hook_that_panics_or_hangs_lets_nobody_in_and_a_goodbye_that_panics_harms_nobody() {
    let build = |builder: Builder| {
        builder
            .hook_timeout(Duration::from_millis(50))
            .on_connect(|connecting: Connecting| async move {
                match connecting.client.as_ref().map(|id| id.as_str().to_owned()).as_deref() {
                    Some("to-panic") => panic!("a hook of this test"),
                    Some("to-hang-") => std::future::pending().await,
                    _ => Ok(()),
                }
            })
            .on_disconnect(|gone: Disconnected| async move { assert!(gone.client.is_none(), "a hook of this test") })
    };
    let server = start(build).await;
    for (client, code, close) in [("to-panic", "internal", 1011), ("to-hang-", "timeout", 4408)] {
        let mut ws = Ws::open(server.address, &Query::default().client(client)).await;
        assert_eq!(ws.next_event().await["code"], code);
        assert_eq!(ws.closed().await.code, close);
        let response = Query::of("chat:a").client(client).request(Transport::PollGet).send(server.address).await;
        assert_eq!(response.json().await["code"], code);
    }
    drop(Reader::open(Transport::Ws, &server, &Query::of("chat:a")).await);
    eventually("everybody has gone", || server.connections() == 0).await;
    drop(Reader::open(Transport::Ws, &server, &Query::of("chat:a")).await);
}

/// Whoever was let in is told of, though it had gone before the answer; and a drain waits until that is done.
#[tokio::test]
async fn who_goes_before_it_is_let_in_is_told_of_all_the_same() {
    let (asked, told) = (Count::default(), Count::default());
    let open = Arc::new(Semaphore::new(0));
    let (count, goes, door) = (asked.clone(), told.clone(), Arc::clone(&open));
    let build = |builder: Builder| {
        builder
            .on_connect(move |_| {
                let door = Arc::clone(&door);
                count.up();
                async move { door.acquire().await.map(drop).map_err(|_| Refused::unavailable("the door is gone")) }
            })
            .on_disconnect(move |_| {
                let goes = goes.clone();
                async move {
                    // Long enough for a drain that does not wait to be over first.
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    goes.up();
                }
            })
    };
    let server = start(build).await;
    let asks = [Transport::SsePost, Transport::SseGet].map(|transport| {
        let (address, request) = (server.address, Query::of("chat:a").request(transport));
        tokio::spawn(async move { request.send(address).await })
    });
    let socket = Ws::open(server.address, &Query::default()).await;
    eventually("all being asked about", || asked.get() == 3).await;
    for ask in asks {
        ask.abort();
        assert!(ask.await.unwrap_err().is_cancelled());
    }
    open.add_permits(3);
    eventually("two being told of", || told.get() == 2).await;
    let tricast = server.tricast.clone();
    let drained = tokio::spawn(async move { tricast.drain(tricast_testkit::WATCHDOG * 2).await });
    watchdog("the drain", drained).await.unwrap();
    assert_eq!(told.get(), 3, "a drain waits for the application to be told");
    drop(socket);
}
