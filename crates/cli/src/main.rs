//! The `tricast` program: a real-time server from one command.

use std::error::Error;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{Directive, LevelFilter};

mod check;
mod config;
mod serve;

/// Real-time channels over WebSocket, SSE and long-poll.
#[derive(Debug, Parser)]
#[command(name = "tricast", version)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve channels until SIGTERM or Ctrl-C.
    Serve(serve::Options),
    /// Checks a configuration file, and prints what would be served.
    CheckConfig(check::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let program = Program::parse();
    log_to_stderr();
    match program.command {
        Command::Serve(options) => told(serve::run(options).await),
        Command::CheckConfig(options) => told(check::run(options).await),
    }
}

fn told(outcome: Result<(), impl Error>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// Logs go to stderr, for stdout is where other programs read the address. `RUST_LOG` chooses them.
fn log_to_stderr() {
    let filter = EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    // Below that it shows whole frames, and so the tokens that come in band, whatever `RUST_LOG` asks for.
    let filter = match "tungstenite=info".parse::<Directive>() {
        Ok(no_frames) => filter.add_directive(no_frames),
        Err(_) => filter,
    };
    let coloured = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(coloured).init();
}

/// The error and what caused it, in one line.
fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    line
}
