//! Messages before they are in a log, and what may be wrong with them.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Payload;
use crate::access::UserId;
use crate::channel::Kind;
use crate::json::JsonError;
use crate::limits::{EVENT_NAME_BYTES, KEY_BYTES, PUBLISH_ID_BYTES};
use crate::position::Seq;

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
    /// The user who publishes it, as readers are shown. Of what comes from outside this is the caller, whatever the
    /// caller says.
    pub user: Option<UserId>,
    /// On a state: after how many milliseconds the key is deleted.
    pub ttl_ms: Option<u64>,
    /// On a state: the seq that the key's present message must have, 0 if the key must be absent.
    pub condition: Option<Seq>,
    /// On a state: who holds the key from now on, or, of a deletion, lets go of it.
    pub hold: Option<Hold>,
}

/// That somebody holds a key of a state, so that it does not leave while anybody else does.
///
/// A message with a hold is not appended where the key is there and shows the same: then its holder is added to those
/// that hold it, and the answer is the present message's position, as a duplicate. A deletion with a hold takes its
/// holder away, and is appended only if none is left; else it appends nothing and answers the head. A message without a
/// hold, and a deletion without one, end all holds on their key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// A node's name: 1 to 32 bytes of `[A-Za-z0-9_-]`.
    pub holder: Arc<str>,
    /// Stands for what the message shows. `None`: whatever the key shows is right. Of a deletion it says nothing.
    pub shows: Option<u64>,
}

impl Draft {
    /// A message that carries this payload.
    pub fn new(payload: Payload) -> Self {
        Self {
            payload: Some(payload),
            event: None,
            id: None,
            key: None,
            user: None,
            ttl_ms: None,
            condition: None,
            hold: None,
        }
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

    /// Says which user it is from.
    pub fn user(mut self, user: UserId) -> Self {
        self.user = Some(user);
        self
    }

    /// Makes publishing idempotent: a repeat with this id (1 to 64 visible ASCII) appends nothing.
    pub fn id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Deletes a key of a state.
    pub fn delete(key: impl Into<Arc<str>>) -> Self {
        Self { payload: None, key: Some(key.into()), ..Self::binary([]) }
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

    /// Says who holds the key from now on; of a deletion, who lets go of it. See [`Hold`].
    pub fn held_by(mut self, holder: impl Into<Arc<str>>, shows: Option<u64>) -> Self {
        self.hold = Some(Hold { holder: holder.into(), shows });
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
