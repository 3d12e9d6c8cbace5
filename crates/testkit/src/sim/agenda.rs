//! Virtual time: what happens next, and when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Things that are due, the earliest first; of two that are due together, the one that was noted first.
pub(super) struct Agenda<T> {
    due: BinaryHeap<Entry<T>>,
    noted: u64,
    now: u64,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Self { due: BinaryHeap::new(), noted: 0, now: 0 }
    }

    /// Milliseconds since the beginning.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Notes something for a time, or for now if that is past.
    pub(super) fn note(&mut self, at: u64, what: T) {
        self.noted += 1;
        self.due.push(Entry { at: at.max(self.now), nth: self.noted, what });
    }

    /// Goes on to the next thing.
    pub(super) fn next(&mut self) -> Option<T> {
        let Entry { at, what, .. } = self.due.pop()?;
        self.now = at;
        Some(what)
    }
}

struct Entry<T> {
    at: u64,
    nth: u64,
    what: T,
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        // The heap gives its greatest.
        (other.at, other.nth).cmp(&(self.at, self.nth))
    }
}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Entry<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_first_comes_first_and_ties_keep_their_order() {
        let mut agenda = Agenda::new();
        for (at, what) in [(5, 'c'), (3, 'a'), (5, 'd'), (4, 'b')] {
            agenda.note(at, what);
        }
        let order: String = std::iter::from_fn(|| agenda.next()).collect();
        assert_eq!((order.as_str(), agenda.now()), ("abcd", 5));
        agenda.note(1, 'e');
        assert_eq!((agenda.next(), agenda.now()), (Some('e'), 5), "time never goes back");
    }
}
