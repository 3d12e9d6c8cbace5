use proptest::option;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tricast_core::channel::ChannelName;
use tricast_core::position::Seq;
use tricast_core::protocol::{
    Command, CommandError, HistoryFrom, Publish, SubscribeTo,
    command::{self, Batch},
};
use tricast_testkit::vectors;

use crate::any;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frame {
    text: String,
    #[serde(default)]
    array: bool,
    error: Option<Refusal>,
    outcomes: Option<Vec<Outcome>>,
}

#[derive(Deserialize, Debug)]
#[serde(rename_all = "snake_case")]
enum Outcome {
    Command(Value),
    Prints(String),
    Error(Refusal),
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: String,
    mentions: Vec<String>,
    #[serde(rename = "ref")]
    reference: Option<Value>,
    channel: Option<String>,
}

#[test]
fn commands_are_as_the_vectors_say() {
    for case in vectors::load::<Frame>("commands") {
        let Frame { text, array, error, outcomes } = &case.data;
        match (command::parse(text), outcomes) {
            (Ok(batch), Some(outcomes)) => {
                assert_eq!(batch.single, !array, "{}", case.name);
                assert_eq!(batch.commands.len(), outcomes.len(), "{}", case.name);
                for (found, expected) in batch.commands.iter().zip(outcomes) {
                    assert_outcome(&case.name, found, expected);
                }
            }
            (Err(found), None) => assert_refusal(&case.name, &found, error.as_ref().unwrap()),
            (found, _) => panic!("{}: {found:?}", case.name),
        }
    }
}

fn assert_outcome(name: &str, found: &Result<Command, CommandError>, expected: &Outcome) {
    match (found, expected) {
        (Ok(command), Outcome::Command(object)) => {
            let printed = command.to_json();
            assert_eq!(&serde_json::from_str::<Value>(&printed).unwrap(), object, "{name}");
            assert_eq!(&only(command::parse(&printed).unwrap()), command, "{name}");
        }
        (Ok(command), Outcome::Prints(text)) => assert_eq!(&command.to_json(), text, "{name}"),
        (Err(error), Outcome::Error(refusal)) => assert_refusal(name, error, refusal),
        _ => panic!("{name}: expected {expected:?}, found {found:?}"),
    }
}

fn assert_refusal(name: &str, found: &CommandError, expected: &Refusal) {
    assert_eq!(found.code.as_str(), expected.code, "{name}");
    for mention in &expected.mentions {
        assert!(found.message.contains(mention), "{name}: {:?} does not mention {mention:?}", found.message);
    }
    let reference = found.reference.as_ref().map(|reference| {
        let mut text = Vec::new();
        reference.put_json(&mut text);
        serde_json::from_slice::<Value>(&text).unwrap()
    });
    assert_eq!(reference, expected.reference, "{name}");
    assert_eq!(found.channel.as_ref().map(ChannelName::as_str), expected.channel.as_deref(), "{name}");
}

fn only(batch: Batch) -> Command {
    let [command] = batch.commands.try_into().unwrap();
    command.unwrap()
}

