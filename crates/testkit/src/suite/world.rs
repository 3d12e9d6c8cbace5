//! Two nodes of one store, what they are asked, and what they tell.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;
use tricast_core::access::{Identity, Scope};
use tricast_core::backplane::{Backplane, BackplaneError, Events, News, Slice, Uncertain};
use tricast_core::channel::{ChannelName, Rule, Topic};
use tricast_core::log::{AppendError, Appended, Head, Limit, Page};
use tricast_core::message::{Draft, Message};
use tricast_core::position::{Epoch, Position, Seq};

use super::Factory;
use crate::WATCHDOG;

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
    pub(super) ear: Arc<Ear>,
}

impl Node {
    fn new(backplane: Arc<dyn Backplane>) -> Self {
        let ear = Arc::new(Ear::default());
        backplane.attach(Arc::clone(&ear) as _);
        Self { backplane, ear }
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
        let heads = answer("heads", self.backplane.heads(topics)).await;
        assert_eq!(heads.len(), topics.len());
        heads
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

/// What a node told.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) channel: ChannelName,
    pub(super) epoch: Epoch,
    pub(super) seq: Seq,
    pub(super) message: Option<Arc<Message>>,
}

/// Remembers all that it hears.
#[derive(Debug, Default)]
pub(super) struct Ear(watch::Sender<Vec<Told>>);

impl Ear {
    /// Waits until this holds of what was told so far.
    pub(super) async fn until(&self, what: &str, is_so: impl Fn(&[Told]) -> bool) {
        let mut told = self.0.subscribe();
        let heard = timeout(WATCHDOG, told.wait_for(|told| is_so(told))).await;
        assert!(heard.is_ok(), "not heard: {what}; but {:?}", self.0.borrow());
    }

    /// Waits until this position was told.
    pub(super) async fn until_told(&self, topic: &Topic, position: Position) {
        let what = format!("{} of {}", position, topic.name);
        self.until(&what, |told| told.iter().any(|it| it.is(topic, position))).await;
    }

    pub(super) fn has_told(&self, topic: &Topic, position: Position) -> bool {
        self.0.borrow().iter().any(|it| it.is(topic, position))
    }

    /// All that was told of a channel so far.
    pub(super) fn told(&self, topic: &Topic) -> Vec<Told> {
        self.0.borrow().iter().filter(|it| it.channel == topic.name).cloned().collect()
    }
}

impl Told {
    fn is(&self, topic: &Topic, position: Position) -> bool {
        self.channel == topic.name && self.epoch == position.epoch && self.seq == position.seq
    }
}

impl Events for Ear {
    fn grew(&self, News { channel, epoch, seq, message }: News<'_>) {
        let told = Told { channel: channel.clone(), epoch, seq, message: message.cloned() };
        self.0.send_modify(|all| all.push(told));
    }

    fn uncertain(&self, _: Uncertain<'_>) {}
}

/// What comes in bounded time.
async fn in_time<T>(what: &str, answer: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, answer).await.unwrap_or_else(|_| panic!("{what}: no answer in bounded time"))
}

async fn answer<T>(what: &str, answer: impl Future<Output = Result<T, BackplaneError>>) -> T {
    in_time(what, answer).await.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}

/// A channel under a rule.
pub(super) fn topic(name: &str, rule: Rule) -> Topic {
    let name = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    Topic { name, rule: Arc::new(rule) }
}

/// A stream under the default rule.
pub(super) fn stream(name: &str) -> Topic {
    topic(name, Rule::stream())
}

/// A state under the default rule.
pub(super) fn state(name: &str) -> Topic {
    topic(name, Rule::state())
}

/// A message that says this.
pub(super) fn saying(text: &str) -> Draft {
    Draft::json(text).expect("a string is JSON")
}

/// The message of a key that says this.
pub(super) fn set(key: &str, text: &str) -> Draft {
    saying(text).key(key)
}

pub(super) fn server() -> Scope {
    Identity::Server.scope()
}

pub(super) fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a small number")
}

/// Where a reader stands who has everything up to this number.
pub(super) fn at(head: Head, number: u64) -> Position {
    Position::new(head.epoch, seq(number))
}

pub(super) fn seqs(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.get()).collect()
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
