//! What JetStream's API asks and answers, as far as it is needed. All of it is in nats-server 2.9.

use serde::{Deserialize, Serialize};

use super::StreamConfig;

#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    pub(super) error: Option<ApiError>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ApiError {
    #[serde(default)]
    pub(super) code: u16,
    #[serde(default)]
    pub(super) err_code: u32,
    #[serde(default)]
    pub(super) description: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct PublishAck {
    pub(super) error: Option<ApiError>,
    pub(super) seq: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Purge<'a> {
    pub(super) filter: &'a str,
    pub(super) seq: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct Purged {}

/// What a stream is, and where it stands.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: StreamConfig,
    /// When it was created: another time is another stream.
    pub(crate) created: String,
    pub(crate) state: StreamState,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct StreamState {
    /// The highest sequence that was ever given. Never goes back but by loss.
    pub(crate) last_seq: u64,
    /// Messages by subject, where they were asked for.
    #[serde(default)]
    pub(crate) subjects: Option<std::collections::HashMap<String, u64>>,
}

/// Which message is meant.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Get<'a> {
    /// The last under a subject.
    Last { last_by_subj: &'a str },
    /// The first under a subject from a sequence on.
    Next { seq: u64, next_by_subj: &'a str },
}

#[derive(Debug, Deserialize)]
pub(super) struct Got {
    pub(super) message: GotMessage,
}

#[derive(Debug, Deserialize)]
pub(super) struct GotMessage {
    pub(super) seq: u64,
    /// Base64.
    #[serde(default)]
    pub(super) data: String,
}

#[derive(Debug, Serialize)]
pub(super) struct CreateConsumer<'a> {
    pub(super) stream_name: &'a str,
    pub(super) config: ConsumerConfig<'a>,
}

#[derive(Debug, Serialize)]
pub(super) struct ConsumerConfig<'a> {
    pub(super) deliver_policy: &'static str,
    pub(super) opt_start_seq: u64,
    pub(super) filter_subject: &'a str,
    pub(super) ack_policy: &'static str,
    pub(super) replay_policy: &'static str,
    pub(super) mem_storage: bool,
    pub(super) num_replicas: usize,
    /// Nanoseconds.
    pub(super) inactive_threshold: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ConsumerInfo {
    pub(super) name: String,
    pub(super) num_pending: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Pull {
    pub(super) batch: u64,
    pub(super) no_wait: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct InfoOf<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subjects_filter: Option<&'a str>,
    /// Subjects that were told already.
    pub(super) offset: usize,
}
