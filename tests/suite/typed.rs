//! Channels from Rust: of one type, many at once, and the position that a page goes on from.

use futures_util::StreamExt;
use serde_json::{Value, json};
use tricast::{Draft, PublishError, Publishing, ReadError, Refused, Rule, Start, TypedRead};

use crate::client::{Query, Reader, Transport, Ws, type_of, watchdog};
use crate::server::{Backplane, Server};

#[tokio::test]
async fn a_typed_channel_takes_and_yields_its_type_and_tells_of_what_is_none() {
    let server = Server::start(Backplane::Memory).await;
    let numbers = server.tricast.channel_of::<Vec<u64>>("chat:a").unwrap();
    let mut reader = numbers.read(Start::Latest).await.unwrap();
    numbers.publish(&vec![1, 2]).await.unwrap();
    server.publish("chat:a", "no numbers").await;
    server.append("chat:a", Draft::binary([1u8])).await;
    let with_id = |draft: Draft| draft.id("one").event("counted");
    let first = numbers.publish_with(&vec![3], with_id).await.unwrap();
    let again = numbers.publish_with(&vec![3], with_id).await.unwrap();
    assert_eq!((first.position, again.duplicate), (again.position, true));

    let mut yielded = Vec::new();
    for seq in 1..=4 {
        let (word, message) = match watchdog("a message", reader.next()).await {
            Some(TypedRead::Message { value, message }) => (format!("{value:?}"), message),
            Some(TypedRead::Undecodable { message, error }) => {
                (format!("none: {}", !error.to_string().is_empty()), message)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((message.position().seq.get(), reader.position()), (seq, message.position()));
        yielded.push(word);
    }
    assert_eq!(yielded, ["[1, 2]", "none: true", "none: true", "[3]"]);
}

#[tokio::test]
async fn a_typed_reader_that_falls_behind_is_told_of_a_gap() {
    let server = Server::start(Backplane::Memory).await;
    let mut reader = server.tricast.channel_of::<u64>("few:a").unwrap().read(Start::Latest).await.unwrap();
    server.publish_all("few:a", 1..=10).await;
    let Some(TypedRead::Gap(gap)) = watchdog("a gap", reader.next()).await else { panic!("silent loss") };
    assert_eq!(gap.position, reader.position());
    let next = watchdog("a message", reader.next()).await;
    assert!(matches!(next, Some(TypedRead::Message { value: 8, .. })), "{next:?}");
}

/// On a state: what it holds, `live`, and what changes; a deletion carries no value, and is no failure to read one.
#[tokio::test]
async fn a_typed_state_yields_its_values_live_and_deletions() {
    let build = |builder: tricast::Builder| builder.rule("levels", Rule::state());
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let levels = server.tricast.channel_of::<u64>("levels").unwrap();
    let keyed = |key: &'static str| move |draft: Draft| draft.key(key);
    levels.publish_with(&1, keyed("a")).await.unwrap();
    levels.publish_with(&2, keyed("a")).await.unwrap();
    let mut reader = levels.read(Start::Earliest).await.unwrap();
    let first = watchdog("a value", reader.next()).await;
    assert!(matches!(first, Some(TypedRead::Message { value: 2, .. })), "{first:?}");
    let live = watchdog("live", reader.next()).await;
    assert!(matches!(live, Some(TypedRead::Live(position)) if position == reader.position()), "{live:?}");
    levels.untyped().publish(Draft::delete("a")).await.unwrap();
    let Some(TypedRead::Deleted(message)) = watchdog("a deletion", reader.next()).await else { panic!("a value") };
    assert_eq!(message.message().key.as_deref(), Some("a"));
}

#[tokio::test]
async fn many_channels_are_published_to_in_one_call_and_each_tells_its_outcome() {
    let server = Server::start(Backplane::Memory).await;
    let draft = |number: u64| Draft::json(&number).unwrap().id(number.to_string());
    let messages = [("chat:a", 1), ("nowhere", 2), ("chat:b", 3), ("a b", 4), ("chat:a", 5), ("chat:a", 1)]
        .map(|(name, number)| (name, draft(number)));
    // In a task: it can be awaited where futures must be `Send`.
    let tricast = server.tricast.clone();
    let outcomes = tokio::spawn(async move { tricast.publish_many(messages).await }).await.unwrap();
    let told: Vec<String> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(appended) => {
                format!("{}{}", appended.position.seq.get(), if appended.duplicate { " again" } else { "" })
            }
            Err(problem) => problem.code().to_string(),
        })
        .collect();
    assert_eq!(told, ["1", "unknown_channel", "1", "bad_request", "2", "1 again"]);
    assert!(server.tricast.publish_many(Vec::<(String, Draft)>::new()).await.is_empty());
}

