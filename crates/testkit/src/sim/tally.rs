//! What happened in histories, so that a test can see that they were not idle.

use std::ops::AddAssign;

/// Counts over one history or many.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many histories.
    pub histories: u64,
    /// Things that happened.
    pub happenings: u64,
    /// Messages that applications were told of.
    pub delivered: u64,
    /// Messages that readers dropped because they had them.
    pub dropped: u64,
    /// Gaps that applications were told of.
    pub gaps: u64,
    /// Answers of connections that were void, because another had replaced the position meanwhile.
    pub voids: u64,
    /// Publishes that a log knew by their id.
    pub duplicates: u64,
    /// Questions that nodes asked their store.
    pub questions: u64,
    /// Parts of logs that nodes fetched to make them part of their copies.
    pub fills: u64,
    /// Readers who had to wait because the store did not answer.
    pub owed: u64,
    /// Epochs that ended because they had two lives.
    pub forks: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.happenings += other.happenings;
        self.delivered += other.delivered;
        self.dropped += other.dropped;
        self.gaps += other.gaps;
        self.voids += other.voids;
        self.duplicates += other.duplicates;
        self.questions += other.questions;
        self.fills += other.fills;
        self.owed += other.owed;
        self.forks += other.forks;
    }
}
