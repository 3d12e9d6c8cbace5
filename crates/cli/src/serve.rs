//! `tricast serve`.

mod operations;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use tricast::{Access, Builder, Rule, Tricast};

use crate::backplane::{Backplane, StartError, StoreUrl};
use crate::config::{Config, ConfigError, HOW_TO_RULE, Serving};
use crate::outcome::Outcome;

/// What `serve` is told on the command line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The address to listen on; port 0 picks a free one [default: the file's, or 127.0.0.1:8000].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Where the logs are kept: memory, redis://… or nats://… [default: the file's, or memory].
    ///
    /// Servers that name the same store are one: a client may be on any of them. Best given by the environment, where a
    /// password is not seen by who lists processes.
    #[arg(long, value_name = "URL", value_parser = StoreUrl, env = "TRICAST_BACKPLANE", hide_env_values = true)]
    backplane: Option<Backplane>,

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
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("cannot count what /metrics tells")]
    Metrics(#[source] metrics_exporter_prometheus::BuildError),
    #[error("cannot serve")]
    Serve(#[source] io::Error),
}

/// Serves until asked to stop, then drains.
pub(crate) async fn run(options: Options) -> Result<Outcome, ServeError> {
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
    let backplane = options.backplane.unwrap_or(serving.backplane.clone());
    let builder = builder.unwrap_or_else(|| open_to_everyone(addr));
    // Before anything is counted.
    let metrics = operations::count().map_err(ServeError::Metrics)?;
    let tricast = backplane.build(builder).await?;
    let serve = serving.configure(tricast::serve(listener, app(&tricast, &serving.mount, metrics)));

    announce(addr);
    serve.shutdown(asked_to_stop).drains(&tricast).await.map_err(ServeError::Serve)?;
    Ok(Outcome::Done)
}

/// What `--dev` promises.
fn open_to_everyone(addr: SocketAddr) -> Builder {
    let state = Rule::state().publish(Access::Anyone).presence();
    let stream = Rule::stream().keep(1_000).ttl(Duration::from_secs(3_600)).publish(Access::Anyone).presence();
    Tricast::builder().rule("state:{any}", state).rule("{any}", stream).local_only(addr)
}

fn app(tricast: &Tricast, mount: &str, metrics: PrometheusHandle) -> Router {
    operations::routes(tricast, metrics).nest(mount, tricast.router())
}

/// Prints the one line that stdout is for.
fn announce(addr: SocketAddr) {
    if let Err(error) = writeln!(io::stdout(), "listening on http://{addr}") {
        tracing::warn!(%error, "nobody reads stdout; listening on http://{addr}");
    }
}

const EXAMPLES: &str = "\
Examples:
  tricast serve --dev
  tricast serve --config tricast.toml --listen 0.0.0.0:8000
  tricast serve --dev --listen 127.0.0.1:8001 --backplane redis://127.0.0.1:6379

Beside the channels:
  /healthz   ok, for as long as the program answers
  /readyz    200 while it should be given connections; 503 while it drains or its backplane is down
  /metrics   counters and gauges for Prometheus; not for the public

SIGTERM and Ctrl-C drain: clients are told to come back, and it exits with 0 once they have gone.";
