//! `tricast.toml`: what a file says, and all that is wrong with it.
//!
//! The text becomes a tree in which everything knows its line. Each section of the file is a module that asks a
//! [`Section`](section::Section) for its keys one by one: what is not as it should be is noted and left out, and so is
//! what nobody asked for. So one run tells as many problems as can be told, and a [`Config`] exists only without any.
//!
//! Paths in the file are relative to the folder that it is in.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

mod apply;
mod auth;
mod channel;
mod limits;
mod problem;
mod section;
mod server;
mod summary;
mod value;
mod variables;

pub(crate) use apply::{Serving, Signing};
pub(crate) use problem::{ConfigError, HOW_TO_RULE};
pub(crate) use value::parse_time;

use crate::backplane::Backplane;

use self::auth::Auth;
use self::channel::ChannelRule;
use self::limits::Limits;
use self::problem::{Fault, Notes, Problems};
use self::section::{Section, Source};
use self::server::Server;
use self::value::text;
use self::variables::Environment;

/// What a file says, with the defaults of what it does not say.
#[derive(Debug)]
pub(crate) struct Config {
    file: PathBuf,
    server: Server,
    auth: Option<Auth>,
    limits: Limits,
    backplane: Backplane,
    /// In the order of the file: the first that matches decides.
    channels: Vec<ChannelRule>,
}

impl Config {
    /// Reads a file, with the variables of the process's environment.
    ///
    /// # Errors
    /// The file cannot be read, or all that is wrong with it.
    pub(crate) fn load(file: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
        let mut text = String::new();
        let opened = File::open(file).map_err(unreadable)?;
        opened.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(unreadable)?;
        if text.len() as u64 > MOST_BYTES {
            return Err(ConfigError::TooLarge { file: file.to_owned(), most: MOST_BYTES });
        }
        Self::read(file, &text, &|name| std::env::var(name)).map_err(ConfigError::Invalid)
    }

    fn read(file: &Path, text: &str, environment: Environment<'_>) -> Result<Self, Problems> {
        let mut notes = Notes::default();
        let config = Self::noting(file, text, environment, &mut notes);
        let mut list = notes.problems;
        list.sort_by_key(|problem| problem.line);
        match config {
            Some(config) if list.is_empty() => Ok(config),
            _ => Err(Problems { file: file.to_owned(), list }),
        }
    }

    /// Reads what can be read, and notes what is wrong with the rest. `None` where the text is no TOML: what could be
    /// guessed of it would be wrong in ways of its own.
    fn noting(file: &Path, text: &str, environment: Environment<'_>, notes: &mut Notes) -> Option<Self> {
        let source = Source::new(text, environment);
        let (table, faults) = DeTable::parse_recoverable(text);
        for fault in &faults {
            // Its own text shows the line, and so perhaps a secret.
            notes.problem(source.line(fault.span().unwrap_or_default()), "", Fault::Syntax(fault.message().to_owned()));
        }
        if !faults.is_empty() {
            return None;
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut root = Section::root(&source, table.get_ref(), notes);
        let server = root.table("server", |section| server::read(section, folder));
        let auth = root.table("auth", |section| auth::read(section, folder));
        let limits = root.table("limits", limits::read);
        let backplane = root.table("backplane", backplane);
        let mut reader = channel::Reader::new(&auth);
        let channels = root.tables("channel", Fault::OneChannel, |section| reader.read(section));
        if !root.has("channel") {
            root.problem("channel", root.line(), Fault::NoChannel);
        }
        root.finish();
        Some(Self { file: file.to_owned(), server, auth: auth.known(), limits, backplane, channels })
    }
}

fn backplane(section: &mut Section<'_>) -> Backplane {
    section.or("url", Backplane::Memory, |value| text(value)?.parse().map_err(Fault::Backplane))
}

/// Bytes of a file. A larger one is none that somebody wrote.
const MOST_BYTES: u64 = 1024 * 1024;

#[cfg(test)]
mod tests;
