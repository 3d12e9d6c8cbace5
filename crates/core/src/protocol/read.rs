//! Reading the fields of JSON objects by name, with errors that name the field.
//!
//! Values are borrowed as text until somebody asks for one. `Option<&RawValue>` is not what serde would make of a
//! field: there `null` would read as absent.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::reference::Ref;
use crate::channel::ChannelName;
use crate::json::{self, Json};
use crate::limits::{MAX_SEQ, REF_BYTES};
use crate::message::Payload;
use crate::position::Position;

/// What is wrong with a text, with the culprit in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault(pub(super) String);

impl Fault {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn field(name: &str, problem: impl fmt::Display) -> Self {
        Self(format!("{name}: {problem}"))
    }

    pub(super) fn missing(name: &str) -> Self {
        Self(format!("{name} is missing"))
    }

    /// The same fault, of a field inside the field `outer`.
    pub(super) fn within(self, outer: impl fmt::Display) -> Self {
        Self(format!("{outer}.{}", self.0))
    }
}

/// The fields of one JSON object whose names somebody knows.
///
/// Fields of other names are skipped, so the memory it takes does not grow with what a stranger sends.
pub(super) struct Object<'a> {
    fields: Vec<(&'static str, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Reads `text`, which `what` stands for in errors, as an object.
    pub(super) fn parse(text: &'a str, what: &str, names: &'static [&'static str]) -> Result<Self, Fault> {
        let mut source = serde_json::Deserializer::from_str(text);
        let fields = Fields(names).deserialize(&mut source).and_then(|fields| source.end().map(|()| fields));
        match fields {
            Ok(fields) => Ok(Self { fields }),
            Err(error) => Err(unreadable(what, "object", &error)),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a str> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.get())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<Cow<'a, str>>, Fault> {
        self.get(name).map(|raw| text(raw).ok_or_else(|| Fault(format!("{name} must be a string")))).transpose()
    }

    /// A string of a type of its own.
    pub(super) fn parsed<T: FromStr<Err: fmt::Display>>(&self, name: &str) -> Result<Option<T>, Fault> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        text.parse().map(Some).map_err(|error| Fault::field(name, error))
    }

    pub(super) fn boxed(&self, name: &str) -> Result<Option<Box<str>>, Fault> {
        Ok(self.text(name)?.map(Into::into))
    }

    /// A Boolean; `false` where it is absent.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.choice(name)?.unwrap_or(false))
    }

    pub(super) fn choice(&self, name: &str) -> Result<Option<bool>, Fault> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(Fault(format!("{name} must be true or false"))),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        match raw.parse().ok().filter(|number| *number <= MAX_SEQ) {
            Some(number) => Ok(Some(number)),
            None => Err(Fault(format!("{name} must be a whole number from 0 to 2^53-1"))),
        }
    }

    pub(super) fn seconds(&self, name: &str) -> Result<Option<Duration>, Fault> {
        let Some(raw) = self.get(name) else { return Ok(None) };
        match seconds(raw) {
            Some(duration) => Ok(Some(duration)),
            None => Err(Fault(format!("{name} must be a number of seconds, not below 0"))),
        }
    }

    pub(super) fn channel(&self, name: &str) -> Result<Option<ChannelName>, Fault> {
        self.parsed(name)
    }

    pub(super) fn position(&self, name: &str) -> Result<Option<Position>, Fault> {
        self.parsed(name)
    }

    /// Any JSON value, `null` too.
    pub(super) fn json(&self, name: &str) -> Result<Option<Json>, Fault> {
        self.get(name).map(|raw| Json::parse(raw).map_err(|error| Fault::field(name, error))).transpose()
    }

    pub(super) fn reference(&self) -> Result<Option<Ref>, Fault> {
        let Some(raw) = self.get("ref") else { return Ok(None) };
        let reference = match raw.as_bytes().first() {
            Some(b'"') => text(raw).and_then(Ref::text),
            Some(b'-' | b'0'..=b'9') => Ref::verbatim(raw),
            _ => None,
        };
        match reference {
            Some(reference) => Ok(Some(reference)),
            None => Err(Fault(format!("ref must be a number or a string of at most {REF_BYTES} bytes"))),
        }
    }

    /// What a message carries: exactly one of `data`, `data64` and `"deleted":true`; `None` is a deletion.
    pub(super) fn payload(&self) -> Result<Option<Payload>, Fault> {
        match (self.get("data"), self.text("data64")?, self.flag("deleted")?) {
            (None, None, true) => Ok(None),
            (Some(raw), None, false) => match Payload::json_text(raw) {
                Ok(payload) => Ok(Some(payload)),
                Err(error) => Err(Fault::field("data", error)),
            },
            (None, Some(text), false) => match BASE64.decode(text.as_bytes()) {
                Ok(bytes) => Ok(Some(Payload::Binary(bytes.into()))),
                Err(error) => Err(Fault::field("data64", format_args!("not base64: {error}"))),
            },
            (None, None, false) => Err(Fault::new("data is missing, or data64, or deleted")),
            (Some(_), Some(_), _) => Err(Fault::new("data and data64 exclude each other")),
            (_, _, true) => Err(Fault::new("deleted goes with neither data nor data64")),
        }
    }
}

