//! Values as they stand in a file, and what is made of them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::http::uri::Authority;

use super::problem::Fault;

/// A value, and the line on which it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

/// A value of TOML, as far as a key may have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(Text),
    Whole(i64),
    Flag(bool),
    /// What no key has, by its name.
    Other(&'static str),
}

/// A string: as it is written, which may be told, and as it is meant, with its variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) written: String,
    pub(super) meant: String,
}

impl Text {
    pub(super) fn is_not(&self, expected: &'static str) -> Fault {
        Fault::Text { written: self.written.clone(), expected }
    }
}

impl Value {
    pub(super) fn is_not(&self, expected: &'static str) -> Fault {
        let found = match self {
            Self::Text(_) => "a string",
            Self::Whole(_) => "a number",
            Self::Flag(_) => "a boolean",
            Self::Other(name) => name,
        };
        Fault::Type { expected, found }
    }
}

/// A string that says something.
pub(super) fn text(value: &Value) -> Result<String, Fault> {
    let text = string(value, "a string")?;
    if text.meant.is_empty() { Err(Fault::Empty) } else { Ok(text.meant.clone()) }
}

/// A file, relative to a folder.
pub(super) fn file(value: &Value, folder: &Path) -> Result<Named, Fault> {
    let text = string(value, "the name of a file")?;
    if text.meant.is_empty() {
        return Err(Fault::Empty);
    }
    Ok(Named { path: folder.join(&text.meant), shown: folder.join(&text.written) })
}

/// A file, and its name as it may be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) path: PathBuf,
    pub(super) shown: PathBuf,
}

pub(super) fn flag(value: &Value) -> Result<bool, Fault> {
    match value {
        Value::Flag(flag) => Ok(*flag),
        other => Err(other.is_not("true or false")),
    }
}

/// A number, 0 among them: no limit.
pub(super) fn limit(value: &Value, most: u32) -> Result<u32, Fault> {
    let Value::Whole(number) = value else { return Err(value.is_not("a whole number")) };
    let number = u64::try_from(*number).map_err(|_| Fault::Negative)?;
    let small = u32::try_from(number).ok().filter(|number| *number <= most);
    small.ok_or_else(|| Fault::TooLarge(most.to_string()))
}

/// A number of at least 1.
pub(super) fn count(value: &Value) -> Result<u64, Fault> {
    let Value::Whole(number) = value else { return Err(value.is_not("a whole number")) };
    not_zero(u64::try_from(*number).map_err(|_| Fault::Negative)?)
}

/// Bytes, at least 1: a number, or a string with a unit.
pub(super) fn size(value: &Value) -> Result<u64, Fault> {
    const EXPECTED: &str = "a size such as 65536, \"64KiB\", \"8MiB\" or \"1GiB\"";
    match value {
        Value::Whole(_) => count(value),
        Value::Text(text) => not_zero(measure(&text.meant, SIZES, Some(1)).ok_or_else(|| text.is_not(EXPECTED))?),
        other => Err(other.is_not(EXPECTED)),
    }
}

/// A time with a unit, which may be zero.
pub(super) fn duration(value: &Value) -> Result<Duration, Fault> {
    const EXPECTED: &str = "a time such as \"500ms\", \"25s\", \"10m\", \"24h\" or \"7d\"";
    let text = string(value, EXPECTED)?;
    measure(&text.meant, TIMES, None).map(Duration::from_millis).ok_or_else(|| text.is_not(EXPECTED))
}

/// A time that passes.
pub(super) fn period(value: &Value) -> Result<Duration, Fault> {
    let period = duration(value)?;
    if period.is_zero() { Err(Fault::Zero) } else { Ok(period) }
}

/// A deadline: a time that passes within a day.
pub(super) fn deadline(value: &Value) -> Result<Duration, Fault> {
    let deadline = period(value)?;
    if deadline > DAY { Err(Fault::TooLarge("24h".to_owned())) } else { Ok(deadline) }
}

/// How long a drain may take: a day at most, or no time at all.
pub(super) fn drain(value: &Value) -> Result<Duration, Fault> {
    let drain = duration(value)?;
    if drain > DAY { Err(Fault::TooLarge("24h".to_owned())) } else { Ok(drain) }
}

/// An address to listen on.
pub(super) fn address(value: &Value) -> Result<SocketAddr, Fault> {
    const EXPECTED: &str = "an address such as \"127.0.0.1:8000\" or \"[::]:8000\"";
    let text = string(value, EXPECTED)?;
    text.meant.parse().map_err(|_| text.is_not(EXPECTED))
}

