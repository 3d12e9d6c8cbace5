//! News that never come, come twice, late or in another order: what live delivery is made of may not be relied on.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tricast::Tricast;
use tricast::backplane::{Backplane, BackplaneError, BoxFuture, Events, Health, News, Slice, Uncertain};
use tricast::core::access::Scope;
use tricast::core::channel::{ChannelName, Topic};
use tricast::core::log::{Appended, Head, Limit, Page};
use tricast::core::message::{Draft, Message};
use tricast::{Epoch, Position, Seq};
use tricast_testkit::redis::Redis;

use super::crowd::Crowd;
use crate::client::{Query, Reader, Transport};
use crate::server::{Server, rules};

/// A backplane of which some news get lost.
struct Lossy<B> {
    inner: B,
    loses: fn(u64) -> Fate,
    /// How often it was asked: where a log stands, and what is in it.
    asked: Arc<AtomicU64>,
}

/// What becomes of news.
#[derive(Clone, Copy)]
enum Fate {
    Told,
    Lost,
    Twice,
    /// After the next.
    Late,
}

struct Ear {
    events: Arc<dyn Events>,
    loses: fn(u64) -> Fate,
    count: AtomicU64,
    late: Mutex<Vec<(ChannelName, Epoch, Arc<Message>)>>,
}

impl Ear {
    fn tell(&self, channel: &ChannelName, epoch: Epoch, message: &Arc<Message>) {
        self.events.grew(News { channel, epoch, seq: message.seq, message: Some(message) });
    }
}

impl Events for Ear {
    fn grew(&self, news: News<'_>) {
        let Some(message) = news.message else { return self.events.grew(news) };
        let fate = (self.loses)(self.count.fetch_add(1, Ordering::Relaxed));
        let late = std::mem::take(&mut *self.late.lock().unwrap());
        match fate {
            Fate::Lost => {}
            Fate::Late => self.late.lock().unwrap().push((news.channel.clone(), news.epoch, Arc::clone(message))),
            Fate::Twice => {
                self.events.grew(news);
                self.events.grew(news);
            }
            Fate::Told => self.events.grew(news),
        }
        late.iter().for_each(|(channel, epoch, message)| self.tell(channel, *epoch, message));
    }

    fn uncertain(&self, what: Uncertain<'_>) {
        self.events.uncertain(what);
    }
}

impl<B: Backplane> Backplane for Lossy<B> {
    fn attach(&self, events: Arc<dyn Events>) {
        let (count, late) = (AtomicU64::default(), Mutex::default());
        self.inner.attach(Arc::new(Ear { events, loses: self.loses, count, late }));
    }

    fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.open(topic)
    }

    fn append<'a>(
        &'a self,
        topic: &'a Topic,
        draft: Draft,
        publisher: &'a Scope,
    ) -> BoxFuture<'a, Result<Appended, BackplaneError>> {
        self.inner.append(topic, draft, publisher)
    }

    fn find<'a>(
        &'a self,
        topic: &'a Topic,
        publisher: &'a Scope,
        id: &'a str,
    ) -> BoxFuture<'a, Result<Option<Position>, BackplaneError>> {
        self.inner.find(topic, publisher, id)
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.read(topic, after, limit)
    }

    fn read_back<'a>(
        &'a self,
        topic: &'a Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>> {
        self.inner.read_back(topic, before, limit)
    }

    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.inner.watch(topic)
    }

    fn unwatch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, ()> {
        self.inner.unwatch(topic)
    }

    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>> {
        self.inner.heads(topics)
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        self.inner.renew(topic, epoch)
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        self.inner.health()
    }
}

async fn nodes(redis: &Redis, loses: [fn(u64) -> Fate; 2]) -> Server {
    let mut nodes = Vec::new();
    for loses in loses {
        let inner = tricast_redis::Redis::connect(redis.url()).await.unwrap();
        let asked = Arc::default();
        nodes.push(rules(Tricast::builder()).backplane(Lossy { inner, loses, asked }));
    }
    Server::of_nodes(nodes).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holes_are_repaired_before_anything_behind_them_is_delivered() {
    let redis = Redis::start();
    let some = |nth| if nth % 3 == 1 { Fate::Lost } else { Fate::Told };
    let server = nodes(&redis, [some, |_| Fate::Told]).await;
    let crowd = Crowd::gather(server.address, "chat:a").await;
    for _ in 0..5 {
        crowd.goes_on().await;
    }
    crowd.settle().await.lost_nothing();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn news_that_come_twice_late_or_not_at_all_make_no_difference() {
    let redis = Redis::start();
    let server = nodes(
        &redis,
        [
            |nth| [Fate::Told, Fate::Late, Fate::Twice, Fate::Told, Fate::Late][usize::try_from(nth % 5).unwrap()],
            |_| Fate::Lost,
        ],
    );
    let server = server.await;
    let crowd = Crowd::gather(server.address, "chat:a").await;
    for _ in 0..5 {
        crowd.goes_on().await;
    }
    crowd.settle().await.lost_nothing();
}

/// It knows of messages that the node it comes to has not heard of yet, and never will by itself.
#[tokio::test]
async fn a_reader_that_moves_faster_than_news_is_told_of_no_gap_and_misses_nothing() {
    for transport in Transport::ALL {
        let redis = Redis::start();
        let server = nodes(&redis, [|_| Fate::Told, |_| Fate::Lost]).await;
        let [hears, deaf] = server.addresses();
        // The deaf node watches the channel, so it has a copy that stays behind.
        let _other = Reader::open_at(Transport::Ws, deaf, &Query::of("chat:a")).await;
        let mut reader = Reader::open_at(transport, hears, &Query::of("chat:a").from("earliest")).await;
        server.publish_all("chat:a", 1..=5).await;
        assert_eq!(reader.seqs(5).await, [1, 2, 3, 4, 5]);
        let cursor = reader.cursor();
        let mut moved = Reader::open_at(transport, deaf, &Query::of("chat:a").cursor(&cursor)).await;
        server.publish("chat:a", 6).await;
        assert_eq!(moved.seqs(1).await, [6], "{transport:?}");
    }
}

/// However many come back at once to a node that has nothing of what they missed: where the log stands is asked once for
/// all who wait, and so is what they lack.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crowd_lacks_is_asked_for_once() {
    const CROWD: u64 = 300;
    let redis = Redis::start();
    let inner = tricast_redis::Redis::connect(redis.url()).await.unwrap();
    let asked = Arc::<AtomicU64>::default();
    let backplane = Lossy { inner, loses: |_| Fate::Told, asked: Arc::clone(&asked) };
    let server = Server::of_nodes(vec![rules(Tricast::builder()).backplane(backplane)]).await;
    let positions = server.publish_all("chat:a", 1..=CROWD).await;
    // What the node itself asks at its beginning is over when a reader has come.
    drop(Reader::open(Transport::Ws, &server, &Query::of("chat:b")).await);
    let before = asked.load(Ordering::Relaxed);
    let come = positions.iter().enumerate().map(|(nth, cursor)| {
        let (server, transport) = (&server, [Transport::Ws, Transport::SsePost, Transport::PollPost][nth % 3]);
        async move {
            let mut reader = Reader::open(transport, server, &Query::of("chat:a").cursor(cursor)).await;
            let lacks = usize::try_from(CROWD).unwrap() - nth - 1;
            assert_eq!(reader.seqs(lacks).await.len(), lacks);
        }
    });
    futures_util::future::join_all(come).await;
    let asked = asked.load(Ordering::Relaxed) - before;
    assert!(asked < CROWD, "{asked} questions for {CROWD} readers");
}
