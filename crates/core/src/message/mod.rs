//! Messages: what is published, what a log keeps, and the shared encodings in which it is shipped.
//!
//! A payload is copied once, when it is compacted (keeping a slice of a request's buffer would pin all of that
//! buffer), and moves into the log from there. From then on every reader of a transport is sent the same encoded bytes: [`encode`] makes them of
//! a whole batch, and whoever holds the log keeps the last batch for the readers that come next.

mod draft;
pub mod stored;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::access::UserId;
use crate::channel::ChannelName;
use crate::frame;
use crate::json::{self, Json, JsonError};

use crate::position::{Epoch, Seq};

pub use draft::{Draft, DraftError, Hold, is_event_name, is_key, is_publish_id};

/// What a message carries: compact JSON text, or bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// JSON, compact and so without line breaks.
    Json(Json),
    /// Bytes; `data64` on the wire.
    Binary(Box<[u8]>),
}

impl Payload {
    /// Takes one JSON value as text, and compacts it.
    ///
    /// # Errors
    /// The text is not one JSON value, or nests deeper than [`crate::limits::JSON_DEPTH`].
    pub fn json_text(text: &str) -> Result<Self, JsonError> {
        Json::parse(text).map(Self::Json)
    }

    /// Bytes of the payload as stored: what the message limit counts.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Json(json) => json.as_str().len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }

    /// Whether it has no bytes; never true of JSON.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message in a log. Immutable, and shared by all who read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its number in the log's epoch.
    pub seq: Seq,
    /// When it was appended, by the log's clock: milliseconds since the Unix epoch.
    pub at: u64,
    /// Tells two messages apart that two lives of a back end numbered alike. Never on the wire.
    pub tag: u32,
    /// What it carries; `None` deletes its key.
    pub payload: Option<Payload>,
    /// The name of what happened.
    pub event: Option<Box<str>>,
    /// The publisher's id of it.
    pub id: Option<Box<str>>,
    /// On a state: what it is the newest message of.
    pub key: Option<Arc<str>>,
    /// The user who published it, where the rule shows it.
    pub user: Option<UserId>,
    /// On a state: when its key leaves by itself, in milliseconds since the Unix epoch.
    pub expires: Option<u64>,
}

impl Message {
    /// The deletion of a key, which is still to be named.
    #[must_use]
    pub fn deletion(seq: Seq, at: u64, tag: u32) -> Self {
        Self { seq, at, tag, payload: None, event: None, id: None, key: None, user: None, expires: None }
    }

    /// Bytes of payload: what a batch is measured in.
    #[must_use]
    pub fn size(&self) -> usize {
        self.payload.as_ref().map_or(0, Payload::len)
    }

    /// Bytes that keeping this message costs: itself, its texts, and its place in a log.
    #[must_use]
    pub fn cost(&self) -> usize {
        const SHARED: usize = 2 * size_of::<usize>();
        const PLACE: usize = size_of::<Arc<Message>>();
        let texts = [&self.event, &self.id].into_iter().flatten().map(|text| text.len()).sum::<usize>();
        let key = self.key.as_ref().map_or(0, |key| key.len() + SHARED);
        // Shared with the publisher's connection, if that is still there.
        let user = self.user.as_ref().map_or(0, |user| user.as_str().len() + SHARED);
        size_of::<Self>() + SHARED + PLACE + self.size() + texts + key + user
    }

    /// The fields as an event of the wire shows them.
    #[must_use]
    pub fn fields<'a>(&'a self, channel: &'a ChannelName, epoch: Epoch) -> Fields<'a> {
        Fields {
            channel: channel.as_str(),
            epoch,
            seq: self.seq,
            payload: self.payload.as_ref(),
            at: self.at,
            event: self.event.as_deref(),
            id: self.id.as_deref(),
            key: self.key.as_deref(),
            user: self.user.as_ref().map(UserId::as_str),
        }
    }
}

/// The fields of a `message` event, borrowed from wherever they are kept.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// The channel.
    pub channel: &'a str,
    /// The epoch of the seq.
    pub epoch: Epoch,
    /// The number in the log.
    pub seq: Seq,
    /// What it carries; `None` for a deletion.
    pub payload: Option<&'a Payload>,
    /// Milliseconds since the Unix epoch.
    pub at: u64,
    /// The name of what happened.
    pub event: Option<&'a str>,
    /// The publisher's id.
    pub id: Option<&'a str>,
    /// The key, on a state.
    pub key: Option<&'a str>,
    /// The publisher.
    pub user: Option<&'a str>,
}

