//! All that was done to a store, and doing it again.

use tricast_core::access::Scope;
use tricast_core::channel::{ChannelName, Topic};
use tricast_core::log::{Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::Epoch;

use super::Inside;

/// What was done.
pub(super) enum Step {
    /// A log began, in this epoch.
    Begin(Topic, Epoch),
    /// Keys left whose time was over.
    Expire(ChannelName, Stamp),
    /// A draft was taken.
    Append { channel: ChannelName, draft: Draft, publisher: Scope, stamp: Stamp },
}

impl Inside {
    /// Makes the logs anew from all but the newest appends, and what came after them.
    pub(super) fn rewind(&mut self, appends: usize, epoch_of: impl Fn(Epoch) -> Epoch) {
        let is_append = |step: &Step| matches!(step, Step::Append { .. });
        let newest = (0..self.journal.len()).rev().filter(|index| is_append(&self.journal[*index]));
        if let Some(end) = newest.take(appends).last() {
            self.journal.truncate(end);
        }
        self.logs.clear();
        for step in &mut self.journal {
            match step {
                Step::Begin(topic, epoch) => {
                    *epoch = epoch_of(*epoch);
                    let log = Log::new(topic.rule.kind(), *epoch, topic.rule.retention());
                    self.logs.insert(topic.name.clone(), log);
                }
                Step::Expire(channel, stamp) => {
                    if let Some(log) = self.logs.get_mut(channel) {
                        log.expire(*stamp);
                    }
                }
                Step::Append { channel, draft, publisher, stamp } => {
                    if let Some(log) = self.logs.get_mut(channel) {
                        // It was taken before by a log that was as this one is.
                        let _ = log.append(draft.clone(), publisher, *stamp);
                    }
                }
            }
        }
    }
}
