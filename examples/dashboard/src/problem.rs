//! What the application's own routes refuse, and how they say it.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tricast::PublishError;

use crate::notify::MOST_TEXT;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    /// The session's cookie is missing, or of a session that is no more.
    #[error("nobody is signed in: open the page first, its cookie is the session")]
    SignedOut,
    /// The request names somebody who is not there.
    #[error("there is no visitor {0}")]
    UnknownVisitor(u64),
    /// A notification says nothing, or too much.
    #[error("a notification's text has 1 to {MOST_TEXT} characters, not {0}")]
    Text(usize),
    /// Too much is under way.
    #[error("too much is under way, try again later")]
    Busy,
    /// A channel did not take a message.
    #[error("it could not be published")]
    Publish(#[from] PublishError),
    /// The system gave no random bits.
    #[error("no session could be opened")]
    Entropy(#[from] getrandom::Error),
}

impl Problem {
    fn status(&self) -> StatusCode {
        match self {
            Self::SignedOut => StatusCode::UNAUTHORIZED,
            Self::UnknownVisitor(_) => StatusCode::NOT_FOUND,
            Self::Text(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::TOO_MANY_REQUESTS,
            Self::Publish(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Entropy(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Told {
            error: String,
        }
        if let Some(cause) = std::error::Error::source(&self) {
            tracing::warn!(%cause, "{self}");
        }
        (self.status(), Json(Told { error: self.to_string() })).into_response()
    }
}
