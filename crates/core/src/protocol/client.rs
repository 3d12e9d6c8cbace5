//! Who connects, as far as a client itself says.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::limits::{CLIENT_ID_MAX, CLIENT_ID_MIN};

/// The id that a client chose for itself: 8 to 64 of `[A-Za-z0-9_-]`. Cheap to clone.
///
/// Kept across reconnects and transports. Public: it proves nothing.
///
/// # Examples
/// ```
/// use tricast_core::protocol::ClientId;
/// let id: ClientId = "Zk3_x-91".parse()?;
/// assert_eq!(id.as_str(), "Zk3_x-91");
/// assert!("short".parse::<ClientId>().is_err());
/// # Ok::<(), tricast_core::protocol::client::ClientIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(Arc<str>);

impl ClientId {
    /// Makes an id of 128 random bits: 22 characters.
    #[must_use]
    pub fn from_bits(high: u64, low: u64) -> Self {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const LEN: u32 = 22;
        let bits = u128::from(high) << 64 | u128::from(low);
        let digit = |place: u32| char::from(DIGITS[usize::try_from(bits >> (6 * place) & 63).unwrap_or(0)]);
        Self((0..LEN).rev().map(digit).collect::<String>().into())
    }

    /// The id as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (CLIENT_ID_MIN..=CLIENT_ID_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if well_formed { Ok(Self(text.into())) } else { Err(ClientIdError) }
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientId({})", self.0)
    }
}

/// A text that is no client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a client id has {} to {} of [A-Za-z0-9_-]", CLIENT_ID_MIN, CLIENT_ID_MAX)]
pub struct ClientIdError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_bits_give_distinct_well_formed_ids() {
        let ids = [(0, 0), (0, 1), (1, 0), (u64::MAX, u64::MAX)].map(|(high, low)| ClientId::from_bits(high, low));
        for id in &ids {
            assert_eq!(id.as_str().parse().as_ref(), Ok(id));
            assert_eq!(id.as_str().len(), 22);
        }
        assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), 4);
    }

    #[test]
    fn length_and_characters_are_bounded() {
        assert!("a".repeat(64).parse::<ClientId>().is_ok());
        for text in ["", "1234567", &"a".repeat(65), "12345678\n", "1234567 8", "1234567å"] {
            assert_eq!(text.parse::<ClientId>(), Err(ClientIdError), "{text:?}");
        }
    }
}
