//! `[auth]`: by what callers are known.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use tricast::auth::Jwt;

use super::problem::Fault;
use super::section::Section;
use super::value::{self, At, Named, Value};

/// By what callers are known.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) jwt: Jwt,
    pub(super) key: Key,
    pub(super) audience: Option<String>,
    pub(super) cookie: Option<String>,
    /// Whether a caller without a token is refused, rather than anonymous.
    pub(super) required: bool,
}

/// What tokens are verified by.
#[derive(Debug)]
pub(super) enum Key {
    Hs256,
    Public(PathBuf),
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
    let secret = section.value(HS256, secret).map(|secret| (Key::Hs256, Jwt::hs256(secret.value)));
    let file = section.value(PUBLIC_KEY, |value| value::file(value, folder));
    let public = file.and_then(|file| public_key(section, file));
    let audience = section.value("audience", value::text);
    let cookie = section.value("cookie", value::cookie);
    let required = section.value("required", value::flag);

    let has_key = section.has(HS256) || section.has(PUBLIC_KEY);
    if !has_key {
        for (name, line) in [
            ("audience", audience.as_ref().map(|it| it.line)),
            ("cookie", cookie.as_ref().map(|it| it.line)),
            ("required", required.as_ref().filter(|it| it.value).map(|it| it.line)),
        ] {
            if let Some(line) = line {
                section.problem(name, line, Fault::NoKey);
            }
        }
    }
    section.not_both([HS256, PUBLIC_KEY], Fault::TwoKeys);

    let required = required.is_none_or(|required| required.value) && has_key;
    let (audience, cookie) = (audience.map(|it| it.value), cookie.map(|it| it.value));
    let auth = secret.or(public).map(|(key, jwt)| {
        let jwt = audience.iter().fold(jwt, |jwt, audience| jwt.audience(audience.as_str()));
        let jwt = cookie.iter().fold(jwt, |jwt, cookie| jwt.cookie(cookie.as_str()));
        let jwt = if required { jwt } else { jwt.optional() };
        Auth { jwt, key, audience, cookie, required }
    });
    Found { auth, has_key, required }
}

/// A secret that nobody can know but those it was given to.
fn secret(value: &Value) -> Result<String, Fault> {
    let secret = value::text(value)?;
    if secret.contains("PUBLIC KEY") { Err(Fault::PublicSecret) } else { Ok(secret) }
}

fn public_key(section: &mut Section<'_>, At { line, value: file }: At<Named>) -> Option<(Key, Jwt)> {
    let Named { path, shown } = file;
    let jwt = match read_key(&path) {
        Ok(pem) => Jwt::public_key_pem(&pem).map_err(|error| Fault::Key { file: shown, problem: error.to_string() }),
        Err(problem) => Err(Fault::File { file: shown, problem }),
    };
    match jwt {
        Ok(jwt) => Some((Key::Public(path), jwt)),
        Err(fault) => {
            section.problem(PUBLIC_KEY, line, fault);
            None
        }
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

/// Bytes of a file with a key; a larger one is something else.
const MOST_KEY_BYTES: u64 = 64 * 1024;
