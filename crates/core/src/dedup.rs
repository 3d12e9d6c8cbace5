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
    /// Of all windows, kept so that neither appending nor reading goes through them.
    bytes: usize,
    /// Until when [`Dedup::expire`] need not look; `None`: there is nothing to find.
    look_at_ms: Option<u64>,
}

/// The least time between two looks at all windows for what is over.
const LOOK_MS: u64 = 1_000;

#[derive(Debug, Default)]
struct Window {
    known: HashMap<Arc<str>, Entry>,
    oldest_first: VecDeque<Arc<str>>,
    /// Bytes of the ids' texts.
    texts: usize,
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
        self.since(publisher, id, now_ms).map(|(seq, _)| seq)
    }

    /// All that is remembered, of each publisher the oldest first: who, the id, where its message is, and since when.
    pub fn entries(&self) -> impl Iterator<Item = (&Scope, &str, Seq, u64)> {
        self.windows.iter().flat_map(|(publisher, window)| {
            let of_one = window.oldest_first.iter().filter_map(|id| Some((id, window.known.get(id)?)));
            of_one.map(move |(id, entry)| (publisher, &**id, entry.seq, entry.at_ms))
        })
    }

    /// Since when an id is remembered that [`Dedup::find`] finds, and where its message is.
    #[must_use]
    pub fn since(&self, publisher: &Scope, id: &str, now_ms: u64) -> Option<(Seq, u64)> {
        let entry = self.windows.get(publisher)?.known.get(id)?;
        (!entry.is_over(now_ms)).then_some((entry.seq, entry.at_ms))
    }

    /// Remembers that the message with this id is at `seq`. `now_ms` never goes back from one call to the next.
    pub fn remember(&mut self, publisher: &Scope, id: &str, seq: Seq, now_ms: u64) {
        let window = self.windows.entry(publisher.clone()).or_default();
        let before = window.bytes();
        // First, so that an id that comes again after its time has one place in the order, not two.
        window.expire(now_ms);
        window.remember(Arc::from(id), Entry { seq, at_ms: now_ms });
        self.bytes = self.bytes - before + window.bytes();
        self.look_at_ms = self.look_at_ms.or(Some(now_ms.saturating_add(DEDUP_MS)));
    }

    /// Forgets what is over at `now_ms`, to give its memory back, and returns how many bytes that is. What has just become
    /// over may stay for a second; [`Dedup::find`] finds it no more.
    pub fn expire(&mut self, now_ms: u64) -> usize {
        if self.look_at_ms.is_none_or(|at| now_ms < at) {
            return 0;
        }
        let before = self.bytes;
        let (mut bytes, mut oldest_ms) = (0, None);
        self.windows.retain(|_, window| {
            window.expire(now_ms);
            let oldest = window.oldest();
            if let Some(entry) = oldest {
                bytes += window.bytes();
                oldest_ms = Some(oldest_ms.map_or(entry.at_ms, |at: u64| at.min(entry.at_ms)));
            }
            oldest.is_some()
        });
        self.bytes = bytes;
        let over_at = |at: u64| at.saturating_add(DEDUP_MS).max(now_ms.saturating_add(LOOK_MS));
        self.look_at_ms = oldest_ms.map(over_at);
        before.saturating_sub(bytes)
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.windows.values().map(|window| window.known.len()).sum()
    }

    /// Bytes that remembering costs: each id's text, and its places in the window's tables.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether no id is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Window {
    fn remember(&mut self, id: Arc<str>, entry: Entry) {
        let length = id.len();
        if self.known.insert(Arc::clone(&id), entry).is_none() {
            self.texts += length;
            self.oldest_first.push_back(id);
        }
        while self.oldest_first.len() > DEDUP_IDS {
            self.forget_oldest();
        }
    }

    fn oldest(&self) -> Option<Entry> {
        self.known.get(self.oldest_first.front()?).copied()
    }

    fn expire(&mut self, now_ms: u64) {
        while self.oldest().is_some_and(|entry| entry.is_over(now_ms)) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.oldest_first.pop_front() {
            self.known.remove(&oldest);
            self.texts -= oldest.len();
        }
    }

    fn bytes(&self) -> usize {
        const TEXT: usize = 2 * size_of::<usize>();
        const ENTRY: usize = size_of::<(Arc<str>, Entry)>() + 1;
        // A hash table keeps an eighth of its places empty.
        let table = self.known.capacity() * 8 / 7 * ENTRY;
        let order = self.oldest_first.capacity() * size_of::<Arc<str>>();
        self.texts + self.known.len() * TEXT + table + order
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
        assert!(dedup.expire(2 * DEDUP_MS) > 0);
        assert_eq!((dedup.len(), dedup.bytes()), (0, 0));
    }

    #[test]
    fn what_is_over_is_given_back_publisher_by_publisher_and_to_the_byte() {
        let (mut dedup, server, crowd) = (Dedup::default(), Identity::Server.scope(), Identity::Anonymous.scope());
        dedup.remember(&server, "one", seq(1), 0);
        let of_one = dedup.bytes();
        dedup.remember(&crowd, "other", seq(2), 10_000);
        dedup.remember(&crowd, "another", seq(3), 10_000 + DEDUP_MS / 2);
        let of_all = dedup.bytes();
        assert_eq!((dedup.expire(DEDUP_MS - 1), dedup.bytes()), (0, of_all));
        assert_eq!((dedup.expire(DEDUP_MS), dedup.len()), (of_one, 2));
        assert!(dedup.expire(10_000 + DEDUP_MS) > 0);
        assert_eq!(dedup.len(), 1);
        assert!(dedup.expire(10_000 + 2 * DEDUP_MS) > 0);
        assert_eq!((dedup.len(), dedup.bytes()), (0, 0));
        dedup.remember(&server, "one", seq(4), 20_000 + 2 * DEDUP_MS);
        assert_eq!(
            dedup.expire(20_000 + 3 * DEDUP_MS),
            of_one,
            "what is remembered after all was over is looked for too"
        );
    }
}
