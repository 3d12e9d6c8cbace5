//! What a script answers.

use std::sync::Arc;
use std::vec::IntoIter;

use redis::Value;
use tricast_core::log::{AppendError, Appended, Head};
use tricast_core::message::{Message, stored};
use tricast_core::position::{Epoch, Position, Seq};

/// Bytes before the message in an entry: when it came (8), the size of its payload (4), and what it costs (4).
const ENTRY_HEAD: usize = 16;

/// An answer, read from its beginning.
pub(crate) struct Reply(IntoIter<Value>);

/// Why an answer cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReplyError {
    /// It is of another form.
    #[error("the script's answer has no {0} where it should be")]
    Missing(&'static str),
    /// What was stored is no message.
    #[error(transparent)]
    Stored(#[from] stored::StoredError),
}

/// What came of an append.
pub(crate) type Outcome = Result<Appended, AppendError>;

impl Reply {
    pub(crate) fn new(values: Vec<Value>) -> Self {
        Self(values.into_iter())
    }

    /// The word with which it begins.
    pub(crate) fn status(&mut self) -> Result<String, ReplyError> {
        self.text("status")
    }

    pub(crate) fn head(&mut self) -> Result<Head, ReplyError> {
        Ok(Head { epoch: self.epoch()?, first: self.seq("first")?, head: self.seq("head")?, floor: self.seq("floor")? })
    }

    /// What came of an append; the bounds are those of the channel's rule.
    pub(crate) fn outcome(mut self, status: &str, most_keys: u64, most_bytes: u64) -> Result<Outcome, ReplyError> {
        match status {
            "ok" => {
                let position = Position::new(self.epoch()?, self.seq("seq")?);
                Ok(Ok(Appended { position, duplicate: self.flag("duplicate")? }))
            }
            "no key" => Ok(Err(AppendError::NoKey)),
            "conflict" => Ok(Err(AppendError::Conflict { present: self.seq("present seq")? })),
            "full" => Ok(Err(AppendError::Full { most_keys, most_bytes })),
            "exhausted" => Ok(Err(AppendError::Exhausted(self.epoch()?))),
            _ => Err(ReplyError::Missing("status that is known")),
        }
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, ReplyError> {
        Ok(self.number(what)? != 0)
    }

    /// A seq, unless there is -1 in its place.
    pub(crate) fn maybe_seq(&mut self, what: &'static str) -> Result<Option<Seq>, ReplyError> {
        match self.number(what)? {
            -1 => Ok(None),
            seq => to_seq(seq, what).map(Some),
        }
    }

    /// The seqs and entries to its end.
    pub(crate) fn messages(mut self) -> Result<Vec<Arc<Message>>, ReplyError> {
        let mut messages = Vec::with_capacity(self.0.len() / 2);
        while self.0.len() > 0 {
            let seq = self.seq("seq")?;
            let Some(Value::BulkString(entry)) = self.0.next() else { return Err(ReplyError::Missing("entry")) };
            let (at, rest) = entry.split_first_chunk::<8>().ok_or(ReplyError::Missing("time"))?;
            let bytes = rest.get(ENTRY_HEAD - at.len()..).ok_or(ReplyError::Missing("message"))?;
            messages.push(Arc::new(stored::decode(bytes, seq, u64::from_be_bytes(*at))?));
        }
        Ok(messages)
    }

    fn epoch(&mut self) -> Result<Epoch, ReplyError> {
        self.text("epoch")?.parse().map_err(|_| ReplyError::Missing("epoch"))
    }

    fn seq(&mut self, what: &'static str) -> Result<Seq, ReplyError> {
        let number = self.number(what)?;
        to_seq(number, what)
    }

    fn number(&mut self, what: &'static str) -> Result<i64, ReplyError> {
        match self.0.next() {
            Some(Value::Int(number)) => Ok(number),
            _ => Err(ReplyError::Missing(what)),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<String, ReplyError> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => String::from_utf8(bytes).map_err(|_| ReplyError::Missing(what)),
            Some(Value::SimpleString(text)) => Ok(text),
            _ => Err(ReplyError::Missing(what)),
        }
    }
}

fn to_seq(number: i64, what: &'static str) -> Result<Seq, ReplyError> {
    // The one after the last number of an epoch that is used up: `first` of a log that retains nothing.
    let number = u64::try_from(number).map_err(|_| ReplyError::Missing(what))?;
    Ok(Seq::new(number).unwrap_or(LAST))
}

const LAST: Seq = Seq::new(tricast_core::limits::MAX_SEQ).expect("the highest of all is one of them");

/// News as they are told: seq, time, epoch and message.
pub(crate) struct Told<'a> {
    pub(crate) epoch: Epoch,
    pub(crate) seq: Seq,
    at: u64,
    stored: &'a [u8],
}

impl<'a> Told<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (seq, rest) = bytes.split_first_chunk::<8>()?;
        let (at, rest) = rest.split_first_chunk::<8>()?;
        let (length, rest) = rest.split_first()?;
        let (epoch, stored) = rest.split_at_checked(usize::from(*length))?;
        let epoch = str::from_utf8(epoch).ok()?.parse().ok()?;
        Some(Self { epoch, seq: Seq::new(u64::from_be_bytes(*seq))?, at: u64::from_be_bytes(*at), stored })
    }

    /// The message itself; `None` if it was stored by a later version.
    pub(crate) fn message(&self) -> Option<Arc<Message>> {
        stored::decode(self.stored, self.seq, self.at).ok().map(Arc::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tricast_core::message::Draft;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn a_head_and_a_page_are_read_in_their_order() {
        let stored = stored::encode(&Draft::binary([1, 2]), 9, None);
        let entry = [&5_u64.to_be_bytes()[..], &[0; 8], &stored].concat();
        let mut values = vec![text("ok"), text("aaaaaaaaaaaa"), Value::Int(3), Value::Int(4), Value::Int(0)];
        values.extend([Value::Int(1), Value::Int(4), Value::BulkString(entry)]);
        let mut reply = Reply::new(values);
        assert_eq!(reply.status().unwrap(), "ok");
        let head = reply.head().unwrap();
        assert_eq!((head.first.get(), head.head.get(), head.floor.get()), (3, 4, 0));
        assert!(reply.flag("more").unwrap());
        let messages = reply.messages().unwrap();
        assert_eq!((messages[0].seq.get(), messages[0].at, messages[0].tag), (4, 5, 9));
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut reply = Reply::new(vec![text("ok"), text("short")]);
        reply.status().unwrap();
        assert_eq!(reply.head().unwrap_err().to_string(), "the script's answer has no epoch where it should be");
        let cut_off = Reply::new(vec![Value::Int(1), Value::BulkString(vec![0; 9])]);
        assert!(cut_off.messages().is_err());
    }

    #[test]
    fn news_bear_the_message() {
        let stored = stored::encode(&Draft::binary([7]), 3, None);
        let bytes = [&2_u64.to_be_bytes()[..], &8_u64.to_be_bytes(), &[12], b"aaaaaaaaaaaa", &stored].concat();
        let told = Told::parse(&bytes).unwrap();
        let message = told.message().unwrap();
        assert_eq!((told.seq.get(), told.epoch.as_str(), message.at, message.tag), (2, "aaaaaaaaaaaa", 8, 3));
        assert!(Told::parse(&bytes[..20]).is_none());
    }
}
