//! Strategies for whatever a property may be tried on.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;
use tricast_core::channel::{ChannelName, Kind};
use tricast_core::json::Json;
use tricast_core::limits::MAX_SEQ;
use tricast_core::message::{Payload, is_event_name};
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::protocol::{ClientId, Code, Ref, Secret, Start};

pub(crate) fn epoch() -> impl Strategy<Value = Epoch> {
    "[0-9a-z]{12,16}".prop_map(|text| text.parse().unwrap())
}

pub(crate) fn seq() -> impl Strategy<Value = Seq> {
    prop_oneof![0..100_u64, 0..=MAX_SEQ, Just(MAX_SEQ)].prop_map(|seq| Seq::new(seq).unwrap())
}

pub(crate) fn position() -> impl Strategy<Value = Position> {
    (epoch(), seq(), option::of(seq())).prop_map(|(epoch, seq, base)| Position { epoch, seq, base })
}

pub(crate) fn channel() -> impl Strategy<Value = ChannelName> {
    "@?[A-Za-z0-9_.:@/-]{1,60}".prop_map(|text| text.parse().unwrap())
}

pub(crate) fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Stream), Just(Kind::State)]
}

pub(crate) fn client() -> impl Strategy<Value = ClientId> {
    prop_oneof![
        "[A-Za-z0-9_-]{8,64}".prop_map(|text| text.parse().unwrap()),
        any::<(u64, u64)>().prop_map(|(high, low)| ClientId::from_bits(high, low)),
    ]
}

pub(crate) fn code() -> impl Strategy<Value = Code> {
    proptest::sample::select(Code::ALL.as_slice())
}

/// Any text, control characters and quotes included.
pub(crate) fn text() -> impl Strategy<Value = Box<str>> {
    prop_oneof!["[ -~]{0,20}", "\\PC{0,20}", ".{0,20}", "[\\x00-\\x1f\"\\\\/\u{7f}\u{2028}]{0,10}"].prop_map(Into::into)
}

pub(crate) fn reference() -> impl Strategy<Value = Ref> {
    prop_oneof![any::<u64>().prop_map(Ref::number), text().prop_filter_map("a ref has at most 64 bytes", Ref::text),]
}

pub(crate) fn secret() -> impl Strategy<Value = Secret> {
    text().prop_map(Secret::new)
}

pub(crate) fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Latest),
        Just(Start::Earliest),
        (0..=MAX_SEQ).prop_map(Start::Last),
        position().prop_map(Start::At),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        text().prop_map(|text| text.into_string().into()),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec((text(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.into_string(), value)).collect()),
        ]
    })
}

pub(crate) fn json() -> impl Strategy<Value = Json> {
    value().prop_map(|value| Json::of(&value).unwrap())
}

pub(crate) fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![json().prop_map(Payload::Json), any::<Vec<u8>>().prop_map(|bytes| Payload::Binary(bytes.into())),]
}

pub(crate) fn event_name() -> impl Strategy<Value = Box<str>> {
    "[A-Za-z0-9_.:/-]{1,64}".prop_filter("reserved", |text| is_event_name(text)).prop_map(Into::into)
}

pub(crate) fn publish_id() -> impl Strategy<Value = Box<str>> {
    "[!-~]{1,64}".prop_map(Into::into)
}

pub(crate) fn key() -> impl Strategy<Value = Box<str>> {
    "\\PC{1,30}".prop_filter("no control characters", |text| !text.chars().any(char::is_control)).prop_map(Into::into)
}

/// Whole milliseconds, from one up.
pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    (1..=u64::from(u32::MAX)).prop_map(Duration::from_millis)
}

pub(crate) fn millis() -> impl Strategy<Value = u64> {
    0..=MAX_SEQ
}
