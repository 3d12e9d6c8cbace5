//! The targets.

use std::sync::Arc;
use std::time::Duration;

use serde::de::IgnoredAny;
use serde_json::Value;
use tricast_core::channel::{ChannelName, Kind, Pattern};
use tricast_core::json;
use tricast_core::limits::{CHANNELS_PER_GET, WAIT_MAX_SECONDS};
use tricast_core::log::Head;
use tricast_core::message::{Encoding, Message, Payload, encode, is_event_name, is_key, is_publish_id};
use tricast_core::position::{Cursor, Epoch, Place, Position, Seq, cursor_text};
use tricast_core::protocol::{
    Code, Endpoint, Event, MessageEvent, QueryError, Start, SubscribeQuery, SubscribeTo, command,
};
use tricast_core::replay::{Decision, decide, decide_place, start};

/// What a WebSocket's text frame or a body of `send` holds: each command that is understood reads back as it is printed.
pub fn commands(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(batch) = command::parse(text) else { return };
    assert!(!batch.single || batch.commands.len() == 1);
    for command in batch.commands {
        match command {
            Ok(command) => {
                let printed = command.to_json();
                assert!(!printed.contains(['\n', '\r']), "{printed:?}");
                let again = command::parse(&printed).expect("what was printed is a command");
                assert_eq!(again.commands, [Ok(command)], "{printed}");
            }
            Err(error) => assert!(!error.message.is_empty()),
        }
    }
}

/// JSON text: taken exactly where `serde_json` takes it, and compacted to the same value without white space.
pub fn compaction(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let is_json = serde_json::from_str::<IgnoredAny>(text).is_ok();
    let compact = match json::compact(text) {
        Ok(compact) => compact,
        Err(json::JsonError::TooDeep) => return assert!(json::check_depth(text).is_err()),
        Err(json::JsonError::Syntax { at, .. }) => {
            return assert!(!is_json && at <= text.len(), "serde_json takes {text:?}");
        }
    };
    assert!(is_json && json::check_depth(text).is_ok(), "serde_json refuses {text:?}");
    assert_eq!(compact, without_blanks(text), "what is left is the text without its blanks");
    assert_eq!(json::compact(&compact).as_deref(), Ok(&*compact));
    // Lone surrogates and huge numbers are JSON, but no values of serde_json's.
    if let Ok(value) = serde_json::from_str::<Value>(text) {
        assert_eq!(serde_json::from_str::<Value>(&compact).ok(), Some(value));
    }
}

fn without_blanks(text: &str) -> String {
    let (mut inside, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = inside || !c.is_ascii_whitespace();
        match c {
            _ if escaped => escaped = false,
            '\\' if inside => escaped = true,
            '"' => inside = !inside,
            _ => {}
        }
        kept
    };
    text.chars().filter(keep).collect()
}

/// Cursors, positions and starts: what is read is printed as it was, and whatever is decided can be continued from.
pub fn cursors(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    if let Ok(position) = text.parse::<Position>() {
        assert_eq!(position.to_string(), text, "a position has one form");
    }
    if let Ok(start) = text.parse::<Start>() {
        assert_eq!(start.to_string(), text);
    }
    let positions: Vec<Option<Position>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let mut epochs: Vec<Epoch> = positions.iter().flatten().map(|position| position.epoch).collect();
    epochs.sort_unstable();
    epochs.dedup();
    epochs.push(Epoch::from_bits(u64::MAX));
    let cursor = Cursor::parse_get(text);
    let places = cursor.place(&epochs);
    assert_eq!(places.len(), epochs.len());
    let said: Vec<Option<Position>> = places
        .iter()
        .map(|place| match place {
            Place::At(position) => Some(*position),
            Place::Fresh | Place::Lost { .. } => None,
        })
        .collect();
    let printed = cursor_text(said.iter().copied());
    for (place, (epoch, expected)) in
        Cursor::parse(&printed, usize::MAX).place(&epochs).iter().zip(epochs.iter().zip(said))
    {
        match expected {
            Some(position) => assert_eq!(*place, Place::At(position), "{printed}"),
            None => assert!(!matches!(place, Place::At(_)), "{printed}"),
        }
        decisions(*epoch, expected);
    }
}

