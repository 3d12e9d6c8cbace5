//! Looking after the connection: whether it is there, what came back with it, and whether the store is healthy.
//!
//! While there is no connection nothing is asked. When there is one again, it is first looked whether the store still has
//! what it had; then who watches is told that news may be missing.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::Event;
use tokio::sync::watch;
use tricast_core::backplane::{Health, Uncertain};

use crate::shared::Shared;
use crate::store::StoreError;
use crate::sweep::sweep;

/// How often the store is looked after while all is well.
const BEAT: Duration = Duration::from_secs(1);

/// How often, about, states are looked for that are to be forgotten.
const SWEEP: Duration = Duration::from_secs(60 * 60);

/// How soon it is tried again to find out what a store has that came back.
pub(crate) const AGAIN: Duration = Duration::from_millis(100);

/// What is known of the store's health.
#[derive(Debug, Default)]
pub(crate) struct Status {
    /// What of its streams is not as it should be. The locks guard the texts alone.
    differs: Mutex<Option<String>>,
    /// Why it did not answer when it was last looked after.
    fails: Mutex<Option<String>>,
}

impl Status {
    pub(crate) fn differs(&self, what: Option<String>) {
        if let Some(what) = &what {
            tracing::warn!("{what}");
        }
        *self.differs.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    fn fails(&self, why: Option<String>) {
        *self.fails.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    pub(crate) fn health(&self, shared: &Shared) -> Health {
        let shut = shared.shut.borrow().clone();
        if let Some(why) = shut.or_else(|| self.fails.lock().unwrap_or_else(PoisonError::into_inner).clone()) {
            return Health::Down(why);
        }
        let differs = self.differs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        differs.map_or(Health::Up, Health::Degraded)
    }
}

/// Counts how often the connection came and went: odd while it is there. A request that was sent under one number is lost
/// under another.
pub(crate) type Connection = watch::Sender<u64>;

pub(crate) fn is_there(count: u64) -> bool {
    count % 2 == 1
}

/// What the client says of its connection.
pub(crate) fn on_event(connection: &Connection, event: &Event) {
    let there = match event {
        Event::Connected => true,
        Event::Disconnected | Event::Closed => false,
        Event::LameDuckMode | Event::Draining => return,
        Event::SlowConsumer(_) => {
            tracing::debug!("news came faster than they were taken: what is missing is read");
            return;
        }
        Event::ServerError(error) => return tracing::warn!(%error, "NATS reports an error"),
        Event::ClientError(error) => return tracing::warn!(%error, "the client of NATS reports an error"),
    };
    connection.send_if_modified(|count| {
        let changes = is_there(*count) != there;
        *count += u64::from(changes);
        changes
    });
}

/// Looks after the store until it is aborted.
pub(crate) async fn keep(shared: Arc<Shared>, status: Arc<Status>, mut connection: watch::Receiver<u64>) {
    let mut sweep_at = next_sweep(&shared);
    loop {
        let next = tokio::time::timeout(BEAT, connection.changed()).await;
        let beat = match next {
            Err(_) => true,
            Ok(Ok(())) => false,
            Ok(Err(_)) => return,
        };
        if beat && shared.shut.borrow().is_none() {
            look_after(&shared, &status).await;
            if shared.clock.monotonic() >= sweep_at {
                sweep_at = next_sweep(&shared);
                if let Err(error) = sweep(&shared).await {
                    tracing::debug!(%error, "not all states could be looked at");
                }
            }
            continue;
        }
        shared.shut.send_replace(Some("NATS is not connected".to_owned()));
        while is_there(*connection.borrow_and_update()) {
            match shared.prepare(shared.deadline()).await {
                Ok((differs, _)) => {
                    status.differs(differs);
                    status.fails(None);
                    shared.shut.send_replace(None);
                    tell_all(&shared);
                    break;
                }
                Err(error) => {
                    shared.shut.send_replace(Some(error.to_string()));
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Nodes take turns by chance: who comes later finds little to do.
fn next_sweep(shared: &Shared) -> Duration {
    let spread = shared.entropy.below(u64::try_from(SWEEP.as_millis()).unwrap_or(0));
    shared.clock.monotonic() + SWEEP / 2 + Duration::from_millis(spread)
}

async fn look_after(shared: &Shared, status: &Status) {
    let found = match shared.check(shared.deadline()).await {
        // Somebody deleted a stream.
        Err(StoreError::Absent(_)) => shared.prepare(shared.deadline()).await.map(|(differs, changed)| {
            status.differs(differs);
            changed
        }),
        found => found,
    };
    match found {
        Ok(changed) => {
            status.fails(None);
            if changed {
                tell_all(shared);
            }
        }
        Err(error) => status.fails(Some(error.to_string())),
    }
}

fn tell_all(shared: &Shared) {
    if let Some(events) = shared.events.get() {
        events.uncertain(Uncertain::All);
    }
}
