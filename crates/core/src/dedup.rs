//! The idempotency window: which ids a publisher used lately, and where their messages are.
//!
//! An id is remembered for five minutes unless more than 10,000 newer ones of the same publisher came (protocol,
//! 5.1). Each publisher has a window of its own, so that nobody can push another's ids out, or answer for them. The
//! window belongs to an epoch: it lives and ends with its log.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::access::Scope;
use crate::limits::{DEDUP_IDS, DEDUP_MS};
use crate::position::Seq;

/// The ids that a log remembers, by publisher.
///
/// # Examples
/// ```
/// use tricast_core::access::Identity;
/// use tricast_core::dedup::Dedup;
/// use tricast_core::position::Seq;
/// let (mut dedup, who) = (Dedup::default(), Identity::Anonymous.scope());
/// dedup.remember(&who, "m1", Seq::ZERO, 0);
/// assert_eq!(dedup.find(&who, "m1", 299_999), Some(Seq::ZERO));
/// assert_eq!(dedup.find(&who, "m1", 300_000), None);
/// ```
#[derive(Debug, Default)]
pub struct Dedup {
    windows: HashMap<Scope, Window>,
    /// Bytes of all ids' texts.
    texts: usize,
}

#[derive(Debug, Default)]
struct Window {
    known: HashMap<Arc<str>, Entry>,
    oldest_first: VecDeque<Arc<str>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    seq: Seq,
    at_ms: u64,
}

impl Dedup {
    /// Where the message with this id is, if it is still remembered at `now_ms`.
    #[must_use]
    pub fn find(&self, publisher: &Scope, id: &str, now_ms: u64) -> Option<Seq> {
        let entry = self.windows.get(publisher)?.known.get(id)?;
        (!entry.is_over(now_ms)).then_some(entry.seq)
    }

    /// Remembers that the message with this id is at `seq`. `now_ms` never goes back from one call to the next.
    pub fn remember(&mut self, publisher: &Scope, id: &str, seq: Seq, now_ms: u64) {
        let window = self.windows.entry(publisher.clone()).or_default();
        // First, so that an id that comes again after its time has one place in the order, not two.
        let forgotten = window.expire(now_ms);
        self.texts -= forgotten;
        let id: Arc<str> = Arc::from(id);
        if window.known.insert(Arc::clone(&id), Entry { seq, at_ms: now_ms }).is_none() {
            self.texts += id.len();
            window.oldest_first.push_back(id);
        }
        while window.oldest_first.len() > DEDUP_IDS {
            self.texts -= window.forget_oldest();
        }
    }

    /// Forgets what is over at `now_ms`, to give its memory back; [`Dedup::find`] needs no such call.
    pub fn expire(&mut self, now_ms: u64) {
        let texts = &mut self.texts;
        self.windows.retain(|_, window| {
            *texts -= window.expire(now_ms);
            !window.known.is_empty()
        });
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.values().map(|window| window.known.len()).sum()
    }

    /// Bytes that remembering costs: each id's text, and its places in the window's tables.
    #[must_use]
    pub fn bytes(&self) -> usize {
        const TEXT: usize = 2 * size_of::<usize>();
        const ENTRY: usize = size_of::<(Arc<str>, Entry)>() + 1;
        // A hash table keeps an eighth of its places empty.
        let table = |window: &Window| window.known.capacity() * 8 / 7 * ENTRY;
        let places = |window: &Window| table(window) + window.oldest_first.capacity() * size_of::<Arc<str>>();
        self.texts + self.len() * TEXT + self.windows.values().map(places).sum::<usize>()
    }

    /// Whether no id is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Window {
    /// Forgets what is over; returns the bytes of its texts.
    fn expire(&mut self, now_ms: u64) -> usize {
        let mut texts = 0;
        while let Some(oldest) = self.oldest_first.front()
            && self.known.get(oldest).is_none_or(|entry| entry.is_over(now_ms))
        {
            texts += self.forget_oldest();
        }
        texts
    }

    fn forget_oldest(&mut self) -> usize {
        let Some(oldest) = self.oldest_first.pop_front() else { return 0 };
        self.known.remove(&oldest);
        oldest.len()
    }
}

impl Entry {
    fn is_over(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.at_ms) >= DEDUP_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Identity;

    fn seq(seq: usize) -> Seq {
        Seq::new(seq as u64).unwrap()
    }

    #[test]
    fn a_publisher_cannot_push_out_anothers_ids() {
        let (mut dedup, server, crowd) = (Dedup::default(), Identity::Server.scope(), Identity::Anonymous.scope());
        dedup.remember(&server, "keep", seq(1), 0);
        for n in 0..=DEDUP_IDS {
            dedup.remember(&crowd, &format!("n{n}"), seq(n), 0);
        }
        assert_eq!(dedup.find(&server, "keep", 1), Some(seq(1)));
        assert_eq!(dedup.find(&crowd, "n0", 1), None, "10,000 newer ones came");
        assert_eq!(dedup.find(&crowd, "n1", 1), Some(seq(1)));
        assert_eq!(dedup.find(&crowd, "keep", 1), None, "ids belong to their publisher");
    }

    #[test]
    fn an_id_that_returns_after_its_time_is_new_and_remembered_anew() {
        let (mut dedup, who) = (Dedup::default(), Identity::Anonymous.scope());
        dedup.remember(&who, "m", seq(1), 0);
        dedup.remember(&who, "m", seq(2), DEDUP_MS);
        assert_eq!(dedup.find(&who, "m", DEDUP_MS), Some(seq(2)));
        assert_eq!(dedup.len(), 1);
        dedup.expire(2 * DEDUP_MS);
        assert!(dedup.is_empty());
    }
}
