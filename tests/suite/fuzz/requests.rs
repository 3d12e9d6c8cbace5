//! Requests: queries, `Last-Event-ID`, bodies. Whatever they are, the answers are of the protocol.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use tricast::Position;
use tricast::core::protocol::{Code, Event};

use super::pipe::exchange;

/// One connection's bytes: each answer has a status that says whose fault it is, which is never the server's; an error
/// names its code and a culprit; what is read is made of events, and each cursor can be read back.
pub(crate) fn requests(input: &[u8]) {
    let output = exchange(input);
    let mut left = output.as_slice();
    while !left.is_empty() {
        let answer = Answer::read(&mut left);
        if answer.status == 101 {
            return;
        }
        check(&answer);
    }
}

pub(super) fn check(answer: &Answer) {
    match answer.status {
        200 => check_content(answer),
        100 | 204 | 304 => assert!(answer.body.is_empty()),
        400..=499 => check_error(answer),
        status => panic!("{status} is no answer to any request"),
    }
}

/// An answer, with its body as it was before it was cut into chunks.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    /// Reads the next answer; the server writes it whole.
    pub(super) fn read(left: &mut &[u8]) -> Self {
        let head = cut(left, b"\r\n\r\n");
        let head = str::from_utf8(head).expect("the head of an answer is text");
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        let headers = lines.map(|line| line.split_once(": ").unwrap_or_else(|| panic!("no header: {line:?}")));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut answer = Self { status, headers, body: Vec::new() };
        answer.body = match (answer.header("transfer-encoding"), answer.header("content-length")) {
            _ if status < 200 || matches!(status, 204 | 304) => Vec::new(),
            ("chunked", _) => chunks(left),
            (_, "") => take(left, left.len()).to_vec(),
            (_, length) => take(left, length.parse().expect("a length")).to_vec(),
        };
        answer
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("an answer is text")
    }
}

fn cut<'a>(left: &mut &'a [u8], end: &[u8]) -> &'a [u8] {
    let at = left.windows(end.len()).position(|window| window == end);
    let at = at.unwrap_or_else(|| panic!("no {:?} in {:?}", end.escape_ascii().to_string(), left.escape_ascii()));
    let found = take(left, at);
    take(left, end.len());
    found
}

fn take<'a>(left: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, rest) = left.split_at_checked(length).expect("an answer is written whole");
    *left = rest;
    taken
}

/// A body in chunks, whose end need not have come: an event stream has none.
fn chunks(left: &mut &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while !left.is_empty() {
        let size = str::from_utf8(cut(left, b"\r\n")).ok().and_then(|size| usize::from_str_radix(size, 16).ok());
        let size = size.expect("a chunk begins with its size");
        body.extend_from_slice(take(left, size));
        assert_eq!(take(left, 2), b"\r\n", "a chunk ends");
        if size == 0 {
            break;
        }
    }
    body
}

fn check_error(answer: &Answer) {
    if answer.header("content-type") != "application/json" {
        // What is no HTTP, or no path, never came to where a code is given.
        return assert!(matches!(answer.status, 400 | 404 | 414 | 431), "{} without a code", answer.status);
    }
    let Ok(Some(Event::Error(error))) = Event::parse(answer.text()) else { panic!("no error: {}", answer.text()) };
    let another = error.code == Code::BadRequest && matches!(answer.status, 405 | 415 | 426);
    assert!(another || error.code.http() == Some(answer.status), "{} with {}", answer.status, answer.text());
    assert!(!error.message.is_empty());
}

fn check_content(answer: &Answer) {
    match answer.header("content-type") {
        "text/event-stream" => check_stream(answer.text()),
        "application/json" if answer.text().starts_with("{\"cursor\"") => check_poll(answer.text()),
        "application/json" if answer.text().starts_with('[') => check_events(answer.text()),
        "application/json" => check_event(answer.text()),
        _ => {}
    }
}

/// Blocks of the fields that there are, whole ones; an envelope is an event, and so is what a raw stream says itself.
fn check_stream(text: &str) {
    assert!(text.ends_with("\n\n"), "{text:?} ends within a block");
    let is_raw = !text.contains("\"type\":\"welcome\"");
    for block in text.split_terminator("\n\n") {
        let is_system = block.contains("event: tricast:");
        for line in block.lines() {
            match line.split_once(": ").unwrap_or((line, "")) {
                ("data", data) if is_raw && !is_system => drop(serde_json::from_str::<&RawValue>(data).expect("JSON")),
                ("data", event) => check_event(event),
                ("id", cursor) => check_cursor(cursor),
                ("retry", time) => assert!(time.parse::<u32>().is_ok(), "{line:?}"),
                ("event", _) => assert!(is_raw, "{line:?} among envelopes"),
                (":", "") => {}
                _ => panic!("no field: {line:?}"),
            }
        }
    }
}

fn check_poll(text: &str) {
    let answer: BTreeMap<&str, &RawValue> = serde_json::from_str(text).expect("an object");
    check_cursor(answer["cursor"].get().trim_matches('"'));
    check_events(answer["events"].get());
}

fn check_events(array: &str) {
    let events: Vec<&RawValue> = serde_json::from_str(array).expect("an array");
    events.into_iter().for_each(|event| check_event(event.get()));
}

pub(super) fn check_event(text: &str) {
    assert!(matches!(Event::parse(text), Ok(Some(_))), "no event: {text:?}");
}

fn check_cursor(text: &str) {
    let known = text.split(',').all(|part| part == "-" || part.parse::<Position>().is_ok());
    assert!(known, "no cursor: {text:?}");
}
