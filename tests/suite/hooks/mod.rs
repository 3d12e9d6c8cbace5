//! What the application is asked and told. Protocol, 4 to 7; what a hook is promised stands in the crate's `hooks`.

mod call;
mod connect;
mod publish;
mod publish_slow;
mod subscribe;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tricast::{Builder, Refused};

use crate::client::http::{Request, Response};
use crate::client::{Query, Ws};
use crate::server::{Backplane, Server};

/// Every code that an application may give, with its status.
const CODES: [(&str, u16); 7] = [
    ("bad_request", 400),
    ("forbidden", 403),
    ("conflict", 409),
    ("too_large", 413),
    ("rate_limited", 429),
    ("unavailable", 503),
    ("internal", 500),
];

/// The `retry_after` of what [`refused`] limits.
const RETRY_AFTER: Duration = Duration::from_millis(1_500);

/// A refusal with the code of this name.
pub(crate) fn refused(code: &str) -> Refused {
    let message = format!("refused as {code}");
    match code {
        "bad_request" => Refused::bad_request(message),
        "forbidden" => Refused::forbidden(message),
        "conflict" => Refused::conflict(message),
        "too_large" => Refused::too_large(message),
        "rate_limited" => Refused::rate_limited(message, RETRY_AFTER),
        "unavailable" => Refused::unavailable(message),
        "internal" => Refused::internal(message),
        other => panic!("an application cannot give the code {other}"),
    }
}

/// How often something happened.
#[derive(Debug, Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn up(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a hook was told, in order.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Vec<String>>>);

impl Heard {
    fn note(&self, word: impl Into<String>) {
        self.0.lock().unwrap().push(word.into());
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

async fn start(build: impl FnOnce(Builder) -> Builder) -> Server {
    Server::start_with(Backplane::Memory, build, |serve| serve).await
}

async fn post(server: &Server, commands: &Value) -> Response {
    Request::post("/rt/send", commands.to_string()).send(server.address).await
}

async fn ask(server: &Server, commands: &Value) -> Value {
    post(server, commands).await.json().await
}

/// A socket that was welcomed and reads nothing.
async fn socket(server: &Server) -> Ws {
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    ws
}
