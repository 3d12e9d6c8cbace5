//! `tricast token inspect`.

use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Args;
use serde_json::Value;
use tricast::Identity;
use tricast::auth::Authenticated;
use tricast::core::protocol::Secret;

use super::{TokenError, verify};
use crate::config::Config;
use crate::outcome::Outcome;
use crate::text::printable;

/// What `token inspect` is told on the command line.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The token; without it or with `-`, standard input is read.
    ///
    /// Other users of the machine can see arguments, but neither the environment nor standard input.
    #[arg(value_name = "TOKEN", env = "TRICAST_TOKEN", hide_env_values = true)]
    token: Option<String>,

    /// Verifies it by the key in this file's [auth], as the server would.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("config", &self.config).finish_non_exhaustive()
    }
}

/// Prints what a token says, without its signature, and then whether a server takes it.
///
/// # Errors
/// It is no token, or the server does not take it.
pub(super) async fn run(Options { token, config }: Options) -> Result<Outcome, TokenError> {
    let config = config.map(|file| Ok::<_, TokenError>((Config::load(&file)?, file))).transpose()?;
    let token = match token {
        Some(token) if !token.is_empty() && token != "-" => token,
        _ => read_stdin()?,
    };
    let token = Secret::new(token.trim());
    write(&describe(token.expose())?)?;
    let Some((config, file)) = config else {
        write("not verified: --config names the file with the key\n")?;
        return Ok(Outcome::Done);
    };
    let Some(jwt) = config.verifier() else { return Err(TokenError::NoKey { file }) };
    let bearer = verify(jwt, &token, file.clone()).await?;
    write(&format!("verified by {}: it is of {}\n", file.display(), whom(&bearer)))?;
    Ok(Outcome::Done)
}

fn read_stdin() -> Result<String, TokenError> {
    let mut text = String::new();
    io::stdin().take(MOST_BYTES + 1).read_to_string(&mut text).map_err(TokenError::Read)?;
    if text.len() as u64 > MOST_BYTES { Err(TokenError::NotAToken("it is too long")) } else { Ok(text) }
}

/// Header and claims. The signature is left out: with it the output would be the token.
fn describe(token: &str) -> Result<String, TokenError> {
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, _] = parts[..] else {
        return Err(TokenError::NotAToken("it has not three parts with dots between them"));
    };
    let header = json(header).ok_or(TokenError::NotAToken("its first part is no JSON in base64url"))?;
    let claims = json(claims).ok_or(TokenError::NotAToken("its second part is no JSON in base64url"))?;
    let mut told = format!("header {header}\nclaims {claims:#}\n");
    for (name, what) in [("iat", "made"), ("nbf", "good from"), ("exp", "good until")] {
        if let Some(time) = claims.get(name).and_then(Value::as_u64).and_then(date) {
            told.push_str(&format!("{what} {time}\n"));
        }
    }
    Ok(printable(&told).into_owned())
}

fn json(part: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A time of a token, up to the end of the year 9999.
fn date(seconds: u64) -> Option<String> {
    let time = UNIX_EPOCH.checked_add(Duration::from_secs(seconds)).filter(|_| seconds < YEAR_10000)?;
    Some(httpdate::fmt_http_date(time))
}

fn whom(bearer: &Authenticated) -> String {
    match &bearer.identity {
        Identity::Server => "a back end, which may do anything".to_owned(),
        Identity::User(user) if user.capabilities.is_server() => {
            format!("{}, a back end, which may do anything", printable(user.id.as_str()))
        }
        Identity::User(user) => format!("the user {}", printable(user.id.as_str())),
        _ => "nobody".to_owned(),
    }
}

fn write(text: &str) -> Result<(), TokenError> {
    io::stdout().write_all(text.as_bytes()).map_err(TokenError::Write)
}

/// Bytes of a token; servers take half of it.
const MOST_BYTES: u64 = 16 * 1024;

const YEAR_10000: u64 = 253_402_300_800;

const EXAMPLES: &str = "\
Examples:
  tricast token make --user ann | tricast token inspect
  TRICAST_TOKEN=… tricast token inspect --config tricast.toml

The signature is not printed, so the output is not the token. It exits with 1 where the server would
not take the token.";
