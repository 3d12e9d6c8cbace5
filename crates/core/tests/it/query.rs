use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use tricast_core::channel::ChannelName;
use tricast_core::json::Json;
use tricast_core::limits::CHANNELS_PER_CONNECTION;
use tricast_core::position::{Cursor, cursor_text};
use tricast_core::protocol::{Endpoint, QueryError, SubscribeQuery, SubscribeTo};
use tricast_testkit::vectors;

use crate::any;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    endpoint: String,
    get: Option<String>,
    last_event_id: Option<String>,
    post: Option<String>,
    max_channels: Option<usize>,
    query: Option<Expected>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    channels: Vec<ExpectedChannel>,
    cursor: Option<String>,
    client: Option<String>,
    #[serde(default)]
    envelope: bool,
    wait: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedChannel {
    name: String,
    from: Option<String>,
    presence: Option<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Refusal {
    code: String,
    mentions: Vec<String>,
    channel: Option<String>,
}

impl Asked {
    fn parse(&self) -> Result<SubscribeQuery, QueryError> {
        let endpoint = match self.endpoint.as_str() {
            "ws" => Endpoint::Ws,
            "sse" => Endpoint::Sse { last_event_id: self.last_event_id.as_deref() },
            "poll" => Endpoint::Poll,
            unknown => panic!("no endpoint is called {unknown}"),
        };
        match (&self.get, &self.post) {
            (Some(query), None) => SubscribeQuery::parse_get(query, endpoint),
            (None, Some(body)) => {
                SubscribeQuery::parse_post(body, endpoint, self.max_channels.unwrap_or(CHANNELS_PER_CONNECTION))
            }
            _ => panic!("a case has either get or post"),
        }
    }
}

impl Expected {
    fn query(&self) -> SubscribeQuery {
        let channels = self.channels.iter().map(|channel| SubscribeTo {
            start: channel.from.as_deref().map(|from| from.parse().unwrap()),
            presence: channel.presence.as_ref().map(|presence| Json::of(presence).unwrap()),
            ..SubscribeTo::new(channel.name.parse().unwrap())
        });
        SubscribeQuery {
            channels: channels.collect(),
            cursor: self.cursor.as_deref().map(Cursor::parse_get),
            client: self.client.as_deref().map(|client| client.parse().unwrap()),
            envelope: self.envelope,
            wait: Duration::from_secs_f64(self.wait.unwrap_or(25.0)),
        }
    }
}

#[test]
fn queries_are_as_the_vectors_say() {
    for case in vectors::load::<Asked>("query") {
        match (case.data.parse(), &case.data.query, &case.data.error) {
            (Ok(found), Some(expected), None) => assert_eq!(found, expected.query(), "{}", case.name),
            (Err(found), None, Some(expected)) => {
                assert_eq!(found.code.as_str(), expected.code, "{}", case.name);
                let channel = found.channel.as_ref().map(ChannelName::as_str);
                assert_eq!(channel, expected.channel.as_deref(), "{}", case.name);
                for mention in &expected.mentions {
                    assert!(found.message.contains(mention), "{}: {found} does not mention {mention}", case.name);
                }
            }
            (found, ..) => panic!("{}: {found:?}", case.name),
        }
    }
}

proptest! {
    #[test]
    fn names_and_cursors_survive_percent_encoding(
        names in prop::collection::btree_set(any::channel(), 1..10),
        positions in prop::collection::vec(proptest::option::of(any::position()), 1..10),
    ) {
        let cursor = cursor_text(positions);
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in &names {
            query.append_pair("channel", name.as_str());
        }
        let query = query.append_pair("cursor", &cursor).finish();
        let read = SubscribeQuery::parse_get(&query, Endpoint::Poll).unwrap();
        let read_names: Vec<_> = read.channels.into_iter().map(|channel| channel.name).collect();
        prop_assert_eq!(read_names, names.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(read.cursor, Some(Cursor::parse_get(&cursor)));
    }

    #[test]
    fn no_query_and_no_body_makes_the_parser_panic(text in ".{0,80}|(channel|wait|from|cursor|&|=|%|[0-9a-f]){0,30}") {
        for endpoint in [Endpoint::Ws, Endpoint::Sse { last_event_id: Some(&text) }, Endpoint::Poll] {
            drop(SubscribeQuery::parse_get(&text, endpoint));
            drop(SubscribeQuery::parse_post(&text, endpoint, 4));
        }
    }
}