#[test]
fn a_ref_that_is_a_number_comes_back_digit_by_digit() {
    for number in ["0", "-0", "1.50", "1e2", "12345678901234567890123456789"] {
        let text = format!(r#"{{"type":"ping","ref":{number}}}"#);
        assert_eq!(only(command::parse(&text).unwrap()).to_json(), text);
    }
}

fn subscribe_to() -> impl Strategy<Value = SubscribeTo> {
    (any::channel(), option::of(any::start()), option::of(any::json()))
        .prop_map(|(name, start, presence)| SubscribeTo { name, start, presence })
}

fn publish() -> impl Strategy<Value = Publish> {
    (
        (any::channel(), option::of(any::payload()), option::of(any::event_name()), option::of(any::publish_id())),
        (option::of(any::key()), option::of(any::duration()), option::of(any::seq()), option::of(any::reference())),
    )
        .prop_filter_map(
            "a deletion has a key",
            |((channel, payload, event, id), (key, ttl, condition, reference))| {
                (payload.is_some() || key.is_some()).then_some(Publish {
                    channel,
                    payload,
                    event,
                    id,
                    key,
                    ttl,
                    condition,
                    reference,
                })
            },
        )
}

fn history_from() -> impl Strategy<Value = HistoryFrom> {
    prop_oneof![
        Just(HistoryFrom::Newest),
        any::position().prop_map(HistoryFrom::Before),
        any::position().prop_map(HistoryFrom::After),
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let reference = || option::of(any::reference());
    prop_oneof![
        (option::of(any::secret()), option::of(any::client()), reference())
            .prop_map(|(token, client, reference)| Command::Hello { token, client, reference }),
        (any::secret(), reference()).prop_map(|(token, reference)| Command::Auth { token, reference }),
        (prop::collection::vec(subscribe_to(), 1..5), reference())
            .prop_map(|(channels, reference)| Command::Subscribe { channels, reference }),
        (any::channel(), reference()).prop_map(|(channel, reference)| Command::Unsubscribe { channel, reference }),
        publish().prop_map(Command::Publish),
        (any::channel(), history_from(), 1..=1_000_u64, reference())
            .prop_map(|(channel, from, limit, reference)| Command::History { channel, from, limit, reference }),
        (any::channel(), option::of(any::json()), reference())
            .prop_map(|(channel, data, reference)| Command::Presence { channel, data, reference }),
        ("\\PC{1,30}", option::of(any::json()), reference()).prop_map(|(method, data, reference)| Command::Call {
            method: method.into(),
            data,
            reference
        }),
        reference().prop_map(|reference| Command::Ping { reference }),
        reference().prop_map(|reference| Command::Pong { reference }),
    ]
}

proptest! {
    #[test]
    fn a_command_reads_back(command in command()) {
        let text = command.to_json();
        prop_assert!(!text.contains(['\n', '\r']));
        prop_assert_eq!(only(command::parse(&text).unwrap()), command);
    }

    #[test]
    fn an_array_reads_back_in_order(commands in prop::collection::vec(command(), 1..=64)) {
        let texts: Vec<String> = commands.iter().map(Command::to_json).collect();
        let batch = command::parse(&format!("[{}]", texts.join(","))).unwrap();
        prop_assert!(!batch.single);
        prop_assert_eq!(batch.commands.into_iter().collect::<Result<Vec<_>, _>>().unwrap(), commands);
    }

    #[test]
    fn what_refers_to_a_command_is_what_was_parsed(publish in publish()) {
        let command = Command::Publish(publish.clone());
        prop_assert_eq!(command.reference(), publish.reference.as_ref());
        prop_assert_eq!(command.channel(), Some(&publish.channel));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}|[\\[\\]{}\",:a-z0-9 ]{0,60}") {
        drop(command::parse(&text));
    }

    #[test]
    fn a_command_that_was_damaged_is_read_or_refused_with_a_reason(
        command in command(), at in any::<prop::sample::Index>(), byte in 0_u8..128,
    ) {
        let mut text = command.to_json();
        let at = at.index(text.len());
        prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1));
        text.replace_range(at..=at, &char::from(byte).to_string());
        match command::parse(&text) {
            Err(error) => prop_assert!(!error.message.is_empty()),
            Ok(batch) => for outcome in batch.commands {
                match outcome {
                    Err(error) => prop_assert!(!error.message.is_empty()),
                    Ok(read) => prop_assert_eq!(only(command::parse(&read.to_json()).unwrap()), read),
                }
            },
        }
    }

    #[test]
    fn a_condition_is_any_seq(seq in any::seq()) {
        let text = format!(r#"{{"type":"publish","channel":"a","key":"k","data":1,"if":{}}}"#, seq.get());
        let Command::Publish(publish) = only(command::parse(&text).unwrap()) else { panic!("{text}") };
        prop_assert_eq!(publish.condition, Seq::new(seq.get()));
    }
}