/// A reader who does as it is told stands where it can be continued.
fn decisions(epoch: Epoch, asked: Option<Position>) {
    let seq = asked.map_or(Seq::ZERO, |position| position.seq);
    let head = |first: Seq, head: Seq, floor| Head { epoch, first, head, floor };
    let heads = [
        head(seq.next().unwrap_or(seq), seq, Seq::ZERO),
        head(seq.next().unwrap_or(seq), seq.next().unwrap_or(seq), seq),
        head(seq.back(2).next().unwrap_or(seq), seq.back(1), seq.back(1)),
        head(Seq::ZERO.next().unwrap_or(seq), Seq::ZERO, Seq::ZERO),
    ];
    for (head, kind) in heads.iter().flat_map(|head| [(head, Kind::Stream), (head, Kind::State)]) {
        let next = match decide(kind, asked, head) {
            Decision::Continue => {
                let knows = asked.is_some_and(|position| position.epoch == head.epoch && position.seq <= head.head);
                assert!(knows, "{asked:?} is continued on {head:?}");
                asked
            }
            Decision::Gap { position, .. } => Some(position),
        };
        assert_eq!(decide(kind, next, head), Decision::Continue, "{asked:?} on {head:?}");
        for place in [Place::Lost { unreadable: true }, Place::Lost { unreadable: false }] {
            assert!(decide_place(kind, place, head).is_some_and(|begins| begins.gap.is_some()));
        }
        for from in [Start::Latest, Start::Earliest, Start::Last(seq.get())] {
            assert_eq!(decide(kind, Some(start(kind, from, head)), head), Decision::Continue, "{from} on {head:?}");
        }
    }
}

/// What a server writes, a WebSocket's frames among it: each event that is understood reads back as it is printed.
pub fn events(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let Ok(Some(event)) = Event::parse(text) else { return };
    let printed = event.to_json();
    assert!(!printed.contains(['\n', '\r']), "{printed:?}");
    assert_eq!(Event::parse(&printed), Ok(Some(event)), "{printed}");
}

/// Names and patterns, a line each: what is read is printed as it was, and no parameter is empty.
pub fn names(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let mut lines = text.lines();
    let pattern = lines.next().unwrap_or_default();
    let name = lines.next().unwrap_or_default();
    if let Ok(name) = name.parse::<ChannelName>() {
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(name.is_system(), name.as_str().starts_with('@'));
    }
    let Ok(parsed) = pattern.parse::<Pattern>() else { return };
    assert_eq!(parsed.as_str(), pattern);
    // Not only what is a name: nothing may break it.
    let Some(params) = parsed.matches(name) else { return };
    assert!(!name.starts_with('@'));
    let mut rebuilt = String::new();
    for part in pattern.split_inclusive(['{', '}']) {
        match part.strip_suffix('}') {
            Some(param) => {
                let value = params.get(param).expect("each parameter has a value");
                assert!(!value.is_empty(), "{param} of {name:?}");
                rebuilt.push_str(value);
            }
            None => rebuilt.push_str(part.trim_end_matches('{')),
        }
    }
    assert_eq!(rebuilt, name);
}

/// The subscribe query, as a URL's and as a body; the first line is a `Last-Event-ID`.
pub fn queries(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let (header, rest) = text.split_once('\n').unwrap_or(("", text));
    for endpoint in [Endpoint::Ws, Endpoint::Sse { last_event_id: Some(header) }, Endpoint::Poll] {
        check_query(SubscribeQuery::parse_get(rest, endpoint), endpoint, CHANNELS_PER_GET);
        check_query(SubscribeQuery::parse_post(rest, endpoint, 8), endpoint, 8);
    }
}

fn check_query(parsed: Result<SubscribeQuery, QueryError>, endpoint: Endpoint<'_>, most: usize) {
    let query = match parsed {
        Ok(query) => query,
        Err(error) => {
            assert!(matches!(error.code, Code::BadRequest | Code::TooManyChannels) && !error.message.is_empty());
            return;
        }
    };
    let names: Vec<&ChannelName> = query.channels.iter().map(|channel| &channel.name).collect();
    assert!(names.len() <= most && (!names.is_empty() || endpoint == Endpoint::Ws));
    assert!(names.iter().enumerate().all(|(nth, name)| !names[..nth].contains(name)), "a channel stands twice");
    assert!(query.wait.as_secs_f64() <= WAIT_MAX_SECONDS as f64);
    if names.is_empty() {
        return;
    }
    let again = SubscribeQuery::parse_post(&body(&query), Endpoint::Poll, most).expect("what was printed is a query");
    // A body's seconds are read to the millisecond.
    assert!(again.wait.abs_diff(query.wait) < Duration::from_millis(1));
    // A cursor has no form in which it would be printed.
    assert_eq!(again, SubscribeQuery { cursor: None, envelope: true, wait: again.wait, ..query });
}

