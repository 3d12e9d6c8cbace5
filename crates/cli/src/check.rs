//! `tricast check-config`.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use tricast::BuildError;

use crate::config::{Config, ConfigError};

/// What `check-config` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The file to check.
    #[arg(value_name = "FILE", default_value = "tricast.toml")]
    file: PathBuf,
}

/// Why a file cannot be served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{} cannot be served", file.display())]
    Build { file: PathBuf, source: BuildError },
}

/// Prints what would be served, once it has been built as `serve` builds it.
///
/// # Errors
/// All that is wrong with the file.
pub(crate) async fn run(Options { file }: Options) -> Result<(), CheckError> {
    let config = Config::load(&file)?;
    let summary = config.to_string();
    let (builder, _) = config.apply();
    builder.build().await.map_err(|source| CheckError::Build { file, source })?;
    // Who reads no further has seen what they wanted; the exit code tells the rest.
    let _ = write!(io::stdout(), "{summary}");
    Ok(())
}
