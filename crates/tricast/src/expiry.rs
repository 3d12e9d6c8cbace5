//! When keys of states leave by themselves: one task for the node, which sleeps until the next is due.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::clock::Clock;
use tricast_core::wake::Bell;

/// The longest sleep while something is due at all, so that a clock that is set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

/// Sleeps until something is due, or may be due sooner, or it is time to look at the clock again.
pub(crate) async fn sleep_unless_sooner(wait: Duration, sooner: &Bell) {
    // Over either way.
    drop(tokio::time::timeout(wait.min(LONGEST_SLEEP), sooner.rung()).await);
}

/// Which channel's next key is due when. Holds each channel once.
#[derive(Debug, Default)]
pub(crate) struct Expiries {
    due: Mutex<Due>,
    sooner: Bell,
}

#[derive(Debug, Default)]
struct Due {
    by_time: BTreeSet<(u64, ChannelName)>,
    by_channel: HashMap<ChannelName, u64>,
}

impl Expiries {
    /// Says when a channel's next key is due; `None`: none is.
    pub(crate) fn set(&self, channel: &ChannelName, at_ms: Option<u64>) {
        let mut due = self.lock();
        let before = due.by_time.first().map(|(at, _)| *at);
        match at_ms {
            Some(at) if due.by_channel.get(channel) == Some(&at) => return,
            Some(at) => {
                due.remove(channel);
                due.by_channel.insert(channel.clone(), at);
                due.by_time.insert((at, channel.clone()));
            }
            None => due.remove(channel),
        }
        let sooner = at_ms.is_some_and(|at| before.is_none_or(|before| at < before));
        drop(due);
        if sooner {
            self.sooner.ring();
        }
    }

    /// Calls back with each channel that has a key due, for ever.
    pub(crate) async fn run(self: Arc<Self>, clock: Arc<dyn Clock>, mut expire: impl FnMut(&ChannelName)) {
        loop {
            let next = self.lock().by_time.first().cloned();
            match next {
                None => self.sooner.rung().await,
                Some((at, channel)) => {
                    let now = clock.wall_ms();
                    if at <= now {
                        // Whatever the callback finds, this is told again only if it is said again.
                        self.set(&channel, None);
                        expire(&channel);
                        tokio::task::yield_now().await;
                    } else {
                        sleep_unless_sooner(Duration::from_millis(at - now), &self.sooner).await;
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Due> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Due {
    fn remove(&mut self, channel: &ChannelName) {
        if let Some(at) = self.by_channel.remove(channel) {
            self.by_time.remove(&(at, channel.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;
    use tricast_testkit::clock::VirtualClock;

    #[tokio::test(start_paused = true)]
    async fn channels_are_told_in_the_order_of_their_times_and_once() {
        let (expiries, clock) = (Arc::new(Expiries::default()), Arc::new(VirtualClock::default()));
        let (told, mut hear) = mpsc::unbounded_channel();
        let run = Arc::clone(&expiries).run(Arc::clone(&clock) as _, move |channel| {
            told.send(channel.to_string()).unwrap();
        });
        let task = tokio::spawn(run);
        let start = clock.wall_ms();
        for (channel, after) in [("late", 5_000), ("moved", 9_000), ("gone", 1), ("soon", 10), ("moved", 100)] {
            expiries.set(&channel.parse().unwrap(), Some(start + after));
        }
        expiries.set(&"gone".parse().unwrap(), None);
        clock.advance(Duration::from_millis(5_000));
        for expected in ["soon", "moved", "late"] {
            assert_eq!(hear.recv().await.as_deref(), Some(expected));
        }
        assert!(expiries.lock().by_channel.is_empty() && expiries.lock().by_time.is_empty());
        task.abort();
    }
}
