//! Messages: what is published, what a log keeps, and the shared encodings in which it is shipped.
//!
//! A payload is copied once, when it is compacted (keeping a slice of a request's buffer would pin all of that
//! buffer), and moves into the log from there. From then on every reader of a transport is sent the same encoded bytes: [`encode`] makes them of
//! a whole batch, and whoever holds the log keeps the last batch for the readers that come next.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;

use crate::channel::{ChannelName, Kind};
use crate::frame;
use crate::json::{self, Json, JsonError};
use crate::limits::{EVENT_NAME_BYTES, KEY_BYTES, PUBLISH_ID_BYTES};
use crate::position::{Epoch, Seq};

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

/// A message before it is in a log.
///
/// The setters take anything; [`Draft::check`] (which `publish` calls) tells what is wrong with it.
///
/// # Examples
/// ```
/// use tricast_core::channel::Kind;
/// use tricast_core::message::Draft;
/// let draft = Draft::json(&serde_json::json!({"order": 7}))?.event("order.created").id("order-7");
/// assert!(draft.check(Kind::Stream, 65_536).is_ok());
/// # Ok::<(), tricast_core::message::DraftError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct Draft {
    /// What it carries; `None` deletes the key.
    pub payload: Option<Payload>,
    /// The name of what happened, an `EventSource`'s event type.
    pub event: Option<Box<str>>,
    /// The publisher's id of it, which makes publishing it idempotent.
    pub id: Option<Box<str>>,
    /// On a state: what it is the newest message of.
    pub key: Option<Arc<str>>,
    /// On a state: after how many milliseconds the key is deleted.
    pub ttl_ms: Option<u64>,
    /// On a state: the seq that the key's present message must have, 0 if the key must be absent.
    pub condition: Option<Seq>,
}

impl Draft {
    /// A message that carries this payload.
    pub fn new(payload: Payload) -> Self {
        Self { payload: Some(payload), event: None, id: None, key: None, ttl_ms: None, condition: None }
    }

    /// Serializes a value as the payload.
    ///
    /// # Errors
    /// The value cannot be serialized, or nests too deep.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, DraftError> {
        let text = serde_json::to_string(value).map_err(|error| DraftError::Serialize(Arc::new(error)))?;
        // A RawValue inside the value keeps its own white space.
        Ok(Self::new(Payload::json_text(&text).map_err(DraftError::Json)?))
    }

    /// Takes the payload as JSON text.
    ///
    /// # Errors
    /// The text is not one JSON value, or nests too deep.
    pub fn json_text(text: &str) -> Result<Self, DraftError> {
        Payload::json_text(text).map(Self::new).map_err(DraftError::Json)
    }

    /// Takes bytes as the payload.
    pub fn binary(bytes: impl Into<Box<[u8]>>) -> Self {
        Self::new(Payload::Binary(bytes.into()))
    }

    /// Names what happened: 1 to 64 of `[A-Za-z0-9_.:/-]`, not `error`, `open`, nor beginning with `tricast:`.
    pub fn event(mut self, event: impl Into<Box<str>>) -> Self {
        self.event = Some(event.into());
        self
    }

    /// Makes publishing idempotent: a repeat with this id (1 to 64 visible ASCII) appends nothing.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Deletes a key of a state.
    pub fn delete(key: impl Into<Arc<str>>) -> Self {
        Self { payload: None, event: None, id: None, key: Some(key.into()), ttl_ms: None, condition: None }
    }

    /// Says which key of a state this is the newest message of: 1 to 128 bytes, no control characters.
    pub fn key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Deletes the key after a time, in whole milliseconds, unless it changes before.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl_ms = Some(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// Publishes only if the key's present message has this seq; 0: only if the key is absent.
    pub fn only_if(mut self, present: Seq) -> Self {
        self.condition = Some(present);
        self
    }

    /// Checks what the setters took without a word.
    ///
    /// # Errors
    /// The event's name, the id, the key or the time is malformed or does not belong to this kind of channel, or the
    /// payload is larger than `message_bytes`.
    pub fn check(&self, kind: Kind, message_bytes: usize) -> Result<(), DraftError> {
        self.check_kind(kind)?;
        if let Some(event) = &self.event
            && !is_event_name(event)
        {
            return Err(DraftError::Event);
        }
        if let Some(id) = &self.id
            && !is_publish_id(id)
        {
            return Err(DraftError::Id);
        }
        let bytes = self.payload.as_ref().map_or(0, Payload::len);
        if bytes > message_bytes {
            return Err(DraftError::TooLarge { bytes, most: message_bytes });
        }
        Ok(())
    }

    fn check_kind(&self, kind: Kind) -> Result<(), DraftError> {
        match (kind, &self.key) {
            (Kind::State, None) => Err(DraftError::KeyMissing),
            (Kind::State, Some(key)) if !is_key(key) => Err(DraftError::Key),
            (Kind::State, Some(_)) if self.ttl_ms == Some(0) => Err(DraftError::Ttl),
            (Kind::State, Some(_)) => Ok(()),
            (Kind::Stream, Some(_)) => Err(DraftError::ForStates("key")),
            (Kind::Stream, None) if self.payload.is_none() => Err(DraftError::ForStates("deleted")),
            (Kind::Stream, None) if self.ttl_ms.is_some() => Err(DraftError::ForStates("ttl")),
            (Kind::Stream, None) if self.condition.is_some() => Err(DraftError::ForStates("if")),
            (Kind::Stream, None) => Ok(()),
        }
    }
}

/// Whether this may name a message's event: the names that `EventSource` or Tricast uses itself may not.
#[must_use]
pub fn is_event_name(text: &str) -> bool {
    let well_formed = (1..=EVENT_NAME_BYTES).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'/' | b'-'));
    well_formed && text != "error" && text != "open" && !text.starts_with("tricast:")
}

