//! What a copy of a log needs beyond the log: who asks the store about it, and that one does for all who want to know.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard as AsyncGuard};
use tricast_core::backplane::{BackplaneError, Slice};
use tricast_core::log::Head;
use tricast_core::position::Position;

/// Beside a copy. The two asynchronous locks are held while the store is asked, `asked` before `fetching`.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// How many have come to ask where the log stands.
    arrivals: AtomicU64,
    /// Held by who asks.
    asked: AsyncMutex<Asked>,
    /// How many wait for something to be fetched.
    waiting: AtomicUsize,
    /// Held by who fetches.
    fetching: AsyncMutex<Option<Page>>,
    /// Held by who catches up.
    catching: AsyncMutex<()>,
    /// Somebody is on the way to catch up.
    behind: AtomicBool,
    /// Readers want something that could not be fetched: they are rung when the store answers again.
    owed: AtomicBool,
    /// Since when nobody uses it, on the monotonic clock.
    idle_since: Mutex<Option<Duration>>,
}

/// What the store last said of a log.
#[derive(Debug, Default)]
struct Asked {
    /// Everyone who had come until the question was asked.
    covers: u64,
    answer: Option<Result<Head, BackplaneError>>,
    /// Whether news of the channel are told.
    watched: bool,
}

/// The last page that was fetched past a copy, for those who wait for the same.
#[derive(Debug)]
struct Page {
    after: Position,
    slice: Arc<Slice>,
}

/// The turn of one who asks where a log stands.
pub(crate) struct Turn<'a>(AsyncGuard<'a, Asked>, u64);

/// The turn of one who fetches.
pub(crate) struct Fetch<'a> {
    page: AsyncGuard<'a, Option<Page>>,
    waiting: &'a AtomicUsize,
}

impl Shared {
    /// Waits for its turn to ask, or for what somebody was told who asked after this was called.
    ///
    /// # Cancel safety
    /// Dropping it, or the turn, leaves the question to the next who waits.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, Result<Head, BackplaneError>> {
        let arrival = self.arrivals.fetch_add(1, Ordering::AcqRel) + 1;
        let asked = self.asked.lock().await;
        match &asked.answer {
            Some(answer) if asked.covers >= arrival => Err(answer.clone()),
            _ => {
                let covers = self.arrivals.load(Ordering::Acquire);
                Ok(Turn(asked, covers))
            }
        }
    }

    /// Waits for its turn to fetch.
    ///
    /// # Cancel safety
    /// Dropping it leaves fetching to the next who waits.
    pub(crate) async fn fetch(&self) -> Fetch<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let mut fetch = Waits(&self.waiting, true);
        let page = self.fetching.lock().await;
        fetch.1 = false;
        Fetch { page, waiting: &self.waiting }
    }

    /// Waits for its turn to catch up.
    pub(crate) async fn catch_up(&self) -> AsyncGuard<'_, ()> {
        self.catching.lock().await
    }

    /// Whether somebody has to be sent to catch up: nobody is on the way.
    pub(crate) fn falls_behind(&self) -> bool {
        !self.behind.swap(true, Ordering::AcqRel)
    }

    /// Whoever was sent has come: what is missed from here on sends another.
    pub(crate) fn arrives(&self) {
        self.behind.store(false, Ordering::Release);
    }

    /// Readers could not be given what they want.
    pub(crate) fn owe(&self) {
        self.owed.store(true, Ordering::Release);
    }

    /// Whether readers could not be given what they want; they are from here on.
    pub(crate) fn pay(&self) -> bool {
        self.owed.swap(false, Ordering::AcqRel)
    }

    /// For how long nobody has used it; `None`: somebody does.
    pub(crate) fn idle(&self, used: bool, now: Duration) -> Option<Duration> {
        let mut since = self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        *since = (!used).then(|| since.unwrap_or(now));
        since.map(|since| now.saturating_sub(since))
    }
}

impl Turn<'_> {
    /// Whether news of the channel are told.
    pub(crate) fn is_watched(&self) -> bool {
        self.0.watched
    }

    /// News of the channel are told from now on, or no more.
    pub(crate) fn watched(&mut self, watched: bool) {
        self.0.watched = watched;
    }

    /// Tells all who had come before the question what the answer was.
    pub(crate) fn answer(mut self, answer: Result<Head, BackplaneError>) -> Result<Head, BackplaneError> {
        (self.0.covers, self.0.answer) = (self.1, Some(answer.clone()));
        answer
    }
}

impl Fetch<'_> {
    /// The page, if it is the last that was fetched.
    pub(crate) fn page(&self, after: Position) -> Option<Arc<Slice>> {
        let page = self.page.as_ref().filter(|page| page.after == after);
        page.map(|page| Arc::clone(&page.slice))
    }

    /// Keeps a page for those who wait.
    pub(crate) fn keep(&mut self, after: Position, slice: &Arc<Slice>) {
        *self.page = Some(Page { after, slice: Arc::clone(slice) });
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        // The last of those who wait gives the page back.
        if self.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            *self.page = None;
        }
    }
}

/// Counts one who waits, unless it has come to its turn.
struct Waits<'a>(&'a AtomicUsize, bool);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        if self.1 {
            self.0.fetch_sub(1, Ordering::AcqRel);
        }
    }
}
