//! A store that several nodes share, in this process, and whatever may go wrong with one.
//!
//! Each [`Node`] is a backplane that knows nothing but the [`Store`]. News travel as they are told to by
//! [`Node::tell`]; a node is cut off by [`Node::down`]; and the store itself forgets, or comes back as it was a while ago.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//! use tricast_core::backplane::Backplane;
//! use tricast_testkit::clock::VirtualClock;
//! use tricast_testkit::entropy::Seeded;
//! use tricast_testkit::store::{News, Store};
//!
//! let store = Store::new(Arc::new(VirtualClock::default()), Arc::new(Seeded::new(1)));
//! let (one, other) = (store.node(), store.node());
//! let shared: Arc<dyn Backplane> = other.clone();
//! other.tell(News::DropNext(3));
//! one.down();
//! ```

mod journal;
mod news;
mod node;

pub use news::{News, Told};
pub use node::Node;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tricast_core::access::Scope;
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::log::{AppendError, Appended, Limit, Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position};

use journal::Step;

/// A store. It lives as long as a node of it, or a value of this type, does.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

impl Store {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let inside = Mutex::new(Inside { logs: HashMap::new(), journal: Vec::new(), nodes: Vec::new() });
        Self { shared: Arc::new(Shared { inside, clock, entropy }) }
    }

    /// One more node.
    pub fn node(&self) -> Arc<Node> {
        let node = Arc::new(Node::new(Arc::clone(&self.shared)));
        self.shared.lock().nodes.push(Arc::downgrade(&node));
        node
    }

    /// Cuts every node off.
    pub fn down(&self) {
        self.nodes().iter().for_each(|node| node.down());
    }

    /// Lets every node find the store again.
    pub fn up(&self) {
        self.nodes().iter().for_each(|node| node.up());
    }

    /// Loses all logs, as a server without a disk that ends and begins again: every epoch is another. The nodes are told
    /// that they lost touch.
    pub fn forget(&self) {
        let mut inside = self.shared.lock();
        inside.logs.clear();
        inside.journal.clear();
        drop(inside);
        self.shake();
    }

    /// Comes back as it was `appends` appends ago, under new epochs: what a backplane makes of a replica that was behind.
    /// The nodes are told that they lost touch.
    pub fn rewind(&self, appends: usize) {
        self.shared.lock().rewind(appends, |_| self.shared.fresh_epoch());
        self.shake();
    }

    /// As [`rewind`](Self::rewind), but under the old epochs, which no backplane may do: numbers that were given are given
    /// again, to other messages. What finds such a fork has to end the epoch.
    pub fn fork(&self, appends: usize) {
        self.shared.lock().rewind(appends, |epoch| epoch);
        self.shake();
    }

    /// Every node loses its connection, and finds another at once, unless it is down.
    fn shake(&self) {
        for node in self.nodes() {
            node.shake();
        }
    }

    fn nodes(&self) -> Vec<Arc<Node>> {
        self.shared.lock().nodes.iter().filter_map(std::sync::Weak::upgrade).collect()
    }
}

struct Shared {
    inside: Mutex<Inside>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

struct Inside {
    logs: HashMap<ChannelName, Log>,
    /// All that was ever done, so that it can be done again up to a moment.
    journal: Vec<Step>,
    nodes: Vec<std::sync::Weak<Node>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().expect("no thread panics with the lock")
    }

    fn fresh_epoch(&self) -> Epoch {
        Epoch::from_bits(self.entropy.next_u64())
    }

    fn stamp(&self) -> Stamp {
        let [a, b, c, d, ..] = self.entropy.next_u64().to_le_bytes();
        Stamp { now_ms: self.clock.wall_ms(), tag: u32::from_le_bytes([a, b, c, d]) }
    }

    /// Does something with a log in one step, after keys whose time is over have left; then tells what is new.
    fn with_log<T>(&self, topic: &Topic, act: impl FnOnce(&mut Log, &mut Vec<Step>, Stamp) -> T) -> T {
        let mut guard = self.lock();
        let Inside { logs, journal, nodes } = &mut *guard;
        let stamp = self.stamp();
        let log = logs.entry(topic.name.clone()).or_insert_with(|| {
            let epoch = self.fresh_epoch();
            journal.push(Step::Begin(topic.clone(), epoch));
            Log::new(topic.rule.kind(), epoch, topic.rule.retention())
        });
        log.forget(stamp.now_ms);
        let before = log.head().position();
        if log.expire(stamp) {
            journal.push(Step::Expire(topic.name.clone(), stamp));
        }
        let done = act(log, journal, stamp);
        let news = news_since(before, log, &topic.name);
        let nodes = nodes.clone();
        drop(guard);
        for node in nodes.iter().filter_map(std::sync::Weak::upgrade) {
            news.iter().for_each(|told| node.hear(told));
        }
        done
    }

    fn append(&self, topic: &Topic, draft: Draft, publisher: &Scope) -> Result<Appended, AppendError> {
        self.with_log(topic, |log, journal, stamp| {
            let appended = log.append(draft.clone(), publisher, stamp)?;
            journal.push(Step::Append { channel: topic.name.clone(), draft, publisher: publisher.clone(), stamp });
            Ok(appended)
        })
    }

    fn renew(&self, topic: &Topic, epoch: Epoch) {
        self.with_log(topic, |log, journal, _| {
            if log.head().epoch == epoch {
                let fresh = self.fresh_epoch();
                journal.push(Step::Begin(topic.clone(), fresh));
                *log = Log::new(topic.rule.kind(), fresh, topic.rule.retention());
            }
        });
    }
}

/// The messages after a position; none of another epoch, which has none yet.
fn news_since(before: Position, log: &Log, channel: &ChannelName) -> Vec<Told> {
    let head = log.head();
    if head.epoch != before.epoch || head.head == before.seq {
        return Vec::new();
    }
    let all = Limit { messages: usize::MAX, bytes: usize::MAX };
    let told = |message| Told { channel: channel.clone(), epoch: head.epoch, message };
    log.read(before, all).into_iter().map(told).collect()
}
