//! Where a reader stands: epoch, sequence number, position and cursor.
//!
//! This is the only place that compares or advances them. A bare integer never travels through Tricast, because a
//! sequence number without its epoch is how other systems lose messages in silence: after a restart `41` means
//! something else, and nobody can tell. Whether a position can still be continued is decided in [`crate::replay`].
//!
//! Source: protocol, sections 1 and 2.

use std::fmt;
use std::str::FromStr;

use crate::limits::{CURSOR_BYTES, MAX_SEQ};

/// One incarnation of one channel: 12 to 16 characters of `[0-9a-z]`.
///
/// Two channels never share an epoch, which is why a cursor can be a set: the epoch says whose position it is.
///
/// # Examples
/// ```
/// use tricast_core::position::Epoch;
/// let epoch: Epoch = "3k9x0q7m2b1c".parse()?;
/// assert_eq!(epoch.as_str(), "3k9x0q7m2b1c");
/// assert!("tooshort".parse::<Epoch>().is_err());
/// # Ok::<(), tricast_core::position::PositionError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Epoch {
    text: [u8; Epoch::MAX_LEN],
    len: u8,
}

impl Epoch {
    /// The fewest characters of an epoch.
    pub const MIN_LEN: usize = 12;
    /// The most characters of an epoch.
    pub const MAX_LEN: usize = 16;

    /// Makes an epoch of the low 60 of these random bits, as twelve base-36 digits.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut rest = bits & ((1 << 60) - 1);
        let mut text = [0; Self::MAX_LEN];
        for place in text[..Self::MIN_LEN].iter_mut().rev() {
            *place = DIGITS[usize::try_from(rest % 36).unwrap_or(0)];
            rest /= 36;
        }
        Self { text, len: 12 }
    }

    /// The epoch as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Only ASCII ever gets in, so the fallback is never seen.
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl FromStr for Epoch {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (Self::MIN_LEN..=Self::MAX_LEN).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
        if !well_formed {
            return Err(PositionError::Epoch);
        }
        let mut bytes = [0; Self::MAX_LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let len = u8::try_from(text.len()).map_err(|_| PositionError::Epoch)?;
        Ok(Self { text: bytes, len })
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({self})")
    }
}

/// The number of a message in one epoch of a channel: 0 to 2^53-1, so that it survives a JavaScript number.
///
/// 0 stands before the first message. Streams number without holes from 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(u64);

impl Seq {
    /// Before the first message.
    pub const ZERO: Self = Self(0);

    /// Checks the range; `None` above 2^53-1.
    #[must_use]
    pub const fn new(seq: u64) -> Option<Self> {
        if seq <= MAX_SEQ { Some(Self(seq)) } else { None }
    }

    /// The plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The number after this one; `None` once an epoch is used up.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }

    /// The number `by` before this one, not below zero.
    #[must_use]
    pub const fn back(self, by: u64) -> Self {
        Self(self.0.saturating_sub(by))
    }

    /// How many numbers lie above `earlier`, up to and including this one; 0 where there are none.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl FromStr for Seq {
    type Err = PositionError;

    /// Reads canonical decimal digits: no sign, no leading zero.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let canonical =
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text.len() == 1 || !text.starts_with('0'));
        if !canonical {
            return Err(PositionError::Seq);
        }
        text.parse().ok().and_then(Self::new).ok_or(PositionError::Seq)
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seq({})", self.0)
    }
}

/// "I have everything up to and including `seq`", said of one incarnation of one channel.
///
/// On the wire `<epoch>-<seq>`, or `<epoch>-<seq>-<base>` in the middle of a state's snapshot (protocol, 5.3).
///
/// # Examples
/// ```
/// use tricast_core::position::Position;
/// let at: Position = "3k9x0q7m2b1c-41".parse()?;
/// assert_eq!(at.seq.get(), 41);
/// assert_eq!(at.to_string(), "3k9x0q7m2b1c-41");
/// # Ok::<(), tricast_core::position::PositionError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Position {
    /// Which incarnation of which channel.
    pub epoch: Epoch,
    /// The newest message held.
    pub seq: Seq,
    /// States only: the head at which the snapshot began that is still being read.
    pub base: Option<Seq>,
}

