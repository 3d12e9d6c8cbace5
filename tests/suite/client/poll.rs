//! Polling: one request after another, each with the cursor of the answer before.

use std::net::SocketAddr;

use serde_json::Value;

use super::http::{Request, Response};
use super::{Query, Transport};

/// A poller, between two requests.
#[derive(Debug)]
pub(crate) struct Poll {
    transport: Transport,
    address: SocketAddr,
    query: Query,
    asked: bool,
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) cursor: String,
    pub(crate) events: Vec<Value>,
    pub(crate) expires_in: Option<f64>,
}

impl Answer {
    pub(crate) async fn read(response: Response) -> Self {
        if response.status != 200 {
            let status = response.status;
            panic!("{status}: {}", response.text().await);
        }
        assert_eq!(response.header("content-type"), Some("application/json"));
        let mut json = response.json().await;
        let Value::Array(events) = json["events"].take() else { panic!("no events: {json}") };
        let expires_in = json.get("expires_in").map(|seconds| seconds.as_f64().unwrap());
        Self { cursor: json["cursor"].as_str().unwrap().to_owned(), events, expires_in }
    }

    /// The types of its events.
    pub(crate) fn types(&self) -> Vec<&str> {
        self.events.iter().map(super::type_of).collect()
    }

    /// The seqs of its messages, of whatever channel.
    pub(crate) fn seqs(&self) -> Vec<u64> {
        let messages = self.events.iter().filter(|event| event["type"] == "message");
        messages.map(|message| message["seq"].as_u64().unwrap()).collect()
    }
}

impl Poll {
    pub(crate) fn new(transport: Transport, address: SocketAddr, query: Query) -> Self {
        assert!(transport.is_poll());
        Self { transport, address, query, asked: false }
    }

    /// The cursor of the last answer.
    pub(crate) fn cursor(&self) -> Option<&str> {
        self.query.cursor.as_deref().filter(|_| self.asked)
    }

    /// The next request.
    pub(crate) fn request(&self) -> Request {
        self.query.request(self.transport)
    }

    /// Asks, and takes the answer's cursor over.
    pub(crate) async fn answer(&mut self) -> Answer {
        let answer = Answer::read(self.request().send(self.address).await).await;
        self.query.cursor = Some(answer.cursor.clone());
        self.asked = true;
        answer
    }
}
