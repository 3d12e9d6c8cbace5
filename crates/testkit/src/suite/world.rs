//! Two nodes of one store, what they are asked, and what they tell.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::timeout;
use tricast_core::access::Scope;
use tricast_core::backplane::{Backplane, BackplaneError, Slice};
use tricast_core::channel::Topic;
use tricast_core::log::{AppendError, Appended, Head, Limit, Page};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Epoch, Position};

use super::Factory;
use crate::WATCHDOG;
use crate::fixtures::{saying, seq, server};
use crate::heard::Heard;

/// Two nodes. Of a backplane that is one node by itself, both are the same one.
pub(super) struct World<'a> {
    pub(super) a: Node,
    pub(super) b: Node,
    factory: &'a dyn Factory,
}

impl<'a> World<'a> {
    pub(super) async fn of(factory: &'a dyn Factory) -> Self {
        let a = Node::new(factory.node().await);
        let b = if factory.is_shared() { Node::new(factory.node().await) } else { a.clone() };
        Self { a, b, factory }
    }

    pub(super) fn nodes(&self) -> [&Node; 2] {
        [&self.a, &self.b]
    }

    /// One after the other, for ever.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Node> {
        self.nodes().into_iter().cycle()
    }

    pub(super) async fn pass(&self, milliseconds: u64) {
        self.factory.pass(Duration::from_millis(milliseconds)).await;
    }
}

/// A node that answers in time and without complaint, or fails the test.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) backplane: Arc<dyn Backplane>,
    pub(super) heard: Arc<Heard>,
}

impl Node {
    fn new(backplane: Arc<dyn Backplane>) -> Self {
        let heard = Arc::new(Heard::default());
        backplane.attach(Arc::clone(&heard) as _);
        Self { backplane, heard }
    }

    pub(super) async fn open(&self, topic: &Topic) -> Head {
        answer("open", self.backplane.open(topic)).await
    }

    /// Appends as the server.
    pub(super) async fn append(&self, topic: &Topic, draft: Draft) -> Appended {
        self.append_as(&server(), topic, draft).await
    }

    pub(super) async fn append_as(&self, publisher: &Scope, topic: &Topic, draft: Draft) -> Appended {
        answer("append", self.backplane.append(topic, draft, publisher)).await
    }

    /// As [`append`](Self::append), where the log may refuse.
    pub(super) async fn try_append(&self, topic: &Topic, draft: Draft) -> Result<Appended, AppendError> {
        match in_time("append", self.backplane.append(topic, draft, &server())).await {
            Ok(appended) => Ok(appended),
            Err(BackplaneError::Refused(refused)) => Err(refused),
            Err(error) => panic!("append: {error}"),
        }
    }

    pub(super) async fn find(&self, topic: &Topic, publisher: &Scope, id: &str) -> Option<Position> {
        answer("find", self.backplane.find(topic, publisher, id)).await
    }

    pub(super) async fn read(&self, topic: &Topic, after: Position, limit: Limit) -> Slice {
        answer("read", self.backplane.read(topic, after, limit)).await
    }

    /// All that comes after a position, page by page; the head of the last page.
    pub(super) async fn read_all(&self, topic: &Topic, mut after: Position) -> (Head, Vec<Arc<Message>>) {
        let mut all = Vec::new();
        loop {
            let Slice { head, messages, to } = self.read(topic, after, Limit::default()).await;
            assert_eq!(head.epoch, after.epoch, "{}: another epoch while it was read", topic.name);
            all.extend(messages);
            if to == head.head {
                return (head, all);
            }
            assert!(to > after.seq, "{}: a page that leads nowhere, at {to}", topic.name);
            after = after.advanced(to);
        }
    }

    /// All that is in the log.
    pub(super) async fn contents(&self, topic: &Topic) -> (Head, Vec<Arc<Message>>) {
        let head = self.open(topic).await;
        self.read_all(topic, head.before_first()).await
    }

    pub(super) async fn read_back(&self, topic: &Topic, before: Option<u64>, limit: Limit) -> (Head, Page) {
        answer("read_back", self.backplane.read_back(topic, before.map(seq), limit)).await
    }

    pub(super) async fn watch(&self, topic: &Topic) -> Head {
        answer("watch", self.backplane.watch(topic)).await
    }

    pub(super) async fn unwatch(&self, topic: &Topic) {
        in_time("unwatch", self.backplane.unwatch(topic)).await;
    }

    pub(super) async fn heads(&self, topics: &[Topic]) -> Vec<Head> {
        let heads = in_time("heads", self.backplane.heads(topics)).await;
        assert_eq!(heads.len(), topics.len());
        let answered = |(topic, head): (&Topic, Result<Head, BackplaneError>)| {
            head.unwrap_or_else(|error| panic!("the head of {}: {error}", topic.name))
        };
        topics.iter().zip(heads).map(answered).collect()
    }

    pub(super) async fn renew(&self, topic: &Topic, epoch: Epoch) -> Head {
        answer("renew", self.backplane.renew(topic, epoch)).await
    }
}

/// Appends so many messages, and lets others in between.
pub(super) async fn append_many(node: Node, topic: Topic, count: u32) {
    for _ in 0..count {
        node.append(&topic, saying("x")).await;
        yield_now().await;
    }
}

/// What comes in bounded time.
async fn in_time<T>(what: &str, answer: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, answer).await.unwrap_or_else(|_| panic!("{what}: no answer in bounded time"))
}

async fn answer<T>(what: &str, answer: impl Future<Output = Result<T, BackplaneError>>) -> T {
    in_time(what, answer).await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}

/// The message of a key that says this.
pub(super) fn set(key: &str, text: &str) -> Draft {
    saying(text).key(key)
}

/// Where a reader stands who has everything up to this number.
pub(super) fn at(head: Head, number: u64) -> Position {
    Position::new(head.epoch, seq(number))
}

/// What messages are: their numbers and keys, `-` before those that are deleted.
pub(super) fn entries(messages: &[Arc<Message>]) -> Vec<String> {
    let entry = |message: &Arc<Message>| {
        let sign = if message.payload.is_none() { "-" } else { "" };
        format!("{} {sign}{}", message.seq, message.key.as_deref().unwrap_or_default())
    };
    messages.iter().map(entry).collect()
}

/// So many messages, of whatever size.
pub(super) fn messages(count: usize) -> Limit {
    Limit { messages: count, bytes: usize::MAX }
}
