//! `tricast completions`.

use std::io::{self, Write};

use clap::{Args, Command};
use clap_complete::{Shell, generate};

use crate::outcome::Outcome;

/// What `completions` is told on the command line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The shell.
    shell: Shell,
}

/// The completions cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub(crate) struct CompletionsError(#[source] io::Error);

/// Prints the completions of the program.
///
/// # Errors
/// Standard output does not take them.
pub(crate) fn run(options: &Options, program: &mut Command) -> Result<Outcome, CompletionsError> {
    let mut script = Vec::new();
    generate(options.shell, program, "tricast", &mut script);
    io::stdout().write_all(&script).map_err(CompletionsError)?;
    Ok(Outcome::Done)
}

const EXAMPLES: &str = "\
Examples:
  tricast completions bash > ~/.local/share/bash-completion/completions/tricast
  tricast completions zsh > ~/.zfunc/_tricast
  tricast completions fish > ~/.config/fish/completions/tricast.fish";
