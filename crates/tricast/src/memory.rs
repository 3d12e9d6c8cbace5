//! The embedded backplane: logs in the memory of this process, shared with the hub that reads them.
//!
//! It survives nothing: when the process ends, every epoch ends with it, and readers are told so by a `gap`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tricast_core::access::Scope;
use tricast_core::backplane::{Backplane, BackplaneError, BoxFuture, Events, Health, News, Slice};
use tricast_core::channel::{ChannelName, Kind, Topic};
use tricast_core::clock::{Clock, Entropy};
use tricast_core::log::{Appended, Head, Limit, Page, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

use crate::expiry::Expiries;
use crate::hub::{Feed, Feeds, Known};

pub(crate) struct Memory {
    feeds: Arc<Feeds>,
    clock: Arc<dyn Clock>,
    /// Counts on from a random start; a tag is this, mixed.
    tags: AtomicU64,
    expiries: Arc<Expiries>,
    events: OnceLock<Arc<dyn Events>>,
}

impl Memory {
    pub(crate) fn new(feeds: Arc<Feeds>, clock: Arc<dyn Clock>, entropy: &dyn Entropy) -> Self {
        Self {
            feeds,
            clock,
            tags: AtomicU64::new(entropy.next_u64()),
            expiries: Arc::default(),
            events: OnceLock::new(),
        }
    }

    /// The channel, after the keys have left whose time is over, be it that their task has not come to it yet.
    fn known(&self, topic: &Topic) -> Known {
        self.expire_due(topic);
        self.feeds.known(&topic.name)
    }

    fn expire_due(&self, topic: &Topic) {
        if topic.rule.kind() == Kind::Stream {
            return;
        }
        let next_expiry = self.feeds.get(&topic.name).and_then(|feed| feed.with_log(|log| log.next_expiry()));
        if next_expiry.is_some_and(|at| at <= self.clock.wall_ms()) {
            self.expire_now(&topic.name);
        }
    }

    fn head(&self, topic: &Topic) -> Head {
        let feed = match self.known(topic) {
            Known::Alive(feed) => feed,
            Known::Empty(head) => return head,
        };
        feed.with_log(|log| {
            log.forget(self.clock.wall_ms());
            log.head()
        })
    }

    fn append_now(&self, topic: &Topic, draft: Draft, publisher: &Scope) -> Result<Appended, BackplaneError> {
        self.expire_due(topic);
        let feed = match self.emptied_by(topic, &draft) {
            Some(feed) => feed,
            None => self.feeds.obtain_to_append(topic)?,
        };
        let stamp = Stamp { now_ms: self.clock.wall_ms(), tag: self.tag() };
        let (appended, next_expiry) = feed.with_log(|log| (log.append(draft, publisher, stamp), log.next_expiry()));
        let appended = appended?;
        if !appended.duplicate {
            if topic.rule.kind() == Kind::State {
                self.expiries.set(&topic.name, next_expiry);
            }
            self.tell(&topic.name, appended.position);
        }
        Ok(appended)
    }

    /// The channel of which this draft deletes a key: that makes room, so it is not refused for want of it.
    fn emptied_by(&self, topic: &Topic, draft: &Draft) -> Option<Arc<Feed>> {
        let key = draft.key.as_deref().filter(|_| draft.payload.is_none())?;
        self.feeds.get(&topic.name).filter(|feed| feed.with_log(|log| log.holds(key)))
    }

    /// Lets keys of states leave when their time is over. Ends when this backplane is dropped.
    pub(crate) fn expire(self: &Arc<Self>) -> impl Future<Output = ()> + Send + 'static {
        let memory = Arc::downgrade(self);
        Arc::clone(&self.expiries).run(Arc::clone(&self.clock), move |channel| {
            if let Some(memory) = memory.upgrade() {
                memory.expire_now(channel);
            }
        })
    }

    fn expire_now(&self, channel: &ChannelName) {
        let Some(feed) = self.feeds.get(channel) else { return };
        let stamp = Stamp { now_ms: self.clock.wall_ms(), tag: self.tag() };
        let (grew, position, next_expiry) =
            feed.with_log(|log| (log.expire(stamp), log.head().position(), log.next_expiry()));
        self.expiries.set(channel, next_expiry);
        if grew {
            self.tell(channel, position);
        }
    }

    fn tell(&self, channel: &ChannelName, position: Position) {
        if let Some(events) = self.events.get() {
            events.grew(News { channel, epoch: position.epoch, seq: position.seq, message: None });
        }
    }

    /// Tells one life of a log from another, no more, so it need not ask the system each time: one step of SplitMix64
    /// (Steele, Lea and Flood, 2014).
    fn tag(&self) -> u32 {
        let mut bits = self.tags.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        u32::try_from(bits >> 32).unwrap_or(0)
    }

    fn read_now(&self, topic: &Topic, after: Position, limit: Limit) -> Slice {
        let feed = match self.known(topic) {
            Known::Alive(feed) => feed,
            Known::Empty(head) => return Slice { head, messages: Vec::new(), to: after.seq },
        };
        feed.with_log(|log| {
            log.forget(self.clock.wall_ms());
            let head = log.head();
            match decide(topic.rule.kind(), Some(after), &head) {
                Decision::Continue => Slice { head, messages: log.read(after, limit), to: log.extent(after, limit).to },
                Decision::Gap { .. } => Slice { head, messages: Vec::new(), to: after.seq },
            }
        })
    }
}

