//! Slots: which part of a cluster a key belongs to (Redis Cluster specification, "Key distribution model").

use std::ops::RangeInclusive;

use redis::Value;

use crate::url::Address;

/// How many slots there are.
pub(crate) const SLOTS: usize = 16_384;

/// The slot of what stands between braces in a key.
pub(crate) fn slot_of(tag: &str) -> usize {
    usize::from(crc16(tag.as_bytes())) % SLOTS
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 },
        )
    })
}

/// Who has which slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) slots: RangeInclusive<usize>,
    pub(crate) master: Address,
    pub(crate) replicas: Vec<Address>,
}

/// Reads the answer to `CLUSTER SLOTS` of the node at `asked`; `None` where it is none, or the cluster has no slots.
pub(crate) fn parse_slots(answer: &Value, asked: &Address) -> Option<Vec<Share>> {
    let Value::Array(rows) = answer else { return None };
    let shares: Option<Vec<Share>> = rows.iter().map(|row| parse_share(row, asked)).collect();
    shares.filter(|shares| !shares.is_empty())
}

fn parse_share(row: &Value, asked: &Address) -> Option<Share> {
    let Value::Array(fields) = row else { return None };
    let [Value::Int(first), Value::Int(last), master, replicas @ ..] = fields.as_slice() else { return None };
    let slot = |slot: &i64| usize::try_from(*slot).ok().filter(|slot| *slot < SLOTS);
    Some(Share {
        slots: slot(first)?..=slot(last)?,
        master: parse_node(master, asked)?,
        replicas: replicas.iter().filter_map(|replica| parse_node(replica, asked)).collect(),
    })
}

fn parse_node(node: &Value, asked: &Address) -> Option<Address> {
    let Value::Array(fields) = node else { return None };
    let [host, Value::Int(port), ..] = fields.as_slice() else { return None };
    // A node that does not know its own name means the one under which it was reached.
    let host = match host {
        Value::BulkString(host) if !host.is_empty() => str::from_utf8(host).ok()?.to_owned(),
        Value::SimpleString(host) if !host.is_empty() => host.clone(),
        _ => asked.host.clone(),
    };
    Some(Address { host, port: u16::try_from(*port).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn slots_are_those_of_the_specification() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!([slot_of("123456789"), slot_of("foo"), slot_of("")], [12_739, 12_182, 0]);
    }

    #[test]
    fn who_has_which_slots_is_read_and_a_node_without_a_name_is_the_one_that_was_asked() {
        let asked = Address { host: "seed".into(), port: 1 };
        let row = |first, last, host, port| {
            let node = Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(vec![])]);
            Value::Array(vec![Value::Int(first), Value::Int(last), node.clone(), node])
        };
        let answer = Value::Array(vec![row(0, 8_191, text("10.0.0.1"), 7_000), row(8_192, 16_383, Value::Nil, 7_001)]);
        let shares = parse_slots(&answer, &asked).unwrap();
        assert_eq!(shares[0].master.to_string(), "10.0.0.1:7000");
        assert_eq!((&shares[1].slots, shares[1].master.to_string().as_str()), (&(8_192..=16_383), "seed:7001"));
        for bad in [Value::Nil, Value::Array(vec![]), Value::Array(vec![row(0, 16_384, text("h"), 1)])] {
            assert_eq!(parse_slots(&bad, &asked), None);
        }
    }
}
