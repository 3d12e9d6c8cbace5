//! The one subscribe query, read from a request: by GET in its URL, by POST in its body.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use tokio::time::timeout;
use tricast_core::access::Identity;
use tricast_core::limits::{BODY_SECONDS, QUERY_BODY_BYTES_PER_CHANNEL};
use tricast_core::protocol::{Code, Endpoint, Start, SubscribeQuery, SubscribeTo};

use super::refusal::Refusal;
use crate::auth::Login;
use crate::edge::Ticket;
use crate::hooks::{Connected, Permits, Subscriber, Transport};
use crate::hub::Hub;

const BODY_TIMEOUT: Duration = Duration::from_secs(BODY_SECONDS);

/// The header that an `EventSource` brings its last id in.
const LAST_EVENT_ID: &str = "last-event-id";

/// What `sse` and `poll` answer to.
pub(crate) const METHODS: &str = "GET, POST, OPTIONS";

/// Which endpoint reads the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Sse,
    Poll,
}

/// Who asks for what.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) ticket: Ticket,
    pub(crate) login: Login,
    pub(crate) query: SubscribeQuery,
}

/// Finds room for a request to `sse` or `poll`, finds out who makes it, reads its query, and refuses
/// what the rules refuse.
///
/// # Errors
/// The refusal to answer with.
pub(crate) async fn read(hub: &Hub, reading: Reading, request: Request) -> Result<Asked, Refusal> {
    let (parts, body) = request.into_parts();
    if parts.method != Method::GET && parts.method != Method::POST {
        return Err(Refusal::method(METHODS));
    }
    let (transport, last_event_id) = match reading {
        Reading::Sse => (Transport::Sse, last_event_id(&parts.headers)),
        Reading::Poll => (Transport::Poll, None),
    };
    // Before anything of a body is read: who may not come in costs nothing more.
    let mut ticket = hub.admit(&parts).map_err(Refusal::of_caller)?;
    let login = hub.log_in_request(&parts, transport).await.map_err(Refusal::of_caller)?;
    hub.claim(&mut ticket, &login.who).map_err(Refusal::of_caller)?;
    let endpoint = match reading {
        Reading::Sse => Endpoint::Sse { last_event_id: last_event_id.as_deref() },
        Reading::Poll => Endpoint::Poll,
    };
    let query = if parts.method == Method::GET {
        SubscribeQuery::parse_get(parts.uri.query().unwrap_or_default(), endpoint)?
    } else {
        check_json(&parts.headers)?;
        let most = hub.config.channels_per_connection;
        let text = text(body, most.saturating_mul(QUERY_BODY_BYTES_PER_CHANNEL)).await?;
        SubscribeQuery::parse_post(&text, endpoint, most)?
    };
    admit(hub, &login.who, &query)?;
    Ok(Asked { ticket, login, query })
}

/// Refuses a query whose channels the rules refuse, before anybody else is asked.
fn admit(hub: &Hub, who: &Identity, query: &SubscribeQuery) -> Result<(), Refusal> {
    let most = hub.config.channels_per_connection;
    if query.channels.len() > most {
        return Err(Refusal::new(Code::TooManyChannels, format!("more than {most} channels")));
    }
    judge(query, |to| refused_by_rule(hub, who, to))
}

/// That a caller was let in, and what it may read.
#[derive(Debug, Default)]
pub(crate) struct Admitted {
    /// Held for as long as the connection lives.
    _connected: Connected,
    pub(crate) permits: Permits,
}

/// Asks the application whether it lets a caller in, and which of the channels that the rules allow it lets it read.
///
/// # Errors
/// The refusal to answer with.
pub(crate) async fn ask(
    hub: &Arc<Hub>,
    who: &Identity,
    transport: Transport,
    query: &SubscribeQuery,
) -> Result<Admitted, Refusal> {
    let client = query.client.as_ref();
    let connected = hub.connected(who, client, transport).await;
    let connected = connected.map_err(Refusal::of_caller)?;
    let channels = query.channels.iter().map(|to| &to.name);
    let Some(answer) = hub.begin_permits(Subscriber { caller: who, client, transport }, channels) else {
        return Ok(Admitted { _connected: connected, permits: Permits::default() });
    };
    let permits = answer.get().await.unwrap_or_else(Permits::from);
    judge(query, |to| {
        let refused = permits.refusal(&to.name).cloned();
        let of_application = refused.map(|refused| Refusal::of_refused(Some(to.name.clone()), refused));
        of_application.or_else(|| refused_by_rule(hub, who, to))
    })?;
    Ok(Admitted { _connected: connected, permits })
}

fn refused_by_rule(hub: &Hub, who: &Identity, to: &SubscribeTo) -> Option<Refusal> {
    let code = hub.allow_subscribe(who, to).err()?;
    Some(Refusal::of_channel(to.name.clone(), code))
}

/// Refuses a query whose channels are refused: any of them to a reader who is new, all of them to one who resumes and
/// will be told of the others in band (protocol, section 6, "Refused channels").
///
/// A reader who names a position as a channel's `from` resumes as well.
fn judge(query: &SubscribeQuery, refusal: impl Fn(&SubscribeTo) -> Option<Refusal>) -> Result<(), Refusal> {
    let resumes = query.cursor.is_some() || query.channels.iter().any(|to| matches!(to.start, Some(Start::At(_))));
    let mut refused = query.channels.iter().filter_map(refusal).collect::<Vec<_>>().into_iter();
    let tolerated = if resumes { query.channels.len() - 1 } else { 0 };
    if refused.len() <= tolerated {
        return Ok(());
    }
    refused.next().map_or(Ok(()), Err)
}

/// What an `EventSource` remembers; bytes that are no text make it unreadable, not absent.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<String> {
    headers.get(LAST_EVENT_ID).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Refuses a body that is not declared as JSON, so that a cross-site form cannot post.
pub(crate) fn check_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let declared = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    let refusal = Refusal::new(Code::BadRequest, "the Content-Type must be application/json");
    Err(refusal.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE))
}

/// Reads a body of at most `most` bytes as text.
pub(crate) async fn text(body: Body, most: usize) -> Result<String, Refusal> {
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, most).collect()).await;
    let collected = collected.map_err(|_| {
        let message = format!("the body took longer than {BODY_SECONDS} s");
        Refusal::new(Code::Timeout, message)
    })?;
    let collected = collected.map_err(|error| {
        if error.is::<http_body_util::LengthLimitError>() {
            Refusal::new(Code::TooLarge, format!("the body has more than {most} bytes"))
        } else {
            Refusal::new(Code::BadRequest, "the body could not be read to its end")
        }
    })?;
    String::from_utf8(collected.to_bytes().into())
        .map_err(|_| Refusal::new(Code::BadRequest, "the body is not UTF-8 text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_takes_too_long_is_a_timeout() {
        let never = futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let refused = timeout(2 * BODY_TIMEOUT, text(Body::from_stream(never), 10)).await.expect("it ends");
        assert_eq!(refused.unwrap_err().code(), Code::Timeout);
    }

    #[tokio::test]
    async fn a_body_has_so_many_bytes_and_no_more() {
        assert_eq!(text(Body::from("0123456789"), 10).await.unwrap(), "0123456789");
        assert_eq!(text(Body::from("0123456789a"), 10).await.unwrap_err().code(), Code::TooLarge);
    }
}
