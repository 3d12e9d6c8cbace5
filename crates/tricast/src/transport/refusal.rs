//! A request that came to nothing, as its answer tells it: one `error` event under the code's status.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use tricast_core::channel::ChannelName;
use tricast_core::protocol::event::{ErrorEvent, Unsubscribed};
use tricast_core::protocol::{Code, Event, QueryError};

use crate::hooks::{Refused, Transport, refused_by_rule};
use crate::hub::{GOING_AWAY, Hub};
use crate::metrics;

/// Why a request is refused, and with which status.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    event: ErrorEvent,
    allow: Option<&'static str>,
}

/// After how long a refusal that may be retried says to come back.
const RETRY_AFTER_TIME: Duration = Duration::from_secs(1);

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<Box<str>>) -> Self {
        Self::of(ErrorEvent::new(code, message))
    }

    /// A channel that cannot be read.
    pub(crate) fn of_channel(channel: ChannelName, code: Code) -> Self {
        let refused = refused_by_rule(&channel, code);
        Self::of_refused(Some(channel), refused)
    }

    /// A caller who is not let in.
    pub(crate) fn of_caller(refused: Refused) -> Self {
        Self::of_refused(None, refused)
    }

    /// What a hook refuses.
    pub(crate) fn of_refused(channel: Option<ChannelName>, refused: Refused) -> Self {
        let retry_after = refused.retry_after();
        Self::of(ErrorEvent { channel, retry_after, ..ErrorEvent::new(refused.code(), refused.message()) })
    }

    /// Refuses whoever comes while the node ends its connections.
    ///
    /// # Errors
    /// The refusal.
    pub(crate) fn of_draining(hub: &Hub) -> Result<(), Self> {
        hub.draining().map_or(Ok(()), |_| Err(Self::new(Code::Draining, GOING_AWAY)))
    }

    pub(crate) fn of(event: ErrorEvent) -> Self {
        Self { status: status(event.code), event, allow: None }
    }

    /// A method that the endpoint does not have; `allow` lists those that it has.
    pub(crate) fn method(allow: &'static str) -> Self {
        let refusal = Self::new(Code::BadRequest, format!("the methods here are {allow}"));
        Self { allow: Some(allow), ..refusal.with_status(StatusCode::METHOD_NOT_ALLOWED) }
    }

    /// Another status than the code's own: `bad_request` has several.
    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn code(&self) -> Code {
        self.event.code
    }

    pub(crate) fn retry_after(&self) -> Option<Duration> {
        self.event.retry_after
    }

    pub(crate) fn message(&self) -> &str {
        &self.event.message
    }

    pub(crate) fn response(mut self) -> Response {
        if self.event.code.may_retry_as_is() {
            self.event.retry_after.get_or_insert(RETRY_AFTER_TIME);
        }
        let (code, retry_after) = (self.event.code, self.event.retry_after);
        let mut response = json_response(self.status, Event::Error(self.event).to_json().into());
        let headers = response.headers_mut();
        if let Some(time) = retry_after {
            // The header has whole seconds.
            headers.insert(RETRY_AFTER, HeaderValue::from(time.as_secs() + u64::from(time.subsec_nanos() > 0)));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        told(response, code)
    }
}

impl From<QueryError> for Refusal {
    fn from(error: QueryError) -> Self {
        Self::of(ErrorEvent { channel: error.channel, ..ErrorEvent::new(error.code, error.message) })
    }
}

/// Tells a reader who resumes of a channel that is refused, among what it is told of the others (protocol, section 6,
/// "Refused channels").
///
/// # Errors
/// The refusal of the whole request, where it may be tried again: the channel is none to be unsubscribed.
pub(crate) fn told_in_band(channel: ChannelName, refused: Refused) -> Result<Event, Refusal> {
    let code = refused.code();
    if code.may_retry_as_is() {
        return Err(Refusal::of_refused(Some(channel), refused));
    }
    Ok(Event::Unsubscribed(Unsubscribed { channel, code: Some(code), reference: None }))
}

/// What a response tells, for whoever counts.
#[derive(Debug, Clone, Copy)]
struct Told(Code);

/// A response that tells this code.
pub(crate) fn told(mut response: Response, code: Code) -> Response {
    response.extensions_mut().insert(Told(code));
    response
}

/// Counts a request that came to nothing.
pub(crate) fn count(response: &Response, transport: Transport) {
    if let Some(Told(code)) = response.extensions().get() {
        metrics::refused(*code, transport);
    }
}

/// The status that tells a code.
pub(crate) fn status(code: Code) -> StatusCode {
    // Only `slow_reader` has none, and no answer reaches a reader who takes none.
    code.http().and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::SERVICE_UNAVAILABLE)
}

/// An answer of JSON that nobody may keep.
pub(crate) fn json_response(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