/// Takes an optional field that has to be there.
pub(super) fn required<T>(name: &str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or_else(|| Fault::missing(name))
}

/// Hands each element of an array to `visit`, up to the first that it faults.
pub(super) fn elements<'a>(
    text: &'a str,
    what: &str,
    visit: impl FnMut(&'a str) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let mut source = serde_json::Deserializer::from_str(text);
    let verdict = (&mut source).deserialize_seq(Elements(visit));
    match verdict.and_then(|verdict| source.end().map(|()| verdict)) {
        Ok(verdict) => verdict,
        Err(error) => Err(unreadable(what, "array", &error)),
    }
}

/// Checks the depth of what `what` stands for.
pub(super) fn check_depth(text: &str, what: &str) -> Result<(), Fault> {
    json::check_depth(text).map_err(|error| Fault::field(what, error))
}

/// Milliseconds are the finest time that travels.
fn seconds(raw: &str) -> Option<Duration> {
    const MAX_SECONDS: f64 = 9e12;
    let seconds: f64 = serde_json::from_str(raw).ok()?;
    if !(0.0..=MAX_SECONDS).contains(&seconds) {
        return None;
    }
    let exact = Duration::try_from_secs_f64(seconds).ok()?;
    if exact < Duration::from_millis(1) {
        // Rounding must not make a time of what is too short to be one.
        return Some(Duration::ZERO);
    }
    let rounded = exact.checked_add(Duration::from_micros(500))?;
    Some(Duration::from_millis(u64::try_from(rounded.as_millis()).ok()?))
}

/// The text of a JSON string that is known to be well-formed; `None` of another value, or of a lone surrogate.
pub(super) fn text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inner)) }
}

fn unreadable(what: &str, shape: &str, error: &serde_json::Error) -> Fault {
    match error.classify() {
        Category::Data => Fault(format!("{what} must be a JSON {shape}")),
        Category::Syntax | Category::Eof | Category::Io => Fault(format!("{what} is not JSON: {error}")),
    }
}

struct Fields(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Fields {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(&'static str, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields: Self::Value = Vec::new();
        while let Some(name) = map.next_key_seed(Name(self.0))? {
            let Some(name) = name else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value()?;
            match fields.iter_mut().find(|(known, _)| *known == name) {
                Some(field) => field.1 = value,
                None => fields.push((name, value)),
            }
        }
        Ok(fields)
    }
}

/// Finds a name among those known. Read as bytes, so that an unknown name may hold lone surrogates.
struct Name(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Self::Value, D::Error> {
        source.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|name| name.as_bytes() == bytes).copied())
    }
}

struct Elements<F>(F);

