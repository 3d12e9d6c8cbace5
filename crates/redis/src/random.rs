//! The only place that asks the system for random bits.

use tricast_core::position::Epoch;

/// Whether the system has any. Ask once, before the others.
pub(crate) fn check() -> Result<(), getrandom::Error> {
    getrandom::u64().map(|_| ())
}

/// An epoch that was never there.
pub(crate) fn epoch() -> Epoch {
    Epoch::from_bits(bits())
}

/// The tag of a message.
pub(crate) fn tag() -> u32 {
    u32::try_from(bits() >> 32).unwrap_or(0)
}

/// A whole number below `bound`, for jitter.
pub(crate) fn below(bound: u64) -> u64 {
    if bound == 0 { 0 } else { bits() % bound }
}

fn bits() -> u64 {
    getrandom::u64().expect("the system's random generator failed after it was asked first")
}
