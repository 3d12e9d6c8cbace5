//! Numbers and texts as bytes, and back: what entries and checkpoints are written in.
//!
//! Numbers are big-endian. A text is its length in two bytes and its bytes, data its length in four. Whatever is read may
//! be anything, so reading never panics and never takes more than there is.

use tricast_core::message::stored::StoredError;
use tricast_core::position::Seq;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// They were written by a later version.
    #[error("it has version {0}, which is not known")]
    Version(u8),
    /// They end too early.
    #[error("it is cut off")]
    Short,
    /// A part of them is not what it should be.
    #[error("its {0} is malformed")]
    Malformed(&'static str),
    /// A message in them is none.
    #[error("a message in it is malformed")]
    Message(#[from] StoredError),
}

/// Writes.
#[derive(Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    pub(crate) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.0.extend(number.to_be_bytes());
    }

    pub(crate) fn count(&mut self, count: usize) {
        self.0.extend(u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
    }

    /// What is longer than a text may be is cut off; nothing that is written here is.
    pub(crate) fn text(&mut self, text: &str) {
        let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
        self.0.extend(length.to_be_bytes());
        self.0.extend(&text.as_bytes()[..usize::from(length)]);
    }

    pub(crate) fn data(&mut self, data: &[u8]) {
        self.count(data.len());
        self.0.extend(data);
    }
}

/// Reads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn slice(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.take().map(|[byte]| byte)
    }

    pub(crate) fn number(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_be_bytes)
    }

    pub(crate) fn seq(&mut self) -> Result<Seq, DecodeError> {
        Seq::new(self.number()?).ok_or(DecodeError::Malformed("seq"))
    }

    pub(crate) fn count(&mut self) -> Result<usize, DecodeError> {
        Ok(usize::try_from(u32::from_be_bytes(self.take()?)).unwrap_or(usize::MAX))
    }

    pub(crate) fn text(&mut self, name: &'static str) -> Result<&'a str, DecodeError> {
        let length = usize::from(u16::from_be_bytes(self.take()?));
        str::from_utf8(self.slice(length)?).map_err(|_| DecodeError::Malformed(name))
    }

    pub(crate) fn data(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.count()?;
        self.slice(length)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
