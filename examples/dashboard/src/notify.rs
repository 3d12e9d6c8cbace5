//! Notifications: a stream for each visitor, read by a plain `EventSource` on the application's own route.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use tricast::{Draft, PublishError, SseRequest, Start, Tricast};

use crate::problem::Problem;
use crate::session::Visitor;
use crate::state::App;

/// Characters that the text of a notification may have.
pub(crate) const MOST_TEXT: usize = 500;

/// How many notifications a page begins with.
const SHOWN: u64 = 20;

/// After how long an order is packed, and after how long more it is on its way.
const PACKING: Duration = Duration::from_secs(2);
const LOADING: Duration = Duration::from_secs(3);

/// `GET /api/notifications`: what concerns this visitor. After a drop the browser brings `Last-Event-ID`, and is given
/// what it missed.
pub(crate) async fn notifications(State(tricast): State<Tricast>, visitor: Visitor, request: SseRequest) -> Response {
    tricast.sse(request).channel(channel(visitor)).start(Start::Last(SHOWN)).respond()
}

/// What `POST /notify` takes.
#[derive(Debug, Deserialize)]
pub(crate) struct Notify {
    text: String,
    /// Whom to tell; without it the caller.
    visitor: Option<u64>,
}

/// `POST /notify`: tells a visitor something.
pub(crate) async fn notify(
    State(app): State<App>,
    caller: Result<Visitor, Problem>,
    Json(Notify { text, visitor }): Json<Notify>,
) -> Result<impl IntoResponse, Problem> {
    let visitor = match visitor {
        Some(number) => Visitor(number),
        None => caller?,
    };
    if !app.sessions.knows(visitor) {
        return Err(Problem::UnknownVisitor(visitor.0));
    }
    let length = text.chars().count();
    if text.trim().is_empty() || length > MOST_TEXT {
        return Err(Problem::Text(length));
    }
    tell(&app.tricast, visitor, &Notice::new("note", "Notification", text), None).await?;
    Ok(StatusCode::ACCEPTED)
}

/// What `POST /orders` answers.
#[derive(Debug, Serialize)]
pub(crate) struct Ordered {
    order: u64,
}

/// `POST /orders`: orders a few things. What becomes of them is told by notifications.
pub(crate) async fn order(State(app): State<App>, visitor: Visitor) -> Result<impl IntoResponse, Problem> {
    let permit = app.take_work()?;
    let order = app.next_number();
    let basket = app.shop().order();
    let said = format!("{} · {}", basket.names.join(", "), euros(basket.total));
    tell_of_order(&app.tricast, visitor, order, "received", said).await?;
    tokio::spawn(async move {
        let steps = [(PACKING, "packed", "Somebody found it all."), (LOADING, "shipped", "The van has left.")];
        for (after, stage, said) in steps {
            tokio::time::sleep(after).await;
            if let Err(problem) = tell_of_order(&app.tricast, visitor, order, stage, said.to_owned()).await {
                tracing::warn!(%problem, order, "nobody could be told of an order");
            }
        }
        drop(permit);
    });
    Ok((StatusCode::ACCEPTED, Json(Ordered { order })))
}

/// A notification, as it is shown.
#[derive(Debug, Serialize)]
struct Notice {
    kind: &'static str,
    title: String,
    text: String,
    /// When it was, in milliseconds since 1970.
    at: u64,
}

impl Notice {
    fn new(kind: &'static str, title: impl Into<String>, text: String) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { kind, title: title.into(), text, at: u64::try_from(since.as_millis()).unwrap_or_default() }
    }
}

async fn tell_of_order(
    tricast: &Tricast,
    visitor: Visitor,
    order: u64,
    stage: &'static str,
    text: String,
) -> Result<(), PublishError> {
    tell(tricast, visitor, &Notice::new(stage, format!("Order {order} {stage}"), text), Some("order")).await
}

async fn tell(
    tricast: &Tricast,
    visitor: Visitor,
    notice: &Notice,
    event: Option<&'static str>,
) -> Result<(), PublishError> {
    let draft = Draft::json(notice)?;
    let draft = if let Some(event) = event { draft.event(event) } else { draft };
    tricast.publish(&channel(visitor), draft).await.map(drop)
}

fn channel(visitor: Visitor) -> String {
    format!("user:{visitor}")
}

/// Cents, as people write them.
pub(crate) fn euros(cents: u64) -> String {
    let whole = (cents / 100).to_string();
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    format!("€{grouped}.{:02}", cents % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_as_people_do() {
        assert_eq!([0, 5, 99_999, 123_456_789].map(euros), ["€0.00", "€0.05", "€999.99", "€1,234,567.89"]);
    }
}
