//! The one form in which messages are stored by back ends: versioned bytes that they need not understand.
//!
//! A back end numbers and dates a message when it appends it, so neither is in here: what is read back is made of these
//! bytes and of the seq and the time under which they were found.
//!
//! ```text
//! 1      version
//! 1      flags: 1 JSON, 2 binary (neither: a deletion), 4 event, 8 id, 16 key, 32 user, 64 time to live
//! 4      tag
//! [8]    time to live, milliseconds
//! [2+n]  event, id, key, user: their lengths, and their bytes
//! n      the payload, to the end
//! ```
//! Numbers are big-endian.

use std::sync::Arc;

use super::{Draft, Message, Payload};
use crate::access::UserId;
use crate::position::Seq;

/// The only version there is.
const VERSION: u8 = 1;

const JSON: u8 = 1;
const BINARY: u8 = 2;
const EVENT: u8 = 4;
const ID: u8 = 8;
const KEY: u8 = 16;
const USER: u8 = 32;
const TTL: u8 = 64;

/// Why stored bytes are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// They were written by a later version.
    #[error("the stored message has version {0}, and only {VERSION} is known")]
    Version(u8),
    /// They end too early.
    #[error("the stored message is cut off")]
    Short,
    /// A text in them is none.
    #[error("the stored message's {0} is malformed")]
    Malformed(&'static str),
}

/// A draft as it is stored. `ttl_ms` stands in for the draft's own where that has none: a rule's.
///
/// Texts longer than any draft may have are cut off by nobody: check the draft first.
///
/// # Examples
/// ```
/// use tricast_core::message::{Draft, stored};
/// use tricast_core::position::Seq;
/// let bytes = stored::encode(&Draft::json("hello")?.event("greeting"), 7, None);
/// let message = stored::decode(&bytes, Seq::new(3).unwrap(), 1_700_000_000_000)?;
/// assert_eq!((message.seq.get(), message.tag, message.event.as_deref()), (3, 7, Some("greeting")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn encode(draft: &Draft, tag: u32, ttl_ms: Option<u64>) -> Vec<u8> {
    let Draft { payload, event, id, key, user, .. } = draft;
    let texts = [event.as_deref(), id.as_deref(), key.as_deref(), user.as_ref().map(UserId::as_str)];
    // A deletion stays deleted.
    let ttl_ms = draft.ttl_ms.or(ttl_ms).filter(|_| payload.is_some());
    encode_parts(payload.as_ref(), texts, tag, ttl_ms)
}

/// A message of a log as it is stored: without its number and its time.
#[must_use]
pub fn encode_message(message: &Message) -> Vec<u8> {
    let Message { at, tag, payload, event, id, key, user, expires, .. } = message;
    let texts = [event.as_deref(), id.as_deref(), key.as_deref(), user.as_ref().map(UserId::as_str)];
    encode_parts(payload.as_ref(), texts, *tag, expires.map(|expires| expires.saturating_sub(*at)))
}

fn encode_parts(payload: Option<&Payload>, texts: [Option<&str>; 4], tag: u32, ttl_ms: Option<u64>) -> Vec<u8> {
    let texts = [EVENT, ID, KEY, USER].into_iter().zip(texts);
    let mut flags = texts.clone().filter(|(_, text)| text.is_some()).fold(0, |flags, (flag, _)| flags | flag);
    let body: &[u8] = match payload {
        Some(Payload::Json(json)) => {
            flags |= JSON;
            json.as_str().as_bytes()
        }
        Some(Payload::Binary(bytes)) => {
            flags |= BINARY;
            bytes
        }
        None => &[],
    };
    flags |= if ttl_ms.is_some() { TTL } else { 0 };
    let mut out = Vec::with_capacity(body.len() + 64);
    out.extend([VERSION, flags]);
    out.extend(tag.to_be_bytes());
    out.extend(ttl_ms.into_iter().flat_map(u64::to_be_bytes));
    for text in texts.filter_map(|(_, text)| text) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        out.extend(length.to_be_bytes());
        out.extend(&text.as_bytes()[..usize::from(length)]);
    }
    out.extend(body);
    out
}

