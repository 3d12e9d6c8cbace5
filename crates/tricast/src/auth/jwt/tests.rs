//! What the tests share: keys of each kind, and tokens made by hand, so that any of them can be wrong.

mod brought;
mod claims;
mod files;
mod keys;
mod signatures;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use tricast_core::protocol::Secret;

use crate::auth::{AuthError, Authenticated, Authenticator as _, Credentials, Jwt};

/// When the tests take place.
const NOW_MS: u64 = 1_800_000_000_000;
const NOW: u64 = NOW_MS / 1_000;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

const RSA_PUBLIC: &str = include_str!("testdata/rsa.public.pem");
const P256_PUBLIC: &str = include_str!("testdata/p256.public.pem");
const ED25519_PUBLIC: &str = include_str!("testdata/ed25519.public.pem");

/// Somebody who signs tokens.
struct Signer {
    /// As headers write it.
    alg: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    fn hs256() -> Self {
        Self { alg: "HS256", algorithm: Algorithm::HS256, key: EncodingKey::from_secret(SECRET.as_bytes()) }
    }

    fn rs256() -> Self {
        let key = EncodingKey::from_rsa_pem(include_bytes!("testdata/rsa.private.pem")).unwrap();
        Self { alg: "RS256", algorithm: Algorithm::RS256, key }
    }

    fn es256() -> Self {
        let key = EncodingKey::from_ec_pem(include_bytes!("testdata/p256.private.pem")).unwrap();
        Self { alg: "ES256", algorithm: Algorithm::ES256, key }
    }

    fn eddsa() -> Self {
        let key = EncodingKey::from_ed_pem(include_bytes!("testdata/ed25519.private.pem")).unwrap();
        Self { alg: "EdDSA", algorithm: Algorithm::EdDSA, key }
    }

    /// One of each kind, with who verifies what it signs.
    fn all() -> [(Self, Jwt); 4] {
        let by = |pem| Jwt::public_key_pem(pem).unwrap();
        [
            (Self::hs256(), Jwt::hs256(SECRET)),
            (Self::rs256(), by(RSA_PUBLIC)),
            (Self::es256(), by(P256_PUBLIC)),
            (Self::eddsa(), by(ED25519_PUBLIC)),
        ]
    }

    /// A token of these claims.
    fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg, "typ": "JWT"}), claims)
    }

    /// A token with a header of its own.
    fn sign_with(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string())
    }

    /// A token with a `kid`.
    fn sign_named(&self, kid: &str, claims: &Value) -> String {
        self.sign_with(&json!({"alg": self.alg, "kid": kid}), claims)
    }

    fn sign_text(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = crypto::sign(message.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{message}.{signature}")
    }

    /// The public half as a set has it.
    fn jwk(&self, kid: &str) -> Value {
        let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&self.key, self.algorithm).unwrap()).unwrap();
        jwk["kid"] = kid.into();
        jwk
    }
}

fn encode(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

/// What a token of Ann's says that is good for ten minutes.
fn ann() -> Value {
    json!({"sub": "ann", "exp": NOW + 600})
}

/// Ann's claims with some others.
fn ann_with(others: Value) -> Value {
    let mut claims = ann();
    claims.as_object_mut().unwrap().extend(others.as_object().unwrap().clone());
    claims
}

/// Asks about a token that was brought in band, at this time. By no file, an answer is there at once.
fn ask_at(jwt: &Jwt, token: &str, now_ms: u64) -> Result<Authenticated, AuthError> {
    let token = Secret::new(token);
    let answer = jwt.authenticate(Credentials::of_token(&token, now_ms)).now_or_never();
    answer.expect("waits for nothing").map(|found| found.expect("there is a token"))
}

fn ask(jwt: &Jwt, token: &str) -> Result<Authenticated, AuthError> {
    ask_at(jwt, token, NOW_MS)
}

/// Why a token is refused as one that proves nothing.
#[track_caller]
fn refusal(jwt: &Jwt, token: &str) -> String {
    match ask(jwt, token) {
        Err(AuthError::Invalid(reason)) => reason.into(),
        other => panic!("not refused: {other:?}"),
    }
}

fn is_ann(found: &Result<Authenticated, AuthError>) -> bool {
    found.as_ref().is_ok_and(|found| found.identity.user() == Some("ann"))
}
