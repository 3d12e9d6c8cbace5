//! Entries: what is stored of a channel, one JetStream message each.
//!
//! ```text
//! 1      version
//! 1      what: 1 an epoch begins, 2 changes, 3 a checkpoint
//! 8      id, random
//! 8      id of the entry before it on the channel; 0: there is none
//! 8      incarnation of the store
//! 8      when it was written, milliseconds since the Unix epoch
//! 2+n    epoch
//! 8      head of the log before it
//! 8      time of the log's newest append before it
//! 4      how many keys a state has after it
//! …      changes, each as in [`Change`], to the end; or the checkpoint's id and its number of parts
//! ```
//! That each entry names the one before it tells a store that came back with another past from one that only went on. That
//! each has the epoch and the head lets older ones be forgotten.

use std::sync::Arc;

use tricast_core::access::Scope;
use tricast_core::log::{Change, Note};
use tricast_core::message::{Hold, stored};
use tricast_core::position::{Epoch, Seq};

use crate::bytes::{DecodeError, In, Out};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// The id of the entry before it; 0 where there is none.
    pub(crate) previous: u64,
    pub(crate) incarnation: u64,
    pub(crate) written_ms: u64,
    pub(crate) epoch: Epoch,
    /// Where the log stood before it.
    pub(crate) head: Seq,
    /// As the log said before it.
    pub(crate) last_append_ms: u64,
    /// How many keys a state has after it: one without any may be forgotten.
    pub(crate) keys: usize,
    pub(crate) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum What {
    /// The log begins anew, in this epoch.
    Begins,
    /// The log changes; or, without changes, is asked for.
    Changes(Vec<Change>),
    /// All of the log before this entry is kept in parts.
    Checkpoint(Checkpoint),
}

impl What {
    /// Whether all of the log after it is known from it.
    pub(crate) fn needs_none_before(&self) -> bool {
        match self {
            Self::Begins | Self::Checkpoint(_) => true,
            Self::Changes(_) => false,
        }
    }
}

/// Which parts are a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Stands in the subjects of its parts.
    pub(crate) id: u64,
    pub(crate) parts: usize,
}

const VERSION: u8 = 1;

const BEGINS: u8 = 1;
const CHANGES: u8 = 2;
const CHECKPOINT: u8 = 3;

const APPENDED: u8 = 1;
const NOTED: u8 = 2;

const WITH_ID: u8 = 1;
const WITH_HOLD: u8 = 2;
const LETS_GO: u8 = 4;

/// More bytes than an entry without changes has.
pub(crate) const ENTRY_BYTES: usize = 128;

/// More bytes than a change has beyond its texts and its payload.
pub(crate) const CHANGE_BYTES: usize = 128;

impl Entry {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Out(Vec::with_capacity(256));
        out.byte(VERSION);
        out.byte(match self.what {
            What::Begins => BEGINS,
            What::Changes(_) => CHANGES,
            What::Checkpoint(_) => CHECKPOINT,
        });
        for number in [self.id, self.previous, self.incarnation, self.written_ms] {
            out.number(number);
        }
        out.text(self.epoch.as_str());
        out.number(self.head.get());
        out.number(self.last_append_ms);
        out.count(self.keys);
        match &self.what {
            What::Begins => {}
            What::Changes(changes) => changes.iter().for_each(|change| put_change(&mut out, change)),
            What::Checkpoint(Checkpoint { id, parts }) => {
                out.number(*id);
                out.count(*parts);
            }
        }
        out.0
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = In(bytes);
        let version = rest.byte()?;
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let what = rest.byte()?;
        let (id, previous, incarnation, written_ms) = (rest.number()?, rest.number()?, rest.number()?, rest.number()?);
        let epoch = rest.text("epoch")?.parse().map_err(|_| DecodeError::Malformed("epoch"))?;
        let (head, last_append_ms, keys) = (rest.seq()?, rest.number()?, rest.count()?);
        let what = match what {
            BEGINS => What::Begins,
            CHANGES => What::Changes(changes(&mut rest, head)?),
            CHECKPOINT => What::Checkpoint(Checkpoint { id: rest.number()?, parts: rest.count()? }),
            _ => return Err(DecodeError::Malformed("kind")),
        };
        Ok(Self { id, previous, incarnation, written_ms, epoch, head, last_append_ms, keys, what })
    }

    pub(crate) fn changes(&self) -> &[Change] {
        match &self.what {
            What::Changes(changes) => changes,
            What::Begins | What::Checkpoint(_) => &[],
        }
    }
}

fn put_change(out: &mut Out, change: &Change) {
    match change {
        Change::Appended { message, publisher, hold } => {
            out.byte(APPENDED);
            out.byte(flag(publisher.is_some(), WITH_ID) | flag(hold.is_some(), WITH_HOLD));
            out.number(message.at);
            if let Some(publisher) = publisher {
                out.text(publisher.as_str());
            }
            if let Some(hold) = hold {
                put_hold(out, hold);
            }
            out.data(&stored::encode_message(message));
        }
        Change::Noted(Note { at, seq, id, hold, lets_go }) => {
            out.byte(NOTED);
            out.byte(flag(id.is_some(), WITH_ID) | flag(hold.is_some(), WITH_HOLD) | flag(*lets_go, LETS_GO));
            out.number(*at);
            out.number(seq.get());
            if let Some((publisher, id)) = id {
                out.text(publisher.as_str());
                out.text(id);
            }
            if let Some((key, hold)) = hold {
                out.text(key);
                put_hold(out, hold);
            }
        }
    }
}

