//! `[auth]`: by what callers are known.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tricast::auth::{Jwt, JwtError};
use tricast::core::protocol::Secret;

use super::problem::Fault;
use super::section::Section;
use super::value::{self, At, Named, Value};

/// By what callers are known.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) jwt: Jwt,
    pub(super) key: Key,
    pub(super) audience: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) cookie: Option<String>,
    /// Whether a caller without a token is refused, rather than anonymous.
    pub(super) required: bool,
}

/// What tokens are verified by.
#[derive(Debug)]
pub(super) enum Key {
    /// The secret, which signs as well.
    Hs256(Secret),
    Public(PathBuf),
    Set(PathBuf),
}

/// What the section says, for the rules that depend on it.
#[derive(Debug)]
pub(super) struct Found {
    auth: Option<Auth>,
    /// Whether there is a key, be it a good one or not.
    pub(super) has_key: bool,
    pub(super) required: bool,
}

impl Found {
    pub(super) fn known(self) -> Option<Auth> {
        self.auth
    }
}

pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Found {
    let key = key(section, folder);
    let audience = section.value("audience", value::text);
    let issuer = section.value("issuer", value::text);
    let cookie = section.value("cookie", value::cookie);
    let required = section.value("required", value::flag);

    let has_key = KEYS.iter().any(|name| section.has(name));
    if !has_key {
        for (name, line) in [
            ("audience", audience.as_ref().map(|it| it.line)),
            ("issuer", issuer.as_ref().map(|it| it.line)),
            ("cookie", cookie.as_ref().map(|it| it.line)),
            ("required", required.as_ref().filter(|it| it.value).map(|it| it.line)),
        ] {
            if let Some(line) = line {
                section.problem(name, line, Fault::NoKey);
            }
        }
    }

    let required = required.is_none_or(|required| required.value) && has_key;
    let [audience, issuer, cookie] = [audience, issuer, cookie].map(|it| it.map(|it| it.value));
    let auth = key.map(|(key, jwt)| {
        let jwt = audience.iter().fold(jwt, |jwt, audience| jwt.audience(audience.as_str()));
        let jwt = issuer.iter().fold(jwt, |jwt, issuer| jwt.issuer(issuer.as_str()));
        let jwt = cookie.iter().fold(jwt, |jwt, cookie| jwt.cookie(cookie.as_str()));
        let jwt = if required { jwt } else { jwt.optional() };
        Auth { jwt, key, audience, issuer, cookie, required }
    });
    Found { auth, has_key, required }
}

/// The one key, or none.
fn key(section: &mut Section<'_>, folder: &Path) -> Option<(Key, Jwt)> {
    let secret = section.value(HS256, secret).map(|secret| {
        let jwt = Jwt::hs256(&secret.value);
        (Key::Hs256(Secret::new(secret.value)), jwt)
    });
    let public = section.value(PUBLIC_KEY, |value| value::file(value, folder)).and_then(|At { line, value }| {
        let jwt = public_key(&value);
        Some((Key::Public(value.path), noting(section, PUBLIC_KEY, line, jwt)?))
    });
    let set = section.value(KEY_SET, |value| value::file(value, folder)).and_then(|At { line, value }| {
        let jwt = Jwt::jwks_file(&value.path).map_err(|error| key_set_fault(value.shown, &error));
        Some((Key::Set(value.path), noting(section, KEY_SET, line, jwt)?))
    });
    section.at_most_one(KEYS, Fault::TwoKeys);
    secret.or(public).or(set)
}

fn noting(section: &mut Section<'_>, name: &'static str, line: usize, jwt: Result<Jwt, Fault>) -> Option<Jwt> {
    jwt.map_err(|fault| section.problem(name, line, fault)).ok()
}

/// A secret that nobody can know but those it was given to.
fn secret(value: &Value) -> Result<String, Fault> {
    let secret = value::text(value)?;
    if secret.contains("PUBLIC KEY") { Err(Fault::PublicSecret) } else { Ok(secret) }
}

fn public_key(Named { path, shown }: &Named) -> Result<Jwt, Fault> {
    let pem = read_key(path).map_err(|problem| Fault::File { file: shown.clone(), problem })?;
    Jwt::public_key_pem(&pem).map_err(|error| Fault::Key { file: shown.clone(), problem: error.to_string() })
}

/// What is wrong with a set of keys, without the file's name, in which a variable may stand.
fn key_set_fault(file: PathBuf, error: &JwtError) -> Fault {
    match error {
        JwtError::Read { source, .. } => Fault::File { file, problem: source.to_string() },
        JwtError::TooLong { .. } => Fault::Key { file, problem: "it is too long".to_owned() },
        JwtError::File { source, .. } => Fault::Key { file, problem: source.to_string() },
        other => Fault::Key { file, problem: other.to_string() },
    }
}

fn read_key(file: &Path) -> Result<String, String> {
    let mut pem = String::new();
    let opened = File::open(file).map_err(|error| error.to_string())?;
    opened.take(MOST_KEY_BYTES + 1).read_to_string(&mut pem).map_err(|error| error.to_string())?;
    if pem.len() as u64 > MOST_KEY_BYTES { Err(format!("it has more than {MOST_KEY_BYTES} bytes")) } else { Ok(pem) }
}

const HS256: &str = "jwt_hs256";
const PUBLIC_KEY: &str = "jwt_public_key";
const KEY_SET: &str = "jwt_keys";

/// Each is a key; there may be one.
const KEYS: &[&str] = &[HS256, PUBLIC_KEY, KEY_SET];

/// Bytes of a file with a key; a larger one is something else.
const MOST_KEY_BYTES: u64 = 64 * 1024;
