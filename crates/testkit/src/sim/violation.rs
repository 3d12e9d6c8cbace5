//! A promise that was broken.

use std::fmt;

/// Which promise, where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

pub(super) type Checked<T = ()> = Result<T, Violation>;

impl From<String> for Violation {
    fn from(what: String) -> Self {
        Self(what)
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Violation(what())) }
}
