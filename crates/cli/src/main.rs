//! The `tricast` program: a real-time server from one command, and what one wants beside it.

use std::env;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

use self::outcome::told;

mod backplane;
mod check;
mod completions;
mod config;
mod health;
mod outcome;
mod publish;
mod remote;
mod serve;
mod subscribe;
mod text;
mod token;

/// Real-time channels over WebSocket, SSE and long-poll.
#[derive(Debug, Parser)]
#[command(name = "tricast", version, after_help = AFTER_HELP)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves channels until SIGTERM or Ctrl-C.
    Serve(serve::Options),
    /// Publishes messages.
    Pub(publish::Options),
    /// Prints what is published, through lost connections and restarts.
    Sub(subscribe::Options),
    /// Checks a configuration file, and prints what would be served.
    CheckConfig(check::Options),
    /// Makes and inspects tokens (JWT).
    #[command(subcommand)]
    Token(token::Command),
    /// Asks a server whether it is ready: for health checks of containers.
    Health(health::Options),
    /// Prints what makes a shell complete this program's arguments.
    Completions(completions::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::parse();
    let is_server = matches!(program.command, Command::Serve(_) | Command::CheckConfig(_) | Command::Token(_));
    log_to_stderr(if is_server { LevelFilter::INFO } else { LevelFilter::ERROR });
    match program.command {
        Command::Serve(options) => told(serve::run(options).await),
        Command::Pub(options) => told(publish::run(options).await),
        Command::Sub(options) => told(subscribe::run(options).await),
        Command::CheckConfig(options) => told(check::run(options).await),
        Command::Token(command) => told(token::run(command).await),
        Command::Health(options) => told(health::run(&options).await),
        Command::Completions(options) => told(completions::run(&options, &mut Program::command())),
    }
}

/// Logs go to stderr, for stdout is where other programs read. `RUST_LOG` chooses them.
fn log_to_stderr(default: LevelFilter) {
    let filter = EnvFilter::builder().with_default_directive(default.into()).from_env_lossy();
    // Below that it shows whole frames, and so the tokens that come in band, whatever `RUST_LOG` asks for.
    let filter = match "tungstenite=info".parse::<Directive>() {
        Ok(no_frames) => filter.add_directive(no_frames),
        Err(_) => filter,
    };
    let wants_colour = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let coloured = wants_colour && io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(coloured).init();
}

const AFTER_HELP: &str = "\
Exit codes:
  0    it did what it was asked for; serve: it was stopped, and drained
  1    it failed, and stderr says why
  2    the command line cannot be understood
  130  pub, sub: it was ended by Ctrl-C

Environment:
  TRICAST_URL, TRICAST_TOKEN  what --url and --token say
  NO_COLOR                    no colours, if it is not empty
  RUST_LOG                    what is logged to stderr, as info or tricast=debug";
