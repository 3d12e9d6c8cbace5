//! Every bound of what is parsed at its edge: what just fits is taken, and one more is not.

use std::time::Duration;

use tricast_core::access::Identity;
use tricast_core::channel::{ChannelName, Kind, Pattern, Retention};
use tricast_core::limits::*;
use tricast_core::log::{AppendError, Limit, Log, Stamp};
use tricast_core::message::{Draft, DraftError};
use tricast_core::position::{Cursor, Epoch, Place, Position, Seq};
use tricast_core::protocol::{ClientId, Code, Command, Endpoint, QueryError, SubscribeQuery, command};

fn a(bytes: usize) -> String {
    "a".repeat(bytes)
}

/// What is taken at the bound is refused one beyond it.
#[track_caller]
fn assert_edge(most: usize, is_taken: impl Fn(usize) -> bool) {
    assert!(is_taken(most), "{most} fits");
    assert!(!is_taken(most + 1), "{most} is the most");
}

fn command(text: &str) -> Result<Command, Code> {
    let batch = command::parse(text).map_err(|error| error.code)?;
    batch.commands.into_iter().next().unwrap().map_err(|error| error.code)
}

/// A command that is taken or is `bad_request`.
fn is_command(text: &str) -> bool {
    match command(text) {
        Ok(_) => true,
        Err(code) => {
            assert_eq!(code, Code::BadRequest);
            false
        }
    }
}

