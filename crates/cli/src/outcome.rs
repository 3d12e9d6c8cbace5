//! How a command ends, and what is told of it.

use std::error::Error;
use std::process::ExitCode;

use crate::text::printable;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it was asked for.
    Done,
    /// It would have gone on, but for Ctrl-C.
    Interrupted,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::Interrupted => INTERRUPTED.into(),
        }
    }
}

/// Tells what went wrong, in one line that begins with `error:`, and how to exit.
pub(crate) fn told(outcome: Result<Outcome, impl Error>) -> ExitCode {
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            tell(&error);
            ExitCode::FAILURE
        }
    }
}

/// Tells what went wrong.
pub(crate) fn tell(error: &dyn Error) {
    eprintln!("error: {}", with_causes(error));
}

/// The error and what caused it, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        line = format!("{line}: {error}");
        cause = error.source();
    }
    printable(&line).into_owned()
}

/// Resolves at Ctrl-C. Where that cannot be watched it keeps its ordinary effect, and this never resolves.
pub(crate) async fn interrupt() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        tracing::warn!(%error, "cannot watch for Ctrl-C");
        std::future::pending::<()>().await;
    }
}

/// 128 and the number of SIGINT, as shells have it.
const INTERRUPTED: u8 = 130;
