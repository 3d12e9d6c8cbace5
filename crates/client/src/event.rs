//! What a subscription tells.

use std::ops::Deref;

use serde::de::DeserializeOwned;
use tricast_core::message::Payload;
use tricast_core::position::Position;
use tricast_core::protocol::event::{Gap, Subscribed};
use tricast_core::protocol::{Code, Event as WireEvent, MessageEvent};

use crate::error::Refusal;

/// What happens on a subscribed channel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Delivery starts, or goes on over another connection, after a position.
    Subscribed(Subscribed),
    /// A message. None is told twice.
    Message(Message),
    /// Messages are missing between what was told before and what follows. On a state a whole snapshot follows, and what
    /// was known is to be forgotten once it is [`Event::Live`].
    Gap(Gap),
    /// States only: the snapshot that began with [`Event::Subscribed`] or [`Event::Gap`] is complete, told once for each.
    Live {
        /// Up to where everything is known.
        position: Position,
    },
    /// The server could not let the channel be read just now; the client goes on trying.
    Failed(Refusal),
    /// The server ended the subscription, or the client is closed: nothing follows, and the stream ends.
    Unsubscribed {
        /// Why; `None` where the client was closed.
        code: Option<Code>,
    },
}

/// A message as subscriptions and history tell it.
///
/// # Examples
/// ```
/// # use tricast_client::{Message, MessageEvent, Payload, Seq};
/// # let message = Message::from(MessageEvent {
/// #     channel: "a".parse()?,
/// #     epoch: "3k9x0q7m2b1c".parse()?,
/// #     seq: Seq::ZERO.next().unwrap(),
/// #     payload: Some(Payload::json_text(r#"{"n":7}"#)?),
/// #     at: 0,
/// #     event: None,
/// #     id: None,
/// #     key: None,
/// #     user: None,
/// # });
/// #[derive(serde::Deserialize)]
/// struct Order {
///     n: u32,
/// }
/// assert_eq!(message.json::<Order>()?.n, 7);
/// assert_eq!(message.position().to_string(), "3k9x0q7m2b1c-1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message(MessageEvent);

impl Message {
    /// Reads the payload as JSON.
    ///
    /// # Errors
    /// It is not of this type, it is bytes, or there is none because the message deletes its key.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, PayloadError> {
        match &self.0.payload {
            Some(Payload::Json(json)) => serde_json::from_str(json.as_str()).map_err(PayloadError::Json),
            Some(Payload::Binary(_)) => Err(PayloadError::Binary),
            None => Err(PayloadError::Deletion),
        }
    }

    /// The payload as JSON text; `None` where it is bytes or a deletion.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.0.payload {
            Some(Payload::Json(json)) => Some(json.as_str()),
            Some(Payload::Binary(_)) | None => None,
        }
    }

    /// Whether it deletes its key, on a state.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.0.payload.is_none()
    }

    /// The whole message as the server sent it, as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        WireEvent::Message(self.0.clone()).to_json()
    }

    pub(crate) fn size(&self) -> usize {
        self.0.payload.as_ref().map_or(0, Payload::len)
    }
}

impl From<MessageEvent> for Message {
    fn from(event: MessageEvent) -> Self {
        Self(event)
    }
}

impl Deref for Message {
    type Target = MessageEvent;

    fn deref(&self) -> &MessageEvent {
        &self.0
    }
}

/// Why a payload is not what was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// It is JSON of another type.
    #[error("the payload is JSON of another type")]
    Json(#[source] serde_json::Error),
    /// It is bytes.
    #[error("the payload is bytes, not JSON")]
    Binary,
    /// There is none.
    #[error("the message deletes its key and carries nothing")]
    Deletion,
}
