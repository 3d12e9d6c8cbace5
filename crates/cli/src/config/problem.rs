//! What is wrong with a file, and where.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;

use tricast::core::channel::{PatternProblem, RuleError};

use crate::backplane::UnknownBackplane;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read {}", file.display())]
    Unreadable { file: PathBuf, source: io::Error },
    #[error("{} has more than {most} bytes", file.display())]
    TooLarge { file: PathBuf, most: u64 },
    #[error(transparent)]
    Invalid(Problems),
}

/// All that was found wrong with a file, in the order of its lines.
#[derive(Debug)]
pub(crate) struct Problems {
    pub(super) file: PathBuf,
    pub(super) list: Vec<Problem>,
}

impl std::error::Error for Problems {}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, list } = self;
        let file = file.display();
        let number = list.len();
        write!(f, "{file} cannot be used; {number} {}", if number == 1 { "problem:" } else { "problems:" })?;
        list.iter().try_for_each(|problem| write!(f, "\n{file}:{problem}"))
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) line: usize,
    /// `section.key`; empty where the text is no TOML.
    pub(super) key: String,
    pub(super) fault: Fault,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, key, fault } = self;
        if key.is_empty() { write!(f, "{line}: {fault}") } else { write!(f, "{line}: {key}: {fault}") }
    }
}

/// What reading leaves beside the values.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) problems: Vec<Problem>,
    /// Every key that was asked for: those that there are.
    pub(super) known: BTreeSet<String>,
}

impl Notes {
    pub(super) fn problem(&mut self, line: usize, key: impl Into<String>, fault: Fault) {
        self.problems.push(Problem { line, key: key.into(), fault });
    }
}

/// What is wrong. Texts are told as they stand in the file: what a variable holds may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("this is no TOML: {0}")]
    Syntax(String),
    #[error("unknown key; known here: {}", .0.join(", "))]
    Unknown(Vec<&'static str>),
    #[error("is missing")]
    Missing,
    #[error("must be {expected}, not {found}")]
    Type { expected: &'static str, found: &'static str },
    #[error("{written:?} is not {expected}")]
    Text { written: String, expected: &'static str },
    #[error("must not be zero")]
    Zero,
    #[error("must not be negative")]
    Negative,
    #[error("is too large; the most is {0}")]
    TooLarge(String),
    #[error("must not be empty")]
    Empty,
    #[error("there is none, so nothing would be served; {HOW_TO_RULE}")]
    NoChannel,
    #[error("write [[channel]], with two brackets, for each")]
    OneChannel,
    #[error("the environment has no variable {0}")]
    Unset(String),
    #[error("the environment's variable {0} is not Unicode")]
    NotUnicode(String),
    #[error("${{{0}}} is not a variable: its name is letters, digits and _ (write $${{ for the text ${{)")]
    VariableName(String),
    #[error("a ${{ is not closed (write $${{ for the text ${{)")]
    Unclosed,
    #[error("cannot read {}: {problem}", file.display())]
    File { file: PathBuf, problem: String },
    #[error("{}: {problem}", file.display())]
    Key { file: PathBuf, problem: String },
    #[error("is a public key, which everybody has; name its file in jwt_public_key")]
    PublicSecret,
    #[error("there is a key already, on line {0}: use one of jwt_hs256, jwt_public_key and jwt_keys")]
    TwoKeys(usize),
    #[error("means nothing without a key (jwt_hs256, jwt_public_key or jwt_keys)")]
    NoKey,
    #[error("{0}")]
    Pattern(PatternProblem),
    #[error("matches the same channels as the pattern on line {0}, so it is never reached")]
    Unreachable(usize),
    #[error("{0:?} is fulfilled by nobody, because [auth] has no key by which to know anybody")]
    NobodyKnown(&'static str),
    #[error("\"self\" is whom {{{0}}} stands for, and the pattern has no {{{0}}}")]
    NoOwner(&'static str),
    #[error("true needs subscribe = \"anyone\"")]
    NotForAnyone,
    #[error("true needs [auth] required = false, for what a cache hands out has no caller to ask for a token")]
    TokenRequired,
    #[error("{0}")]
    Rule(RuleError),
    #[error("{0}")]
    Backplane(UnknownBackplane),
    #[error("{0} is not in this build yet")]
    NotYet(&'static str),
}

/// What to write where no rule is.
pub(crate) const HOW_TO_RULE: &str = "a rule looks like this:

    [[channel]]
    pattern = \"chat:{room}\"
    subscribe = \"anyone\"
    publish = \"anyone\"";
