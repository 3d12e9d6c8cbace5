//! Which transport comes next: the one place that decides it.

use crate::transport::Transport;

/// The transports to try. Within a round each gets its turn, best first; every round, and every reconnect, begins with
/// the best again, and a better one is tried beside a worse one that works, so nobody is on a worse one for ever.
#[derive(Debug)]
pub(crate) struct Choice {
    candidates: Vec<Transport>,
    index: usize,
}

impl Choice {
    pub(crate) fn new(candidates: Vec<Transport>) -> Self {
        Self { candidates, index: 0 }
    }

    /// The one to try; `None` where all failed in this round.
    pub(crate) fn current(&self) -> Option<Transport> {
        self.candidates.get(self.index).copied()
    }

    /// Those that are better than this one, best first.
    pub(crate) fn better_than(&self, transport: Transport) -> &[Transport] {
        let rank = self.candidates.iter().position(|candidate| *candidate == transport);
        &self.candidates[..rank.unwrap_or(0)]
    }

    /// This one delivers: the round goes on behind it.
    pub(crate) fn settle(&mut self, transport: Transport) {
        self.index = self.candidates.iter().position(|candidate| *candidate == transport).unwrap_or(self.index);
    }

    /// The current one did not deliver.
    pub(crate) fn failed(&mut self) {
        self.index += 1;
    }

    /// Begins a round.
    pub(crate) fn restart(&mut self) {
        self.index = 0;
    }
}
