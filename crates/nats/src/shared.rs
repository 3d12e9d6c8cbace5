//! What all channels of a node have in common.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tricast_core::backplane::{BackplaneError, Events};
use tricast_core::channel::{Kind, Topic};
use tricast_core::clock::{Clock, Entropy};

use crate::limits::{LIFE_MS, REPLICA_BYTES, REPLICAS, SPARE_MS};
use crate::lives::Lives;
use crate::store::{Store, StoreError, keeps_longer, within};
use crate::system::Tags;

pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) lives: Lives,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) tags: Tags,
    /// The longest that an operation may take.
    pub(crate) timeout: Duration,
    pub(crate) replicas: usize,
    pub(crate) events: OnceLock<Arc<dyn Events>>,
    /// Why nothing may be asked now, if nothing may.
    pub(crate) shut: watch::Sender<Option<String>>,
    /// For how long entries of streams are stored, in nanoseconds; 0 is for ever.
    max_age: AtomicU64,
    pub(crate) usage: Usage,
}

/// What the channels cost together.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    channels: AtomicUsize,
    bytes: AtomicU64,
}

impl Usage {
    pub(crate) fn is_exceeded(&self) -> bool {
        self.channels.load(Ordering::Relaxed) > REPLICAS || self.bytes.load(Ordering::Relaxed) > REPLICA_BYTES
    }

    pub(crate) fn begin(&self) {
        self.channels.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn change(&self, before: u64, after: u64) {
        self.bytes.fetch_add(after, Ordering::Relaxed);
        self.bytes.fetch_sub(before, Ordering::Relaxed);
    }

    pub(crate) fn end(&self, bytes: u64) {
        self.channels.fetch_sub(1, Ordering::Relaxed);
        self.change(bytes, 0);
    }
}

impl Shared {
    pub(crate) fn new(
        store: Store,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        timeout: Duration,
        replicas: usize,
    ) -> Self {
        Self {
            store,
            lives: Lives::default(),
            tags: Tags::new(entropy.next_u64()),
            clock,
            entropy,
            timeout,
            replicas,
            events: OnceLock::new(),
            shut: watch::Sender::new(None),
            max_age: AtomicU64::new(age_ns(0)),
            usage: Usage::default(),
        }
    }

    /// When an operation that begins now has to have ended.
    pub(crate) fn deadline(&self) -> Instant {
        within(self.timeout)
    }

    /// Fails at once where it is known that nothing can be asked.
    pub(crate) fn ready(&self) -> Result<(), BackplaneError> {
        match &*self.shut.borrow() {
            Some(reason) => Err(unavailable(reason)),
            None => Ok(()),
        }
    }

    /// Creates the streams, and finds out which lives they live.
    pub(crate) async fn prepare(&self, deadline: Instant) -> Result<(Option<String>, bool), StoreError> {
        let max_age = self.max_age.load(Ordering::Relaxed);
        let differs = self.store.ensure_streams(self.replicas, max_age, deadline).await?;
        Ok((differs, self.check(deadline).await?))
    }

    /// Looks whether the streams still live the lives that are known.
    pub(crate) async fn check(&self, deadline: Instant) -> Result<bool, StoreError> {
        self.lives.check(&self.store, &*self.clock, &*self.entropy, deadline).await
    }

    /// Lets entries be stored as long as this topic's rule wants.
    pub(crate) async fn keep_long_enough(&self, topic: &Topic, deadline: Instant) -> Result<(), StoreError> {
        let wanted = age_ns(topic.rule.retention().ttl_ms);
        let known = self.max_age.load(Ordering::Relaxed);
        if topic.rule.kind() == Kind::State || !keeps_longer(wanted, known) {
            return Ok(());
        }
        self.store.ensure_streams(self.replicas, wanted, deadline).await?;
        let raise = |known| keeps_longer(wanted, known).then_some(wanted);
        // Another channel raised it as far.
        let _ = self.max_age.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raise);
        Ok(())
    }
}

/// For how long entries are stored, so that messages are retained for this time, and a channel lives for a day after it was
/// last asked for.
fn age_ns(ttl_ms: u64) -> u64 {
    let ms = ttl_ms.max(LIFE_MS).saturating_add(SPARE_MS);
    ms.checked_mul(1_000_000).filter(|ns| i64::try_from(*ns).is_ok()).unwrap_or(0)
}

/// Nothing was applied.
pub(crate) fn unavailable(reason: impl ToString) -> BackplaneError {
    BackplaneError::Unavailable { reason: reason.to_string(), maybe_applied: false }
}

/// Something may have been applied.
pub(crate) fn unknown(reason: impl ToString) -> BackplaneError {
    BackplaneError::Unavailable { reason: reason.to_string(), maybe_applied: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_stored_for_a_day_and_a_half_or_longer_where_a_rule_keeps_longer() {
        const HOUR: u64 = 3_600_000_000_000;
        assert_eq!(age_ns(1_000), 36 * HOUR);
        assert_eq!(age_ns(48 * 3_600_000), 60 * HOUR);
        assert_eq!(age_ns(u64::MAX), 0);
        assert!(
            keeps_longer(0, 1)
                && keeps_longer(2, 1)
                && !keeps_longer(1, 2)
                && !keeps_longer(1, 0)
                && !keeps_longer(0, 0)
        );
    }
}
