//! `tricast serve`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Args;
use tricast::{Access, BuildError, Rule, Tricast};

/// What `serve` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8000")]
    listen: SocketAddr,

    /// For development: every channel is open to everyone, to read and to publish.
    ///
    /// `state:…` channels are states of up to 10,000 keys, all others streams that keep their newest 1,000 messages for an
    /// hour. Only requests whose Host is a loopback name or the listen address are answered.
    #[arg(long)]
    dev: bool,
}

/// Why the server did not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Closed by default: a server without rules would serve nothing.
    #[error(
        "no channel exists, because no rule says so; \
        `tricast serve --dev` opens every channel to everyone, for development"
    )]
    NoRules,
    #[error("cannot listen on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot start")]
    Build(#[source] BuildError),
    #[error("cannot serve")]
    Serve(#[source] io::Error),
}

/// Serves until asked to stop, then drains.
pub(crate) async fn run(options: Options) -> Result<(), ServeError> {
    if !options.dev {
        return Err(ServeError::NoRules);
    }
    // Before the address is told: whoever knows it may ask to stop.
    let asked_to_stop = tricast::shutdown_signal();
    let addr = options.listen;
    let cannot_listen = |source| ServeError::Listen { addr, source };
    let listener = tricast::bind(addr).await.map_err(cannot_listen)?;
    let addr = listener.local_addr().map_err(cannot_listen)?;
    let tricast = open_to_everyone(addr).await.map_err(ServeError::Build)?;

    announce(addr);
    tricast::serve(listener, app(&tricast)).shutdown(asked_to_stop).drains(&tricast).await.map_err(ServeError::Serve)
}

/// What `--dev` promises.
async fn open_to_everyone(addr: SocketAddr) -> Result<Tricast, BuildError> {
    let state = Rule::state().publish(Access::Anyone).presence();
    let stream = Rule::stream().keep(1_000).ttl(Duration::from_secs(3_600)).publish(Access::Anyone).presence();
    Tricast::builder().rule("state:{any}", state).rule("{any}", stream).local_only(addr).build().await
}

fn app(tricast: &Tricast) -> Router {
    Router::new().route("/healthz", get(async || "ok")).nest("/rt", tricast.router())
}

/// Prints the one line that stdout is for.
fn announce(addr: SocketAddr) {
    if let Err(error) = writeln!(io::stdout(), "listening on http://{addr}") {
        tracing::warn!(%error, "nobody reads stdout; listening on http://{addr}");
    }
}
