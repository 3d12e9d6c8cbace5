//! `send`: commands in, their answers out. How SSE, polling, `curl` and back ends publish.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::{Method, StatusCode};
use tricast_core::protocol::{Event, command};

use super::origin::check_origin;
use super::preflight;
use super::query::{check_json, text};
use super::refusal::{Refusal, json_response};
use crate::commands::{self, Bringer, Caller};
use crate::hooks::Transport;
use crate::hub::Hub;
use crate::metrics;

const METHODS: &str = "POST, OPTIONS";

/// Answers `POST send`.
pub(crate) async fn send(State(hub): State<Arc<Hub>>, request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return preflight(METHODS);
    }
    match execute(&hub, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.response(),
    }
}

async fn execute(hub: &Arc<Hub>, request: Request) -> Result<Response, Refusal> {
    if request.method() != Method::POST {
        return Err(Refusal::method(METHODS));
    }
    check_origin(hub, &request)?;
    check_json(request.headers())?;
    let (parts, body) = request.into_parts();
    let login = hub.log_in_request(&parts, Transport::Send).await.map_err(Refusal::of_caller)?;
    let bringer = Bringer::Send { address: hub.client_addr(&parts) };
    let body = text(body, hub.config.send_body_bytes()).await?;
    let batch = command::parse(&body).map_err(|error| Refusal::of(error.into()))?;
    let single = batch.single;
    let answers = commands::execute(batch, Caller { hub, login, bringer }).await;
    Ok(if single { single_answer(answers) } else { array_answer(&answers) })
}

fn single_answer(mut answers: Vec<Event>) -> Response {
    match answers.pop() {
        Some(Event::Error(error)) => Refusal::of(error).response(),
        Some(event) => json_response(StatusCode::OK, event.to_json().into()),
        // Nothing answers a `pong`.
        None => json_response(StatusCode::OK, "[]".into()),
    }
}

fn array_answer(answers: &[Event]) -> Response {
    let mut json = vec![b'['];
    for (index, answer) in answers.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        metrics::told(answer, Transport::Send);
        answer.put_json(&mut json);
    }
    json.push(b']');
    json_response(StatusCode::OK, json.into())
}