/// Whether this may be the id of a publish: 1 to 64 visible ASCII characters.
#[must_use]
pub fn is_publish_id(text: &str) -> bool {
    (1..=PUBLISH_ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether this may be a key of a state: 1 to 128 bytes, no control characters.
#[must_use]
pub fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

/// What is wrong with a [`Draft`].
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The value could not be serialized.
    #[error("the payload cannot be serialized")]
    Serialize(#[source] Arc<serde_json::Error>),
    /// The payload's text is not usable JSON.
    #[error("the payload is not usable JSON")]
    Json(#[source] JsonError),
    /// The event's name is malformed or reserved.
    #[error("event must be 1 to 64 of [A-Za-z0-9_.:/-], not error, open, nor begin with tricast:")]
    Event,
    /// The id is malformed.
    #[error("id must be 1 to 64 visible ASCII characters")]
    Id,
    /// The channel is a state, and the message says no key.
    #[error("key is missing: the channel is a state")]
    KeyMissing,
    /// The key is malformed.
    #[error("key must be 1 to 128 bytes without control characters")]
    Key,
    /// The time after which the key is deleted is less than a millisecond.
    #[error("ttl must be at least a millisecond")]
    Ttl,
    /// The message has something that only states know.
    #[error("{0} is for state channels, the channel is a stream")]
    ForStates(&'static str),
    /// The payload is too large.
    #[error("data has {bytes} bytes, at most {most} are allowed")]
    TooLarge {
        /// Bytes it has, as stored.
        bytes: usize,
        /// Bytes it may have.
        most: usize,
    },
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
    /// On a state: when its key leaves by itself, in milliseconds since the Unix epoch.
    pub expires: Option<u64>,
}

impl Message {
    /// The deletion of a key, which is still to be named.
    #[must_use]
    pub fn deletion(seq: Seq, at: u64, tag: u32) -> Self {
        Self { seq, at, tag, payload: None, event: None, id: None, key: None, expires: None }
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
        size_of::<Self>() + SHARED + PLACE + self.size() + texts + key
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
            user: None,
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
///     payload: Some(Payload::json_text("{ \"a\": 1 }").unwrap()), event: None, id: None, key: None, expires: None,
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
mod tests {
    use super::*;

    fn message(seq: u64, payload: Payload) -> Message {
        let (at, payload) = (1_700_000_000_000, Some(payload));
        Message { at, payload, ..Message::deletion(Seq::new(seq).unwrap(), at, 7) }
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_the_same_event_on_every_transport() {
        let mut one = message(1, Payload::json_text("[1, \"a\\nb\"]").unwrap());
        one.event = Some("x.y".into());
        one.id = Some("\"quoted\\\"".into());
        let two = message(2, Payload::Binary([1, 2, 255].as_slice().into()));
        let messages = [Arc::new(one), Arc::new(two)];
        let (channel, epoch) = ("a:b".parse().unwrap(), Epoch::from_bits(0));
        let encoded = |encoding| encode(&channel, epoch, &messages, encoding);

        let json = text(&encoded(Encoding::Json));
        let first = concat!(
            r#"{"type":"message","channel":"a:b","epoch":"000000000000","seq":1,"data":[1,"a\nb"],"#,
            r#""at":1700000000000,"event":"x.y","id":"\"quoted\\\""}"#
        );
        let second = concat!(
            r#"{"type":"message","channel":"a:b","epoch":"000000000000","seq":2,"data64":"AQL/","#,
            r#""at":1700000000000}"#
        );
        assert_eq!(json, format!("{first},{second}"));
        assert_eq!(text(&encoded(Encoding::EnvelopeSse)), format!("data: {first}\n\ndata: {second}\n\n"));
        let raw = "id: 000000000000-1\nevent: x.y\ndata: [1,\"a\\nb\"]\n\nid: 000000000000-2\ndata: {\"data64\":\"AQL/\"}\n\n";
        assert_eq!(text(&encoded(Encoding::RawSse)), raw);

        let mut frames = Vec::new();
        for event in [first, second] {
            frame::put_text_header(&mut frames, event.len());
            frames.extend_from_slice(event.as_bytes());
        }
        assert_eq!(encoded(Encoding::WebSocket), frames);
    }

    #[test]
    fn reserved_and_malformed_event_names_are_refused() {
        for name in ["", "error", "open", "tricast:gap", "a b", "a\nb", &"a".repeat(65)] {
            assert!(
                matches!(Draft::binary([]).event(name).check(Kind::Stream, 10), Err(DraftError::Event)),
                "{name:?}"
            );
        }
        for name in ["a", "order.created", "A/b:c-d_e", "opened", &"a".repeat(64)] {
            assert!(Draft::binary([]).event(name).check(Kind::Stream, 10).is_ok(), "{name:?}");
        }
    }

    #[test]
    fn ids_are_visible_ascii() {
        for id in ["", " ", "a b", "å", "\u{7f}", &"a".repeat(65)] {
            assert!(matches!(Draft::binary([]).id(id).check(Kind::Stream, 10), Err(DraftError::Id)), "{id:?}");
        }
        assert!(Draft::binary([]).id("!~\"\\").check(Kind::Stream, 10).is_ok());
    }

    #[test]
    fn the_limit_counts_the_stored_payload() {
        let draft = Draft::json_text("[ 1,  2 ]").unwrap();
        assert!(draft.check(Kind::Stream, 5).is_ok());
        assert!(matches!(draft.check(Kind::Stream, 4), Err(DraftError::TooLarge { bytes: 5, most: 4 })));
    }
}
