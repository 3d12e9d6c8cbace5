//! `tricast serve`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use clap::Args;
use tricast::{Access, BuildError, Builder, Rule, Tricast};

use crate::config::{Config, ConfigError, HOW_TO_RULE, Serving};

/// What `serve` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The address to listen on; port 0 picks a free one [default: the file's, or 127.0.0.1:8000].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Serves what this file says; see docs/configuration.md.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// For development: every channel is open to everyone, to read and to publish.
    ///
    /// `state:…` channels are states of up to 10,000 keys, all others streams that keep their newest 1,000 messages for an
    /// hour. Only requests whose Host is a loopback name or the listen address are answered. Takes no file, for none
    /// of its rules would hold.
    #[arg(long, conflicts_with = "config")]
    dev: bool,
}

/// Why the server did not run, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// Closed by default: a server without rules would serve nothing.
    #[error(
        "no channel exists, because no rule says so; \
        `tricast serve --dev` opens every channel to everyone, for development; \
        `tricast serve --config tricast.toml` takes rules from a file, where {HOW_TO_RULE}"
    )]
    NoRules,
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot listen on {addr}")]
    Listen { addr: SocketAddr, source: io::Error },
    #[error("cannot start")]
    Build(#[source] BuildError),
    #[error("cannot serve")]
    Serve(#[source] io::Error),
}

/// Serves until asked to stop, then drains.
pub(crate) async fn run(options: Options) -> Result<(), ServeError> {
    let (builder, serving) = match &options.config {
        Some(file) => {
            let (builder, serving) = Config::load(file)?.apply();
            (Some(builder), serving)
        }
        None if options.dev => (None, Serving::default()),
        None => return Err(ServeError::NoRules),
    };
    // Before the address is told: whoever knows it may ask to stop.
    let asked_to_stop = tricast::shutdown_signal();
    let addr = options.listen.unwrap_or(serving.listen);
    let cannot_listen = |source| ServeError::Listen { addr, source };
    let listener = tricast::bind(addr).await.map_err(cannot_listen)?;
    let addr = listener.local_addr().map_err(cannot_listen)?;
    let builder = builder.unwrap_or_else(|| open_to_everyone(addr));
    let tricast = builder.build().await.map_err(ServeError::Build)?;
    let serve = serving.configure(tricast::serve(listener, app(&tricast, &serving.mount)));

    announce(addr);
    serve.shutdown(asked_to_stop).drains(&tricast).await.map_err(ServeError::Serve)
}

/// What `--dev` promises.
fn open_to_everyone(addr: SocketAddr) -> Builder {
    let state = Rule::state().publish(Access::Anyone).presence();
    let stream = Rule::stream().keep(1_000).ttl(Duration::from_secs(3_600)).publish(Access::Anyone).presence();
    Tricast::builder().rule("state:{any}", state).rule("{any}", stream).local_only(addr)
}

fn app(tricast: &Tricast, mount: &str) -> Router {
    Router::new().route("/healthz", get(async || "ok")).nest(mount, tricast.router())
}

/// Prints the one line that stdout is for.
fn announce(addr: SocketAddr) {
    if let Err(error) = writeln!(io::stdout(), "listening on http://{addr}") {
        tracing::warn!(%error, "nobody reads stdout; listening on http://{addr}");
    }
}
