//! Parts of a state: what a few keys are, and who holds them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::{Held, State};
use crate::log::HeldKey;
use crate::message::{Hold, Message};

impl State {
    /// A state that holds what this one holds of these keys, and counts the others.
    pub(in crate::log) fn excerpt<'a>(&self, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let mut part = Self { floor: self.floor, ..Self::remembering(self.most_deletions) };
        for key in keys.into_iter().collect::<BTreeSet<_>>() {
            if let Some(message) = self.keys.get(key).and_then(|seq| self.entries.get(seq)) {
                part.put(Arc::clone(message));
            }
            if let Some((key, held)) = self.held.get_key_value(key) {
                part.held.insert(Arc::clone(key), held.clone());
            }
        }
        part.elsewhere = self.len() - part.len();
        part
    }

    /// All that it holds, deletions included, in the order of the numbers.
    pub(in crate::log) fn all(&self) -> impl Iterator<Item = &Arc<Message>> {
        self.entries.values()
    }

    /// The first keys whose time is over, at most so many.
    pub(in crate::log) fn all_expired(&self, now_ms: u64, most: usize) -> Vec<Arc<str>> {
        let over = self.expiries.iter().take_while(|(expires, _)| *expires <= now_ms);
        over.filter_map(|(_, seq)| self.entries.get(seq)?.key.clone()).take(most).collect()
    }

    pub(in crate::log) fn holders(&self, key: &str) -> Option<&VecDeque<Arc<str>>> {
        self.held.get(key).map(|held| &held.holders)
    }

    /// Lets somebody hold a key, or no more, whose message stays as it is.
    pub(in crate::log) fn note_hold(&mut self, key: &str, hold: &Hold, lets_go: bool) {
        let Some(held) = self.held.get_mut(key) else { return };
        if lets_go {
            held.holders.retain(|holder| *holder != hold.holder);
        } else {
            held.add(&hold.holder);
        }
    }

    pub(in crate::log) fn held_keys(&self) -> impl Iterator<Item = HeldKey> {
        self.held.iter().map(|(key, held)| HeldKey {
            key: Arc::clone(key),
            shows: held.shows,
            holders: held.holders.iter().cloned().collect(),
        })
    }

    pub(in crate::log) fn restore_held(&mut self, of: HeldKey) {
        self.held.insert(of.key, Held { shows: of.shows, holders: of.holders.into() });
    }
}
