//! The page, embedded file by file.

use axum::extract::State;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{MethodRouter, get};
use axum::{Extension, Router};

use crate::problem::Problem;
use crate::session::Visitor;
use crate::state::App;

const SCRIPT: &str = "text/javascript";

/// The page at `/`, and what it asks for.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(page))
        .route("/page.css", file("text/css", include_str!("page/page.css")))
        .route("/table.css", file("text/css", include_str!("page/table.css")))
        .route("/page.js", file(SCRIPT, include_str!("page/page.js")))
        .route("/ask.js", file(SCRIPT, include_str!("page/ask.js")))
        .route("/chart.js", file(SCRIPT, include_str!("page/chart.js")))
        .route("/frame.js", file(SCRIPT, include_str!("page/frame.js")))
        .route("/jobs.js", file(SCRIPT, include_str!("page/jobs.js")))
        .route("/notices.js", file(SCRIPT, include_str!("page/notices.js")))
        .route("/numbers.js", file(SCRIPT, include_str!("page/numbers.js")))
        .route("/status.js", file(SCRIPT, include_str!("page/status.js")))
        .route("/table.js", file(SCRIPT, include_str!("page/table.js")))
        .route("/tiles.js", file(SCRIPT, include_str!("page/tiles.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("page/icon.svg")))
}

/// Who comes without a session gets one: what a form to sign in does elsewhere.
async fn page(State(app): State<App>, visitor: Option<Extension<Visitor>>) -> Result<impl IntoResponse, Problem> {
    let (visitor, cookie) = match visitor {
        Some(Extension(visitor)) => (visitor, None),
        None => {
            let (visitor, cookie) = app.sessions.begin()?;
            (visitor, Some((SET_COOKIE, cookie)))
        }
    };
    let text = include_str!("page/page.html").replace("{visitor}", &visitor.to_string());
    Ok((headers("text/html", "no-store"), AppendHeaders(cookie), text))
}

fn file(kind: &'static str, text: &'static str) -> MethodRouter<App> {
    get(async move || (headers(kind, "no-cache"), text))
}

/// The policy is what keeps a hole in the page from becoming somebody else's script.
fn headers(kind: &str, cache: &str) -> [(HeaderName, String); 5] {
    [
        (CONTENT_TYPE, format!("{kind}; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (REFERRER_POLICY, "no-referrer".to_owned()),
        (CACHE_CONTROL, cache.to_owned()),
    ]
}

/// `ws:` and `wss:` are for browsers to which a WebSocket of the page's own host is not `'self'`.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
