//! A token as it came: split and read as far as is needed to verify it, and no further.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use tricast_core::limits::TOKEN_BYTES;

use super::key::Key;
use crate::auth::AuthError;

/// A token whose claims nobody has looked at, for nobody has proved yet who wrote them.
pub(super) struct Token<'a> {
    header: Header,
    /// What is signed: header and payload as they came.
    message: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
}

/// What counts of a token's header (RFC 7515, section 4.1); a key or an address of one in it does not.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "is_there")]
    crit: bool,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Result<Self, AuthError> {
        if text.len() > TOKEN_BYTES {
            let has = text.len();
            return Err(AuthError::invalid(format!("the token has {has} bytes, {TOKEN_BYTES} are allowed")));
        }
        let malformed = || AuthError::invalid("the token is no signed JWT of three parts");
        let (message, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
        let (header, payload) = message.split_once('.').ok_or_else(malformed)?;
        if payload.contains('.') {
            return Err(malformed());
        }
        let header: Header = decode(header)
            .and_then(|json| object(&json))
            .ok_or_else(|| AuthError::invalid("the token's header is malformed"))?;
        if header.crit {
            return Err(AuthError::invalid("the token's header has crit, and no extension is understood"));
        }
        let signature = decode(signature).ok_or_else(|| AuthError::invalid("the token's signature is malformed"))?;
        Ok(Self { header, message, payload, signature })
    }

    /// Which key the header asks for.
    pub(super) fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The claims as JSON text, once it is certain that the key's other half signed them.
    pub(super) fn verified_by(&self, key: &Key) -> Result<Vec<u8>, AuthError> {
        if !key.algorithm().is_called(&self.header.alg) {
            return Err(AuthError::invalid("the token's alg is not that of the key"));
        }
        if !key.verifies(self.message.as_bytes(), &self.signature) {
            return Err(AuthError::invalid("the token's signature does not match"));
        }
        decode(self.payload).ok_or_else(|| AuthError::invalid("the token's payload is malformed"))
    }
}

/// Base64 without slack: every part has one spelling only.
fn decode(part: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(part).ok()
}

/// A JSON object, each of whose known members stands there once.
pub(super) fn object<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Option<T> {
    // What is derived would take an array for the members in their order.
    let is_object = json.trim_ascii_start().first() == Some(&b'{');
    is_object.then(|| serde_json::from_slice(json).ok()).flatten()
}

/// Whether a member is there, whatever its value.
pub(super) fn is_there<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}
