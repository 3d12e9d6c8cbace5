//! Clients that know the protocol and nothing else.
//!
//! [`Reader`] hides the transport: it opens a [`Query`], yields the events of section 3 as JSON, whatever they
//! travelled in, and has a cursor to go on with. What is particular to a transport is tested on [`http`], [`Sse`],
//! [`Poll`], [`Ws`] and [`Wire`] themselves.

pub(crate) mod http;
mod poll;
mod query;
mod sse;
mod wire;
mod ws;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::timeout;
use tricast_testkit::WATCHDOG;

pub(crate) use self::poll::{Answer, Poll};
pub(crate) use self::query::Query;
pub(crate) use self::sse::{Block, Sse};
pub(crate) use self::wire::{Frame, Wire, frame, upgrade};
pub(crate) use self::ws::{Closed, Ws};
use crate::server::Server;

/// A way to read channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Ws,
    /// Envelope mode, with ids.
    SseGet,
    /// Envelope mode, without ids.
    SsePost,
    /// What a plain `EventSource` reads: one channel.
    RawSse,
    PollGet,
    PollPost,
}

impl Transport {
    pub(crate) const ALL: [Self; 6] =
        [Self::Ws, Self::SseGet, Self::SsePost, Self::RawSse, Self::PollGet, Self::PollPost];

    /// Whether it tells that a subscription began even where nothing is wrong with the reader's position.
    pub(crate) fn tells_subscribed(self) -> bool {
        matches!(self, Self::Ws | Self::SseGet | Self::SsePost)
    }

    pub(crate) fn is_poll(self) -> bool {
        matches!(self, Self::PollGet | Self::PollPost)
    }

    /// Whether the query travels in a body.
    pub(crate) fn posts(self) -> bool {
        matches!(self, Self::SsePost | Self::PollPost)
    }
}

/// A reader of channels over some transport.
#[derive(Debug)]
pub(crate) struct Reader {
    channels: Vec<String>,
    stream: Stream,
    events: VecDeque<Value>,
    /// Where the events that were yielded have led to, per channel.
    positions: HashMap<String, String>,
    /// The base of each state whose snapshot is being read.
    bases: HashMap<String, u64>,
}

#[derive(Debug)]
enum Stream {
    Ws(Box<Ws>),
    Sse(Box<Sse>),
    Poll(Box<Poll>),
}

impl Reader {
    /// Opens a query; when this returns, the reader has its place, and what is published from now on is after it.
    pub(crate) async fn open(transport: Transport, server: &Server, query: &Query) -> Self {
        Self::open_at(transport, server.address, query).await
    }

    /// Opens a query at another address than the node's own.
    pub(crate) async fn open_at(transport: Transport, address: SocketAddr, query: &Query) -> Self {
        let stream = match transport {
            Transport::Ws => Stream::Ws(Box::new(Ws::open(address, query).await)),
            Transport::SseGet | Transport::SsePost | Transport::RawSse => {
                Stream::Sse(Box::new(Sse::open(transport, address, query).await))
            }
            Transport::PollGet | Transport::PollPost => {
                Stream::Poll(Box::new(Poll::new(transport, address, query.clone())))
            }
        };
        let (events, positions, bases) = (VecDeque::new(), HashMap::new(), HashMap::new());
        let mut reader = Self { channels: query.channels.clone(), stream, events, positions, bases };
        reader.take_place(query).await;
        reader
    }

    async fn take_place(&mut self, query: &Query) {
        let mut told = 0;
        while told < query.channels.len() {
            match &mut self.stream {
                // A poller with a cursor has its place before it asks.
                Stream::Poll(_) if query.cursor.is_some() => return,
                // The first poll without one is answered at once, about every channel.
                Stream::Poll(poll) => {
                    self.events.extend(poll.answer().await.events);
                    return;
                }
                Stream::Sse(sse) if sse.is_raw() => return self.events.extend(sse.starting_event().await),
                Stream::Sse(_) | Stream::Ws(_) => {
                    let event = self.receive().await;
                    told += usize::from(matches!(type_of(&event), "subscribed" | "unsubscribed" | "error" | "bye"));
                    self.events.push_back(event);
                }
            }
        }
    }

    /// The next event, of any type.
    pub(crate) async fn next_event(&mut self) -> Value {
        let event = match self.events.pop_front() {
            Some(event) => event,
            None => self.receive().await,
        };
        self.note(&event);
        event
    }

    async fn receive(&mut self) -> Value {
        match &mut self.stream {
            Stream::Ws(ws) => ws.next_event().await,
            Stream::Sse(sse) => sse.next_event().await,
            Stream::Poll(poll) => {
                let events = &mut self.events;
                let answers = async {
                    loop {
                        events.extend(poll.answer().await.events);
                        if let Some(event) = events.pop_front() {
                            return event;
                        }
                    }
                };
                // Each answer comes in time, but nothing may be in any of them.
                watchdog("an event in the answers to polls", answers).await
            }
        }
    }

