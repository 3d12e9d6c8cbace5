//! JSON text: checked, bounded in depth, and compacted, without a tree and without recursion.
//!
//! Payloads are somebody else's data: they are never turned into values, only checked and copied. What is JSON here is
//! exactly what `serde_json` skips over (RFC 8259, plus escapes of lone surrogates inside strings, which JavaScript
//! writes and which are kept as they came).

mod scan;

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;

use self::scan::{Scanner, is_blank};
use crate::limits::JSON_DEPTH;

/// Checks that a text is exactly one JSON value, and removes the white space outside its strings.
///
/// Allocates once, and only if there is something to remove. What comes out has no line breaks.
///
/// # Errors
/// The text is not one JSON value, or nests deeper than [`JSON_DEPTH`].
///
/// # Examples
/// ```
/// use tricast_core::json;
/// assert_eq!(json::compact("{ \"a b\": [1, 2] }\n")?, "{\"a b\":[1,2]}");
/// assert!(json::compact("{} {}").is_err());
/// # Ok::<(), json::JsonError>(())
/// ```
pub fn compact(text: &str) -> Result<Cow<'_, str>, JsonError> {
    match Scanner::new(text).scan()? {
        0 => Ok(Cow::Borrowed(text)),
        blanks => Ok(Cow::Owned(without_blanks(text, text.len() - blanks))),
    }
}

/// Checks that arrays and objects nest no deeper than [`JSON_DEPTH`].
///
/// Only the depth is checked, of whatever looks like JSON: on other text the answer means nothing, and a parser that
/// comes after it says so.
///
/// # Errors
/// [`JsonError::TooDeep`].
pub fn check_depth(text: &str) -> Result<(), JsonError> {
    let mut depth = 0_usize;
    for byte in outside_strings(text).map(|(_, byte)| byte) {
        match byte {
            b'[' | b'{' if depth == JSON_DEPTH => return Err(JsonError::TooDeep),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Appends a text as a JSON string, quotes included.
///
/// # Examples
/// ```
/// let mut out = Vec::new();
/// tricast_core::json::put_string(&mut out, "say \"hi\"\n");
/// assert_eq!(out, br#""say \"hi\"\n""#);
/// ```
pub fn put_string(out: &mut Vec<u8>, text: &str) {
    // A Vec takes every write, and every str has a JSON form.
    drop(serde_json::to_writer(out, text));
}

/// One JSON value that nobody here looks into, as compact text.
///
/// # Examples
/// ```
/// use tricast_core::json::Json;
/// let value = Json::parse("[1, null]")?;
/// assert_eq!(value.as_str(), "[1,null]");
/// # Ok::<(), tricast_core::json::JsonError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Json(Box<str>);

impl Json {
    /// Takes one JSON value as text, and compacts it.
    ///
    /// # Errors
    /// The text is not one JSON value, or nests deeper than [`JSON_DEPTH`].
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        compact(text).map(|compact| Self(compact.into()))
    }

    /// Serializes a value.
    ///
    /// # Errors
    /// The value cannot be serialized, or nests too deep.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_string(value)?;
        Self::parse(&text).map_err(serde::ser::Error::custom)
    }

    /// The compact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({})", self.0)
    }
}

/// Why a text is not usable JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is not exactly one JSON value.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// Offset of the first byte that does not belong there.
        at: usize,
        /// What would have belonged there.
        expected: &'static str,
    },
    /// Its arrays and objects nest deeper than [`JSON_DEPTH`].
    #[error("arrays and objects nest deeper than {}", JSON_DEPTH)]
    TooDeep,
}

/// The bytes outside strings, with their offsets; a string's quotes are not among them.
fn outside_strings(text: &str) -> impl Iterator<Item = (usize, u8)> {
    let mut in_string = false;
    let mut escaped = false;
    text.bytes().enumerate().filter(move |(_, byte)| {
        if escaped {
            escaped = false;
            return false;
        }
        escaped = in_string && *byte == b'\\';
        let quote = *byte == b'"';
        in_string ^= quote;
        !in_string && !quote
    })
}

fn without_blanks(text: &str, len: usize) -> String {
    let mut out = String::with_capacity(len);
    let mut kept = 0;
    for (at, _) in outside_strings(text).filter(|(_, byte)| is_blank(*byte)) {
        out.push_str(&text[kept..at]);
        kept = at + 1;
    }
    out.push_str(&text[kept..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        let innermost = if depth % 2 == 1 { "[0]" } else { "0" };
        format!("{}{innermost}{}", "[{\"a\":".repeat(depth / 2), "}]".repeat(depth / 2))
    }

    #[test]
    fn blanks_go_and_strings_stay() {
        let text = " { \"a \\\" b\" : [ 1 ,\t-2.5e+3 ,\r\n \"\\\\\" , \" x \" ] , \"\\ud800\" : null } ";
        assert_eq!(compact(text).unwrap(), r#"{"a \" b":[1,-2.5e+3,"\\"," x "],"\ud800":null}"#);
    }

    #[test]
    fn compact_text_is_borrowed() {
        assert!(matches!(compact(r#"{"a":[1," "]}"#), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn an_owned_result_fits_exactly() {
        let Ok(Cow::Owned(text)) = compact("[ 1, 2 ]") else { panic!("nothing was removed") };
        assert_eq!((text.as_str(), text.capacity()), ("[1,2]", 5));
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        let at = |text: &str| match compact(text) {
            Err(JsonError::Syntax { at, expected }) => (at, expected),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(at(""), (0, "a value"));
        assert_eq!(at("[1,]"), (3, "a value"));
        assert_eq!(at("{\"a\":1,}"), (7, "a key"));
        assert_eq!(at("{\"a\" 1}"), (5, "a colon"));
        assert_eq!(at("{\"a\":1 2}"), (7, "a comma or }"));
        assert_eq!(at("[1 2]"), (3, "a comma or ]"));
        assert_eq!(at("[1}"), (2, "a comma or ]"));
        assert_eq!(at("1 2"), (2, "the end"));
        assert_eq!(at("01"), (1, "the end"));
        assert_eq!(at("-"), (1, "a digit"));
        assert_eq!(at("1."), (2, "a digit"));
        assert_eq!(at("1e+"), (3, "a digit"));
        assert_eq!(at("nul"), (0, "a value"));
        assert_eq!(at("\"a"), (2, "the end of the string"));
        assert_eq!(at("\"\n\""), (1, "an escape instead of a control character"));
        assert_eq!(at("\"\\x\""), (2, "an escape"));
        assert_eq!(at("\"\\u12g4\""), (5, "four hexadecimal digits"));
        assert_eq!(at("\u{feff}1"), (0, "a value"));
    }

    #[test]
    fn depth_is_bounded_and_costs_no_stack() {
        for check in [|text: &str| compact(text).map(drop), check_depth] {
            assert_eq!(check(&nested(JSON_DEPTH)), Ok(()));
            assert_eq!(check(&nested(JSON_DEPTH + 1)), Err(JsonError::TooDeep));
            assert_eq!(check(&"[".repeat(1_000_000)), Err(JsonError::TooDeep));
        }
    }

    #[test]
    fn brackets_in_strings_are_no_depth() {
        let text = format!("[\"{}\\\"{}\", 1]", "[".repeat(200), "{".repeat(200));
        assert_eq!(check_depth(&text), Ok(()));
        assert!(compact(&text).is_ok());
    }

    #[test]
    fn closing_makes_room_again() {
        let text = format!("[{}1]", "[[]],".repeat(500));
        assert_eq!(check_depth(&text), Ok(()));
        assert!(compact(&text).is_ok());
    }
}
