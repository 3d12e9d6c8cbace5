//! Why a step is red.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a step is red. Prints as one or more lines that name the culprit.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A program could not be started.
    Start { command: String, source: io::Error },
    /// A program ran and said no.
    Exit { command: String, status: ExitStatus },
    /// A file or folder could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// What the step looked for and found wrong, in its own words.
    Found(String),
}

impl Failure {
    /// Wraps an I/O error for `map_err`, naming the path it came from.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { command, source } => write!(f, "could not start `{command}`: {source}"),
            Self::Exit { command, status } => write!(f, "`{command}` ended with {status}"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Found(what) => f.write_str(what),
        }
    }
}

impl Error for Failure {}
