//! A key set in a file, which is read again when its keys change.
//!
//! Whoever rotates keys writes the file, and restarts nothing. A token with a `kid` that is not known has it read again
//! at once, but no more often than every [`UNKNOWN_MS`], so that made-up names cost nothing. A key that was taken out is
//! trusted for no longer than [`AGE_MS`].

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{self, Shared};
use tokio::task::spawn_blocking;
use tricast_core::backplane::BoxFuture;

use super::error::JwtError;
use super::key_set::KeySet;

/// A file of keys.
pub(super) struct KeyFile {
    path: Arc<Path>,
    /// Guards which reading is the newest; taken alone.
    newest: Mutex<Reading>,
}

/// What a reading finds, shared by all who wait for it.
struct Reading {
    /// When it began; `None` for the first, which was before there was a clock.
    began_ms: Option<u64>,
    set: Shared<BoxFuture<'static, Arc<KeySet>>>,
}

impl KeyFile {
    /// Reads the file for the first time.
    pub(super) fn open(path: PathBuf) -> Result<Self, JwtError> {
        let set = Arc::new(read(&path)?);
        let first = Reading { began_ms: None, set: shared(future::ready(set)) };
        Ok(Self { path: path.into(), newest: Mutex::new(first) })
    }

    /// The keys by which to judge a token that asks for this one.
    ///
    /// # Cancel safety
    /// A reading that has begun goes on without whoever waited for it.
    pub(super) async fn keys_for(&self, kid: Option<&str>, now_ms: u64) -> Arc<KeySet> {
        let set = self.no_older_than(AGE_MS, now_ms).await;
        if set.find(kid).is_ok() {
            return set;
        }
        self.no_older_than(UNKNOWN_MS, now_ms).await
    }

    fn no_older_than(&self, age_ms: u64, now_ms: u64) -> Shared<BoxFuture<'static, Arc<KeySet>>> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back makes a reading old as well.
        if newest.began_ms.is_none_or(|began_ms| began_ms.abs_diff(now_ms) >= age_ms) {
            let set = self.read_again(newest.set.clone());
            *newest = Reading { began_ms: Some(now_ms), set };
        }
        newest.set.clone()
    }

    /// Reads on a thread that may wait. What cannot be read leaves the keys as they were: half a file is no reason to
    /// lock everybody out.
    fn read_again(&self, before: Shared<BoxFuture<'static, Arc<KeySet>>>) -> Shared<BoxFuture<'static, Arc<KeySet>>> {
        let path = Arc::clone(&self.path);
        let reading = spawn_blocking(move || read(&path).map_err(|error| warn(&error)));
        shared(async move {
            match reading.await {
                Ok(Ok(set)) => Arc::new(set),
                Ok(Err(())) | Err(_) => before.await,
            }
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

fn shared(set: impl Future<Output = Arc<KeySet>> + Send + 'static) -> Shared<BoxFuture<'static, Arc<KeySet>>> {
    let set: BoxFuture<'static, _> = Box::pin(set);
    set.shared()
}

fn read(path: &Path) -> Result<KeySet, JwtError> {
    let text = text_of(path).map_err(|source| JwtError::Read { path: path.to_owned(), source })?;
    if text.len() > JWKS_BYTES {
        return Err(JwtError::TooLong { path: path.to_owned() });
    }
    KeySet::parse(&text).map_err(|error| JwtError::File { path: path.to_owned(), source: Box::new(error) })
}

/// The text of a file, or so much of it that it is too much.
fn text_of(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(JWKS_BYTES as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn warn(error: &JwtError) {
    let cause = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, cause, "the keys stay as they were");
}

/// Bytes of a file of keys; a longer one is refused.
pub(super) const JWKS_BYTES: usize = 256 * 1024;

/// How often a `kid` that is not known has the file read again.
const UNKNOWN_MS: u64 = 10_000;

/// For how long what was read counts.
const AGE_MS: u64 = 60_000;