#[test]
fn texts_are_bounded_in_bytes() {
    assert_edge(CHANNEL_NAME_BYTES, |bytes| a(bytes).parse::<ChannelName>().is_ok());
    assert_edge(SYSTEM_CHANNEL_NAME_BYTES, |bytes| format!("@{}", a(bytes - 1)).parse::<ChannelName>().is_ok());
    assert_edge(PATTERN_BYTES, |bytes| a(bytes).parse::<Pattern>().is_ok());
    assert_edge(PATTERN_BYTES, |bytes| format!("{{{}}}", a(bytes - 2)).parse::<Pattern>().is_ok());
    assert_edge(CLIENT_ID_MAX, |bytes| a(bytes).parse::<ClientId>().is_ok());
    assert_edge(CLIENT_ID_MIN - 1, |bytes| a(bytes).parse::<ClientId>().is_err());
    assert_edge(REF_BYTES, |bytes| is_command(&format!(r#"{{"type":"ping","ref":"{}"}}"#, a(bytes))));
    assert_edge(REF_BYTES, |bytes| is_command(&format!(r#"{{"type":"ping","ref":{}}}"#, "1".repeat(bytes))));
    assert_edge(METHOD_BYTES, |bytes| is_command(&format!(r#"{{"type":"call","method":"{}"}}"#, a(bytes))));
}

#[test]
fn a_message_is_bounded_by_the_setters_as_by_the_wire() {
    let draft = || Draft::json("x").unwrap();
    let fits = |kind, draft: Draft| draft.check(kind, MESSAGE_BYTES).is_ok();
    let publish = |field: &str, bytes| {
        is_command(&format!(r#"{{"type":"publish","channel":"c","data":1,"{field}":"{}"}}"#, a(bytes)))
    };
    assert_edge(PUBLISH_ID_BYTES, |bytes| fits(Kind::Stream, draft().id(a(bytes))));
    assert_edge(PUBLISH_ID_BYTES, |bytes| publish("id", bytes));
    assert_edge(EVENT_NAME_BYTES, |bytes| fits(Kind::Stream, draft().event(a(bytes))));
    assert_edge(EVENT_NAME_BYTES, |bytes| publish("event", bytes));
    assert_edge(KEY_BYTES, |bytes| fits(Kind::State, draft().key(a(bytes))));
    assert_edge(KEY_BYTES, |bytes| publish("key", bytes));
    assert_edge(MESSAGE_BYTES, |bytes| fits(Kind::Stream, Draft::binary(vec![0; bytes])));
    assert_edge(MESSAGE_BYTES - 2, |bytes| fits(Kind::Stream, Draft::json(&a(bytes)).unwrap()));
    let refused = Draft::binary(vec![0; MESSAGE_BYTES + 1]).check(Kind::Stream, MESSAGE_BYTES);
    assert!(matches!(refused, Err(DraftError::TooLarge { .. })), "{refused:?}");
}

#[test]
fn arrays_depths_and_pages_are_bounded() {
    let array = |commands| format!("[{}]", vec![r#"{"type":"ping"}"#; commands].join(","));
    assert_edge(COMMANDS_PER_BATCH, |commands| command::parse(&array(commands)).is_ok());
    // The command itself is the first level.
    let nested = |depth: usize| format!(r#"{{"type":"call","method":"m","data":{}}}"#, arrays(depth - 1));
    assert_edge(JSON_DEPTH, |depth| is_command(&nested(depth)));
    let history = |limit| is_command(&format!(r#"{{"type":"history","channel":"a","limit":{limit}}}"#));
    assert_edge(usize::try_from(HISTORY_LIMIT).unwrap(), history);
    let unsaid = command(r#"{"type":"history","channel":"a"}"#);
    assert!(matches!(unsaid, Ok(Command::History { limit: HISTORY_DEFAULT, .. })), "{unsaid:?}");
}

fn arrays(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

fn get(query: &str) -> Result<SubscribeQuery, QueryError> {
    SubscribeQuery::parse_get(query, Endpoint::Poll)
}

#[test]
fn queries_are_bounded() {
    let padded = |bytes: usize| format!("channel=a&x={}", a(bytes - "channel=a&x=".len()));
    assert_edge(QUERY_BYTES, |bytes| get(&padded(bytes)).is_ok());
    let refused = get(&padded(QUERY_BYTES + 1)).unwrap_err();
    assert_eq!((refused.code, refused.message.contains("32768")), (Code::BadRequest, true));
    let channels = |count| (0..count).map(|n| format!("channel=c{n}")).collect::<Vec<_>>().join("&");
    assert_edge(CHANNELS_PER_GET, |count| get(&channels(count)).is_ok());
    assert_eq!(get(&channels(CHANNELS_PER_GET + 1)).unwrap_err().code, Code::TooManyChannels);
    let body = |count| {
        let names = (0..count).map(|n| format!(r#"{{"name":"c{n}"}}"#)).collect::<Vec<_>>().join(",");
        SubscribeQuery::parse_post(&format!(r#"{{"channels":[{names}]}}"#), Endpoint::Poll, CHANNELS_PER_CONNECTION)
    };
    assert_edge(CHANNELS_PER_CONNECTION, |count| body(count).is_ok());
    assert_eq!(body(CHANNELS_PER_CONNECTION + 1).unwrap_err().code, Code::TooManyChannels);
    assert_edge(usize::try_from(WAIT_MAX_SECONDS).unwrap(), |wait| get(&format!("channel=a&wait={wait}")).is_ok());
    assert_eq!(get("channel=a").unwrap().wait, Duration::from_secs(WAIT_DEFAULT_SECONDS));
}

#[test]
fn a_cursor_beyond_its_bound_is_unknown_and_no_error() {
    let epoch = Epoch::from_bits(1);
    let placed = |cursor: Cursor| cursor.place(&[epoch])[0];
    let padded = |bytes: usize| format!("{epoch}-0{}", ",".repeat(bytes - Epoch::MIN_LEN - 2));
    let at = Place::At(Position::new(epoch, Seq::ZERO));
    assert_edge(CURSOR_BYTES, |bytes| {
        placed(get(&format!("channel=a&cursor={}", padded(bytes))).unwrap().cursor.unwrap()) == at
    });
    let most = 3 * CURSOR_BYTES_PER_CHANNEL;
    let body = |bytes| {
        let body = format!(r#"{{"channels":[{{"name":"a"}}],"cursor":"{}"}}"#, padded(bytes));
        placed(SubscribeQuery::parse_post(&body, Endpoint::Poll, 3).unwrap().cursor.unwrap())
    };
    assert_edge(most, |bytes| body(bytes) == at);
    assert_eq!(body(most + 1), Place::Lost { unreadable: true });
    assert_edge(usize::try_from(MAX_SEQ % 10).unwrap(), |last| {
        format!("{epoch}-{}{last}", MAX_SEQ / 10).parse::<Position>().is_ok()
    });
}

/// Fills a log by the defaults of its kind.
fn filled(kind: Kind, retention: Retention, drafts: impl Iterator<Item = Draft>) -> (Log, Option<AppendError>) {
    let mut log = Log::new(kind, Epoch::from_bits(1), retention);
    for draft in drafts {
        if let Err(refused) = log.append(draft, &Identity::Server.scope(), Stamp { now_ms: 0, tag: 0 }) {
            return (log, Some(refused));
        }
    }
    (log, None)
}

#[test]
fn unless_configured_a_log_keeps_what_the_limits_say() {
    let small = |n: u64| Draft::json(&n).unwrap().key(n.to_string());
    let plain = |n: u64| Draft::json(&n).unwrap();
    let (mut stream, _) = filled(Kind::Stream, Retention::stream(), (0..=STREAM_KEEP).map(plain));
    assert_eq!((stream.len() as u64, stream.head().first.get()), (STREAM_KEEP, 2));
    stream.forget(STREAM_TTL_MS - 1);
    assert!(!stream.is_empty());
    stream.forget(STREAM_TTL_MS);
    assert!(stream.is_empty());
    let large = |n: u64| Draft::binary(vec![0; MESSAGE_BYTES]).key(n.to_string());
    let (stream, _) =
        filled(Kind::Stream, Retention::stream(), (0..200).map(|_| Draft::binary(vec![0; MESSAGE_BYTES])));
    assert!(stream.len() < 200 && (STREAM_KEEP_BYTES - 70_000..=STREAM_KEEP_BYTES).contains(&stream.bytes()));
    let (state, refused) = filled(Kind::State, Retention::state(), (0..=STATE_KEEP).map(small));
    assert_eq!(state.len() as u64, STATE_KEEP);
    assert!(matches!(refused, Some(AppendError::Full { most_keys: STATE_KEEP, .. })), "{refused:?}");
    let (state, refused) = filled(Kind::State, Retention::state(), (0..200).map(large));
    assert!((STATE_KEEP_BYTES - 70_000..=STATE_KEEP_BYTES).contains(&state.bytes()));
    assert!(matches!(refused, Some(AppendError::Full { most_bytes: STATE_KEEP_BYTES, .. })), "{refused:?}");
}

#[test]
fn a_batch_is_bounded_in_messages_and_in_bytes() {
    let start = Position::new(Epoch::from_bits(1), Seq::ZERO);
    let retention = Retention { keep: u64::MAX, keep_bytes: u64::MAX, ..Retention::stream() };
    let small = (0..=BATCH_MESSAGES).map(|_| Draft::binary([]));
    let (log, _) = filled(Kind::Stream, retention, small);
    assert_eq!(log.read(start, Limit::default()).len(), BATCH_MESSAGES);
    for (bytes, count) in [(BATCH_BYTES / 4, 4), (BATCH_BYTES / 4 + 1, 3), (BATCH_BYTES + 1, 1)] {
        let (log, _) = filled(Kind::Stream, retention, (0..6).map(|_| Draft::binary(vec![0; bytes])));
        assert_eq!(log.read(start, Limit::default()).len(), count, "of {bytes}");
    }
}