/// A path under which routes can be nested.
pub(super) fn mount(value: &Value) -> Result<String, Fault> {
    const EXPECTED: &str = "a path such as \"/rt\", of letters, digits and - . _ ~, beside those of the program itself";
    let text = string(value, EXPECTED)?;
    let is_segment = |segment: &str| {
        !matches!(segment, "" | "." | "..")
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    let is_mount = text.meant.strip_prefix('/').is_some_and(|path| path.split('/').all(is_segment));
    let first = text.meant.split('/').nth(1).unwrap_or_default();
    if is_mount && !TAKEN.contains(&first) { Ok(text.meant.clone()) } else { Err(text.is_not(EXPECTED)) }
}

/// An origin as browsers send it: scheme, host and perhaps a port.
pub(super) fn origin(value: &Value) -> Result<String, Fault> {
    const EXPECTED: &str = "an origin such as \"https://app.example\", without a path";
    let text = string(value, EXPECTED)?;
    let origin = text.meant.to_ascii_lowercase();
    let is_origin = origin.split_once("://").is_some_and(|(scheme, authority)| {
        let starts = scheme.starts_with(|first: char| first.is_ascii_lowercase());
        starts
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
            && is_host(authority)
    });
    if is_origin { Ok(origin) } else { Err(text.is_not(EXPECTED)) }
}

/// A name or an address, perhaps with a port.
fn is_host(authority: &str) -> bool {
    let Ok(parsed) = authority.parse::<Authority>() else { return false };
    let host = parsed.host();
    let port = authority.strip_prefix(host).unwrap_or("?");
    let is_port = port.is_empty() || parsed.port_u16().is_some_and(|port| port > 0);
    let is_address =
        || host.strip_prefix('[').and_then(|host| host.strip_suffix(']')?.parse::<Ipv6Addr>().ok()).is_some();
    let is_name = || host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    !host.is_empty() && is_port && (is_name() || is_address())
}

/// An address, or a network in CIDR notation.
pub(super) fn network(value: &Value) -> Result<String, Fault> {
    const EXPECTED: &str = "an address or a network such as \"10.0.0.0/8\"";
    let text = string(value, EXPECTED)?;
    let (address, bits) = match text.meant.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text.meant.as_str(), None),
    };
    let most = address.parse::<IpAddr>().ok().map(|address| if address.is_ipv4() { 32_u8 } else { 128 });
    let fits = |most: u8| bits.is_none_or(|bits| is_decimal(bits) && bits.parse::<u8>().is_ok_and(|it| it <= most));
    if most.is_some_and(fits) { Ok(text.meant.clone()) } else { Err(text.is_not(EXPECTED)) }
}

/// A cookie's name (RFC 6265: a token of HTTP).
pub(super) fn cookie(value: &Value) -> Result<String, Fault> {
    const EXPECTED: &str = "a cookie's name";
    let text = string(value, EXPECTED)?;
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_name = !text.meant.is_empty() && text.meant.bytes().all(is_token_byte);
    if is_name { Ok(text.meant.clone()) } else { Err(text.is_not(EXPECTED)) }
}

/// One of a few words.
pub(super) fn word<T: Copy>(value: &Value, words: &[(&str, T)], expected: &'static str) -> Result<T, Fault> {
    let text = string(value, expected)?;
    let found = words.iter().find(|(word, _)| *word == text.meant);
    found.map(|(_, meaning)| *meaning).ok_or_else(|| text.is_not(expected))
}

/// The string of a value, whatever it says.
pub(super) fn string<'a>(value: &'a Value, expected: &'static str) -> Result<&'a Text, Fault> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(other.is_not(expected)),
    }
}

fn not_zero(number: u64) -> Result<u64, Fault> {
    if number == 0 { Err(Fault::Zero) } else { Ok(number) }
}

/// A number with a unit; one without has `bare`.
fn measure(text: &str, units: &[(&str, u64)], bare: Option<u64>) -> Option<u64> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit.strip_prefix(' ').unwrap_or(unit) {
        "" => bare,
        unit => units.iter().find(|(name, _)| *name == unit).map(|(_, unit)| *unit),
    };
    number.parse::<u64>().ok()?.checked_mul(unit?)
}

/// How a time is written in a file.
pub(super) fn show_time(time: Duration) -> String {
    let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    show(ms, TIMES).unwrap_or_else(|| "0s".to_owned())
}

/// How a size is written in a file.
pub(super) fn show_size(bytes: u64) -> String {
    show(bytes, SIZES).unwrap_or_else(|| bytes.to_string())
}

/// In the largest unit that says it exactly.
fn show(number: u64, units: &[(&str, u64)]) -> Option<String> {
    let whole = units.iter().rev().find(|(_, unit)| number > 0 && number.is_multiple_of(*unit));
    whole.map(|(name, unit)| format!("{}{name}", number / unit))
}

fn is_decimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// In milliseconds, ascending.
const TIMES: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// In bytes, ascending.
const SIZES: &[(&str, u64)] = &[("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Where the program has routes of its own, or will have.
const TAKEN: &[&str] = &["healthz", "readyz", "metrics"];

#[cfg(test)]
mod tests;
