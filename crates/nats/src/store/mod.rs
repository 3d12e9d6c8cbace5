//! The few requests of JetStream that logs are kept with, spoken over the plain client.
//!
//! No request waits longer than it is told to, and none outlives the connection: what was sent when the connection was
//! lost is of unknown outcome, and is said to be at once.
//!
//! What older servers ignore in silence is not used: neither `Nats-Expected-Last-Subject-Sequence-Subject`, nor batches of
//! gets or of publishes.

mod api;
mod config;
mod read;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::{Client, HeaderMap, Message, Request, RequestErrorKind};
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio::time::Instant;
use tricast_core::channel::{ChannelName, Kind};

use crate::link::is_there;
pub(crate) use api::StreamInfo;
pub(crate) use config::{Names, StreamConfig, keeps_longer};
pub(crate) use read::sequence_of;

/// A message that JetStream keeps.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    /// Its number in the JetStream stream.
    pub(crate) sequence: u64,
    pub(crate) payload: Bytes,
}

/// Why the store did not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum StoreError {
    /// It was not sent, or certainly not done.
    #[error("{0}")]
    Refused(String),
    /// It may have been done.
    #[error("{0}")]
    Unknown(String),
    /// The subject's last message is another than was expected.
    #[error("the channel's last entry is another than was expected")]
    Behind,
    /// There is no such stream, or nobody who leads it.
    #[error("JetStream does not answer: {0}")]
    Absent(String),
}

/// JetStream, by way of one connection.
#[derive(Debug)]
pub(crate) struct Store {
    client: Client,
    pub(crate) names: Names,
    connection: watch::Receiver<u64>,
    /// Reads may be asked of the streams themselves: nobody but their one replica answers.
    direct: AtomicBool,
}

/// What JetStream answers where a subject's last message is not the expected one.
const WRONG_LAST_SEQUENCE: u32 = 10_071;

/// What it answers where another message under the subject is on its way to the replicas, or a new leader does not know yet:
/// what the last one will be is open.
const LAST_SEQUENCE_OPEN: [u32; 2] = [10_163, 10_164];

/// What it answers where a message could not be stored; of replicas others may have it all the same.
const NOT_STORED: u32 = 10_077;

/// How soon it is asked again.
const OPEN: Duration = Duration::from_millis(1);

const EXPECTED_LAST: &str = "Nats-Expected-Last-Subject-Sequence";

impl Store {
    pub(crate) fn new(client: Client, names: Names, connection: watch::Receiver<u64>) -> Self {
        Self { client, names, connection, direct: AtomicBool::new(false) }
    }

    pub(crate) fn read_directly(&self, direct: bool) {
        self.direct.store(direct, Ordering::Relaxed);
    }

    pub(crate) fn is_connected(&self) -> bool {
        is_there(*self.connection.borrow())
    }

    /// Bytes that a message may have.
    pub(crate) fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Hears what is stored under a channel's subject from now on. Active before whatever is asked after this.
    pub(crate) async fn news(
        &self,
        kind: Kind,
        channel: &ChannelName,
        deadline: Instant,
    ) -> Result<async_nats::Subscriber, StoreError> {
        let subscribing = self.client.subscribe(self.names.news(kind, channel));
        let subscribed = tokio::time::timeout_at(deadline, subscribing).await;
        subscribed.map_err(|_| too_late())?.map_err(|error| StoreError::Refused(error.to_string()))
    }