/// A channel is not reordered by publishing again what failed.
#[tokio::test]
async fn of_many_messages_those_behind_a_failure_that_may_be_retried_are_not_tried() {
    let hook = |publishing: Publishing| async move {
        match publishing.json::<u64>()? {
            2 => Err(Refused::unavailable("not now")),
            3 => Err(Refused::forbidden("never")),
            _ => Ok(publishing.draft),
        }
    };
    let build = |builder: tricast::Builder| builder.on_publish("chat:{room}", hook);
    let server = Server::start_with(Backplane::Memory, build, |serve| serve).await;
    let messages = [("chat:a", 3), ("chat:a", 1), ("chat:a", 2), ("chat:b", 4), ("chat:a", 5)];
    let messages = messages.map(|(name, number)| (name, Draft::json(&number).unwrap()));
    let outcomes = server.tricast.publish_many(messages).await;
    let codes = outcomes.iter().map(|outcome| outcome.as_ref().err().map(|problem| problem.code().to_string()));
    let expected = [Some("forbidden"), None, Some("unavailable"), None, Some("unavailable")];
    assert_eq!(codes.collect::<Vec<_>>(), expected.map(|code| code.map(str::to_owned)));
    assert!(matches!(&outcomes[4], Err(PublishError::Refused(_))));
    assert_eq!(server.tricast.channel("chat:a").unwrap().position().await.unwrap().seq.get(), 1);
}

/// A page that was rendered with the channel's position goes on there, on every transport, without a hole.
#[tokio::test]
async fn a_page_goes_on_from_the_position_it_was_rendered_with() {
    let server = Server::start(Backplane::Memory).await;
    let channel = server.tricast.channel("chat:a").unwrap();
    assert_eq!(channel.position().await.unwrap().seq.get(), 0, "before the first message there is one already");
    server.publish("chat:a", "on the page").await;
    let position = channel.position().await.unwrap().to_string();
    server.publish_all("chat:a", [2, 3]).await;

    for transport in Transport::ALL {
        let mut reader = Reader::open(transport, &server, &Query::of("chat:a").cursor(&position)).await;
        assert_eq!(reader.seqs(2).await, [2, 3], "{transport:?}");
    }
    for transport in [Transport::SsePost, Transport::PollPost] {
        let mut reader = Reader::open(transport, &server, &Query::of("chat:a").from(&position)).await;
        assert_eq!(reader.seqs(2).await, [2, 3], "{transport:?}");
    }
    let mut ws = Ws::open(server.address, &Query::default()).await;
    ws.until("welcome").await;
    let subscribed = ws.ask(json!({"type": "subscribe", "channel": "chat:a", "from": position})).await;
    assert_eq!((type_of(&subscribed), &subscribed["recovered"]), ("subscribed", &Value::Bool(true)));
    assert_eq!(ws.next_event().await["data"], 2);

    let unknown = server.tricast.channel("nowhere").unwrap().position().await;
    assert_eq!(unknown, Err(ReadError::UnknownChannel("nowhere".parse().unwrap())));
}

/// Before anything was written too, and though nobody has asked for the channel but by that.
#[tokio::test]
async fn a_page_that_was_rendered_before_the_first_message_misses_none() {
    for transport in Transport::ALL {
        let server = Server::start(Backplane::Memory).await;
        let position = server.tricast.channel("chat:a").unwrap().position().await.unwrap().to_string();
        server.publish_all("chat:a", [1, 2]).await;
        let mut reader = Reader::open(transport, &server, &Query::of("chat:a").cursor(&position)).await;
        assert_eq!(reader.seqs(2).await, [1, 2], "{transport:?}");
    }
}

/// Of a state it is told what changed since, deletions with it, and nothing that the page shows already.
#[tokio::test]
async fn a_page_of_a_state_goes_on_from_the_position_it_was_rendered_with() {
    let server = Server::start(Backplane::Memory).await;
    let set = |key: &'static str| server.append("map:a", Draft::json(&1).unwrap().key(key));
    set("a").await;
    set("b").await;
    let position = server.tricast.channel("map:a").unwrap().position().await.unwrap().to_string();
    set("c").await;
    server.append("map:a", Draft::delete("a")).await;
    for transport in Transport::ALL.into_iter().filter(|transport| *transport != Transport::RawSse) {
        let mut reader = Reader::open(transport, &server, &Query::of("map:a").cursor(&position)).await;
        let mut told = Vec::new();
        for _ in 0..2 {
            let message = reader.message_but_live().await;
            told.push((message["key"].as_str().unwrap().to_owned(), message["deleted"] == true));
        }
        assert_eq!(told, [("c".to_owned(), false), ("a".to_owned(), true)], "{transport:?}");
    }
}
