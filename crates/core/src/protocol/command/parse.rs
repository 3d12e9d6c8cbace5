//! Commands out of JSON text.

use super::{Batch, Command, CommandError, HistoryFrom, Publish, SubscribeTo};
use crate::limits::{COMMANDS_PER_BATCH, HISTORY_DEFAULT, HISTORY_LIMIT, KEY_BYTES, METHOD_BYTES};
use crate::message::{DraftError, is_event_name, is_publish_id};
use crate::position::Seq;
use crate::protocol::read::{Fault, Object, check_depth, elements, required};
use crate::protocol::{Code, Ref, Secret};

/// Reads what one WebSocket frame or one body of `send` holds: a command, or an array of 1 to 64.
///
/// # Errors
/// The text is not JSON, neither an object nor an array, `[]`, or an array of more than 64. What is wrong with one
/// command stands in its place in [`Batch::commands`].
pub fn parse(text: &str) -> Result<Batch, CommandError> {
    if !text.trim_ascii_start().starts_with('[') {
        let object = Object::parse(text, WHAT, FIELDS).map_err(bad_request)?;
        return Ok(Batch { single: true, commands: vec![command(&object, text)] });
    }
    let mut commands = Vec::new();
    elements(text, "an array of commands", |text| {
        if commands.len() == COMMANDS_PER_BATCH {
            return Err(Fault::new(WRONG_COUNT));
        }
        let read = Object::parse(text, WHAT, FIELDS).map_err(bad_request).and_then(|object| command(&object, text));
        commands.push(read);
        Ok(())
    })
    .map_err(bad_request)?;
    if commands.is_empty() {
        return Err(bad_request(Fault::new(WRONG_COUNT)));
    }
    Ok(Batch { single: false, commands })
}

const WHAT: &str = "a command";
const WRONG_COUNT: &str = "an array must hold 1 to 64 commands";
const _: () = assert!(COMMANDS_PER_BATCH == 64, "WRONG_COUNT says so");

/// The fields of all commands.
const FIELDS: &[&str] = &[
    "type", "ref", "token", "client", "channel", "channels", "from", "presence", "data", "data64", "deleted", "event",
    "id", "key", "ttl", "if", "before", "after", "limit", "method",
];

/// The fields of one entry of `channels`.
pub(in crate::protocol) const SUBSCRIBE_TO: &[&str] = &["name", "from", "presence"];

/// Reads one entry of `channels`, in a `subscribe` command or in a body.
pub(in crate::protocol) fn subscribe_to(name: &str, object: &Object<'_>) -> Result<SubscribeTo, Fault> {
    Ok(SubscribeTo {
        name: required(name, object.channel(name)?)?,
        start: object.parsed("from")?,
        presence: object.json("presence")?,
    })
}

fn bad_request(fault: Fault) -> CommandError {
    CommandError { code: Code::BadRequest, reference: None, channel: None, message: fault.0 }
}

fn command(object: &Object<'_>, text: &str) -> Result<Command, CommandError> {
    let read = check_depth(text, WHAT).and_then(|()| object.reference()).and_then(|reference| typed(object, reference));
    read.map_err(|fault| CommandError {
        reference: object.reference().ok().flatten(),
        channel: object.channel("channel").ok().flatten(),
        ..bad_request(fault)
    })
}

fn typed(object: &Object<'_>, reference: Option<Ref>) -> Result<Command, Fault> {
    let type_name = required("type", object.text("type")?)?;
    let channel = || required("channel", object.channel("channel")?);
    Ok(match &*type_name {
        "hello" => Command::Hello {
            token: object.boxed("token")?.map(Secret::new),
            client: object.parsed("client")?,
            reference,
        },
        "auth" => Command::Auth { token: Secret::new(required("token", object.boxed("token")?)?), reference },
        "subscribe" => Command::Subscribe { channels: channels(object)?, reference },
        "unsubscribe" => Command::Unsubscribe { channel: channel()?, reference },
        "publish" => Command::Publish(publish(object, reference)?),
        "history" => {
            Command::History { channel: channel()?, from: history_from(object)?, limit: limit(object)?, reference }
        }
        "presence" => Command::Presence { channel: channel()?, data: object.json("data")?, reference },
        "call" => Command::Call { method: method(object)?, data: object.json("data")?, reference },
        "ping" => Command::Ping { reference },
        "pong" => Command::Pong { reference },
        unknown => return Err(Fault(format!("unknown type {:?}", shortened(unknown)))),
    })
}

fn channels(object: &Object<'_>) -> Result<Vec<SubscribeTo>, Fault> {
    let Some(list) = object.get("channels") else {
        return Ok(vec![subscribe_to("channel", object)?]);
    };
    if object.get("channel").is_some() {
        return Err(Fault::new("channel and channels exclude each other"));
    }
    let mut channels = Vec::new();
    elements(list, "channels", |entry| {
        let at = format!("channels[{}]", channels.len());
        let entry = Object::parse(entry, &at, SUBSCRIBE_TO)?;
        channels.push(subscribe_to("name", &entry).map_err(|fault| fault.within(at))?);
        Ok(())
    })?;
    if channels.is_empty() { Err(Fault::new("channels is empty")) } else { Ok(channels) }
}