/// The message that was stored as these bytes, under this number and at this time.
///
/// # Errors
/// The bytes are no message, or one of a later version.
pub fn decode(bytes: &[u8], seq: Seq, at: u64) -> Result<Message, StoredError> {
    let mut rest = Rest(bytes);
    let [version] = rest.take()?;
    if version != VERSION {
        return Err(StoredError::Version(version));
    }
    let [flags] = rest.take()?;
    let tag = u32::from_be_bytes(rest.take()?);
    let ttl_ms = if flags & TTL == 0 { None } else { Some(u64::from_be_bytes(rest.take()?)) };
    let mut text = |flag, name| if flags & flag == 0 { Ok(None) } else { rest.text(name).map(Some) };
    let event = text(EVENT, "event")?;
    let id = text(ID, "id")?;
    let key = text(KEY, "key")?;
    let user = text(USER, "user")?;
    let user = user.map(str::parse::<UserId>).transpose().map_err(|_| StoredError::Malformed("user"))?;
    let payload = match (flags & JSON != 0, flags & BINARY != 0) {
        (true, false) => {
            let json = str::from_utf8(rest.0).map_err(|_| StoredError::Malformed("data"))?;
            Some(Payload::json_text(json).map_err(|_| StoredError::Malformed("data"))?)
        }
        (false, true) => Some(Payload::Binary(rest.0.into())),
        (false, false) => None,
        (true, true) => return Err(StoredError::Malformed("flags")),
    };
    Ok(Message {
        seq,
        at,
        tag,
        payload,
        event: event.map(Box::from),
        id: id.map(Box::from),
        key: key.map(Arc::from),
        user,
        expires: ttl_ms.map(|ttl| at.saturating_add(ttl)),
    })
}

/// What has not been read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], StoredError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(StoredError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn text(&mut self, name: &'static str) -> Result<&'a str, StoredError> {
        let length = u16::from_be_bytes(self.take()?);
        let (text, rest) = self.0.split_at_checked(usize::from(length)).ok_or(StoredError::Short)?;
        self.0 = rest;
        str::from_utf8(text).map_err(|_| StoredError::Malformed(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seq() -> Seq {
        Seq::new(9).unwrap()
    }

    fn full() -> Draft {
        let draft = Draft::json(&serde_json::json!({"a": [1, "ü"]})).unwrap().event("e").id("i").key("k");
        draft.user("ann".parse().unwrap()).ttl(std::time::Duration::from_millis(1_500))
    }

    #[test]
    fn what_is_stored_is_read_back() {
        let message = decode(&encode(&full(), 0xdead_beef, None), seq(), 1_000).unwrap();
        let Draft { payload, event, id, key, user, .. } = full();
        let expected =
            Message { seq: seq(), at: 1_000, tag: 0xdead_beef, payload, event, id, key, user, expires: Some(2_500) };
        assert_eq!(message, expected);
        let binary = decode(&encode(&Draft::binary([0, 255]), 1, None), seq(), 5).unwrap();
        assert_eq!(binary.payload, Some(Payload::Binary(Box::from([0, 255]))));
        let deletion = decode(&encode(&Draft::delete("k"), 1, Some(60)), seq(), 5).unwrap();
        assert_eq!((deletion.payload, deletion.key.as_deref(), deletion.expires), (None, Some("k"), None));
    }

    #[test]
    fn a_message_of_a_log_is_stored_as_its_draft_was() {
        for draft in [full(), Draft::binary([0, 255]), Draft::delete("k")] {
            let stored = encode(&draft, 7, Some(60));
            assert_eq!(encode_message(&decode(&stored, seq(), 1_000).unwrap()), stored);
        }
    }

    #[test]
    fn a_rules_time_to_live_stands_in_where_the_draft_has_none() {
        let expires = |draft: &Draft| decode(&encode(draft, 0, Some(60)), seq(), 100).unwrap().expires;
        assert_eq!(expires(&Draft::binary([1])), Some(160));
        assert_eq!(expires(&full()), Some(1_600));
    }

    #[test]
    fn what_is_cut_off_anywhere_before_the_payload_is_told_so() {
        let bytes = encode(&full(), 7, None);
        let payload = full().payload.unwrap().len();
        for length in 0..bytes.len() - payload {
            assert_eq!(decode(&bytes[..length], seq(), 0), Err(StoredError::Short), "{length}");
        }
        assert_eq!(decode(&bytes[..bytes.len() - 1], seq(), 0), Err(StoredError::Malformed("data")));
    }

    #[test]
    fn a_later_version_and_what_is_no_text_are_named() {
        let mut bytes = encode(&full(), 7, None);
        bytes[0] = 2;
        assert_eq!(decode(&bytes, seq(), 0), Err(StoredError::Version(2)));
        let mut bytes = encode(&Draft::binary([]).event("e"), 7, None);
        bytes[8] = 0xff;
        assert_eq!(decode(&bytes, seq(), 0), Err(StoredError::Malformed("event")));
        assert_eq!(decode(&[1, 3, 0, 0, 0, 0], seq(), 0), Err(StoredError::Malformed("flags")));
    }
}
