//! Several keys, told apart by their names: a JWK set (RFC 7517).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::JwtError;
use super::key::{Algorithm, Key, KeyProblem};
use super::token::{is_there, object};
use crate::auth::AuthError;

/// The keys of a set that verify tokens. Each has its own algorithm.
pub(super) struct KeySet(Vec<(Option<String>, Key)>);

impl KeySet {
    /// Reads a set. Keys for something else than these signatures are left out (RFC 7517, section 5), broken ones are
    /// errors.
    pub(super) fn parse(json: &str) -> Result<Self, JwtError> {
        let set: Set<'_> = serde_json::from_str(json)
            .map_err(|error| JwtError::NoSet { line: error.line(), column: error.column() })?;
        let mut keys: Vec<(Option<String>, Key)> = Vec::new();
        for (nth, text) in set.keys.iter().enumerate() {
            let unnamed = || format!("number {}", nth + 1);
            let jwk: Jwk = object(text.get().as_bytes())
                .ok_or_else(|| JwtError::KeyOfSet { which: unnamed(), problem: KeyProblem::NoJwk })?;
            let which = || jwk.kid.as_ref().map_or_else(unnamed, |kid| format!("{kid:?}"));
            let Some(key) = jwk.key().map_err(|problem| JwtError::KeyOfSet { which: which(), problem })? else {
                tracing::debug!(key = which(), "a key of the set is for something else");
                continue;
            };
            if let Some(kid) = jwk.kid.as_ref().filter(|kid| keys.iter().any(|(known, _)| known.as_ref() == Some(kid)))
            {
                return Err(JwtError::KidTwice(kid.clone()));
            }
            keys.push((jwk.kid, key));
        }
        if keys.is_empty() { Err(JwtError::NoKey) } else { Ok(Self(keys)) }
    }

    /// The key that a token asks for. One that asks for none can mean one only.
    pub(super) fn find(&self, kid: Option<&str>) -> Result<&Key, AuthError> {
        match (kid, self.0.as_slice()) {
            (None, [(_, only)]) => Ok(only),
            (None, _) => Err(AuthError::invalid("the token has no kid, and there are several keys")),
            (Some(_), keys) => keys
                .iter()
                .find(|(known, _)| known.as_deref() == kid)
                .map(|(_, key)| key)
                .ok_or_else(|| AuthError::invalid("the token's kid is that of no key")),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[derive(Deserialize)]
struct Set<'a> {
    #[serde(borrow)]
    keys: Vec<&'a RawValue>,
}

/// A key as a set has it (RFC 7517, section 4; RFC 7518, section 6; RFC 8037).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    #[serde(default, rename = "d", deserialize_with = "is_there")]
    private: bool,
}

impl Jwk {
    /// The key; `None` where it is for something else.
    fn key(&self) -> Result<Option<Key>, KeyProblem> {
        let Some(algorithm) = self.algorithm() else { return Ok(None) };
        if self.private {
            return Err(KeyProblem::Private);
        }
        match algorithm {
            Algorithm::Hs256 => Ok(None),
            Algorithm::Rs256 => Key::rsa(&member("n", &self.n)?, &member("e", &self.e)?).map(Some),
            Algorithm::Es256 => Key::p256(&member("x", &self.x)?, &member("y", &self.y)?).map(Some),
            Algorithm::EdDsa => Key::ed25519(&member("x", &self.x)?).map(Some),
        }
    }

    /// What tokens it can verify. A secret (`oct`) has no place in a file of public keys.
    fn algorithm(&self) -> Option<Algorithm> {
        let algorithm = match (self.kty.as_str(), self.crv.as_deref()) {
            ("RSA", _) => Algorithm::Rs256,
            ("EC", Some("P-256")) => Algorithm::Es256,
            ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
            _ => return None,
        };
        let is_for_signatures = self.purpose.as_ref().is_none_or(|purpose| purpose == "sig");
        let verifies = self.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        let is_called = self.alg.as_ref().is_none_or(|name| algorithm.is_called(name));
        (is_for_signatures && verifies && is_called).then_some(algorithm)
    }
}

fn member(name: &'static str, value: &Option<String>) -> Result<Vec<u8>, KeyProblem> {
    let bytes = value.as_ref().and_then(|text| BASE64_URL_SAFE_NO_PAD.decode(text).ok());
    bytes.ok_or(KeyProblem::Member(name))
}
