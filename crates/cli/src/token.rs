//! `tricast token`.

mod inspect;
mod make;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use tricast::Jwt;
use tricast::auth::{AuthError, Authenticated, Authenticator as _, Credentials};
use tricast::core::protocol::Secret;

use crate::config::ConfigError;
use crate::outcome::Outcome;

/// What `token` is asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Makes a token, signed by the secret of a configuration file, and prints it.
    Make(make::Options),
    /// Prints what a token says; with --config also whether the server takes it.
    Inspect(inspect::Options),
}

/// Why there is no token, or no good one. Says nothing of what is secret.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{} has no secret that signs ([auth] jwt_hs256): whoever has the private key makes tokens", file.display())]
    NoSecret { file: PathBuf },
    #[error("{} has no key in [auth], so every caller is anonymous", file.display())]
    NoKey { file: PathBuf },
    #[error("the token cannot be signed")]
    Sign(#[source] jsonwebtoken::errors::Error),
    #[error("{} does not let this token in", file.display())]
    Refused { file: PathBuf, source: AuthError },
    #[error("this is no token: {0}")]
    NotAToken(&'static str),
    #[error("cannot read standard input")]
    Read(#[source] std::io::Error),
    #[error("cannot write to standard output")]
    Write(#[source] std::io::Error),
}

pub(crate) async fn run(command: Command) -> Result<Outcome, TokenError> {
    match command {
        Command::Make(options) => make::run(options).await,
        Command::Inspect(options) => inspect::run(options).await,
    }
}

/// Who a server with this key takes the bearer for.
async fn verify(jwt: &Jwt, token: &Secret, file: PathBuf) -> Result<Authenticated, TokenError> {
    let found = jwt.authenticate(Credentials::of_token(token, now_ms())).await;
    match found {
        Ok(Some(bearer)) => Ok(bearer),
        Ok(None) => Err(TokenError::NotAToken("it is empty")),
        Err(source) => Err(TokenError::Refused { file, source }),
    }
}

fn now_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
