//! A publisher: it repeats a publish under its id until it is acknowledged, or gives up.

use tricast_core::channel::Kind;
use tricast_core::position::{Epoch, Position};

use super::ledger::{Item, Ledger};
use super::random::Random;
use super::violation::{Checked, ensure};

pub(super) struct Publisher {
    scope: usize,
    published: u32,
    outstanding: Option<Outstanding>,
    /// Per channel, where its last acknowledged message is.
    acknowledged: Vec<Option<(Epoch, u64)>>,
}

struct Outstanding {
    channel: usize,
    nth: u32,
    item: Item,
    tries: u32,
}

/// A publish that goes out.
#[derive(Debug, Clone)]
pub(super) struct Publish {
    pub(super) publisher: usize,
    pub(super) nth: u32,
    pub(super) channel: usize,
    pub(super) item: Item,
}

impl Publisher {
    pub(super) fn new(scope: usize, channels: usize) -> Self {
        Self { scope, published: 0, outstanding: None, acknowledged: vec![None; channels] }
    }

    /// What it sends now: the next message, or the last one once more.
    pub(super) fn send(&mut self, publisher: usize, kinds: &[Kind], random: &mut Random) -> Publish {
        let patience = 8;
        if self.outstanding.as_ref().is_none_or(|it| it.tries == patience || it.item.id.is_none()) {
            self.published += 1;
            let (channel, nth) = (random.below(kinds.len()), self.published);
            let item = self.item(nth, kinds[channel], random);
            self.outstanding = Some(Outstanding { channel, nth, item, tries: 0 });
        }
        let it = self.outstanding.as_mut().expect("it was just made where there was none");
        it.tries += 1;
        Publish { publisher, nth: it.nth, channel: it.channel, item: it.item.clone() }
    }

    /// Both publishers use the same ids, for these are each publisher's own.
    fn item(&self, nth: u32, kind: Kind, random: &mut Random) -> Item {
        let id = random.chance(85).then(|| nth.to_string());
        let state = kind == Kind::State;
        let key = state.then(|| random.pick(&[0, 1, 2, 3, 4, 5, 6, 7]));
        let deletes = state && random.chance(35);
        let value = (!deletes).then(|| nth * 2 + u32::try_from(self.scope).unwrap_or_default());
        let ttl = (state && random.chance(15)).then(|| random.between(1..=2_000));
        Item { scope: self.scope, id, key, value, ttl }
    }

    /// Hears the answer to one of its publishes; `None` is a refusal.
    pub(super) fn answered(&mut self, nth: u32, position: Option<Position>, ledger: &Ledger) -> Checked {
        let Some(it) = self.outstanding.take_if(|it| it.nth == nth) else { return Ok(()) };
        // The deletion of an absent key appends nothing, so nothing can be said of its place.
        let Some(position) = position.filter(|_| it.item.value.is_some()) else { return Ok(()) };
        ledger.check_published(&it.item, position)?;
        let (epoch, seq) = (position.epoch, position.seq.get());
        let before = self.acknowledged[it.channel].replace((epoch, seq));
        let in_order = before.is_none_or(|(known, before)| known != epoch || before < seq);
        ensure(in_order, || format!("{position} was published after {before:?} and stands before it"))
    }
}
