use std::collections::BTreeSet;

use proptest::option;
use proptest::prelude::*;
use serde::Deserialize;
use tricast_core::protocol::event::{
    Bye, ErrorEvent, Event, Gap, GapReason, History, Limits, Member, MessageEvent, Presence, Published, Subscribed,
    Unsubscribed, Welcome,
};
use tricast_testkit::vectors;

use crate::any;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    text: String,
    prints: Option<String>,
    #[serde(default)]
    ignored: bool,
    error: Option<Vec<String>>,
}

#[test]
fn events_are_as_the_vectors_say() {
    for case in vectors::load::<Told>("events") {
        let Told { text, prints, ignored, error } = &case.data;
        match Event::parse(text) {
            Ok(Some(event)) => {
                assert!(!ignored && error.is_none(), "{}: {event:?}", case.name);
                assert_eq!(&event.to_json(), prints.as_ref().unwrap_or(text), "{}", case.name);
            }
            Ok(None) => assert!(ignored, "{}", case.name),
            Err(refused) => {
                let mentions = error.as_ref().unwrap_or_else(|| panic!("{}: {refused}", case.name));
                for mention in mentions {
                    assert!(refused.message.contains(mention), "{}: {refused} does not mention {mention}", case.name);
                }
            }
        }
    }
}

#[test]
fn every_type_of_event_has_a_vector() {
    let types: BTreeSet<&'static str> = vectors::load::<Told>("events")
        .iter()
        .filter_map(|case| Event::parse(&case.data.text).ok().flatten())
        .map(|event| event.type_name())
        .collect();
    assert_eq!(types.len(), 14, "{types:?}");
}

fn welcome() -> impl Strategy<Value = Welcome> {
    (
        (any::client(), option::of(any::text()), any::duration(), option::of(any::duration()), any::millis()),
        ((any::millis(), any::millis(), any::millis()), option::of(any::reference())),
    )
        .prop_map(|((client, user, heartbeat, expires_in, time), ((message, channels, batch), reference))| {
            let limits = Limits { message, channels, batch };
            Welcome { user, expires_in, reference, ..Welcome::new(client, heartbeat, time, limits) }
        })
}

fn subscribed() -> impl Strategy<Value = Subscribed> {
    (
        any::channel(),
        any::kind(),
        any::position(),
        any::position(),
        option::of(any::<bool>()),
        option::of(any::reference()),
    )
        .prop_map(|(channel, kind, position, head, recovered, reference)| Subscribed {
            channel,
            kind,
            position,
            head,
            recovered,
            reference,
        })
}

fn message() -> impl Strategy<Value = MessageEvent> {
    (
        (any::channel(), any::epoch(), any::seq(), option::of(any::payload()), any::millis()),
        (option::of(any::event_name()), option::of(any::publish_id()), option::of(any::key()), option::of(any::text())),
    )
        .prop_map(|((channel, epoch, seq, payload, at), (event, id, key, user))| MessageEvent {
            channel,
            epoch,
            seq,
            payload,
            at,
            event,
            id,
            key,
            user,
        })
}

fn gap() -> impl Strategy<Value = Gap> {
    let reason = prop_oneof![Just(GapReason::Expired), Just(GapReason::Epoch), Just(GapReason::Unknown)];
    (any::channel(), any::position(), any::position(), reason).prop_map(|(channel, position, head, reason)| Gap {
        channel,
        position,
        head,
        reason,
    })
}

fn history() -> impl Strategy<Value = History> {
    let messages = prop::collection::vec(message(), 0..5);
    (option::of(any::reference()), any::channel(), messages, any::position(), any::<(bool, bool)>()).prop_map(
        |(reference, channel, messages, position, (more, gap))| History {
            reference,
            channel,
            messages,
            position,
            more,
            gap,
        },
    )
}

fn presence() -> impl Strategy<Value = Presence> {
    let member = (any::client(), option::of(any::text()), option::of(any::json()), any::millis())
        .prop_map(|(client, user, data, since)| Member { client, user, data, since });
    (option::of(any::reference()), any::channel(), prop::collection::vec(member, 0..5))
        .prop_map(|(reference, channel, members)| Presence { reference, channel, members })
}

fn error() -> impl Strategy<Value = ErrorEvent> {
    (option::of(any::reference()), option::of(any::channel()), any::code(), any::text(), option::of(any::duration()))
        .prop_map(|(reference, channel, code, message, retry_after)| ErrorEvent {
            reference,
            channel,
            retry_after,
            ..ErrorEvent::new(code, message)
        })
}

fn event() -> impl Strategy<Value = Event> {
    let reference = || option::of(any::reference());
    prop_oneof![
        welcome().prop_map(Event::Welcome),
        subscribed().prop_map(Event::Subscribed),
        message().prop_map(Event::Message),
        gap().prop_map(Event::Gap),
        (any::channel(), any::position()).prop_map(|(channel, position)| Event::Live { channel, position }),
        (any::channel(), option::of(any::code()), reference())
            .prop_map(|(channel, code, reference)| Event::Unsubscribed(Unsubscribed { channel, code, reference })),
        (reference(), any::channel(), any::position(), any::<bool>()).prop_map(
            |(reference, channel, position, duplicate)| {
                Event::Published(Published { reference, channel, position, duplicate })
            }
        ),
        history().prop_map(Event::History),
        presence().prop_map(Event::Presence),
        (reference(), any::json()).prop_map(|(reference, data)| Event::Result { reference, data }),
        error().prop_map(Event::Error),
        reference().prop_map(|reference| Event::Ping { reference }),
        reference().prop_map(|reference| Event::Pong { reference }),
        (any::code(), any::text(), option::of(any::duration()))
            .prop_map(|(code, reason, after)| Event::Bye(Bye { after, ..Bye::new(code, reason) })),
    ]
}

proptest! {
    #[test]
    fn an_event_reads_back(event in event()) {
        let text = event.to_json();
        prop_assert!(!text.contains(['\n', '\r']));
        prop_assert_eq!(Event::parse(&text).unwrap(), Some(event));
    }

    #[test]
    fn every_event_is_plain_json(event in event()) {
        let value: serde_json::Value = serde_json::from_str(&event.to_json()).unwrap();
        prop_assert_eq!(value["type"].as_str(), Some(event.type_name()));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "\\PC{0,60}|[\\[\\]{}\",:a-z0-9 ]{0,60}") {
        drop(Event::parse(&text));
    }
}
