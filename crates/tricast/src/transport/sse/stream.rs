//! One SSE stream: what is written, in which order, under which `id:`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tricast_core::channel::ChannelName;
use tricast_core::log::Limit;
use tricast_core::message::{Encoding, Message};
use tricast_core::position::{Position, cursor_text};
use tricast_core::protocol::event::Bye;
use tricast_core::protocol::{Event, SubscribeQuery};

use super::in_flight::InFlight;
use crate::auth::Login;
use crate::edge::Ticket;
use crate::ending::Ending;
use crate::hooks::Transport;
use crate::hub::{Content, Hub};
use crate::metrics;
use crate::session::{Begun, Delivery, Session, Taken};
use crate::transport::query::{self, Admitted};
use crate::transport::refusal::{Refusal, told_in_band};

/// In which form events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// `data:` is the payload, `id:` the position.
    Raw,
    /// `data:` is the event; nothing carries an `id:`.
    Envelope,
    /// `data:` is the event; what moves a position carries the whole cursor.
    EnvelopeWithIds,
}

/// A reconnect time of 2 s, jittered: 1.5 s and up to a second more.
const RETRY: Duration = Duration::from_millis(1_500);
const RETRY_SPREAD: Duration = Duration::from_millis(1_000);

/// Within what time a reader comes back that was turned away: 1 to 30 s.
const TURNED_AWAY: Duration = Duration::from_secs(1);
const TURNED_AWAY_SPREAD: Duration = Duration::from_secs(29);

pub(super) struct EventStream {
    hub: Arc<Hub>,
    session: Session,
    mode: Mode,
    query: SubscribeQuery,
    /// What has been written of each channel, in request order: the cursor that `id:` names.
    written: Vec<(ChannelName, Option<Position>)>,
    // Before `ending`: whoever waits for connections to end waits for the application to be told as well.
    admitted: Admitted,
    ending: Ending,
    stage: Stage,
}

enum Stage {
    /// The log is not open yet.
    New,
    /// It will not be.
    TurnedAway(Refusal),
    /// It is, and this goes out first.
    Opened(Bytes),
    Live,
    Ended,
}

impl EventStream {
    pub(super) fn new(hub: Arc<Hub>, login: Login, mode: Mode, query: SubscribeQuery) -> Self {
        let encoding = match mode {
            Mode::Raw => Some(Encoding::RawSse),
            Mode::Envelope => Some(Encoding::EnvelopeSse),
            // Each reader's ids are its own.
            Mode::EnvelopeWithIds => None,
        };
        let mut ending = Ending::new(&hub);
        ending.follow(&login, &hub);
        let session = Session::new(Arc::clone(&hub), login, encoding);
        Self {
            session: session.of_client(query.client.clone(), hub.config.presence_grace),
            ending,
            hub,
            mode,
            written: query.channels.iter().map(|to| (to.name.clone(), None)).collect(),
            query,
            admitted: Admitted::default(),
            stage: Stage::New,
        }
    }

    /// The stream of a reader who has a place among the connections.
    pub(super) fn holding(mut self, ticket: Ticket) -> Self {
        self.ending.hold(ticket, Transport::Sse);
        self
    }

    /// Asks the application whether it lets the caller in, and which channels it lets it read: of a session that hears
    /// already what is taken back from its user.
    ///
    /// # Errors
    /// The refusal to answer with.
    pub(super) async fn ask(&mut self) -> Result<(), Refusal> {
        let who = &self.session.login().who;
        self.admitted = query::ask(&self.hub, who, Transport::Sse, &self.query).await?;
        Ok(())
    }

    /// A stream that only says why there is none, and when to come back.
    pub(super) fn turned_away(self, refusal: Refusal) -> Self {
        Self { stage: Stage::TurnedAway(refusal), ..self }
    }