fn body(query: &SubscribeQuery) -> String {
    let channel = |channel: &SubscribeTo| {
        let mut object = serde_json::Map::new();
        object.insert("name".to_owned(), channel.name.as_str().into());
        if let Some(start) = channel.start {
            object.insert("from".to_owned(), start.to_string().into());
        }
        // Text, not a value: numbers stay as they were written.
        let presence = channel.presence.as_ref().map(|data| format!(",\"presence\":{data}")).unwrap_or_default();
        let object = Value::Object(object).to_string();
        format!("{}{presence}}}", object.trim_end_matches('}'))
    };
    let channels: Vec<String> = query.channels.iter().map(channel).collect();
    let client = query.client.as_ref().map(|id| format!(",\"client\":\"{}\"", id.as_str())).unwrap_or_default();
    let wait = query.wait.as_secs_f64();
    format!("{{\"channels\":[{}]{client},\"wait\":{wait}}}", channels.join(","))
}

/// Batches as they are written for each transport: each message reads back from them, by the rules of the format.
pub fn encodings(input: &[u8]) {
    let channel: ChannelName = "fuzz:1".parse().expect("a name");
    let epoch = Epoch::from_bits(1);
    let messages = messages(input);
    let expected: Vec<MessageEvent> =
        messages.iter().map(|message| MessageEvent::of(message, &channel, epoch)).collect();
    let read = |texts: Vec<&str>| -> Vec<MessageEvent> {
        let message = |text: &str| match Event::parse(text) {
            Ok(Some(Event::Message(message))) => message,
            other => panic!("{text:?} is {other:?}"),
        };
        texts.into_iter().map(message).collect()
    };
    let encoded = |encoding| encode(&channel, epoch, &messages, encoding);

    let frames = encoded(Encoding::WebSocket);
    assert_eq!(read(frame_texts(&frames)), expected);

    let envelopes = String::from_utf8(encoded(Encoding::EnvelopeSse)).expect("text");
    let datas = envelopes.split_terminator("\n\n").map(|event| event.strip_prefix("data: ").expect("one line of data"));
    assert_eq!(read(datas.collect()), expected);

    let raw = String::from_utf8(encoded(Encoding::RawSse)).expect("text");
    let events: Vec<&str> = raw.split_terminator("\n\n").collect();
    assert_eq!(events.len(), expected.len());
    for (event, message) in events.iter().zip(&expected) {
        let field = |name: &str| event.split(['\n', '\r']).find_map(|line| line.strip_prefix(name));
        assert_eq!(field("id: "), Some(&*message.position().to_string()));
        assert_eq!(field("event: "), message.event.as_deref());
        assert!(field("data: ").is_some_and(|data| serde_json::from_str::<IgnoredAny>(data).is_ok()), "{event:?}");
        assert_eq!(event.lines().count(), 2 + usize::from(message.event.is_some()));
    }

    let array = format!("[{}]", String::from_utf8(encoded(Encoding::Json)).expect("text"));
    let array: Vec<&serde_json::value::RawValue> = serde_json::from_str(&array).expect("an array");
    assert_eq!(read(array.into_iter().map(serde_json::value::RawValue::get).collect()), expected);
}

/// A message a line: `event<TAB>id<TAB>key<TAB>payload`. What is not a payload's JSON text is taken as binary.
fn messages(input: &[u8]) -> Vec<Arc<Message>> {
    let message = |(nth, line): (usize, &[u8])| {
        let mut fields = line.splitn(4, |byte| *byte == b'\t');
        let mut text = || str::from_utf8(fields.next().unwrap_or_default()).unwrap_or_default();
        let (event, id, key) = (text(), text(), text());
        let payload = fields.next();
        let json = payload.and_then(|bytes| Payload::json_text(str::from_utf8(bytes).ok()?).ok());
        let message = Message {
            seq: Seq::new(nth as u64 + 1)?,
            at: nth as u64,
            tag: 0,
            // Only a deletion, which has a key, is without one.
            payload: json.or_else(|| {
                (payload.is_some() || !is_key(key)).then(|| Payload::Binary(payload.unwrap_or_default().into()))
            }),
            event: is_event_name(event).then(|| event.into()),
            id: is_publish_id(id).then(|| id.into()),
            user: None,
            key: is_key(key).then(|| key.into()),
            expires: None,
        };
        Some(Arc::new(message))
    };
    input.split(|byte| *byte == b'\n').enumerate().filter_map(message).collect()
}

/// The texts of unmasked, final text frames.
fn frame_texts(mut frames: &[u8]) -> Vec<&str> {
    let mut texts = Vec::new();
    while let [0x81, short, rest @ ..] = frames {
        let (long, rest) = match short {
            126 => rest.split_at(2),
            127 => rest.split_at(8),
            _ => rest.split_at(0),
        };
        let length = if long.is_empty() {
            u64::from(*short)
        } else {
            long.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let (text, after) = rest.split_at(usize::try_from(length).expect("a length that fits"));
        texts.push(str::from_utf8(text).expect("text"));
        frames = after;
    }
    assert!(frames.is_empty(), "no frame begins with {:?}", frames.first());
    texts
}
