//! What a node tells of itself through the `metrics` facade.

use std::collections::BTreeMap;

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use serde_json::json;
use tricast::metrics::{CONNECTIONS, PUBLISHED, REFUSED};

use crate::client::http::Request;
use crate::client::{Ws, eventually, upgrade};
use crate::server::{Backplane, Server};

/// By how much each value has changed since the last look, by name and labels. A test's runtime has one thread, so a recorder of that
/// thread sees the whole node and nothing of other tests.
struct Seen(Snapshotter);

impl Seen {
    fn changes(&self) -> BTreeMap<String, f64> {
        let values = self.0.snapshot().into_vec().into_iter().map(|(key, _, _, value)| {
            let key = key.key();
            let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value())).collect::<String>();
            let value = match value {
                DebugValue::Counter(count) => f64::from(u32::try_from(count).unwrap()),
                DebugValue::Gauge(value) => value.into_inner(),
                DebugValue::Histogram(_) => panic!("there are no histograms"),
            };
            (format!("{}{labels}", key.name()), value)
        });
        values.filter(|(_, value)| *value != 0.0).collect()
    }
}

#[tokio::test]
async fn refusals_connections_and_messages_are_counted() {
    let recorder = DebuggingRecorder::new();
    let seen = Seen(recorder.snapshotter());
    let _guard = ::metrics::set_default_local_recorder(&recorder);
    let server = Server::start_with(Backplane::Memory, |builder| builder.connections(2), |serve| serve).await;

    let mut ws = Ws::plain(server.address, "/rt/ws?channel=chat:a").await;
    ws.until("subscribed").await;
    let sse = Request::get("/rt/sse?channel=chat:a").send(server.address).await;
    assert_eq!(sse.status, 200);
    let connections = |change: f64| {
        BTreeMap::from(["sse", "ws"].map(|transport| (format!("{CONNECTIONS} transport={transport}"), change)))
    };
    assert_eq!(seen.changes(), connections(1.0));

    Ws::plain(server.address, "/rt/ws").await.until("bye").await;
    Request::get("/rt/sse?channel=chat:a").send(server.address).await.text().await;
    Request::get("/rt/poll?channel=chat:a").send(server.address).await;
    Request::post("/rt/send", "[]").send(server.address).await;
    Request::post("/rt/send", r#"[{"type":"publish","channel":"news:a","data":1},{"type":"ping"}]"#)
        .send(server.address)
        .await;
    upgrade("/rt/ws").header("Origin", "https://evil.example").send(server.address).await;
    Request::get("/rt/ws").send(server.address).await;
    ws.ask(json!({"type": "publish", "channel": "nobody:knows", "data": 1})).await;
    let refused = |code: &str, transport: &str| format!("{REFUSED} code={code} transport={transport}");
    let told = [
        ("too_many", "ws"),
        ("too_many", "sse"),
        ("too_many", "poll"),
        ("bad_request", "send"),
        ("forbidden", "send"),
        ("forbidden", "ws"),
        ("bad_request", "ws"),
        ("unknown_channel", "ws"),
    ];
    let told = told.map(|(code, transport)| (refused(code, transport), 1.0));
    assert_eq!(seen.changes(), BTreeMap::from(told), "and no place was taken");

    for _ in 0..2 {
        server.publish("chat:a", 1).await;
        ws.ask(json!({"type": "publish", "channel": "few:a", "data": 1, "id": "same"})).await;
        ws.until("published").await;
    }
    assert_eq!(seen.changes()[PUBLISHED], 3.0, "a repeat is not another message");

    drop((ws, sse));
    eventually("the connections are gone", || server.connections() == 0).await;
    assert_eq!(seen.changes(), connections(-1.0));
}