impl<'de, F: FnMut(&'de str) -> Result<(), Fault>> Visitor<'de> for Elements<F> {
    type Value = Result<(), Fault>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Self::Value, A::Error> {
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            if let Err(fault) = (self.0)(raw.get()) {
                // The rest is still read, for a text that is not JSON is that fault first of all.
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                return Ok(Err(fault));
            }
        }
        Ok(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &["a", "b", "data", "data64", "deleted", "ref"];

    fn object(text: &str) -> Object<'_> {
        Object::parse(text, "it", NAMES).unwrap_or_else(|fault| panic!("{text}: {fault:?}"))
    }

    fn fault(text: &str) -> String {
        Object::parse(text, "it", NAMES).err().unwrap_or_else(|| panic!("{text} was read")).0
    }

    #[test]
    fn the_last_of_two_fields_with_one_name_counts() {
        assert_eq!(object(r#"{"a":1,"b":2,"a":3}"#).get("a"), Some("3"));
        assert_eq!(object(r#"{"a":1,"\u0061":4}"#).get("a"), Some("4"));
    }

    #[test]
    fn unknown_fields_take_no_room_whatever_they_are() {
        let text = r#"{"\ud800":[[[{}]]],"x":"\udfff","a":null}"#;
        let object = object(text);
        assert_eq!((object.fields.len(), object.get("a")), (1, Some("null")));
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_no_json() {
        for text in ["1", "null", "[]", "\"a\"", "true"] {
            assert_eq!(fault(text), "it must be a JSON object", "{text}");
        }
        for text in ["", "{", "{}}", "{} x", "{\"a\":}", "{'a':1}", "{\"a\":01}"] {
            assert!(fault(text).starts_with("it is not JSON: "), "{text}: {}", fault(text));
        }
    }

    #[test]
    fn depth_costs_no_stack() {
        let text = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(object(&text).get("a").map(str::len), Some(200_001));
    }

    #[test]
    fn null_is_a_value_of_a_wrong_type() {
        let object = object(r#"{"a":null,"ref":null}"#);
        assert_eq!(object.text("a"), Err(Fault::new("a must be a string")));
        assert_eq!(object.flag("a"), Err(Fault::new("a must be true or false")));
        assert!(object.number("a").is_err() && object.seconds("a").is_err() && object.reference().is_err());
        assert_eq!(object.json("a").unwrap().unwrap().as_str(), "null");
    }

    #[test]
    fn whole_numbers_are_exact() {
        let number = |raw: &str| object(&format!("{{\"a\":{raw}}}")).number("a").ok().flatten();
        assert_eq!(number("9007199254740991"), Some(MAX_SEQ));
        for raw in ["9007199254740992", "-1", "1.0", "1e2", "\"1\"", "-0"] {
            assert_eq!(number(raw), None, "{raw}");
        }
    }

    #[test]
    fn seconds_are_rounded_to_milliseconds_and_bounded() {
        let seconds = |raw: &str| object(&format!("{{\"a\":{raw}}}")).seconds("a").ok().flatten();
        assert_eq!(seconds("25"), Some(Duration::from_secs(25)));
        assert_eq!(seconds("0.0015"), Some(Duration::from_millis(2)));
        assert_eq!(seconds("0.0009"), Some(Duration::ZERO));
        assert_eq!(seconds("1.5e1"), Some(Duration::from_secs(15)));
        for raw in ["-1", "1e300", "1e999", "\"1\"", "9.1e12"] {
            assert_eq!(seconds(raw), None, "{raw}");
        }
    }

    #[test]
    fn an_element_that_faults_does_not_hide_what_is_no_json() {
        let refuse = |_: &str| Err(Fault::new("no"));
        assert_eq!(elements("[1,2]", "it", refuse), Err(Fault::new("no")));
        assert!(elements("[1,2", "it", refuse).unwrap_err().0.starts_with("it is not JSON"));
        assert_eq!(elements("{}", "it", refuse), Err(Fault::new("it must be a JSON array")));
        assert_eq!(elements("null", "it", refuse), Err(Fault::new("it must be a JSON array")));
    }
}
