//! A hook that takes its time, or never comes back, or panics: nobody but its own caller waits for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tricast::{Access, Builder, Draft, PublishError, Publishing, Read, Refused, Rule, Start};

use super::{Count, ask, post, socket, start};
use crate::client::http::Request;
use crate::client::{Query, Ws, eventually, type_of, watchdog};
use crate::server::Server;

/// A door that a hook stands before until the test opens it.
#[derive(Debug, Clone)]
struct Door {
    permits: Arc<Semaphore>,
    waiting: Count,
}

impl Door {
    fn closed() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), waiting: Count::default() }
    }

    /// Lets so many through.
    fn open(&self, count: usize) {
        self.permits.add_permits(count);
    }

    async fn pass(&self) {
        self.waiting.up();
        self.permits.acquire().await.unwrap().forget();
    }

    /// Waits until so many have come to it.
    async fn has_met(&self, count: usize) {
        eventually("the hook being asked", || self.waiting.get() == count).await;
    }

    /// `slow:` channels wait at the door.
    fn guards(&self, builder: Builder) -> Builder {
        let door = self.clone();
        let rule = Rule::stream().publish(Access::Anyone);
        builder.rule("slow:{room}", rule).on_publish("slow:{room}", move |publishing: Publishing| {
            let door = door.clone();
            async move {
                door.pass().await;
                Ok(publishing.draft)
            }
        })
    }
}

fn publish(channel: &str, reference: u64) -> Value {
    json!({"type": "publish", "channel": channel, "data": reference, "ref": reference})
}

async fn length(server: &Server, channel: &str) -> u64 {
    server.tricast.channel(channel).unwrap().position().await.unwrap().seq.get()
}

/// What is published to `chat:` channels says what the hook does.
fn misbehaving(builder: Builder) -> Builder {
    let hook = |publishing: Publishing| {
        let how: String = publishing.json().unwrap();
        assert_ne!(how, "panic at once");
        async move {
            match &*how {
                "panic" => panic!("a hook of this test"),
                "hang" => std::future::pending().await,
                _ => Ok::<Draft, Refused>(publishing.draft),
            }
        }
    };
    builder.on_publish("chat:{room}", hook).hook_timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn a_hook_that_panics_or_hangs_is_an_error_and_the_connection_lives() {
    let server = start(misbehaving).await;
    let mut ws = socket(&server).await;
    for (how, code, status) in
        [("panic", "internal", 500), ("panic at once", "internal", 500), ("hang", "timeout", 408)]
    {
        let command = json!({"type": "publish", "channel": "chat:a", "data": how, "ref": how});
        let error = ws.ask(command.clone()).await;
        assert_eq!((type_of(&error), &error["code"], &error["ref"]), ("error", &json!(code), &json!(how)), "{error}");
        assert!(error["message"].as_str().unwrap().contains("on_publish"), "{error}");
        assert!(!error.to_string().contains("of this test"), "a panic's words are not the caller's business");
        let response = post(&server, &command).await;
        assert_eq!((response.status, response.header("retry-after").is_some()), (status, true), "{how}");
        let problem = server.tricast.publish("chat:a", Draft::json(how).unwrap()).await.unwrap_err();
        assert!(matches!(problem, PublishError::Hook(_)) && problem.code().as_str() == code, "{problem:?}");
    }
    let fine = json!({"type": "publish", "channel": "chat:a", "data": "fine"});
    assert_eq!(type_of(&ws.ask(fine.clone()).await), "published");
    assert_eq!(type_of(&ask(&server, &fine).await), "published");
}

/// While the application is asked the connection delivers; its later commands wait their turn, in order.
#[tokio::test]
async fn a_socket_goes_on_delivering_while_its_hook_is_asked() {
    let door = Door::closed();
    let server = start(|builder| door.guards(builder)).await;
    let mut ws = Ws::open(server.address, &Query::of("chat:a")).await;
    ws.until("subscribed").await;
    ws.send(json!([publish("slow:a", 1), {"type": "ping", "ref": 2}, publish("slow:a", 3)])).await;
    ws.send(json!({"type": "ping", "ref": 4})).await;
    door.has_met(1).await;
    for number in [10, 11] {
        server.publish("chat:a", number).await;
        assert_eq!(ws.next_event().await["data"], number, "delivered while the hook is asked");
    }
    door.open(1);
    let first = [ws.next_event().await, ws.next_event().await];
    assert_eq!(
        first.each_ref().map(|event| (type_of(event), &event["ref"])),
        [("published", &json!(1)), ("pong", &json!(2))]
    );
    door.has_met(2).await;
    server.publish("chat:a", 12).await;
    assert_eq!(ws.next_event().await["data"], 12);
    door.open(1);
    let rest = [ws.next_event().await, ws.next_event().await];
    assert_eq!(
        rest.each_ref().map(|event| (type_of(event), &event["ref"])),
        [("published", &json!(3)), ("pong", &json!(4))]
    );
    assert_eq!(length(&server, "slow:a").await, 2);
}

/// What a hook has begun to store is appended, though its publisher has gone.
#[tokio::test]
async fn a_publish_is_not_cut_short_by_its_connections_end() {
    let door = Door::closed();
    let server = start(|builder| door.guards(builder)).await;
    let mut ws = socket(&server).await;
    ws.send(publish("slow:a", 1)).await;
    door.has_met(1).await;
    drop(ws);
    let gone = tokio::spawn({
        let (address, body) = (server.address, publish("slow:a", 2).to_string());
        async move { Request::post("/rt/send", body).send(address).await }
    });
    door.has_met(2).await;
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    door.open(2);
    let mut log = server.tricast.channel("slow:a").unwrap().read(Start::Earliest).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(watchdog("what was stored", log.next()).await, Some(Read::Message(_))));
    }
}

/// A drain does not wait for a hook, but says goodbye at once.
#[tokio::test]
async fn a_socket_is_drained_while_its_hook_is_asked() {
    let door = Door::closed();
    let server = start(|builder| door.guards(builder)).await;
    let mut ws = socket(&server).await;
    ws.send(publish("slow:a", 1)).await;
    door.has_met(1).await;
    let tricast = server.tricast.clone();
    let draining = tokio::spawn(async move { tricast.drain(tricast_testkit::WATCHDOG * 2).await });
    assert_eq!(ws.next_event().await["code"], "draining");
    assert_eq!(ws.closed().await.code, 1001);
    drop(ws);
    watchdog("the drain", draining).await.unwrap();
    door.open(1);
}

/// Nothing is received while the application is asked, so the peer is not taken for dead; and it hears pings, so that
/// it does not take the server for dead. Heartbeats of a second: none below it is served.
#[tokio::test]
async fn a_socket_outlives_a_hook_that_takes_many_heartbeats() {
    let door = Door::closed();
    let heartbeat = Duration::from_secs(1);
    let server = start(|builder| door.guards(builder).heartbeat_ws(heartbeat)).await;
    let mut ws = socket(&server).await;
    ws.send(publish("slow:a", 1)).await;
    for _ in 0..4 {
        // Unanswered, as far as the server can see: it reads nothing now.
        assert_eq!(type_of(&ws.next_event().await), "ping");
    }
    ws.send(json!({"type": "pong"})).await;
    door.open(1);
    assert_eq!(ws.next_event().await["ref"], 1);
    ws.assert_silent().await;
}
