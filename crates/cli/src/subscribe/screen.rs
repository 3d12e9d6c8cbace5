//! What a reader sees: messages on stdout, what becomes of the connection on stderr.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use tricast::core::protocol::Event as WireEvent;
use tricast::core::protocol::event::Unsubscribed;
use tricast_client::{ChannelName, Event, Gap, GapReason, Message, Payload, State};

use crate::outcome::with_causes;
use crate::text::printable;

/// Where events are told. Colours are left out where they are not wanted (`NO_COLOR`), or nobody would see them.
pub(super) struct Screen {
    json: bool,
    quiet: bool,
    url: String,
    /// Whether there is a connection; `None` before the first.
    connected: Option<bool>,
}

impl Screen {
    pub(super) fn new(json: bool, quiet: bool, url: String) -> Self {
        Self { json, quiet, url, connected: None }
    }

    /// Tells what the client is doing.
    pub(super) fn state(&mut self, state: &State) {
        let had = self.connected;
        let line = match state {
            State::Connected { transport } => {
                self.connected = Some(true);
                let again = if had.is_some() { " again" } else { "" };
                format!("connected{again} to {} by {transport}", self.url)
            }
            State::Waiting { retry_in, failure } => {
                self.connected = had.map(|_| false);
                let what = if had == Some(true) { "connection lost" } else { "not connected" };
                let seconds = retry_in.as_secs_f64();
                format!("{what} ({}); trying again in {seconds:.1} s", with_causes(failure))
            }
            State::Connecting if had == Some(true) => {
                self.connected = Some(false);
                "connection lost; connecting again".to_owned()
            }
            State::Connecting | State::Idle | State::Closed { .. } => return,
        };
        if !self.quiet {
            tell(DIM, &line);
        }
    }

    /// Tells an event of a channel.
    ///
    /// # Errors
    /// Standard output does not take it.
    pub(super) fn event(&self, channel: &ChannelName, event: &Event) -> io::Result<()> {
        match event {
            Event::Message(message) if self.json => print(&printable(&message.to_json())),
            Event::Message(message) => show(message),
            Event::Gap(gap) if self.json => print(&WireEvent::Gap(gap.clone()).to_json()),
            Event::Gap(gap) => {
                tell(WARNING, &describe(gap));
                Ok(())
            }
            Event::Live { position } if self.json => {
                print(&WireEvent::Live { channel: channel.clone(), position: *position }.to_json())
            }
            Event::Failed(refusal) => {
                tell(WARNING, &format!("{channel}: {}; trying again", with_causes(refusal)));
                Ok(())
            }
            Event::Unsubscribed { code: Some(code) } => {
                if self.json {
                    let told = Unsubscribed { channel: channel.clone(), code: Some(*code), reference: None };
                    print(&WireEvent::Unsubscribed(told).to_json())?;
                }
                tell(WARNING, &format!("{channel}: the server ended the subscription ({code})"));
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// A message, for people.
fn show(message: &Message) -> io::Result<()> {
    let mut head = format!("{DIM}{} {}{DIM:#}", message.channel, message.seq);
    if let Some(event) = &message.event {
        head.push_str(&format!(" {EVENT}{event}{EVENT:#}"));
    }
    if let Some(key) = &message.key {
        head.push_str(&format!(" {KEY}{}{KEY:#}", printable(key)));
    }
    if let Some(user) = &message.user {
        head.push_str(&format!(" {DIM}by {}{DIM:#}", printable(user)));
    }
    let mut out = anstream::stdout().lock();
    match &message.payload {
        Some(Payload::Json(json)) => writeln!(out, "{head} {}", printable(json.as_str())),
        Some(Payload::Binary(bytes)) => writeln!(out, "{head} {DIM}({} bytes){DIM:#}", bytes.len()),
        None => writeln!(out, "{head} {DIM}deleted{DIM:#}"),
    }
}

fn describe(gap: &Gap) -> String {
    let Gap { channel, position, reason, .. } = gap;
    let why = match reason {
        GapReason::Expired => "the log does not hold them any more",
        GapReason::Epoch => "the log began anew",
        GapReason::Unknown => "the log never held the position to go on from",
    };
    format!("gap on {channel}: messages may be missing, {why}; going on after {position}")
}

fn print(line: &str) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

fn tell(style: Style, line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(anstream::stderr().lock(), "{style}{}{style:#}", printable(line));
}

const DIM: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default();
const EVENT: Style = AnsiColor::Green.on_default();
const KEY: Style = AnsiColor::Cyan.on_default();
