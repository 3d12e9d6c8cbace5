//! Several nodes that write at once.

use std::collections::HashSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream as futures};
use tricast_core::backplane::{Backplane as _, Health};
use tricast_core::channel::Topic;
use tricast_nats::Nats;
use tricast_testkit::fixtures::{saying, seqs, server, state, stream};
use tricast_testkit::nats;

use crate::support::{append, contents, node, node_at};

async fn write(nats: Arc<Nats>, topic: Topic, who: usize, count: usize) {
    let drafts = (0..count).map(|n| {
        let draft = saying(&format!("{who}-{n}"));
        if topic.rule.kind() == tricast_core::channel::Kind::State { draft.key(format!("{who}-{n}")) } else { draft }
    });
    futures::iter(drafts)
        .for_each_concurrent(32, |draft| async {
            let _ = append(&nats, &topic, draft).await;
        })
        .await;
}

async fn all_is_there_once(topic: Topic, nodes: usize) {
    all_is_there_once_on(&nats::Nats::start().url(), topic, nodes).await;
}

/// Whoever appends at the same time as others, and to whatever.
pub(crate) async fn all_is_there_once_on(url: &str, topic: Topic, nodes: usize) {
    const EACH: usize = 250;
    let mut writing = Vec::new();
    let mut reader = None;
    for who in 0..nodes {
        let (nats, _) = node_at(url).await;
        writing.push(tokio::spawn(write(Arc::clone(&nats), topic.clone(), who, EACH)));
        reader = Some(nats);
    }
    for one in writing {
        one.await.unwrap();
    }
    let (late, _) = node_at(url).await;
    for nats in [reader.unwrap(), late] {
        let (head, messages) = contents(&nats, &topic).await;
        let all = (nodes * EACH) as u64;
        assert_eq!(head.head.get(), all);
        assert_eq!(seqs(&messages), (1..=all).collect::<Vec<_>>());
        let payloads: HashSet<_> = messages.iter().map(|message| format!("{:?}", message.payload)).collect();
        assert_eq!(payloads.len() as u64, all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_two_nodes_append_to_a_stream_at_once_all_is_there_once() {
    all_is_there_once(stream("two"), 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_three_nodes_append_to_a_stream_at_once_all_is_there_once() {
    all_is_there_once(stream("three"), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_three_nodes_append_to_a_state_at_once_all_is_there_once() {
    all_is_there_once(state("three"), 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_three_nodes_publish_at_once_is_appended_once() {
    let (server_, topic) = (nats::Nats::start(), stream("ids"));
    let mut nodes = Vec::new();
    for _ in 0..3 {
        nodes.push(node(&server_).await.0);
    }
    for round in 0..20 {
        let publishing = nodes.iter().map(|nats| nats.append(&topic, saying("x").id(round.to_string()), publisher()));
        let answers = futures_util::future::join_all(publishing).await;
        let positions: HashSet<_> = answers.iter().map(|answer| answer.as_ref().unwrap().position).collect();
        assert_eq!(positions.len(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| !answer.as_ref().unwrap().duplicate).count(), 1);
    }
}

fn publisher() -> &'static tricast_core::access::Scope {
    static SCOPE: std::sync::OnceLock<tricast_core::access::Scope> = std::sync::OnceLock::new();
    SCOPE.get_or_init(server)
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_did_not_come_are_read_and_told() {
    let (server, topic) = (nats::Nats::start(), stream("news"));
    // A stream that republishes nothing tells nobody anything, and one that may not be asked directly is asked otherwise.
    let silent = r#"{"name":"tc-logs","subjects":["tc.log.*"],"storage":"file","discard":"new"}"#;
    let created = server.request("$JS.API.STREAM.CREATE.tc-logs", silent);
    assert!(!created.contains("\"error\""), "{created}");
    let ((writer, _), (watcher, heard)) = (node(&server).await, node(&server).await);
    watcher.watch(&topic).await.unwrap();
    for _ in 0..3 {
        append(&writer, &topic, saying("not told")).await;
    }
    assert!(heard.all().is_empty());
    let head = watcher.heads(std::slice::from_ref(&topic)).await.remove(0).unwrap();
    assert_eq!(head.head.get(), 3);
    for seq in 1..=3 {
        assert!(heard.seq("news", seq).await.message.is_some_and(|message| message.seq.get() == seq));
    }
    let health = watcher.health().await;
    assert!(matches!(&health, Health::Degraded(why) if why.contains("republish")), "{health:?}");
}
