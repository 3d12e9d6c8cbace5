//! `[limits]`: how much of what.

use std::time::Duration;

use tricast::core::limits::{CHANNELS_PER_CONNECTION, MESSAGE_BYTES};

use super::problem::Fault;
use super::section::Section;
use super::value::{self, Value, show_size};

#[derive(Debug)]
pub(super) struct Limits {
    pub(super) message_bytes: usize,
    pub(super) channels_per_connection: usize,
    pub(super) connections: usize,
    /// 0: no limit.
    pub(super) connections_per_ip: u32,
    /// 0: no limit.
    pub(super) publishes_per_second: u32,
    pub(super) write_timeout: Duration,
    pub(super) header_timeout: Duration,
}

pub(super) fn read(section: &mut Section<'_>) -> Limits {
    Limits {
        message_bytes: section.or("message_bytes", MESSAGE_BYTES, message_bytes),
        channels_per_connection: section.or("channels_per_connection", CHANNELS_PER_CONNECTION, |value| {
            at_most(value::count(value)?, MOST_CHANNELS, |most| most.to_string())
        }),
        connections: section.or("connections", CONNECTIONS, |value| {
            at_most(value::count(value)?, MOST_CONNECTIONS, |most| most.to_string())
        }),
        connections_per_ip: section.or("connections_per_ip", 0, |value| value::limit(value, u32::MAX)),
        publishes_per_second: section.or("publishes_per_second", 0, |value| value::limit(value, MOST_PER_SECOND)),
        write_timeout: section.or("write_timeout", TIMEOUT, value::deadline),
        header_timeout: section.or("header_timeout", TIMEOUT, value::deadline),
    }
}

fn message_bytes(value: &Value) -> Result<usize, Fault> {
    at_most(value::size(value)?, MOST_MESSAGE_BYTES, show_size)
}

fn at_most(number: u64, most: u64, show: impl Fn(u64) -> String) -> Result<usize, Fault> {
    match usize::try_from(number) {
        Ok(small) if number <= most => Ok(small),
        _ => Err(Fault::TooLarge(show(most))),
    }
}

/// What [`tricast::Builder`] takes at most.
const MOST_MESSAGE_BYTES: u64 = 16 * 1024 * 1024;
const MOST_CHANNELS: u64 = 65_536;
const MOST_CONNECTIONS: u64 = 100_000_000;
const MOST_PER_SECOND: u32 = 1_000_000;

const CONNECTIONS: usize = 100_000;
const TIMEOUT: Duration = Duration::from_secs(10);
