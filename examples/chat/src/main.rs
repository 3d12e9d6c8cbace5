//! A chat: each room is a channel, its log is the history, and the page in `page.html` is the rest.
//!
//! `cargo run -p chat` prints the address to open. Open it twice. With `--redis` several servers are one chat.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::IntoResponse;
use axum::routing::{MethodRouter, get};
use clap::Parser;
use tracing_subscriber::EnvFilter;
use tricast::{Access, Rule, Tricast};
use tricast_redis::Redis;

#[cfg(test)]
mod tests;

/// A chat in the browser, over whatever transport gets through.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: SocketAddr,

    /// The Redis that keeps the rooms, for all servers that name it: redis://127.0.0.1:6379.
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { listen, redis } = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();

    let listener = tricast::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let listen = listener.local_addr()?;
    let tricast = channels(listen, redis).await?;
    let app = app(&tricast);
    // Before the address is known to anybody: from then on a signal means "drain".
    let asked_to_stop = tricast::shutdown_signal();

    let mut out = io::stdout();
    writeln!(out, "listening on http://{listen}")?;
    out.flush()?;

    tricast::serve(listener, app).shutdown(asked_to_stop).drains(&tricast).await?;
    Ok(())
}

/// The rooms: anyone may read and write any `chat:…`, which remembers its newest 200 messages.
async fn channels(listen: SocketAddr, redis: Option<String>) -> Result<Tricast, Box<dyn Error>> {
    let rooms = Rule::stream().keep(200).publish(Access::Anyone);
    let builder = Tricast::builder().rule("chat:{room}", rooms);
    // Who listens on another address wants to be reached by names that only they know.
    let builder = if listen.ip().is_loopback() { builder.local_only(listen) } else { builder };
    let builder = match redis {
        Some(url) => builder.backplane(Redis::connect(url).await?),
        None => builder,
    };
    Ok(builder.build().await?)
}

/// The page at `/`, the channels at `/rt`.
fn app(tricast: &Tricast) -> Router {
    Router::new()
        .route("/", file("text/html", include_str!("page.html")))
        .route("/page.css", file("text/css", include_str!("page.css")))
        .route("/page.js", file("text/javascript", include_str!("page.js")))
        .route("/log.js", file("text/javascript", include_str!("log.js")))
        .route("/memory.js", file("text/javascript", include_str!("memory.js")))
        .route("/message.js", file("text/javascript", include_str!("message.js")))
        .route("/status.js", file("text/javascript", include_str!("status.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("icon.svg")))
        .nest("/rt", tricast.router())
}

/// One embedded file of the page. The policy is what keeps a hole in the page from becoming somebody else's script.
fn file(kind: &'static str, text: &'static str) -> MethodRouter {
    get(async move || {
        let headers = [
            (CONTENT_TYPE, format!("{kind}; charset=utf-8")),
            (CONTENT_SECURITY_POLICY, POLICY.to_owned()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
            (REFERRER_POLICY, "no-referrer".to_owned()),
            (CACHE_CONTROL, "no-cache".to_owned()),
        ];
        (headers, text).into_response()
    })
}

/// `ws:` and `wss:` are for browsers to which a WebSocket of the page's own host is not `'self'`.
const POLICY: &str = "default-src 'self'; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";
