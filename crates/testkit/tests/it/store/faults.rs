//! What may go wrong with it, on demand.

use std::sync::Arc;
use std::time::Duration;

use tricast_core::access::Identity;
use tricast_core::backplane::{Backplane, BackplaneError, Health};
use tricast_core::channel::{Rule, Topic};
use tricast_core::log::{Appended, Limit};
use tricast_core::message::Draft;
use tricast_core::position::{Position, Seq};
use tricast_testkit::clock::VirtualClock;
use tricast_testkit::entropy::Seeded;
use tricast_testkit::heard::{Heard, Told};
use tricast_testkit::store::{News, Node, Store};

struct Scene {
    store: Store,
    writer: Arc<Node>,
    reader: Arc<Node>,
    heard: Arc<Heard>,
    topic: Topic,
}

impl Scene {
    async fn new() -> Self {
        let store = Store::new(Arc::new(VirtualClock::default()), Arc::new(Seeded::new(1)));
        let (writer, reader, heard) = (store.node(), store.node(), Arc::new(Heard::default()));
        reader.attach(Arc::clone(&heard) as _);
        let topic = Topic { name: "a".parse().unwrap(), rule: Arc::new(Rule::stream()) };
        reader.watch(&topic).await.unwrap();
        Self { store, writer, reader, heard, topic }
    }

    /// The numbers that were told; 0 for "uncertain of everything".
    fn take(&self) -> Vec<u64> {
        let told = self.heard.all();
        self.heard.forget();
        let number = |told: &Told| match told {
            Told::Grew(grew) => grew.at.seq.get(),
            Told::Uncertain(None) => 0,
            Told::Uncertain(Some(name)) => panic!("uncertain of {name} alone"),
        };
        told.iter().map(number).collect()
    }

    async fn append(&self, count: usize) -> Position {
        let mut last = self.reader.open(&self.topic).await.unwrap().position();
        for _ in 0..count {
            last = publish(&self.writer, &self.topic, Draft::json("x").unwrap()).await.unwrap().position;
        }
        last
    }
}

async fn publish(node: &Node, topic: &Topic, draft: Draft) -> Result<Appended, BackplaneError> {
    node.append(topic, draft, &Identity::Server.scope()).await
}

fn unavailable(maybe: bool) -> impl Fn(&BackplaneError) -> bool {
    move |error| matches!(error, BackplaneError::Unavailable { maybe_applied, .. } if *maybe_applied == maybe)
}

#[tokio::test]
async fn news_pass_vanish_repeat_and_change_places_as_they_are_told_to() {
    let scene = Scene::new().await;
    let is_odd: Arc<dyn Fn(&_) -> bool + Send + Sync> =
        Arc::new(|told: &tricast_testkit::store::Told| told.message.seq.get() % 2 == 1);
    let ways = [
        (News::Pass, vec![1, 2, 3, 4]),
        (News::DropNext(3), vec![8]),
        (News::DropIf(is_odd), vec![10, 12]),
        (News::Twice, vec![13, 13, 14, 14, 15, 15, 16, 16]),
        (News::Swap, vec![18, 17, 20, 19]),
        (News::Hold, vec![]),
    ];
    for (news, told) in ways {
        scene.reader.tell(news.clone());
        scene.append(4).await;
        assert_eq!(scene.take(), told, "{news:?}");
    }
    scene.reader.tell(News::HoldAndReverse);
    assert_eq!(scene.take(), [21, 22, 23, 24]);
    scene.append(3).await;
    scene.reader.tell(News::Pass);
    assert_eq!(scene.take(), [27, 26, 25]);
}

#[tokio::test]
async fn late_news_come_all_the_same() {
    let scene = Scene::new().await;
    scene.reader.tell(News::Late(Duration::from_millis(20)));
    scene.append(1).await;
    assert!(scene.take().is_empty());
    while scene.take().is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_node_that_is_down_says_so_at_once_and_is_uncertain_when_it_is_back() {
    let scene = Scene::new().await;
    scene.reader.down();
    assert!(scene.reader.open(&scene.topic).await.is_err_and(|error| unavailable(false)(&error)));
    assert!(matches!(scene.reader.health().await, Health::Down(_)));
    assert_eq!(scene.append_elsewhere(2).await, 2);
    assert!(scene.take().is_empty());

    scene.reader.up();
    assert_eq!(scene.take(), [0]);
    scene.append(1).await;
    assert_eq!((scene.take(), scene.reader.health().await), (vec![3], Health::Up));
    scene.store.down();
    assert!(publish(&scene.writer, &scene.topic, Draft::json("x").unwrap()).await.is_err());
    scene.store.up();
    assert_eq!(scene.append(0).await.seq.get(), 3);
}

impl Scene {
    /// Appends without asking the reader.
    async fn append_elsewhere(&self, count: usize) -> u64 {
        let mut last = Seq::ZERO;
        for _ in 0..count {
            last = publish(&self.writer, &self.topic, Draft::json("x").unwrap()).await.unwrap().position.seq;
        }
        last.get()
    }
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_there() {
    let scene = Scene::new().await;
    scene.writer.lose_answers(1);
    let draft = Draft::json("x").unwrap().id("1");
    let lost = publish(&scene.writer, &scene.topic, draft.clone()).await;
    assert!(lost.is_err_and(|error| unavailable(true)(&error)));
    let again = publish(&scene.writer, &scene.topic, draft).await.unwrap();
    assert_eq!((again.position.seq.get(), again.duplicate), (1, true));
}

#[tokio::test]
async fn a_store_that_forgot_has_other_epochs() {
    let scene = Scene::new().await;
    let before = scene.append(3).await;
    scene.take();
    scene.store.forget();
    assert_eq!(scene.take(), [0]);
    let head = scene.writer.open(&scene.topic).await.unwrap();
    assert!(head.epoch != before.epoch && head.head == Seq::ZERO);
}

#[tokio::test]
async fn a_store_that_was_behind_has_what_it_had_in_another_epoch() {
    let scene = Scene::new().await;
    let before = scene.append(5).await;
    scene.store.rewind(2);
    let head = scene.reader.open(&scene.topic).await.unwrap();
    assert!(head.epoch != before.epoch && head.head.get() == 3);
    let slice = scene.reader.read(&scene.topic, head.before_first(), Limit::default()).await.unwrap();
    assert_eq!(slice.messages.len(), 3);
}

#[tokio::test]
async fn a_fork_gives_a_number_twice_in_one_epoch() {
    let scene = Scene::new().await;
    let before = scene.append(5).await;
    let newest = || async {
        let history = scene.reader.read_back(&scene.topic, None, Limit { messages: 1, bytes: 1 }).await.unwrap();
        history.1.messages[0].clone()
    };
    let lost = newest().await;
    scene.store.fork(2);
    assert_eq!(scene.append(2).await, before);
    let other = newest().await;
    assert!(other.seq == lost.seq && other.tag != lost.tag);
}