impl Memory {
    fn read_back_now(&self, topic: &Topic, before: Option<Seq>, limit: Limit) -> (Head, Page) {
        let feed = match self.known(topic) {
            Known::Alive(feed) => feed,
            Known::Empty(head) => return (head, Page { messages: Vec::new(), more: false }),
        };
        feed.with_log(|log| {
            log.forget(self.clock.wall_ms());
            (log.head(), log.read_back(before, limit))
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
        draft: Draft,
        publisher: &'a Scope,
    ) -> BoxFuture<'a, Result<Appended, BackplaneError>> {
        Box::pin(async move { self.append_now(topic, draft, publisher) })
    }

    fn find<'a>(
        &'a self,
        topic: &'a Topic,
        publisher: &'a Scope,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Position>, BackplaneError>> {
        Box::pin(async move {
            let Some(feed) = self.feeds.get(&topic.name) else { return Ok(None) };
            let now_ms = self.clock.wall_ms();
            Ok(feed.with_log(|log| log.find(publisher, id, now_ms)))
        })
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
        Box::pin(async move { Ok(self.read_now(topic, after, limit)) })
    }

    fn read_back<'a>(
        &'a self,
        topic: &'a Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>> {
        Box::pin(async move { Ok(self.read_back_now(topic, before, limit)) })
    }

    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        // Every append tells the hub, so live delivery is always active.
        self.open(topic)
    }

    fn unwatch<'a>(&'a self, _: &'a Topic) -> BoxFuture<'a, ()> {
        Box::pin(async {})
    }

    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>> {
        Box::pin(async move { topics.iter().map(|topic| Ok(self.head(topic))).collect() })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(async move {
            self.feeds.renew(topic, epoch);
            Ok(self.head(topic))
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async { Health::Up })
    }
}