impl Position {
    /// A position without a base.
    #[must_use]
    pub const fn new(epoch: Epoch, seq: Seq) -> Self {
        Self { epoch, seq, base: None }
    }

    /// The position of a reader who has been told everything up to `seq`: past its base it needs none.
    #[must_use]
    pub fn advanced(self, seq: Seq) -> Self {
        Self { seq, base: self.base.filter(|base| seq < *base), ..self }
    }

    /// The position of a reader who begins the snapshot of a state whose head is `head`: with a base, unless there is
    /// nothing to read.
    #[must_use]
    pub fn snapshot(epoch: Epoch, head: Seq) -> Self {
        Self { epoch, seq: Seq::ZERO, base: Some(head).filter(|head| *head > Seq::ZERO) }
    }

    /// Whether a message of this epoch and seq is news to a reader who stands here.
    ///
    /// The one comparison behind idempotent delivery (protocol, 5.1): another epoch is never news before a `gap` or
    /// `subscribed` has moved the reader into it.
    #[must_use]
    pub fn is_before(&self, epoch: Epoch, seq: Seq) -> bool {
        self.epoch == epoch && self.seq < seq
    }
}

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let epoch = parts.next().unwrap_or_default().parse()?;
        let seq = parts.next().ok_or(PositionError::Seq)?.parse()?;
        let base = parts.next().map(str::parse).transpose()?;
        if parts.next().is_some() {
            return Err(PositionError::Trailing);
        }
        Ok(Self { epoch, seq, base })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.epoch, self.seq)?;
        match self.base {
            Some(base) => write!(f, "-{base}"),
            None => Ok(()),
        }
    }
}

/// Why a text is not a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// The part before the first `-` is not 12 to 16 of `[0-9a-z]`.
    #[error("the epoch is not 12 to 16 of [0-9a-z]")]
    Epoch,
    /// A number is missing, not canonical decimal, or above 2^53-1.
    #[error("the seq is not a decimal number up to 2^53-1")]
    Seq,
    /// More than three parts.
    #[error("something follows the position")]
    Trailing,
}

/// A set of positions, as a reader brings it back: comma-joined, in any order.
///
/// Reading never fails: what cannot be read is remembered as such and becomes a `gap` later, because an error would
/// stop an `EventSource` for good (protocol, section 2).
///
/// # Examples
/// ```
/// use tricast_core::position::{Cursor, Epoch, Place};
/// let (a, b): (Epoch, Epoch) = ("aaaaaaaaaaaa".parse()?, "bbbbbbbbbbbb".parse()?);
/// let cursor = Cursor::parse("bbbbbbbbbbbb-7,-", 4096);
/// let places = cursor.place(&[a, b]);
/// assert_eq!(places[0], Place::Fresh);
/// assert!(matches!(places[1], Place::At(at) if at.seq.get() == 7));
/// # Ok::<(), tricast_core::position::PositionError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    positions: Vec<Position>,
    unreadable: bool,
}

/// What a [`Cursor`] says of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// It holds this position in the channel's epoch.
    At(Position),
    /// Nothing of this channel, and no position was left over: a fresh start.
    Fresh,
    /// Nothing of this channel, but the reader came with a position that nobody owns: a gap, because of an epoch
    /// that ended, or of an unreadable part.
    Lost {
        /// True where a left-over part could not be read (`gap unknown`), false where it could (`gap epoch`).
        unreadable: bool,
    },
}

impl Cursor {
    /// Reads a cursor; one longer than `max_bytes` counts as unknown positions.
    #[must_use]
    pub fn parse(text: &str, max_bytes: usize) -> Self {
        if text.len() > max_bytes {
            return Self { positions: Vec::new(), unreadable: true };
        }
        let mut cursor = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty() && *part != "-") {
            match part.parse() {
                Ok(position) => cursor.positions.push(position),
                Err(_) => cursor.unreadable = true,
            }
        }
        cursor
    }

    /// Reads the cursor of a GET request: at most [`CURSOR_BYTES`].
    #[must_use]
    pub fn parse_get(text: &str) -> Self {
        Self::parse(text, CURSOR_BYTES)
    }

    /// Finds each channel's place, given the channels' epochs; of two positions with one epoch the lower counts.
    #[must_use]
    pub fn place(&self, epochs: &[Epoch]) -> Vec<Place> {
        let left_over = self.positions.iter().any(|position| !epochs.contains(&position.epoch));
        epochs
            .iter()
            .map(|epoch| {
                let lowest = self
                    .positions
                    .iter()
                    .filter(|position| position.epoch == *epoch)
                    .min_by_key(|position| (position.seq, position.base));
                match lowest {
                    Some(position) => Place::At(*position),
                    None if self.unreadable => Place::Lost { unreadable: true },
                    None if left_over => Place::Lost { unreadable: false },
                    None => Place::Fresh,
                }
            })
            .collect()
    }
}

