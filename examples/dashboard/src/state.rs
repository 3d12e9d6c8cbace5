//! What the handlers share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::FromRef;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tricast::Tricast;

use crate::problem::Problem;
use crate::session::Sessions;
use crate::shop::Shop;

/// Jobs and orders that are under way at a time.
const MOST_WORK: usize = 200;

/// The application. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) tricast: Tricast,
    pub(crate) sessions: Sessions,
    shop: Arc<Mutex<Shop>>,
    work: Arc<Semaphore>,
    last_number: Arc<AtomicU64>,
}

impl App {
    pub(crate) fn new(tricast: Tricast) -> Self {
        Self {
            tricast,
            sessions: Sessions::default(),
            shop: Arc::new(Mutex::new(Shop::new(SEED))),
            work: Arc::new(Semaphore::new(MOST_WORK)),
            last_number: Arc::new(AtomicU64::new(1_000)),
        }
    }

    /// The shop. Never held across an await.
    pub(crate) fn shop(&self) -> MutexGuard<'_, Shop> {
        self.shop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leave to work in the background, until it is dropped.
    ///
    /// # Errors
    /// Too much of that is under way.
    pub(crate) fn take_work(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.work).try_acquire_owned().map_err(|_| Problem::Busy)
    }

    /// A number that no job or order had before.
    pub(crate) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl FromRef<App> for Tricast {
    fn from_ref(app: &App) -> Self {
        app.tricast.clone()
    }
}

const SEED: u64 = 0x5EED_0F7A_11CA_5757;
