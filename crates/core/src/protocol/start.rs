//! Where a reader without a position begins.

use std::fmt;
use std::str::FromStr;

use crate::position::{Position, Seq};

/// The `from` of a subscription.
///
/// # Examples
/// ```
/// use tricast_core::protocol::Start;
/// assert_eq!("last:20".parse(), Ok(Start::Last(20)));
/// assert!(matches!("3k9x0q7m2b1c-41".parse(), Ok(Start::At(_))));
/// assert!("yesterday".parse::<Start>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// After everything there is; where a stream begins unless told otherwise.
    Latest,
    /// Before everything that is retained; where a state begins unless told otherwise.
    Earliest,
    /// Before the newest so many that are retained; on a state the same as [`Start::Earliest`].
    Last(u64),
    /// After this position.
    At(Position),
}

impl FromStr for Start {
    type Err = StartError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "latest" => Ok(Self::Latest),
            "earliest" => Ok(Self::Earliest),
            _ => match text.strip_prefix("last:") {
                // A count is written like a seq and can never exceed one.
                Some(count) => count.parse().map(|count: Seq| Self::Last(count.get())).map_err(|_| StartError),
                None => text.parse().map(Self::At).map_err(|_| StartError),
            },
        }
    }
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest => f.write_str("latest"),
            Self::Earliest => f.write_str("earliest"),
            Self::Last(count) => write!(f, "last:{count}"),
            Self::At(position) => position.fmt(f),
        }
    }
}

/// A text that says no start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is none of latest, earliest, last:N and a position")]
pub struct StartError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_reads_back() {
        for text in ["latest", "earliest", "last:0", "last:9007199254740991", "aaaaaaaaaaaa-4", "aaaaaaaaaaaa-4-9"] {
            assert_eq!(text.parse::<Start>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn another_form_is_refused() {
        for text in
            ["", "Latest", "last", "last:", "last:-1", "last:01", "last:1.5", "last: 1", "aaaaaaaaaaaa", "0", "-"]
        {
            assert_eq!(text.parse::<Start>(), Err(StartError), "{text:?}");
        }
    }
}