impl Fields<'_> {
    /// Appends the `message` event as JSON text (protocol, section 3).
    pub fn put_json(&self, out: &mut Vec<u8>) {
        put(out, br#"{"type":"message","channel":""#);
        // Neither a channel's name nor an epoch has a character that JSON would escape.
        put(out, self.channel.as_bytes());
        put(out, br#"","epoch":""#);
        put(out, self.epoch.as_str().as_bytes());
        put(out, br#"","seq":"#);
        put_number(out, self.seq.get());
        match self.payload {
            Some(Payload::Json(json)) => {
                put(out, br#","data":"#);
                put(out, json.as_str().as_bytes());
            }
            Some(Payload::Binary(bytes)) => {
                put(out, b",");
                put_data64(out, bytes);
            }
            None => put(out, br#","deleted":true"#),
        }
        put(out, br#","at":"#);
        put_number(out, self.at);
        for (name, value) in [("event", self.event), ("id", self.id), ("key", self.key), ("user", self.user)] {
            if let Some(value) = value {
                put(out, b",\"");
                put(out, name.as_bytes());
                put(out, b"\":");
                json::put_string(out, value);
            }
        }
        put(out, b"}");
    }

    /// Appends the message as an event of raw SSE: `id:`, `event:` where it has one, `data:` (protocol, section 6).
    pub fn put_raw_sse(&self, out: &mut Vec<u8>) {
        put(out, b"id: ");
        put(out, self.epoch.as_str().as_bytes());
        put(out, b"-");
        put_number(out, self.seq.get());
        if let Some(event) = self.event {
            put(out, b"\nevent: ");
            put(out, event.as_bytes());
        }
        put(out, b"\ndata: ");
        match self.payload {
            Some(Payload::Json(json)) => put(out, json.as_str().as_bytes()),
            Some(Payload::Binary(bytes)) => {
                put(out, b"{");
                put_data64(out, bytes);
                put(out, b"}");
            }
            None => put(out, b"null"),
        }
        put(out, b"\n\n");
    }
}

/// How a batch of messages is written for all readers of a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// WebSocket text frames of `message` events, headers included.
    WebSocket,
    /// Raw SSE events: the payloads, each with its position as `id:`.
    RawSse,
    /// SSE events of `message` events, without `id:`.
    EnvelopeSse,
    /// `message` events joined by commas, for the array of a poll's answer.
    Json,
}

/// Encodes a batch of messages of one channel and epoch.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use tricast_core::message::{encode, Encoding, Message, Payload};
/// use tricast_core::position::{Epoch, Seq};
/// let message = Message {
///     seq: Seq::ZERO.next().unwrap(), at: 0, tag: 0,
///     payload: Some(Payload::json_text("{ \"a\": 1 }").unwrap()),
///     event: None, id: None, key: None, user: None, expires: None,
/// };
/// let bytes = encode(&"news".parse().unwrap(), Epoch::from_bits(0), &[Arc::new(message)], Encoding::RawSse);
/// assert_eq!(bytes, b"id: 000000000000-1\ndata: {\"a\":1}\n\n");
/// ```
#[must_use]
pub fn encode(channel: &ChannelName, epoch: Epoch, messages: &[Arc<Message>], encoding: Encoding) -> Vec<u8> {
    const ENVELOPE: usize = 128;
    let size = messages.iter().map(|message| message.size() + channel.as_str().len() + ENVELOPE).sum();
    let mut out = Vec::with_capacity(size);
    let mut scratch = Vec::new();
    for (index, message) in messages.iter().enumerate() {
        let fields = message.fields(channel, epoch);
        match encoding {
            Encoding::WebSocket => {
                scratch.clear();
                fields.put_json(&mut scratch);
                frame::put_text_header(&mut out, scratch.len());
                put(&mut out, &scratch);
            }
            Encoding::RawSse => fields.put_raw_sse(&mut out),
            Encoding::EnvelopeSse => {
                put(&mut out, b"data: ");
                fields.put_json(&mut out);
                put(&mut out, b"\n\n");
            }
            Encoding::Json => {
                if index > 0 {
                    put(&mut out, b",");
                }
                fields.put_json(&mut out);
            }
        }
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, number: u64) {
    use std::io::Write as _;
    // Writing to a Vec cannot fail.
    drop(write!(out, "{number}"));
}

fn put_data64(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, br#""data64":""#);
    put(out, BASE64.encode(bytes).as_bytes());
    put(out, b"\"");
}

#[cfg(test)]
mod tests;