#[cfg(test)]
mod behaviour;

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tricast_core::access::Identity;
    use tricast_core::channel::Rule;
    use tricast_testkit::clock::VirtualClock;
    use tricast_testkit::entropy::Seeded;
    use tricast_testkit::heard::Heard;

    use crate::hub::Capacity;
    use crate::wake::Sweeper;

    fn backplane() -> (Arc<dyn Backplane>, Arc<Heard>) {
        let entropy = Seeded::new(1);
        let clock: Arc<dyn Clock> = Arc::new(VirtualClock::default());
        let capacity = Capacity { channels: 100, bytes: u64::MAX };
        let feeds = Arc::new(Feeds::new(capacity, Arc::clone(&clock), &entropy, Sweeper::start()));
        let memory = Memory::new(feeds, clock, &entropy);
        let heard = Arc::new(Heard::default());
        memory.attach(Arc::clone(&heard) as _);
        (Arc::new(memory), heard)
    }

    fn topic(name: &str) -> Topic {
        Topic { name: name.parse().unwrap(), rule: Arc::new(Rule::stream().keep(2)) }
    }

    async fn append(backplane: &dyn Backplane, topic: &Topic, id: &str) -> Appended {
        let draft = Draft::json("x").unwrap().id(id);
        backplane.append(topic, draft, &Identity::Server.scope()).await.unwrap()
    }

    #[tokio::test]
    async fn opening_mints_an_epoch_that_writing_goes_on_with() {
        let (backplane, _) = backplane();
        let opened = backplane.open(&topic("a")).await.unwrap();
        assert_eq!((opened.first.get(), opened.head), (1, Seq::ZERO));
        assert_eq!(append(&*backplane, &topic("a"), "1").await.position.epoch, opened.epoch);
        assert_eq!(backplane.watch(&topic("a")).await.unwrap().head.get(), 1);
    }

    #[tokio::test]
    async fn what_was_appended_is_told_once_and_a_repeat_is_not() {
        let (backplane, heard) = backplane();
        for id in ["1", "2", "1"] {
            append(&*backplane, &topic("a"), id).await;
        }
        let told: Vec<_> = heard.of(&topic("a")).iter().map(|grew| grew.at.seq.get()).collect();
        assert_eq!((told, heard.all().len()), (vec![1, 2], 2));
    }

    #[tokio::test]
    async fn an_id_is_found_where_its_publisher_put_it_and_nowhere_else() {
        let (backplane, heard) = backplane();
        let (server, crowd) = (Identity::Server.scope(), Identity::Anonymous.scope());
        assert_eq!(backplane.find(&topic("a"), &server, "1").await, Ok(None));
        let appended = append(&*backplane, &topic("a"), "1").await;
        assert_eq!(backplane.find(&topic("a"), &server, "1").await, Ok(Some(appended.position)));
        for (channel, publisher, id) in [("b", &server, "1"), ("a", &crowd, "1"), ("a", &server, "2")] {
            assert_eq!(backplane.find(&topic(channel), publisher, id).await, Ok(None), "{channel} {id}");
        }
        assert_eq!(heard.all().len(), 1, "looking tells nobody anything");
    }

    #[tokio::test]
    async fn reading_returns_the_head_of_the_same_moment_and_nothing_past_a_gap() {
        let (backplane, _) = backplane();
        let start = backplane.open(&topic("a")).await.unwrap().position();
        for id in ["1", "2", "3"] {
            append(&*backplane, &topic("a"), id).await;
        }
        let lost = backplane.read(&topic("a"), start, Limit::default()).await.unwrap();
        assert!(lost.messages.is_empty(), "the first of them is forgotten");
        assert_eq!((lost.head.first.get(), lost.head.head.get()), (2, 3));
        let rest = backplane.read(&topic("a"), lost.head.before_first(), Limit::default()).await.unwrap();
        assert_eq!(rest.messages.iter().map(|message| message.seq.get()).collect::<Vec<_>>(), [2, 3]);
        let tags: Vec<u32> = rest.messages.iter().map(|message| message.tag).collect();
        assert_ne!(tags[0], tags[1]);
    }

    #[tokio::test]
    async fn heads_come_in_the_order_asked_for() {
        let (backplane, _) = backplane();
        append(&*backplane, &topic("b"), "1").await;
        let heads = backplane.heads(&[topic("a"), topic("b")]).await.into_iter();
        assert_eq!(heads.map(|head| head.unwrap().head.get()).collect::<Vec<_>>(), [0, 1]);
        backplane.unwatch(&topic("b")).await;
        assert_eq!(backplane.health().await, Health::Up);
    }

    #[tokio::test]
    async fn a_channel_at_rest_answers_as_an_empty_log_does() {
        let (entropy, clock) = (Seeded::new(1), Arc::new(VirtualClock::default()));
        let capacity = Capacity { channels: 100, bytes: u64::MAX };
        let feeds = Arc::new(Feeds::new(capacity, Arc::clone(&clock) as _, &entropy, Sweeper::start()));
        let memory = Memory::new(Arc::clone(&feeds), Arc::clone(&clock) as _, &entropy);
        let position = append(&memory, &topic("a"), "1").await.position;
        clock.advance(Duration::from_secs(24 * 60 * 60));
        let ask = async || {
            let slice = memory.read(&topic("a"), position, Limit::default()).await.unwrap();
            let (head, page) = memory.read_back(&topic("a"), None, Limit::default()).await.unwrap();
            assert!(slice.messages.is_empty() && page.messages.is_empty() && !page.more);
            [slice.head, head, memory.open(&topic("a")).await.unwrap()]
        };
        let alive = ask().await;
        feeds.maintain(clock.wall_ms());
        assert!(feeds.get(&topic("a").name).is_none());
        assert_eq!(ask().await, alive);
        assert_eq!(decide(Kind::Stream, Some(position), &alive[0]), Decision::Continue);
        assert_eq!(append(&memory, &topic("a"), "2").await.position.seq.get(), 2);
    }
}
