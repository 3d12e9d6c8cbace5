//! `tricast token make`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Map, Value, json};
use tricast::core::protocol::Secret;

use super::{TokenError, now_ms, verify};
use crate::config::{Config, Signing, parse_time};
use crate::outcome::Outcome;

/// What `token make` is told on the command line.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Options {
    /// The user it is for (sub).
    #[arg(long, value_name = "ID", required_unless_present = "server")]
    user: Option<String>,

    /// How long it is good, as 15m or 30d.
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = parse_time)]
    lifetime: Duration,

    /// Lets it read channels of this pattern whatever the rules say; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<String>,

    /// Lets it publish to channels of this pattern whatever the rules say; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<String>,

    /// Lets it do anything: for back ends.
    #[arg(long)]
    server: bool,

    /// The file with the secret ([auth] jwt_hs256), whose audience and issuer the token gets too.
    #[arg(long, value_name = "FILE", default_value = "tricast.toml")]
    config: PathBuf,
}

/// Prints a token that the server of this file takes.
///
/// # Errors
/// The file is not good or has no secret, or the server would not take the token.
pub(super) async fn run(options: Options) -> Result<Outcome, TokenError> {
    let file = options.config.clone();
    let config = Config::load(&file)?;
    let Some(jwt) = config.verifier() else { return Err(TokenError::NoKey { file }) };
    let Some(signing) = config.signing() else { return Err(TokenError::NoSecret { file }) };
    let key = EncodingKey::from_secret(signing.secret.expose().as_bytes());
    let claims = claims(&options, &signing, now_ms() / 1_000);
    let token = jsonwebtoken::encode(&Header::default(), &claims, &key).map_err(TokenError::Sign)?;
    let token = Secret::new(token);
    verify(jwt, &token, file).await?;
    writeln!(io::stdout(), "{}", token.expose()).map_err(TokenError::Write)?;
    Ok(Outcome::Done)
}

fn claims(options: &Options, signing: &Signing<'_>, now: u64) -> Map<String, Value> {
    let mut claims = Map::new();
    claims.insert("iat".to_owned(), json!(now));
    claims.insert("exp".to_owned(), json!(now.saturating_add(options.lifetime.as_secs())));
    for (name, value) in [("sub", options.user.as_deref()), ("aud", signing.audience), ("iss", signing.issuer)] {
        if let Some(value) = value {
            claims.insert(name.to_owned(), json!(value));
        }
    }
    let mut granted = Map::new();
    for (name, patterns) in [("subscribe", &options.subscribe), ("publish", &options.publish)] {
        if !patterns.is_empty() {
            granted.insert(name.to_owned(), json!(patterns));
        }
    }
    if options.server {
        granted.insert("server".to_owned(), json!(true));
    }
    if !granted.is_empty() {
        claims.insert("tricast".to_owned(), Value::Object(granted));
    }
    claims
}

const EXAMPLES: &str = "\
Examples:
  tricast token make --user ann
  tricast token make --user ann --for 15m --subscribe 'room:{any}' --publish room:1
  TRICAST_TOKEN=$(tricast token make --server) tricast pub news '\"hello\"'

Whoever has the token is the user: it is printed to standard output, and nowhere else.";
