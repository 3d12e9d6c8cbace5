//! An application that reads one channel, and holds what it is told against the promises.

use std::collections::BTreeMap;

use tricast_core::channel::Kind;
use tricast_core::message::Message;
use tricast_core::position::{Epoch, Position};

use super::ledger::Ledger;
use super::violation::{Checked, ensure};

/// What an application was told of one channel.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// The newest message that it was told, of each epoch.
    newest: BTreeMap<Epoch, u64>,
    /// On a stream: after which message the next has to come.
    after: Option<(Epoch, u64)>,
    map: BTreeMap<u8, u64>,
    /// A snapshot that is not complete, to take the map's place.
    snapshot: Option<BTreeMap<u8, u64>>,
}

impl Witness {
    /// It begins, or begins again, after a position.
    pub(super) fn starts(&mut self, kind: Kind, position: Position) {
        match kind {
            Kind::Stream => self.after = Some((position.epoch, position.seq.get())),
            Kind::State => {
                self.snapshot = Some(BTreeMap::new());
                // What is read anew is told anew.
                self.newest.remove(&position.epoch);
            }
        }
    }

    pub(super) fn message(&mut self, ledger: &Ledger, epoch: Epoch, message: &Message) -> Checked {
        let seq = message.seq.get();
        ledger.check_message(epoch, message)?;
        let newest = self.newest.insert(epoch, seq);
        ensure(newest.is_none_or(|newest| newest < seq), || {
            format!("{epoch}-{seq} is delivered after {}", newest.unwrap_or_default())
        })?;
        match ledger.kind() {
            Kind::Stream => {
                let after = self.after.replace((epoch, seq));
                ensure(after == Some((epoch, seq - 1)), || format!("{epoch}-{seq} is delivered after {after:?}"))
            }
            Kind::State => {
                let Some(Ok(key)) = message.key.as_deref().map(str::parse) else {
                    return Err(format!("{epoch}-{seq} has no key").into());
                };
                let map = self.snapshot.as_mut().unwrap_or(&mut self.map);
                match message.payload {
                    Some(_) => drop(map.insert(key, seq)),
                    None => drop(map.remove(&key)),
                }
                Ok(())
            }
        }
    }

    /// A snapshot, if there is one, is complete; the map is what the log held.
    pub(super) fn complete(&mut self, ledger: &Ledger, position: Position) -> Checked {
        if ledger.kind() == Kind::Stream {
            return Ok(());
        }
        if let Some(snapshot) = self.snapshot.take() {
            self.map = snapshot;
        }
        ledger.check_map(position, &self.map)
    }

    /// Whether a snapshot is not complete yet.
    pub(super) fn waits(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Whether it holds all that there is, now that its reader stands here and is told nothing more.
    pub(super) fn check_end(&self, ledger: &Ledger, position: Position) -> Checked {
        match ledger.kind() {
            Kind::Stream => {
                let told = (position.epoch, position.seq.get());
                ensure(self.after == Some(told), || format!("the last told is {:?}, not {position}", self.after))
            }
            Kind::State => ledger.check_map(position, &self.map),
        }
    }
}
