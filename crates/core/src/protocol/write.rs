//! Writing JSON objects, field by field, as the protocol's tables list them.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::reference::Ref;
use crate::json;
use crate::message::Payload;

/// One JSON object on its way out. Optional fields that are `None` are left out.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Writer<'a> {
    /// Begins an object.
    pub(super) fn object(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins an object with its `type`.
    pub(super) fn typed(out: &'a mut Vec<u8>, type_name: &str) -> Self {
        Self::object(out).text("type", type_name)
    }

    /// Writes a name, and hands out the buffer for its value.
    pub(super) fn name(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.empty { b"\"" } else { b",\"" });
        self.empty = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text<'t>(mut self, name: &str, value: impl Into<Option<&'t str>>) -> Self {
        if let Some(value) = value.into() {
            json::put_string(self.name(name), value);
        }
        self
    }

    /// A value whose text JSON would not escape: a name, an id, a position, a code.
    pub(super) fn token(mut self, name: &str, value: impl fmt::Display) -> Self {
        // Writing to a Vec cannot fail.
        drop(write!(self.name(name), "\"{value}\""));
        self
    }

    pub(super) fn token_if(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.token(name, value),
            None => self,
        }
    }

    pub(super) fn number(mut self, name: &str, value: impl Into<Option<u64>>) -> Self {
        if let Some(value) = value.into() {
            drop(write!(self.name(name), "{value}"));
        }
        self
    }

    pub(super) fn flag(mut self, name: &str, value: impl Into<Option<bool>>) -> Self {
        if let Some(value) = value.into() {
            drop(write!(self.name(name), "{value}"));
        }
        self
    }

    /// Writes `25` for 25 s and `0.5` for half a second, to the millisecond.
    pub(super) fn seconds(mut self, name: &str, value: impl Into<Option<Duration>>) -> Self {
        if let Some(value) = value.into() {
            let out = self.name(name);
            drop(write!(out, "{}", value.as_secs()));
            if value.subsec_millis() > 0 {
                let millis = format!("{:03}", value.subsec_millis());
                drop(write!(out, ".{}", millis.trim_end_matches('0')));
            }
        }
        self
    }

    pub(super) fn millis(self, name: &str, value: impl Into<Option<Duration>>) -> Self {
        let millis = |value: Duration| u64::try_from(value.as_millis()).unwrap_or(u64::MAX);
        let value = value.into().map(millis);
        self.number(name, value)
    }

    /// JSON text, which is written as it is.
    pub(super) fn raw<'t>(mut self, name: &str, value: impl Into<Option<&'t str>>) -> Self {
        if let Some(value) = value.into() {
            self.name(name).extend_from_slice(value.as_bytes());
        }
        self
    }

    pub(super) fn payload(mut self, payload: &Payload) -> Self {
        match payload {
            Payload::Json(json) => self.raw("data", json.as_str()),
            Payload::Binary(bytes) => {
                // base64 has nothing that JSON would escape.
                let encoded = BASE64.encode(bytes);
                drop(write!(self.name("data64"), "\"{encoded}\""));
                self
            }
        }
    }

    pub(super) fn reference(mut self, reference: Option<&Ref>) -> Self {
        if let Some(reference) = reference {
            reference.put_json(self.name("ref"));
        }
        self
    }

    /// Writes an array, each element by `put`.
    pub(super) fn list<T>(mut self, name: &str, items: &[T], put: impl Fn(&T, &mut Vec<u8>)) -> Self {
        let out = self.name(name);
        out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            put(item, out);
        }
        out.push(b']');
        self
    }

    /// Ends the object.
    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// What `put` writes, as a text.
pub(super) fn to_text(put: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    put(&mut out);
    // Only text is ever written, so the fallback is never seen.
    String::from_utf8(out).unwrap_or_default()
}