    pub(super) fn into_response(self) -> Response {
        let chunks = stream::unfold((self, InFlight::default()), |(mut stream, in_flight)| async {
            in_flight.written().await;
            let (chunk, in_flight) = InFlight::of(stream.next().await?);
            Some((Ok::<_, Infallible>(chunk), (stream, in_flight)))
        });
        let mut response = Response::new(Body::from_stream(chunks));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// Opens the log, and prepares what goes out first.
    ///
    /// # Errors
    /// What may be tried again later; the caller knows how to say so.
    pub(super) async fn open(&mut self) -> Result<(), Refusal> {
        Refusal::of_draining(&self.hub)?;
        let SubscribeQuery { channels, cursor, .. } = &self.query;
        // They are asked for once; what they hold is not kept for as long as the stream lives.
        let permits = std::mem::take(&mut self.admitted.permits);
        let opened = permits.subscribe(&mut self.session, channels, cursor.as_ref(), None).await;
        let mut begun = Vec::with_capacity(opened.len());
        let mut refused = Vec::new();
        for (slot, one) in opened.into_iter().enumerate() {
            match one.result {
                Ok(one) => begun.push((slot, one)),
                Err(problem) => refused.push(told_in_band(one.channel, problem)?),
            }
        }
        self.stage = Stage::Opened(self.opening(begun, &refused));
        Ok(())
    }

    /// The next chunk to write; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match &mut self.stage {
                Stage::New => {
                    if let Err(refusal) = self.open().await {
                        return Some(self.turn_away(&refusal));
                    }
                }
                Stage::TurnedAway(_) => {
                    let stage = std::mem::replace(&mut self.stage, Stage::Ended);
                    let Stage::TurnedAway(refusal) = stage else { return None };
                    return Some(self.turn_away(&refusal));
                }
                Stage::Opened(first) => {
                    let first = std::mem::take(first);
                    self.stage = Stage::Live;
                    return Some(first);
                }
                Stage::Live => return Some(self.live().await),
                Stage::Ended => return None,
            }
        }
    }

    fn turn_away(&mut self, refusal: &Refusal) -> Bytes {
        self.stage = Stage::Ended;
        let after = refusal.retry_after();
        let bye = Bye { after, ..Bye::new(refusal.code(), refusal.message()) };
        self.farewell(bye, after.unwrap_or_else(|| self.jittered(TURNED_AWAY, TURNED_AWAY_SPREAD)))
    }

    async fn live(&mut self) -> Bytes {
        let heartbeat = tokio::time::sleep(self.hub.config.heartbeat_sse);
        tokio::pin!(heartbeat);
        loop {
            // First, so that a reader who is always behind is told as well.
            if let Some(bye) = self.ending.due(&self.hub).now_or_never() {
                return self.end(bye);
            }
            // Whatever is left is taken by the next call.
            let mut taken = self.session.take(Limit::default()).await;
            if let Some(bye) = taken.over.take() {
                return self.end(bye);
            }
            let ended = self.ended(&taken);
            let mut chunk = self.chunk(taken);
            if let Some(bye) = ended {
                chunk = Some([chunk.unwrap_or_default(), self.end(bye)].concat().into());
            }
            if let Some(chunk) = chunk {
                return chunk;
            }
            tokio::select! {
                () = self.session.rung() => {}
                () = &mut heartbeat => return Bytes::from_static(b":\n\n"),
                bye = self.ending.due(&self.hub) => return self.end(bye),
            }
        }
    }

    /// The last words, where the reader's last subscription was ended.
    fn ended(&self, taken: &Taken) -> Option<Bye> {
        let code = taken.deliveries.iter().find_map(|delivery| match delivery {
            Delivery::Ended { code, .. } => Some(*code),
            _ => None,
        });
        let code = code.filter(|_| self.session.channels().next().is_none())?;
        Some(Bye { reconnect: false, ..Bye::new(code, "the last subscription was ended") })
    }

    fn end(&mut self, bye: Bye) -> Bytes {
        self.stage = Stage::Ended;
        let after = bye.after.unwrap_or_else(|| self.jittered(RETRY, RETRY_SPREAD));
        self.farewell(bye, after)
    }

    /// `retry:`, where the reader stands, and how each channel began.
    ///
    /// No `id:` may name a position whose gap has not been written: with gaps due, only the last of them carries one.
    fn opening(&mut self, begun: Vec<(usize, Begun)>, refused: &[Event]) -> Bytes {
        for (slot, one) in &begun {
            self.written[*slot].1 = Some(one.position);
        }
        let mut out = format!("retry: {}\n\n", self.jittered(RETRY, RETRY_SPREAD).as_millis()).into_bytes();
        let gaps = begun.iter().filter(|(_, one)| one.gap.is_some()).count();
        if gaps == 0 && self.mode != Mode::Envelope {
            self.put_id(&mut out);
            out.push(b'\n');
        }
        if self.mode != Mode::Raw {
            let client = self.query.client.clone().unwrap_or_else(|| self.hub.new_client());
            put_data(&mut out, &self.hub.welcome(&client, self.session.login(), self.hub.config.heartbeat_sse, None));
            refused.iter().for_each(|event| put_data(&mut out, event));
        }
        let mut gaps_left = gaps;
        for (_, one) in begun {
            if self.mode != Mode::Raw {
                put_data(&mut out, &one.subscribed);
            }
            if let Some(gap) = one.gap {
                gaps_left -= 1;
                self.put_system(&mut out, &gap, gaps_left == 0);
            }
        }
        out.into()
    }

    /// What was taken as bytes; a single batch as the very bytes that all readers share.
    fn chunk(&mut self, taken: Taken) -> Option<Bytes> {
        let mut deliveries = taken.deliveries;
        if let [Delivery::Messages { batch, .. }] = deliveries.as_mut_slice()
            && let Content::Encoded(bytes) = &mut batch.content
        {
            return Some(std::mem::take(bytes));
        }
        let mut out = Vec::new();
        for delivery in deliveries {
            match delivery {
                Delivery::Gap { channel, position, event } | Delivery::Live { channel, position, event } => {
                    self.wrote(&channel, position);
                    self.put_system(&mut out, &event, true);
                }
                Delivery::Ended { channel, code } => {
                    self.written.iter_mut().filter(|(name, _)| *name == channel).for_each(|(_, at)| *at = None);
                    // The only one of a raw stream: the `bye` that follows says it.
                    if self.mode != Mode::Raw {
                        put_data(&mut out, &Delivery::ended(channel, code));
                    }
                }
                Delivery::Messages { channel, from, batch, .. } => match batch.content {
                    Content::Encoded(bytes) => out.extend_from_slice(&bytes),
                    Content::Messages(messages) => {
                        for message in messages {
                            self.put_message(&mut out, &channel, from, &message);
                        }
                    }
                },
            }
        }
        // For a peer that reads nothing holds it, and needs no room for more.
        (!out.is_empty()).then(|| out.into_boxed_slice().into())
    }

    fn put_message(&mut self, out: &mut Vec<u8>, channel: &ChannelName, from: Position, message: &Message) {
        self.wrote(channel, from.advanced(message.seq));
        self.put_id(out);
        out.extend_from_slice(b"data: ");
        message.fields(channel, from.epoch).put_json(out);
        out.extend_from_slice(b"\n\n");
    }

    /// What moves a position without a message: a gap, or `live`, which raw streams never have.
    fn put_system(&self, out: &mut Vec<u8>, event: &Event, with_id: bool) {
        if with_id && self.mode != Mode::Envelope {
            self.put_id(out);
        }
        if self.mode == Mode::Raw {
            out.extend_from_slice(b"event: tricast:gap\n");
        }
        put_data(out, event);
    }

    /// The whole cursor as it is written now, without the empty line that would end the event.
    fn put_id(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(cursor_text(self.written.iter().map(|(_, position)| *position)).as_bytes());
        out.push(b'\n');
    }

    fn wrote(&mut self, channel: &ChannelName, position: Position) {
        if let Some((_, written)) = self.written.iter_mut().find(|(name, _)| name == channel) {
            *written = Some(position);
        }
    }

    /// The last words, and when an `EventSource` shall come back.
    fn farewell(&self, bye: Bye, retry: Duration) -> Bytes {
        let mut out = Vec::new();
        if self.mode != Mode::Envelope {
            out.extend_from_slice(format!("retry: {}\n", retry.as_millis()).as_bytes());
        }
        if self.mode == Mode::Raw {
            out.extend_from_slice(b"event: tricast:bye\n");
        }
        put_data(&mut out, &Event::Bye(bye));
        out.into()
    }

    fn jittered(&self, least: Duration, spread: Duration) -> Duration {
        let spread = u64::try_from(spread.as_millis()).unwrap_or(u64::MAX);
        least + Duration::from_millis(self.hub.entropy.below(spread))
    }
}

fn put_data(out: &mut Vec<u8>, event: &Event) {
    metrics::told(event, Transport::Sse);
    out.extend_from_slice(b"data: ");
    event.put_json(out);
    out.extend_from_slice(b"\n\n");
}
