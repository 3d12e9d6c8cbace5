//! Which transport comes next: the one place that decides it.

use crate::transport::Transport;

/// The transports to try. Within a round each gets its turn, best first; every round, and every reconnect, begins with
/// the best again, so nobody is on a worse one for ever.
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

    /// The current one did not deliver.
    pub(crate) fn failed(&mut self) {
        self.index += 1;
    }

    /// Begins a round.
    pub(crate) fn restart(&mut self) {
        self.index = 0;
    }
}
