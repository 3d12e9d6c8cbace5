//! A backplane that knows nothing but a store.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use tricast_core::access::Scope;
use tricast_core::backplane::{Backplane, BackplaneError, BoxFuture, Events, Health, Slice, Uncertain};
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::log::{Appended, Head, Limit, Log, Page};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::replay::{Decision, decide};

use super::Shared;
use super::news::{News, Told, Way, tell};

/// A node of a [`Store`](super::Store).
pub struct Node {
    store: Arc<Shared>,
    events: OnceLock<Arc<dyn Events>>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    is_down: bool,
    watched: HashSet<ChannelName>,
    way: Way,
    /// Appends that are applied, and answered as if the store were gone.
    lost_answers: usize,
}

impl Node {
    pub(super) fn new(store: Arc<Shared>) -> Self {
        Self { store, events: OnceLock::new(), state: Mutex::default() }
    }

    /// Says how news travel to this node from now on. Those that were kept back are told.
    pub fn tell(&self, news: News) {
        let kept = self.lock().way.change(news);
        self.pass_on(kept, std::time::Duration::ZERO);
    }

    /// Cuts it off: it answers `unavailable` at once, and hears nothing.
    pub fn down(&self) {
        let mut state = self.lock();
        state.is_down = true;
        state.way.lose();
    }

    /// Lets it find the store again: it watches what it watched, and says that it is uncertain of everything.
    pub fn up(&self) {
        self.lock().is_down = false;
        self.shake();
    }

    /// Lets its next so many appends be applied and answered as if the store were gone.
    pub fn lose_answers(&self, appends: usize) {
        self.lock().lost_answers = appends;
    }

    /// The channels that it watches.
    pub fn watched(&self) -> Vec<ChannelName> {
        self.lock().watched.iter().cloned().collect()
    }

    /// The connection is lost, with what was on its way, and another is there unless the node is down.
    pub(super) fn shake(&self) {
        let mut state = self.lock();
        state.way.lose();
        let is_down = state.is_down;
        drop(state);
        if let Some(events) = self.events.get().filter(|_| !is_down) {
            events.uncertain(Uncertain::All);
        }
    }

    /// Is told what is new in the store.
    pub(super) fn hear(&self, told: &Told) {
        let mut state = self.lock();
        if state.is_down || !state.watched.contains(&told.channel) {
            return;
        }
        let (all, later) = state.way.take(told);
        drop(state);
        self.pass_on(all, later);
    }

    fn pass_on(&self, all: Vec<Told>, later: std::time::Duration) {
        if let Some(events) = self.events.get().filter(|_| !all.is_empty()) {
            tell(events, all, later);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with the lock")
    }

    fn check(&self) -> Result<(), BackplaneError> {
        if self.lock().is_down { Err(unavailable(false)) } else { Ok(()) }
    }

    fn ask<T>(&self, topic: &Topic, question: impl FnOnce(&Log) -> T) -> Result<T, BackplaneError> {
        self.check()?;
        Ok(self.store.with_log(topic, |log, _, _| question(log)))
    }

    fn append_now(&self, topic: &Topic, draft: Draft, publisher: &Scope) -> Result<Appended, BackplaneError> {
        self.check()?;
        let appended = self.store.append(topic, draft, publisher);
        let mut state = self.lock();
        if state.lost_answers > 0 {
            state.lost_answers -= 1;
            return Err(unavailable(true));
        }
        Ok(appended?)
    }
}

impl Backplane for Node {
    fn attach(&self, events: Arc<dyn Events>) {
        assert!(self.events.set(events).is_ok(), "a node is listened to once");
    }

    fn open<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(async move { self.ask(topic, Log::head) })
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
        let now_ms = self.store.clock.wall_ms();
        Box::pin(async move { self.ask(topic, |log| log.find(publisher, id, now_ms)) })
    }

    fn read<'a>(
        &'a self,
        topic: &'a Topic,
        after: Position,
        limit: Limit,
    ) -> BoxFuture<'a, Result<Slice, BackplaneError>> {
        Box::pin(async move { self.ask(topic, |log| slice(log, after, limit)) })
    }

    fn read_back<'a>(
        &'a self,
        topic: &'a Topic,
        before: Option<Seq>,
        limit: Limit,
    ) -> BoxFuture<'a, Result<(Head, Page), BackplaneError>> {
        Box::pin(async move { self.ask(topic, |log| (log.head(), log.read_back(before, limit))) })
    }

    fn watch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(async move {
            self.check()?;
            self.lock().watched.insert(topic.name.clone());
            self.ask(topic, Log::head)
        })
    }

    fn unwatch<'a>(&'a self, topic: &'a Topic) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            self.lock().watched.remove(&topic.name);
        })
    }

    fn heads<'a>(&'a self, topics: &'a [Topic]) -> BoxFuture<'a, Vec<Result<Head, BackplaneError>>> {
        Box::pin(async move { topics.iter().map(|topic| self.ask(topic, Log::head)).collect() })
    }

    fn renew<'a>(&'a self, topic: &'a Topic, epoch: Epoch) -> BoxFuture<'a, Result<Head, BackplaneError>> {
        Box::pin(async move {
            self.check()?;
            self.store.renew(topic, epoch);
            self.ask(topic, Log::head)
        })
    }

    fn health(&self) -> BoxFuture<'_, Health> {
        Box::pin(async {
            match self.check() {
                Ok(()) => Health::Up,
                Err(error) => Health::Down(error.to_string()),
            }
        })
    }
}

fn slice(log: &Log, after: Position, limit: Limit) -> Slice {
    let head = log.head();
    match decide(log.kind(), Some(after), &head) {
        Decision::Continue => Slice { head, messages: log.read(after, limit), to: log.extent(after, limit).to },
        Decision::Gap { .. } => Slice { head, messages: Vec::new(), to: after.seq },
    }
}

fn unavailable(maybe_applied: bool) -> BackplaneError {
    BackplaneError::Unavailable { reason: "the store was told to be down".to_owned(), maybe_applied }
}
