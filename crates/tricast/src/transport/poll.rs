//! Long-poll: one batch per request, held until there is something to tell.
//!
//! The answer carries the cursor for the next request. Nothing of a poller is kept between two of them, so an answer
//! that is lost is asked for again and nothing is missed (protocol, section 6).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::FutureExt as _;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, VARY,
};
use http::{HeaderValue, Method, StatusCode};
use tokio::time::{Instant, sleep_until};
use tricast_core::access::Identity;
use tricast_core::log::Limit;
use tricast_core::message::Encoding;
use tricast_core::position::cursor_text;
use tricast_core::protocol::Event;

use super::preflight;
use super::query::{self, Asked, Reading};
use super::refusal::{Refusal, json_response, told_in_band};
use crate::ending::Ending;
use crate::hooks::{Opened, Transport};
use crate::hub::{Content, Hub};
use crate::metrics;
use crate::session::{Delivery, Session, Taken};

/// Answers `GET poll` and `POST poll`.
pub(crate) async fn poll(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return preflight(query::METHODS);
    }
    let accepted = Instant::now();
    let is_get = request.method() == Method::GET;
    let asked = match query::read(&hub, Reading::Poll, request).await {
        Ok(asked) => asked,
        Err(refusal) => return refusal.response(),
    };
    // By GET, and to nobody in particular: only that is the same for every caller.
    let may_be_shared = is_get && asked.login.who == Identity::Anonymous && asked.query.client.is_none();
    let may_be_shared = may_be_shared && asked.query.channels.iter().all(|to| hub.is_public(&to.name));
    match answer(hub, asked, accepted).await {
        Ok((answer, same_for_all)) => {
            let mut response = json_response(StatusCode::OK, answer.into());
            if may_be_shared && same_for_all {
                response.extensions_mut().insert(Shared);
            }
            response
        }
        Err(refusal) => refusal.response(),
    }
}

/// Marks an answer that caches may keep and give to others (protocol, section 6).
#[derive(Debug, Clone, Copy)]
struct Shared;

/// Lets caches keep what is marked so. Outside of whatever else sets headers: such an answer depends on nobody.
pub(crate) fn share(mut response: Response) -> Response {
    if response.extensions_mut().remove::<Shared>().is_some() {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=10"));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        headers.remove(ACCESS_CONTROL_EXPOSE_HEADERS);
        headers.remove(VARY);
    }
    response
}

async fn answer(hub: Arc<Hub>, asked: Asked, accepted: Instant) -> Result<(Vec<u8>, bool), Refusal> {
    let Asked { ticket, login, query } = asked;
    let mut ending = Ending::new(&hub);
    ending.hold(ticket, Transport::Poll);
    ending.follow(&login, &hub);
    Refusal::of_draining(&hub)?;
    // Gone between any two requests: a poller's place outlasts a wait that it does not come back from at once.
    let grace = hub.config.presence_grace;
    let linger = (2 * query.wait).max(grace) + grace;
    let session = Session::new(Arc::clone(&hub), login.clone(), Some(Encoding::Json)).polling();
    let mut session = session.of_client(query.client.clone(), linger);
    // Asked by a session that hears already what is taken back from its user.
    let admitted = query::ask(&hub, &login.who, Transport::Poll, &query).await?;
    let mut events = Events::default();
    for opened in admitted.permits.subscribe(&mut session, &query.channels, query.cursor.as_ref(), None).await {
        events.begin(opened)?;
    }
    session.turn_by_positions();
    let deadline = accepted + query.wait;
    loop {
        if let Some(bye) = ending.due(&hub).now_or_never() {
            events.put(&Event::Bye(bye));
            break;
        }
        let mut taken = session.take(Limit::default()).await;
        let over = taken.over.take();
        events.take(taken);
        if let Some(bye) = over {
            events.put(&Event::Bye(bye));
        }
        if !events.is_empty() {
            break;
        }
        tokio::select! {
            () = session.rung() => {}
            () = sleep_until(deadline) => break,
            bye = ending.due(&hub) => {
                events.put(&Event::Bye(bye));
                break;
            }
        }
    }
    let cursor = cursor_text(query.channels.iter().map(|to| session.position(&to.name)));
    let same_for_all = events.are_messages_after_a_cursor();
    let answer = events.into_answer(&cursor, login.expires_in(hub.clock.wall_ms()));
    Ok((answer, same_for_all))
}

/// The events of one answer, as the inside of a JSON array.
#[derive(Default)]
struct Events {
    json: Vec<u8>,
    /// Something else than a message was put.
    tells_more: bool,
}

impl Events {
    fn is_empty(&self) -> bool {
        self.json.is_empty()
    }

    /// Whether it is what anybody is told who asks with the same cursor.
    fn are_messages_after_a_cursor(&self) -> bool {
        !self.tells_more && !self.is_empty()
    }

    fn put(&mut self, event: &Event) {
        metrics::told(event, Transport::Poll);
        self.tells_more = true;
        self.separate();
        event.put_json(&mut self.json);
    }

    /// Tells what became of a channel, but for one that simply goes on.
    fn begin(&mut self, opened: Opened) -> Result<(), Refusal> {
        match opened.result {
            Ok(begun) if begun.resumed => {}
            Ok(begun) => {
                self.put(&begun.subscribed);
                begun.gap.iter().for_each(|gap| self.put(gap));
            }
            Err(refused) => self.put(&told_in_band(opened.channel, refused)?),
        }
        Ok(())
    }

    fn take(&mut self, taken: Taken) {
        for delivery in taken.deliveries {
            match delivery {
                Delivery::Gap { event, .. } | Delivery::Live { event, .. } => self.put(&event),
                Delivery::Ended { channel, code } => self.put(&Delivery::ended(channel, code)),
                Delivery::Messages { batch, .. } => match batch.content {
                    Content::Encoded(bytes) => {
                        self.separate();
                        self.json.extend_from_slice(&bytes);
                    }
                    // A session with an encoding is given bytes.
                    Content::Messages(_) => {}
                },
            }
        }
    }

    fn separate(&mut self) {
        if !self.json.is_empty() {
            self.json.push(b',');
        }
    }

    fn into_answer(self, cursor: &str, expires_in: Option<Duration>) -> Vec<u8> {
        let mut answer = Vec::with_capacity(self.json.len() + cursor.len() + 32);
        answer.extend_from_slice(b"{\"cursor\":\"");
        // A cursor has no character that JSON would escape.
        answer.extend_from_slice(cursor.as_bytes());
        answer.push(b'"');
        if let Some(time) = expires_in {
            answer.extend_from_slice(format!(",\"expires_in\":{}", time.as_secs_f64()).as_bytes());
        }
        answer.extend_from_slice(b",\"events\":[");
        answer.extend_from_slice(&self.json);
        answer.extend_from_slice(b"]}");
        answer
    }
}
