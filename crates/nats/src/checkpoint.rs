//! Checkpoints: all of a state's log, in parts that fit into messages.
//!
//! ```text
//! 1      version
//! 2+n    epoch
//! 8×3    head, floor, time of the newest append
//! 4      messages: seq, time, and as they are stored (8, 8, 4+n each)
//! 4      ids: publisher, id, seq, time
//! 4      keys that are held: key, what they show, and their holders
//! ```

use std::sync::Arc;

use bytes::Bytes;
use tricast_core::access::Scope;
use tricast_core::log::{HeldKey, KnownId, Snapshot};
use tricast_core::message::stored;

use crate::bytes::{DecodeError, In, Out};
use crate::entry::{put_shows, shows};

const VERSION: u8 = 1;

/// The snapshot's bytes, cut into parts of at most so many.
pub(crate) fn parts(snapshot: &Snapshot, most: usize) -> Vec<Bytes> {
    let all = Bytes::from(encode(snapshot));
    let most = most.max(1);
    (0..all.len()).step_by(most).map(|start| all.slice(start..all.len().min(start + most))).collect()
}

fn encode(snapshot: &Snapshot) -> Vec<u8> {
    let Snapshot { epoch, head, floor, last_append_ms, messages, ids, held } = snapshot;
    let mut out = Out::default();
    out.byte(VERSION);
    out.text(epoch.as_str());
    for number in [head.get(), floor.get(), *last_append_ms] {
        out.number(number);
    }
    out.count(messages.len());
    for message in messages {
        out.number(message.seq.get());
        out.number(message.at);
        out.data(&stored::encode_message(message));
    }
    out.count(ids.len());
    for KnownId { publisher, id, seq, at } in ids {
        out.text(publisher.as_str());
        out.text(id);
        out.number(seq.get());
        out.number(*at);
    }
    out.count(held.len());
    for HeldKey { key, shows, holders } in held {
        out.text(key);
        put_shows(&mut out, *shows);
        out.count(holders.len());
        holders.iter().for_each(|holder| out.text(holder));
    }
    out.0
}

pub(crate) fn decode(bytes: &[u8]) -> Result<Snapshot, DecodeError> {
    let mut rest = In(bytes);
    let version = rest.byte()?;
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let epoch = rest.text("epoch")?.parse().map_err(|_| DecodeError::Malformed("epoch"))?;
    let (head, floor, last_append_ms) = (rest.seq()?, rest.seq()?, rest.number()?);
    let mut snapshot = Snapshot { epoch, head, floor, last_append_ms, messages: vec![], ids: vec![], held: vec![] };
    for _ in 0..rest.count()? {
        let (seq, at) = (rest.seq()?, rest.number()?);
        snapshot.messages.push(Arc::new(stored::decode(rest.data()?, seq, at)?));
    }
    for _ in 0..rest.count()? {
        let (publisher, id) = (Scope::stored(rest.text("publisher")?), Box::from(rest.text("id")?));
        snapshot.ids.push(KnownId { publisher, id, seq: rest.seq()?, at: rest.number()? });
    }
    for _ in 0..rest.count()? {
        let (key, shows) = (Arc::from(rest.text("key")?), shows(&mut rest)?);
        let mut holders = Vec::new();
        for _ in 0..rest.count()? {
            holders.push(Arc::from(rest.text("holder")?));
        }
        snapshot.held.push(HeldKey { key, shows, holders });
    }
    Ok(snapshot)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricast_core::access::Identity;
    use tricast_core::channel::{Kind, Retention};
    use tricast_core::log::{Log, Stamp};
    use tricast_core::message::Draft;
    use tricast_core::position::Epoch;

    fn snapshot() -> Snapshot {
        let mut log = Log::new(Kind::State, Epoch::from_bits(9), Retention::state());
        for n in 0..20 {
            let draft = Draft::json(&n).unwrap().key(n.to_string()).id(n.to_string()).held_by("a", Some(n));
            log.append(draft, &Identity::Anonymous.scope(), Stamp { now_ms: n, tag: 1 }).unwrap();
        }
        log.append(Draft::delete("3"), &Identity::Server.scope(), Stamp { now_ms: 30, tag: 1 }).unwrap();
        log.snapshot()
    }

    #[test]
    fn a_log_comes_back_from_the_parts_it_was_cut_into() {
        for most in [1, 100, 1_000_000] {
            let parts = parts(&snapshot(), most);
            assert!(parts.iter().all(|part| !part.is_empty() && part.len() <= most));
            let (left, right) = (decode(&parts.concat()).unwrap(), snapshot());
            assert_eq!((left.messages, left.ids, left.head), (right.messages, right.ids, right.head));
            assert_eq!(left.held.len(), 19);
        }
    }

    #[test]
    fn no_bytes_make_reading_fail_otherwise_than_by_an_error() {
        let bytes = parts(&snapshot(), usize::MAX).concat();
        for length in 0..bytes.len() {
            assert!(decode(&bytes[..length]).is_err(), "{length}");
            let mut other = bytes.clone();
            other[length] = !other[length];
            let _ = decode(&other);
        }
        assert_eq!(decode(&[7]), Err(DecodeError::Version(7)));
    }
}