fn publish(object: &Object<'_>, reference: Option<Ref>) -> Result<Publish, Fault> {
    let publish = Publish {
        channel: required("channel", object.channel("channel")?)?,
        payload: object.payload()?,
        event: object.boxed("event")?,
        id: object.boxed("id")?,
        key: object.boxed("key")?,
        ttl: object.seconds("ttl")?,
        condition: object.number("if")?.and_then(Seq::new),
        reference,
    };
    match &publish {
        Publish { event: Some(event), .. } if !is_event_name(event) => Err(Fault(DraftError::Event.to_string())),
        Publish { id: Some(id), .. } if !is_publish_id(id) => Err(Fault(DraftError::Id.to_string())),
        Publish { key: Some(key), .. } if !is_key(key) => {
            Err(Fault(format!("key must be 1 to {KEY_BYTES} bytes without control characters")))
        }
        Publish { payload: None, key: None, .. } => Err(Fault::new("key is missing: deleted removes a key")),
        Publish { ttl: Some(ttl), .. } if ttl.is_zero() => Err(Fault::new("ttl must be at least a millisecond")),
        _ => Ok(publish),
    }
}

fn is_key(text: &str) -> bool {
    (1..=KEY_BYTES).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn history_from(object: &Object<'_>) -> Result<HistoryFrom, Fault> {
    match (object.position("before")?, object.position("after")?) {
        (None, None) => Ok(HistoryFrom::Newest),
        (Some(position), None) => Ok(HistoryFrom::Before(position)),
        (None, Some(position)) => Ok(HistoryFrom::After(position)),
        (Some(_), Some(_)) => Err(Fault::new("before and after exclude each other")),
    }
}

fn limit(object: &Object<'_>) -> Result<u64, Fault> {
    match object.number("limit")?.unwrap_or(HISTORY_DEFAULT) {
        limit @ 1..=HISTORY_LIMIT => Ok(limit),
        _ => Err(Fault(format!("limit must be 1 to {HISTORY_LIMIT}"))),
    }
}

fn method(object: &Object<'_>) -> Result<Box<str>, Fault> {
    let method = required("method", object.boxed("method")?)?;
    if (1..=METHOD_BYTES).contains(&method.len()) {
        Ok(method)
    } else {
        Err(Fault(format!("method must be 1 to {METHOD_BYTES} bytes")))
    }
}

/// As much of a stranger's text as an error should repeat.
fn shortened(text: &str) -> &str {
    const MOST: usize = 40;
    text.char_indices().nth(MOST).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> CommandError {
        match parse(text) {
            Err(error) => error,
            Ok(batch) => batch.commands.into_iter().find_map(Result::err).unwrap_or_else(|| panic!("{text} was read")),
        }
    }

    #[test]
    fn a_bad_element_is_an_error_of_its_own() {
        let text = r#"[{"type":"ping"},5,{"type":"publish","channel":"a","ref":2},{"type":"pong"}]"#;
        let batch = parse(text).unwrap();
        assert!(!batch.single);
        let [Ok(Command::Ping { .. }), Err(two), Err(three), Ok(Command::Pong { .. })] = batch.commands.as_slice()
        else {
            panic!("{batch:?}")
        };
        assert_eq!(two.message, "a command must be a JSON object");
        assert_eq!(three.reference, Some(Ref::number(2)));
        assert_eq!(three.channel, "a".parse().ok());
        assert!(three.message.contains("data"), "{three}");
    }

    #[test]
    fn an_array_holds_1_to_64() {
        let array = |count: usize| format!("[{}]", vec![r#"{"type":"ping"}"#; count].join(","));
        assert_eq!(parse(&array(64)).unwrap().commands.len(), 64);
        for text in [array(0), array(65), " [ ] ".to_owned()] {
            assert_eq!(parse(&text).unwrap_err().message, WRONG_COUNT);
        }
    }

    #[test]
    fn a_cut_array_is_one_error_even_where_its_first_commands_are_whole() {
        assert!(parse(r#"[{"type":"ping"},{"type":"ping"}"#).unwrap_err().message.contains("not JSON"));
    }

    #[test]
    fn depth_counts_from_the_command_and_names_whom_it_concerns() {
        let command = |depth: usize| {
            let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
            format!(r#"{{"type":"publish","channel":"a","ref":"r","data":{open}{close}}}"#)
        };
        assert!(parse(&command(128)).unwrap().commands[0].is_ok());
        assert!(parse(&format!("[{}]", command(128))).unwrap().commands[0].is_ok());
        let error = fault(&command(129));
        assert!(error.message.contains("nest deeper than 128"), "{error}");
        assert_eq!((error.reference, error.channel), (Ref::text("r"), "a".parse().ok()));
    }

    #[test]
    fn a_long_unknown_type_is_not_repeated_at_length() {
        let error = fault(&format!(r#"{{"type":"{}"}}"#, "å".repeat(10_000)));
        assert_eq!(error.message, format!("unknown type {:?}", "å".repeat(40)));
    }

    #[test]
    fn an_error_shows_no_token() {
        for text in [r#"{"type":"auth","token":["s3cret"]}"#, r#"{"type":"hello","token":"s3cret","client":"x"}"#] {
            assert!(!format!("{:?}", fault(text)).contains("s3cret"));
        }
        let batch = parse(r#"{"type":"auth","token":"s3cret"}"#).unwrap();
        assert!(!format!("{batch:?}").contains("s3cret"));
    }
}