    /// Stores a message under a subject; with `expected`, only if that is the sequence of the subject's last one.
    pub(crate) async fn publish(
        &self,
        subject: String,
        payload: Bytes,
        expected: Option<u64>,
        deadline: Instant,
    ) -> Result<u64, StoreError> {
        let headers = expected.map(|expected| {
            let mut headers = HeaderMap::new();
            headers.insert(EXPECTED_LAST, expected.to_string());
            headers
        });
        let request = move || {
            let request = Request::new().payload(payload.clone());
            headers.clone().into_iter().fold(request, Request::headers)
        };
        loop {
            let answer = self.send(subject.clone(), request(), deadline).await?;
            let ack: api::PublishAck = parse(&answer.payload)?;
            match (ack.error, ack.seq) {
                (Some(error), _) if error.err_code == WRONG_LAST_SEQUENCE => return Err(StoreError::Behind),
                (Some(error), _) if LAST_SEQUENCE_OPEN.contains(&error.err_code) && Instant::now() < deadline => {
                    tokio::time::sleep(OPEN).await;
                }
                (Some(error), _) if error.err_code == NOT_STORED && !self.direct.load(Ordering::Relaxed) => {
                    return Err(StoreError::Unknown(error.description));
                }
                (Some(error), _) => return Err(StoreError::Refused(error.description)),
                (None, Some(sequence)) if sequence > 0 => return Ok(sequence),
                (None, _) => return Err(StoreError::Unknown("JetStream acknowledged no sequence".to_owned())),
            }
        }
    }

    /// Deletes what is stored under the subjects of this pattern with a sequence below.
    pub(crate) async fn purge(
        &self,
        kind: Kind,
        filter: &str,
        below: u64,
        deadline: Instant,
    ) -> Result<(), StoreError> {
        // A purge below 1, below which there is nothing, is one of everything to JetStream.
        if below <= 1 {
            return Ok(());
        }
        let request = api::Purge { filter, seq: below };
        self.api(&format!("STREAM.PURGE.{}", self.names.stream(kind)), &request, deadline)
            .await
            .map(drop::<api::Purged>)
    }

    /// Asks the API of JetStream.
    async fn api<T: DeserializeOwned>(
        &self,
        name: &str,
        request: &impl Serialize,
        deadline: Instant,
    ) -> Result<T, StoreError> {
        let payload = serde_json::to_vec(request).map_err(|error| StoreError::Refused(error.to_string()))?;
        let request = Request::new().payload(payload.into());
        let answer = self.send(format!("$JS.API.{name}"), request, deadline).await?;
        let failed: api::Failure = parse(&answer.payload)?;
        match failed.error {
            Some(error) if error.code == 404 || error.code == 503 => Err(StoreError::Absent(error.description)),
            Some(error) => Err(StoreError::Refused(error.description)),
            None => parse(&answer.payload),
        }
    }

    async fn send(&self, subject: String, request: Request, deadline: Instant) -> Result<Message, StoreError> {
        let mut connection = self.connection.clone();
        let count = *connection.borrow_and_update();
        if !is_there(count) {
            return Err(StoreError::Refused("NATS is not connected".to_owned()));
        }
        // Whoever waits says how long; the client would wait for its own time as well.
        let sending = self.client.send_request(subject, request.timeout(None));
        let lost = connection.wait_for(|now| *now != count);
        let answer = tokio::select! {
            answer = sending => answer,
            _ = lost => return Err(StoreError::Unknown("the connection to NATS was lost".to_owned())),
            () = tokio::time::sleep_until(deadline) => return Err(too_late()),
        };
        answer.map_err(|error| match error.kind() {
            RequestErrorKind::NoResponders => StoreError::Absent("nobody responds".to_owned()),
            RequestErrorKind::MaxPayloadExceeded => {
                StoreError::Refused(format!("an entry exceeds the {} bytes of max_payload", self.max_payload()))
            }
            RequestErrorKind::InvalidSubject => StoreError::Refused(error.to_string()),
            RequestErrorKind::TimedOut | RequestErrorKind::Other => StoreError::Unknown(error.to_string()),
        })
    }
}

fn too_late() -> StoreError {
    StoreError::Unknown("NATS does not answer in time".to_owned())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(bytes)
        .map_err(|error| StoreError::Unknown(format!("JetStream's answer is not known: {error}")))
}

/// A moment from now.
pub(crate) fn within(timeout: Duration) -> Instant {
    Instant::now() + timeout
}