    /// Keeps the position that a client keeps (protocol, 5.3 for states).
    fn note(&mut self, event: &Value) {
        let channel = event["channel"].as_str().unwrap_or_default().to_owned();
        let position = match type_of(event) {
            "message" => {
                let seq = event["seq"].as_u64().unwrap();
                let base = self.bases.get(&channel).filter(|base| seq < **base);
                let base = base.map_or(String::new(), |base| format!("-{base}"));
                format!("{}-{seq}{base}", event["epoch"].as_str().unwrap())
            }
            "subscribed" | "gap" => self.note_begin(event, &channel),
            "live" => event["position"].as_str().unwrap().to_owned(),
            _ => return,
        };
        self.positions.insert(channel, position);
    }

    /// A state's reader whose position became the beginning has the head as base, and one who resumed what it had.
    fn note_begin(&mut self, event: &Value, channel: &str) -> String {
        let position = event["position"].as_str().unwrap();
        let of_state = event["kind"] == "state" || self.bases.contains_key(channel);
        let resumed = event["recovered"] == true;
        let base = match position.splitn(3, '-').collect::<Vec<_>>()[..] {
            [_, _, base] => base.parse().unwrap(),
            [_, "0"] if of_state && !resumed => seq_of(&event["head"]),
            _ => 0,
        };
        if of_state {
            self.bases.insert(channel.to_owned(), base);
        }
        let is_beginning = base > 0 && position.ends_with("-0");
        if is_beginning { format!("{position}-{base}") } else { position.to_owned() }
    }

    /// The next message or gap, or whatever ends a subscription; the ceremony of beginning is passed over.
    pub(crate) async fn next_of_log(&mut self) -> Value {
        loop {
            let event = self.next_event().await;
            if !matches!(type_of(&event), "welcome" | "subscribed" | "ping") {
                return event;
            }
        }
    }

    /// The next of the log, which must be a message.
    #[track_caller]
    pub(crate) fn message(&mut self) -> impl Future<Output = Value> {
        let caller = std::panic::Location::caller();
        async move {
            let event = self.next_of_log().await;
            assert_eq!(type_of(&event), "message", "at {caller}: {event}");
            event
        }
    }

    /// The next of the log, passing over the `live` of a state that is resumed; which must be a message.
    pub(crate) async fn message_but_live(&mut self) -> Value {
        loop {
            let event = self.next_of_log().await;
            if type_of(&event) != "live" {
                assert_eq!(type_of(&event), "message", "{event}");
                return event;
            }
        }
    }

    /// The next messages, of one channel: their seqs, without a gap between.
    pub(crate) async fn seqs(&mut self, count: usize) -> Vec<u64> {
        let mut seqs = Vec::with_capacity(count);
        for _ in 0..count {
            seqs.push(self.message().await["seq"].as_u64().unwrap());
        }
        seqs
    }

    /// The next of the log, which must be a gap.
    pub(crate) async fn gap(&mut self) -> Value {
        let event = self.next_of_log().await;
        assert_eq!(type_of(&event), "gap", "{event}");
        event
    }

    /// Whether it may leave here and its cursor says where: a poller has to take its whole answer first.
    pub(crate) fn is_at_rest(&self) -> bool {
        !matches!(self.stream, Stream::Poll(_)) || self.events.is_empty()
    }

    /// What to resume with: what the transport told, or for those that tell nothing, what a client keeps.
    pub(crate) fn cursor(&self) -> String {
        match &self.stream {
            Stream::Sse(sse) if sse.has_ids() => sse.last_id().expect("a stream by GET begins with an id").to_owned(),
            Stream::Poll(poll) => {
                assert!(self.is_at_rest(), "the cursor of an answer stands behind all its events");
                poll.cursor().expect("the first poll was answered").to_owned()
            }
            Stream::Ws(_) | Stream::Sse(_) => {
                let places =
                    self.channels.iter().map(|channel| self.positions.get(channel).map_or("-", String::as_str));
                places.collect::<Vec<_>>().join(",")
            }
        }
    }
}

/// The `type` of an event.
pub(crate) fn type_of(event: &Value) -> &str {
    event["type"].as_str().unwrap_or_else(|| panic!("an event without a type: {event}"))
}

/// The seq of a position.
pub(crate) fn seq_of(position: &Value) -> u64 {
    let text = position.as_str().unwrap_or_else(|| panic!("not a position: {position}"));
    text.split('-').nth(1).unwrap().parse().unwrap()
}

/// Waits for what must happen, but not for ever.
pub(crate) async fn watchdog<T>(what: &str, wait: impl Future<Output = T>) -> T {
    timeout(WATCHDOG, wait).await.unwrap_or_else(|_| panic!("nothing came for {WATCHDOG:?}: {what}"))
}

/// Waits for a condition that nobody announces.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let poll = async {
        while !condition() {
            // Nothing tells when it becomes true.
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    watchdog(what, poll).await;
}