fn changes(rest: &mut In<'_>, mut head: Seq) -> Result<Vec<Change>, DecodeError> {
    let mut changes = Vec::new();
    while !rest.is_empty() {
        let (kind, flags, at) = (rest.byte()?, rest.byte()?, rest.number()?);
        let has = |flag: u8| flags & flag != 0;
        changes.push(match kind {
            APPENDED => {
                head = head.next().ok_or(DecodeError::Malformed("seq"))?;
                let publisher = if has(WITH_ID) { Some(Scope::stored(rest.text("publisher")?)) } else { None };
                let hold = if has(WITH_HOLD) { Some(hold(rest)?) } else { None };
                let message = Arc::new(stored::decode(rest.data()?, head, at)?);
                Change::Appended { message, publisher, hold }
            }
            NOTED => {
                let seq = rest.seq()?;
                let id = if has(WITH_ID) {
                    Some((Scope::stored(rest.text("publisher")?), Box::from(rest.text("id")?)))
                } else {
                    None
                };
                let hold = if has(WITH_HOLD) { Some((Arc::from(rest.text("key")?), hold(rest)?)) } else { None };
                Change::Noted(Note { at, seq, id, hold, lets_go: has(LETS_GO) })
            }
            _ => return Err(DecodeError::Malformed("change")),
        });
    }
    Ok(changes)
}

fn put_hold(out: &mut Out, hold: &Hold) {
    out.text(&hold.holder);
    put_shows(out, hold.shows);
}

fn hold(rest: &mut In<'_>) -> Result<Hold, DecodeError> {
    Ok(Hold { holder: Arc::from(rest.text("holder")?), shows: shows(rest)? })
}

pub(crate) fn put_shows(out: &mut Out, shows: Option<u64>) {
    out.byte(u8::from(shows.is_some()));
    if let Some(shows) = shows {
        out.number(shows);
    }
}

pub(crate) fn shows(rest: &mut In<'_>) -> Result<Option<u64>, DecodeError> {
    match rest.byte()? {
        0 => Ok(None),
        1 => rest.number().map(Some),
        _ => Err(DecodeError::Malformed("hold")),
    }
}

fn flag(is: bool, flag: u8) -> u8 {
    if is { flag } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricast_core::access::Identity;
    use tricast_core::channel::{Kind, Retention};
    use tricast_core::log::{Log, Stamp};
    use tricast_core::message::Draft;

    fn all_kinds() -> Vec<Entry> {
        let mut log = Log::new(Kind::State, Epoch::from_bits(9), Retention::state());
        let drafts = [
            Draft::json("x").unwrap().key("k").id("1").held_by("a", Some(7)).user("ann".parse().unwrap()),
            Draft::json("x").unwrap().key("k").held_by("b", None),
            Draft::delete("k").held_by("a", None).id("2"),
            Draft::delete("other").id("3"),
            Draft::delete("k"),
        ];
        let stamp = Stamp { now_ms: 1_000, tag: 5 };
        let publisher = Identity::Anonymous.scope();
        let changes: Vec<_> =
            drafts.into_iter().filter_map(|draft| log.record(draft, &publisher, stamp).unwrap().1).collect();
        assert_eq!(changes.len(), 5);
        let checkpoint = What::Checkpoint(Checkpoint { id: 5, parts: 3 });
        let whats = [What::Begins, What::Changes(changes), What::Changes(Vec::new()), checkpoint];
        let entry = |what| Entry {
            id: 1,
            previous: 2,
            incarnation: 3,
            written_ms: 4,
            epoch: Epoch::from_bits(9),
            head: Seq::ZERO,
            last_append_ms: 0,
            keys: 1,
            what,
        };
        whats.into_iter().map(entry).collect()
    }

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for entry in all_kinds() {
            assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }
    }

    #[test]
    fn no_bytes_make_reading_fail_otherwise_than_by_an_error() {
        for entry in all_kinds() {
            let bytes = entry.encode();
            for length in 0..bytes.len() {
                let _ = Entry::decode(&bytes[..length]);
                let mut other = bytes.clone();
                for value in [0, 1, 0x7f, 0xff, other[length] ^ 4] {
                    other[length] = value;
                    let _ = Entry::decode(&other);
                }
            }
            assert_eq!(Entry::decode(&bytes[..60]), Err(DecodeError::Short));
        }
        assert_eq!(Entry::decode(&[9]), Err(DecodeError::Version(9)));
        assert_eq!(Entry::decode(b""), Err(DecodeError::Short));
    }

    #[test]
    fn an_entry_and_a_change_cost_no_more_than_is_reckoned_for_them() {
        let [begins, changes, asked, checkpoint] = &all_kinds()[..] else { panic!("four kinds") };
        assert!([begins, asked, checkpoint].iter().all(|entry| entry.encode().len() < ENTRY_BYTES));
        let texts = 64;
        assert!(changes.encode().len() < ENTRY_BYTES + changes.changes().len() * (CHANGE_BYTES + texts));
    }
}
