//! Why a configured key is none.

use std::io;
use std::path::PathBuf;

use super::key::KeyProblem;
use super::key_file::JWKS_BYTES;

/// Keys by which no token can be verified. Says nothing of what is secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JwtError {
    /// The one key is not usable.
    #[error("the key is not usable: {0}")]
    Key(KeyProblem),
    /// A key of a set is not usable.
    #[error("the key {which} is not usable: {problem}")]
    KeyOfSet {
        /// Its `kid`, or its place in the set, counted from 1.
        which: String,
        /// What is wrong with it.
        problem: KeyProblem,
    },
    /// The text is no set of keys (RFC 7517, section 5).
    #[error("a key set is an object with a list of keys, and this text is none at line {line}, column {column}")]
    NoSet {
        /// The line, counted from 1.
        line: usize,
        /// The column.
        column: usize,
    },
    /// The set has no key for RS256, ES256 or EdDSA.
    #[error("the set has no key of RSA, P-256 or Ed25519 for signatures")]
    NoKey,
    /// Nobody could say which of two keys a token means.
    #[error("two keys have the kid {0:?}")]
    KidTwice(String),
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is longer than any key set.
    #[error("{path} is longer than {JWKS_BYTES} bytes")]
    TooLong {
        /// Which file.
        path: PathBuf,
    },
    /// The file has no usable key set.
    #[error("{path} has no usable key set")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: Box<JwtError>,
    },
}
