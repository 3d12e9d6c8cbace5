//! Reading what JetStream keeps under a subject: the last message, or all from somewhere on.

use std::sync::atomic::Ordering;

use async_nats::{Message, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::{Store, StoreError, Stored, api, too_late, within};
use crate::limits::SILENCE;

/// Messages of one pull. What is left follows in the next, so that no more than this waits to be taken.
const PULL: u64 = 256;

/// How long a consumer that nobody pulls from any more is kept by the server, in nanoseconds.
const CONSUMER_IDLE_NS: u64 = 10_000_000_000;

impl Store {
    /// The last message under a subject, as of a moment after this was called.
    pub(crate) async fn last(
        &self,
        stream: &str,
        subject: &str,
        deadline: Instant,
    ) -> Result<Option<Stored>, StoreError> {
        self.get(stream, &api::Get::Last { last_by_subj: subject }, deadline).await
    }

    async fn get(&self, stream: &str, get: &api::Get<'_>, deadline: Instant) -> Result<Option<Stored>, StoreError> {
        if !self.direct.load(Ordering::Relaxed) {
            // A direct get may be answered by a replica that is behind; this one by the leader alone.
            return match self.api::<api::Got>(&format!("STREAM.MSG.GET.{stream}"), get, deadline).await {
                Ok(api::Got { message }) => {
                    let payload =
                        BASE64.decode(message.data).map_err(|error| StoreError::Unknown(error.to_string()))?;
                    Ok(Some(Stored { sequence: message.seq, payload: payload.into() }))
                }
                Err(StoreError::Absent(what)) if what.contains("no message") => Ok(None),
                Err(error) => Err(error),
            };
        }
        let payload = serde_json::to_vec(get).map_err(|error| StoreError::Refused(error.to_string()))?;
        let request = Request::new().payload(payload.into());
        let answer = self.send(format!("$JS.API.DIRECT.GET.{stream}"), request, deadline).await?;
        match answer.status.map(|status| status.as_u16()) {
            None => sequence_of(&answer).map(|sequence| Some(Stored { sequence, payload: answer.payload })),
            Some(404) => Ok(None),
            Some(status) => Err(StoreError::Unknown(format!("JetStream answered a read with status {status}"))),
        }
    }

    /// All messages under a subject from a sequence on, in order, as of a moment after this was called.
    pub(crate) async fn range(
        &self,
        stream: &str,
        subject: &str,
        from: u64,
        deadline: Instant,
    ) -> Result<Vec<Stored>, StoreError> {
        let config = api::ConsumerConfig {
            deliver_policy: "by_start_sequence",
            opt_start_seq: from.max(1),
            filter_subject: subject,
            ack_policy: "none",
            replay_policy: "instant",
            mem_storage: true,
            num_replicas: 1,
            inactive_threshold: CONSUMER_IDLE_NS,
        };
        let create = api::CreateConsumer { stream_name: stream, config };
        let created = self.api(&format!("CONSUMER.CREATE.{stream}"), &create, deadline.min(within(SILENCE))).await;
        let consumer: api::ConsumerInfo = created?;
        let pulled = self.pull(stream, &consumer, deadline).await;
        let name = format!("CONSUMER.DELETE.{stream}.{}", consumer.name);
        // What is not deleted goes by itself when it is idle.
        let _ = self.client.publish(format!("$JS.API.{name}"), Bytes::new()).await;
        let mut pulled = pulled?;
        if !self.direct.load(Ordering::Relaxed) {
            // A consumer is served by any replica, and what one has that is behind ends early.
            let mut seq = pulled.last().map_or(from.max(1), |last| last.sequence + 1);
            loop {
                let next = api::Get::Next { seq, next_by_subj: subject };
                let Some(next) = self.get(stream, &next, deadline.min(within(SILENCE))).await? else { break };
                seq = next.sequence + 1;
                pulled.push(next);
            }
        }
        Ok(pulled)
    }

    async fn pull(
        &self,
        stream: &str,
        consumer: &api::ConsumerInfo,
        deadline: Instant,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut pulled: Vec<Stored> = Vec::new();
        if consumer.num_pending == 0 {
            return Ok(pulled);
        }
        let inbox = self.client.new_inbox();
        let refused = |error: &dyn std::fmt::Display| StoreError::Refused(error.to_string());
        let mut answers = self.client.subscribe(inbox.clone()).await.map_err(|error| refused(&error))?;
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", consumer.name);
        let pull = serde_json::to_vec(&api::Pull { batch: PULL, no_wait: true }).map_err(|error| refused(&error))?;
        let pull = Bytes::from(pull);
        let mut connection = self.connection.clone();
        let count = *connection.borrow_and_update();
        loop {
            let asking = self.client.publish_with_reply(subject.clone(), inbox.clone(), pull.clone());
            asking.await.map_err(|error| refused(&error))?;
            for _ in 0..PULL {
                let message = tokio::select! {
                    message = answers.next() => message,
                    _ = connection.wait_for(|now| *now != count) => None,
                    () = tokio::time::sleep_until(deadline.min(within(SILENCE))) => return Err(too_late()),
                };
                let Some(message) = message else {
                    return Err(StoreError::Unknown("the connection to NATS was lost".to_owned()));
                };
                if message.status.is_some() {
                    // Nothing is pending any more, though more was when the consumer was made.
                    return Ok(pulled);
                }
                let (sequence, pending) = delivered(&message).ok_or_else(no_sequence)?;
                pulled.push(Stored { sequence, payload: message.payload });
                if pending == 0 {
                    return Ok(pulled);
                }
            }
        }
    }
}

/// The sequence of a message that was asked for directly, or told when it was stored.
pub(crate) fn sequence_of(message: &Message) -> Result<u64, StoreError> {
    let headers = message.headers.as_ref();
    let sequence = headers.and_then(|headers| headers.get_last("Nats-Sequence"));
    sequence.and_then(|sequence| sequence.as_str().parse().ok()).ok_or_else(no_sequence)
}

fn no_sequence() -> StoreError {
    StoreError::Unknown("a message of JetStream bears no sequence".to_owned())
}

/// The sequence of a message that a consumer delivered, and how many follow: from where it could be acknowledged, which is
/// `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<…>.<time>.<pending>`, or with two more words before the stream and
/// one after all.
fn delivered(message: &Message) -> Option<(u64, u64)> {
    let words: Vec<&str> = message.reply.as_ref()?.split('.').collect();
    let shift = match words.len() {
        9 => 0,
        11.. => 2,
        _ => return None,
    };
    Some((words.get(5 + shift)?.parse().ok()?, words.get(8 + shift)?.parse().ok()?))
}
