//! Keys that change while the node runs.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::auth::JwtError;

/// A file of keys, and who verifies by it.
struct Keys {
    folder: TempDir,
    jwt: Jwt,
}

impl Keys {
    fn of(keys: &[Value]) -> Self {
        let folder = TempDir::new().unwrap();
        write(folder.path(), keys);
        let jwt = Jwt::jwks_file(folder.path().join("keys.json")).unwrap();
        Self { folder, jwt }
    }

    fn become_those(&self, keys: &[Value]) {
        write(self.folder.path(), keys);
    }

    /// Whether a token of this signer is good at this time after the beginning.
    async fn take(&self, signer: &Signer, kid: &str, after_ms: u64) -> bool {
        let token = Secret::new(signer.sign_named(kid, &ann()));
        is_ann(&self.ask(&token, after_ms).await)
    }

    async fn ask(&self, token: &Secret, after_ms: u64) -> Result<Authenticated, AuthError> {
        let found = self.jwt.authenticate(Credentials::of_token(token, NOW_MS + after_ms)).await?;
        Ok(found.expect("there is a token"))
    }
}

fn write(folder: &Path, keys: &[Value]) {
    let new = folder.join("keys.json.new");
    fs::write(&new, json!({"keys": keys}).to_string()).unwrap();
    fs::rename(new, folder.join("keys.json")).unwrap();
}

#[tokio::test]
async fn a_new_key_is_found_without_a_restart() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[old.jwk("old")]);
    assert!(keys.take(&old, "old", 0).await);
    assert!(!keys.take(&new, "new", 1).await);
    keys.become_those(&[old.jwk("old"), new.jwk("new")]);
    assert!(keys.take(&new, "new", 20_000).await);
    assert!(keys.take(&old, "old", 20_001).await);
}

#[tokio::test]
async fn an_unknown_kid_has_the_file_read_at_most_every_ten_seconds() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[old.jwk("old")]);
    assert!(!keys.take(&new, "new", 0).await);
    keys.become_those(&[old.jwk("old"), new.jwk("new")]);
    assert!(!keys.take(&new, "new", 9_999).await);
    assert!(keys.take(&new, "new", 10_000).await);
}

#[tokio::test]
async fn a_key_that_was_taken_out_is_trusted_for_a_minute_at_most() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[old.jwk("old"), new.jwk("new")]);
    assert!(keys.take(&old, "old", 0).await);
    keys.become_those(&[new.jwk("new")]);
    assert!(keys.take(&old, "old", 59_999).await);
    assert!(!keys.take(&old, "old", 60_000).await);
    assert!(keys.take(&new, "new", 60_000).await);
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_keep_old_keys() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[old.jwk("old")]);
    assert!(keys.take(&old, "old", 300_000).await);
    keys.become_those(&[new.jwk("new")]);
    assert!(keys.take(&new, "new", 0).await);
}

#[tokio::test]
async fn a_file_that_is_gone_or_broken_leaves_the_keys_as_they_were() {
    let (signer, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[signer.jwk("a")]);
    let file = keys.folder.path().join("keys.json");
    fs::write(&file, "{\"keys\": [").unwrap();
    assert!(keys.take(&signer, "a", 0).await);
    fs::write(&file, "x".repeat(256 * 1024 + 1)).unwrap();
    assert!(keys.take(&signer, "a", 60_000).await);
    fs::remove_file(&file).unwrap();
    assert!(keys.take(&signer, "a", 120_000).await);
    keys.become_those(&[new.jwk("b")]);
    assert!(keys.take(&new, "b", 130_000).await && !keys.take(&signer, "a", 130_000).await);
}

#[tokio::test]
async fn a_caller_that_goes_away_while_the_file_is_read_takes_nothing_along() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[old.jwk("old")]);
    keys.become_those(&[new.jwk("new")]);
    let token = Secret::new(new.sign_named("new", &ann()));
    drop(keys.ask(&token, 0).now_or_never());
    assert!(is_ann(&keys.ask(&token, 1).await), "it waits for the reading that has begun");
}

#[tokio::test]
async fn all_who_ask_meanwhile_wait_for_the_same_reading() {
    let (old, new) = (Signer::es256(), Signer::eddsa());
    let keys = Keys::of(&[old.jwk("old")]);
    keys.become_those(&[new.jwk("new")]);
    let token = Secret::new(new.sign_named("new", &ann()));
    let found = futures_util::future::join_all((0..50).map(|_| keys.ask(&token, 0))).await;
    assert!(found.iter().all(is_ann));
}

#[test]
fn a_file_without_keys_is_an_error_that_names_it() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("keys.json");
    let open = || Jwt::jwks_file(&file).unwrap_err();
    assert!(matches!(open(), JwtError::Read { .. }));
    fs::write(&file, [0xff, 0xfe]).unwrap();
    assert!(matches!(open(), JwtError::Read { .. }), "no UTF-8");
    fs::write(&file, " ".repeat(256 * 1024 + 1)).unwrap();
    assert!(matches!(open(), JwtError::TooLong { .. }));
    fs::write(&file, "{\"keys\": []}").unwrap();
    let error = open();
    assert!(matches!(&error, JwtError::File { source, .. } if matches!(**source, JwtError::NoKey)), "{error}");
    assert!(error.to_string().contains("keys.json"));
}
