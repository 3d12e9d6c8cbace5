//! The engine on a clock and a network that a test plays.

mod commands;
mod connecting;
mod delivering;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::oneshot;
use tricast_core::channel::ChannelName;
use tricast_core::protocol::{Event as WireEvent, Secret, Start};
use tricast_testkit::entropy::Seeded;

use super::{Config, Engine, Wish};
use crate::backoff::Pace;
use crate::error::{AskError, Failure, PublishError};
use crate::event::Event;
use crate::inbox::{Inbox, Taken};
use crate::outbox::Entry;
use crate::output::{Answer, Endpoint, Io, Output, Published, Report};
use crate::questions::Question;
use crate::state::State;
use crate::transport::Transport;

/// An engine, the time, and what it wants done.
struct Stage {
    engine: Engine,
    now: Duration,
    outputs: Vec<Output>,
    states: Vec<State>,
}

const EPOCH: &str = "aaaaaaaaaaaa";

impl Stage {
    fn new(transports: &[Transport]) -> Self {
        Self::with(transports, false)
    }

    fn with(transports: &[Transport], has_tokens: bool) -> Self {
        let config = Config {
            client: "client-1".parse().unwrap(),
            transports: transports.to_vec(),
            connect_timeout: Duration::from_secs(5),
            pace: Pace { base: Duration::from_millis(500), cap: Duration::from_secs(30) },
            outbox: 100,
            has_tokens,
        };
        let engine = Engine::new(config, Arc::new(Seeded::new(1)));
        Self { engine, now: Duration::ZERO, outputs: Vec::new(), states: Vec::new() }
    }

    fn subscribe(&mut self, channel: &str, start: Option<Start>, capacity: usize) -> Arc<Inbox> {
        let inbox = Arc::new(Inbox::new(capacity));
        let wish = Wish { start, presence: None, inbox: Arc::clone(&inbox) };
        self.engine.subscribe(&name(channel), wish).unwrap();
        self.flush();
        inbox
    }