/// Prints a cursor: the positions in request order, `-` where there is none.
///
/// # Examples
/// ```
/// use tricast_core::position::{cursor_text, Position};
/// let at: Position = "3k9x0q7m2b1c-41".parse()?;
/// assert_eq!(cursor_text([Some(at), None]), "3k9x0q7m2b1c-41,-");
/// # Ok::<(), tricast_core::position::PositionError>(())
/// ```
#[must_use]
pub fn cursor_text(positions: impl IntoIterator<Item = Option<Position>>) -> String {
    use fmt::Write as _;
    let mut text = String::new();
    for (index, position) in positions.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match position {
            // Writing to a String cannot fail.
            Some(position) => drop(write!(text, "{position}")),
            None => text.push('-'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(letter: char) -> Epoch {
        letter.to_string().repeat(12).parse().unwrap()
    }

    fn at(letter: char, seq: u64) -> Position {
        Position::new(epoch(letter), Seq::new(seq).unwrap())
    }

    #[test]
    fn epochs_of_random_bits_are_twelve_digits_and_distinct() {
        let max = Epoch::from_bits(u64::MAX);
        assert_eq!(max.as_str().len(), 12);
        assert_eq!(max.as_str().parse(), Ok(max));
        assert_eq!(Epoch::from_bits(0).as_str(), "000000000000");
        assert_ne!(Epoch::from_bits(1), Epoch::from_bits(2));
    }

    #[test]
    fn the_lower_of_two_positions_of_one_epoch_counts() {
        let cursor = Cursor::parse("aaaaaaaaaaaa-9,aaaaaaaaaaaa-4", 4096);
        assert_eq!(cursor.place(&[epoch('a')]), [Place::At(at('a', 4))]);
    }

    #[test]
    fn a_left_over_position_makes_a_gap_of_what_is_unplaced() {
        let cursor = Cursor::parse("aaaaaaaaaaaa-9,cccccccccccc-1", 4096);
        let places = cursor.place(&[epoch('a'), epoch('b')]);
        assert_eq!(places, [Place::At(at('a', 9)), Place::Lost { unreadable: false }]);
    }

    #[test]
    fn an_unreadable_part_is_unknown_and_never_an_error() {
        for text in ["x", "aaaaaaaaaaaa-01", "aaaaaaaaaaaa-9007199254740992", "aaaaaaaaaaaa-1-2-3", "aaaaaaaaaaaa"] {
            let places = Cursor::parse(text, 4096).place(&[epoch('a')]);
            assert_eq!(places, [Place::Lost { unreadable: true }], "{text}");
        }
        let long = "aaaaaaaaaaaa-1,".repeat(300);
        assert_eq!(Cursor::parse_get(&long).place(&[epoch('a')]), [Place::Lost { unreadable: true }]);
    }

    #[test]
    fn dashes_and_empty_parts_are_no_positions() {
        for text in ["", "-", "-,-", ",", "-,,-"] {
            assert_eq!(Cursor::parse(text, 4096).place(&[epoch('a'), epoch('b')]), [Place::Fresh, Place::Fresh]);
        }
    }

    #[test]
    fn only_later_messages_of_the_same_epoch_are_news() {
        assert!(at('a', 4).is_before(epoch('a'), Seq::new(5).unwrap()));
        assert!(!at('a', 4).is_before(epoch('a'), Seq::new(4).unwrap()));
        assert!(!at('a', 4).is_before(epoch('b'), Seq::new(5).unwrap()));
    }
}
