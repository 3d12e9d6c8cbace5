//! A dashboard: the numbers of a shop and of this machine, one page that shows them as they change.
//!
//! `cargo run -p dashboard` prints the address to open. What is told to everybody are *state* channels, which the page
//! reads by `/rt/client.js`; what is told to one visitor comes by a plain `EventSource` on the application's own route.

use std::error::Error;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use clap::Parser;
use tracing_subscriber::EnvFilter;
use tricast::auth::{Authenticated, FromRequest};
use tricast::{Access, BuildError, Rule, Tricast, User};

mod board;
mod jobs;
mod machine;
mod metric;
mod notify;
mod page;
mod problem;
mod session;
mod shop;
mod state;
#[cfg(test)]
mod tests;

use session::{Sessions, Visitor};
use state::App;

/// A shop and this machine, live in the browser.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Where to listen; port 0 takes a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3001")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Options { listen } = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .init();

    let listener = tricast::bind(listen).await.map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let listen = listener.local_addr()?;
    let app = App::new(channels(listen).await?);
    // Before anybody can look: the first paint of the first visitor is whole.
    board::open(&app).await?;
    tokio::spawn(board::run_shop(app.clone()));
    tokio::spawn(board::run_machine(app.clone()));
    // Before the address is known to anybody: from then on a signal means "drain".
    let asked_to_stop = tricast::shutdown_signal();

    let mut out = io::stdout();
    writeln!(out, "listening on http://{listen}")?;
    out.flush()?;

    tricast::serve(listener, routes(&app)).shutdown(asked_to_stop).drains(&app.tricast).await?;
    Ok(())
}

/// What there is to read: numbers by board and products for anybody, jobs and notifications for their owners.
/// Only this program publishes.
async fn channels(listen: SocketAddr) -> Result<Tricast, BuildError> {
    let who = |Extension(visitor): Extension<Visitor>| Some(Authenticated::user(User::new(visitor.user_id()?)));
    let builder = Tricast::builder()
        .authenticate(FromRequest::new(who).optional())
        .rule("metrics:{board}", Rule::state().keep(32))
        .rule("products", Rule::state().keep(shop::PRODUCTS as u64))
        .rule("jobs:{user}", Rule::state().keep(8).ttl(Duration::from_secs(600)).subscribe(Access::Owner))
        .rule("user:{user}", Rule::stream().keep(100).subscribe(Access::Owner));
    // Who listens on another address wants to be reached by names that only they know.
    let builder = if listen.ip().is_loopback() { builder.local_only(listen) } else { builder };
    builder.build().await
}

/// The page at `/`, the application's own routes, the channels at `/rt`; the session is known to all of them.
fn routes(app: &App) -> Router {
    Router::new()
        .merge(page::routes())
        .route("/api/notifications", get(notify::notifications))
        .route("/notify", post(notify::notify))
        .route("/orders", post(notify::order))
        .route("/jobs", post(jobs::start))
        .nest("/rt", app.tricast.router())
        .layer(middleware::from_fn_with_state::<_, Sessions, _>(app.sessions.clone(), session::session))
        .layer(DefaultBodyLimit::max(MOST_BODY))
        .with_state(app.clone())
}

/// Bytes of a body that the application's own routes read. The channels have a bound of their own.
const MOST_BODY: usize = 8 * 1024;
