//! The embedded backplane: logs in the memory of this process, shared with the hub that reads them.
//!
//! It survives nothing: when the process ends, every epoch ends with it, and readers are told so by a `gap`.

use std::sync::{Arc, OnceLock};

use tricast_core::access::Scope;
use tricast_core::backplane::{Backplane, BackplaneError, BoxFuture, Events, Health, News, Slice};
use tricast_core::channel::Topic;
use tricast_core::clock::{Clock, Entropy};
use tricast_core::log::{Appended, Head, Limit, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::Position;
use tricast_core::replay::{Decision, decide};

use crate::hub::Feeds;

pub(crate) struct Memory {
    feeds: Arc<Feeds>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    events: OnceLock<Arc<dyn Events>>,
}

impl Memory {
    pub(crate) fn new(feeds: Arc<Feeds>, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { feeds, clock, entropy, events: OnceLock::new() }
    }

    fn head(&self, topic: &Topic) -> Head {
        let Some(feed) = self.feeds.get(&topic.name) else { return self.feeds.unwritten(&topic.name) };
        feed.with_log(|log| {
            log.expire(self.clock.wall_ms());
            log.head()
        })
    }

    fn append_now(&self, topic: &Topic, draft: &Draft, publisher: &Scope) -> Result<Appended, BackplaneError> {
        let feed = self.feeds.obtain(topic)?;
        let tag = u32::try_from(self.entropy.next_u64() >> 32).unwrap_or(0);
        let stamp = Stamp { now_ms: self.clock.wall_ms(), tag };
        let appended = feed.with_log(|log| log.append(draft, publisher, stamp))?;
        if !appended.duplicate
            && let Some(events) = self.events.get()
        {
            let Position { epoch, seq, .. } = appended.position;
            events.grew(News { channel: &topic.name, epoch, seq });
        }
        Ok(appended)
    }

    fn read_now(&self, topic: &Topic, after: Position, limit: Limit) -> Slice {
        let Some(feed) = self.feeds.get(&topic.name) else {
            return Slice { head: self.feeds.unwritten(&topic.name), messages: Vec::new() };
        };
        feed.with_log(|log| {
            log.expire(self.clock.wall_ms());
            let head = log.head();
            let messages = match decide(topic.rule.kind(), Some(after), &head) {
                Decision::Continue => log.read(after.seq, limit),
                Decision::Gap { .. } => Vec::new(),
            };
            Slice { head, messages }
        })
    }
}

impl Backplane for Memory {
    fn attach(&self, events: Arc<dyn Events>) {
        // A second call would be a bug of the hub; the first one stays.
        drop(self.events.set(events));
    }

    fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(async move { Ok(self.head(topic)) })
    }

    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        draft: &'a Draft,
        publisher: &'a Scope,
    ) -> BoxFuture<'a, Result<Appended, BackplaneError>> {
        Box::pin(async move { self.append_now(topic, draft, publisher) })
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
        Box::pin(async move { Ok(self.read_now(topic, after, limit)) })
    }

    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        // Every append tells the hub, so live delivery is always active.
        self.open(topic)
    }

    fn unwatch<'a>(&'a self, _: &'a Topic) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Result<Vec<Head>, BackplaneError>> {
        Box::pin(async move { Ok(topics.iter().map(|topic| self.head(topic)).collect()) })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async { Health::Up })
    }
}
