//! What a caller puts on a command to know its answer by.

use std::fmt;

use crate::json;
use crate::limits::REF_BYTES;

/// A command's `ref`: a JSON number, or a string of at most 64 bytes. Its answers bear the same.
///
/// A number is kept as it was written (and is bounded like a string), so that it comes back digit by digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ref(Value);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Value {
    Number(Box<str>),
    Text(Box<str>),
}

impl Ref {
    /// A number.
    #[must_use]
    pub fn number(number: u64) -> Self {
        Self(Value::Number(number.to_string().into()))
    }

    /// A string; `None` if it has more than 64 bytes.
    #[must_use]
    pub fn text(text: impl Into<Box<str>>) -> Option<Self> {
        let text = text.into();
        (text.len() <= REF_BYTES).then_some(Self(Value::Text(text)))
    }

    /// A number as JSON text, which the caller has checked to be one; `None` if it has more than 64 bytes.
    pub(super) fn verbatim(number: &str) -> Option<Self> {
        (number.len() <= REF_BYTES).then(|| Self(Value::Number(number.into())))
    }

    /// Appends it as JSON text.
    pub fn put_json(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Value::Number(number) => out.extend_from_slice(number.as_bytes()),
            Value::Text(text) => json::put_string(out, text),
        }
    }
}

impl fmt::Display for Ref {
    /// Writes the number or the text, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Value::Number(text) | Value::Text(text) => f.write_str(text),
        }
    }
}