    fn publish(&mut self, channel: &str, id: &str) -> oneshot::Receiver<Result<Published, PublishError>> {
        let (reply, answer) = oneshot::channel();
        let entry = |reference| Entry {
            reference,
            id: id.into(),
            text: format!(r#"{{"type":"publish","channel":"{channel}","id":"{id}","ref":{reference},"data":1}}"#),
            size: 1,
            reply,
            sent_at: None,
        };
        self.engine.publish(&name(channel), entry).unwrap();
        self.flush();
        answer
    }

    fn ask(&mut self, about: &str, repeatable: bool) -> oneshot::Receiver<Result<WireEvent, AskError>> {
        let (reply, answer) = oneshot::channel();
        let question = |reference| Question {
            about: about.into(),
            text: format!(r#"{{"{about}":{reference}}}"#),
            repeatable,
            reply,
        };
        self.engine.ask(about, question, self.now).unwrap();
        self.flush();
        answer
    }

    /// Does what a driver does after each step.
    fn flush(&mut self) {
        self.engine.flush(self.now);
        while let Some(output) = self.engine.next_output() {
            match output {
                Output::State(state) => self.states.push(state),
                Output::Reply(reply) => reply.send(),
                other => self.outputs.push(other),
            }
        }
    }

    fn report(&mut self, io: Io, report: Report) {
        self.engine.report(io, report, self.now);
        self.flush();
    }

    fn events(&mut self, io: Io, texts: &[String]) {
        for text in texts {
            let event = WireEvent::parse(text).unwrap().unwrap();
            self.report(io, Report::Event(event));
        }
    }

    fn answer(&mut self, io: Io, texts: &[String]) {
        let events = texts.iter().map(|text| WireEvent::parse(text).unwrap().unwrap()).collect();
        self.report(io, Report::Answer(Answer { events, expires_in: None }));
    }

    fn cut(&mut self, io: Io) {
        self.report(io, Report::Ended(Failure::unreachable("cut")));
    }

    fn give(&mut self, token: &str) {
        self.engine.given(Ok(Secret::new(token)), self.now);
        self.flush();
    }

    /// Lets time pass, stopping wherever something is due.
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(due) = self.engine.deadline().filter(|due| *due <= until) {
            assert!(due >= self.now || self.engine.deadline() == Some(due), "time goes back");
            self.now = self.now.max(due);
            self.engine.tick(self.now);
            self.flush();
        }
        self.now = until;
    }

    /// Opens a WebSocket up to its welcome.
    fn socket(&mut self) -> Io {
        let io = self.opening();
        self.report(io, Report::Opened);
        self.events(io, &[welcome("")]);
        io
    }

    /// The socket that is to be opened.
    fn opening(&mut self) -> Io {
        match self.take() {
            Output::OpenSocket { io } => io,
            other => panic!("{other:?} instead of a socket"),
        }
    }

    /// The request that is to be made, and its body.
    fn request(&mut self, expected: Endpoint) -> (Io, String) {
        match self.take() {
            Output::Post { io, endpoint, body, .. } if endpoint == expected => (io, body),
            other => panic!("{other:?} instead of a request of {expected:?}"),
        }
    }

    /// The frame that is to be written.
    fn frame(&mut self) -> String {
        match self.take() {
            Output::Write { text, .. } => text,
            other => panic!("{other:?} instead of a frame"),
        }
    }

    /// The oldest output that was not looked at; connections that are given up are passed over.
    fn take(&mut self) -> Output {
        loop {
            assert!(!self.outputs.is_empty(), "nothing is to be done; states: {:?}", self.states);
            let output = self.outputs.remove(0);
            if !matches!(output, Output::Cancel { .. }) {
                return output;
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.outputs.iter().all(|output| matches!(output, Output::Cancel { .. }))
    }

    fn state(&self) -> &State {
        self.states.last().unwrap()
    }

    /// What a subscription takes until there is nothing left, as words.
    fn taken(&mut self, channel: &str, inbox: &Inbox) -> Vec<String> {
        let mut told = Vec::new();
        let context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(Taken { item, resume })) = inbox.poll_take(&context) {
            if resume {
                self.engine.resume(&name(channel));
            }
            told.push(match item.event {
                Event::Subscribed(_) => "subscribed".to_owned(),
                Event::Message(message) => message.seq.to_string(),
                Event::Gap(gap) => format!("gap {}", gap.position.seq),
                Event::Live { position } => format!("live {}", position.seq),
                Event::Failed(refusal) => format!("failed {}", refusal.code),
                Event::Unsubscribed { code } => format!("unsubscribed {code:?}"),
            });
        }
        self.flush();
        told
    }
}

fn name(channel: &str) -> ChannelName {
    channel.parse().unwrap()
}

fn welcome(more: &str) -> String {
    let limits = r#""limits":{"message":65536,"channels":128,"batch":64}"#;
    format!(r#"{{"type":"welcome","version":1,"client":"client-1","heartbeat":25,"time":0,{limits}{more}}}"#)
}

fn subscribed(channel: &str, seq: u64, reference: &str) -> String {
    let at = format!(r#""position":"{EPOCH}-{seq}","head":"{EPOCH}-{seq}""#);
    let reference = if reference.is_empty() { String::new() } else { format!(r#","ref":"{reference}""#) };
    format!(r#"{{"type":"subscribed","channel":"{channel}","kind":"stream",{at}{reference}}}"#)
}

fn message(channel: &str, seq: u64) -> String {
    format!(r#"{{"type":"message","channel":"{channel}","epoch":"{EPOCH}","seq":{seq},"at":0,"data":{seq}}}"#)
}

fn published(channel: &str, reference: u64, seq: u64) -> String {
    let at = format!(r#""position":"{EPOCH}-{seq}","duplicate":false"#);
    format!(r#"{{"type":"published","channel":"{channel}","ref":{reference},{at}}}"#)
}

fn bye(code: &str, reconnect: bool, more: &str) -> String {
    format!(r#"{{"type":"bye","code":"{code}","reason":"r","reconnect":{reconnect}{more}}}"#)
}
