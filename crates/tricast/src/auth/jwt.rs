//! JSON Web Tokens (RFC 7519): who a caller is, signed by somebody whom the application trusts.
//!
//! A token is judged in this order: its length, its three parts, its header; the key, by the header's `kid` where there are
//! several; that the header's `alg` is the key's; the signature; and only then what it says, with the time last. Nothing
//! in a token chooses how it is verified: `alg` follows from the key, so `none` is never one, and nobody looks at `jwk`,
//! `jku` and `x5u`. Signatures are the library's; everything else is judged here, by the time that is passed in.

mod claims;
mod error;
mod key;
mod key_file;
mod key_set;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::path::PathBuf;

use self::claims::Claims;
pub use self::error::JwtError;
use self::key::Key;
pub use self::key::KeyProblem;
use self::key_file::KeyFile;
use self::key_set::KeySet;
use self::token::Token;
use super::{AuthError, Authenticated, Authenticator, Credentials};

/// Takes callers for whom their JSON Web Token says they are.
///
/// A token's algorithm is that of the key: HS256 for a secret, RS256 for RSA, ES256 for P-256, EdDSA for Ed25519. Whoever
/// brings no token is refused, unless it is [optional](Jwt::optional); a bad token is refused always.
///
/// # What the token says
/// | claim | |
/// | --- | --- |
/// | `sub` | the user's id, 1 to 128 bytes without control characters; required, unless the token is a server's |
/// | `exp` | required; a token is taken for up to 5 s longer, for clocks differ |
/// | `nbf` | optional; at most 5 s in the future |
/// | `iat` | optional; at most 5 s in the future. Once a user was revoked, only tokens count that were issued later: one without `iat` is none |
/// | `aud` | must be or contain [`Jwt::audience`]; where none is configured, a token that has an `aud` is for others |
/// | `iss` | must be [`Jwt::issuer`], where that is configured |
/// | `tricast` | optional: `{"subscribe": ["room:{any}"], "publish": ["room:1"]}` lets the bearer do what the rules do not, `{"server": true}` lets it do anything |
///
/// A claim that is malformed refuses the token, and so does whatever is not known inside `tricast`. Other claims are
/// ignored. A token may have 8 KiB, and 128 patterns.
///
/// # Examples
/// ```
/// use tricast::auth::Jwt;
/// use tricast::Tricast;
/// let builder = Tricast::builder()
///     .authenticate(Jwt::hs256("a secret of 32 bytes at the very least").audience("tricast").cookie("session"));
/// # let _ = builder;
/// ```
pub struct Jwt {
    keys: Keys,
    audience: Option<Box<str>>,
    issuer: Option<Box<str>>,
    cookie: Option<Box<str>>,
    required: bool,
}

/// Where the key of a token is found.
enum Keys {
    One(Key),
    Set(KeySet),
    File(KeyFile),
    /// No token is good, for this reason.
    None(&'static str),
}

impl Jwt {
    /// Verifies by a secret that is shared with who signs (HS256).
    ///
    /// It should be 32 random bytes or more (RFC 7518, section 3.2); a shorter one is taken with a warning in the log. No
    /// token is good by an empty one, as of a variable that is not set, nor by the text of a public key, which everybody
    /// has; that is an error in the log.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Self {
        let secret = secret.as_ref();
        let is_public = secret.windows(PUBLIC_KEY.len()).any(|part| part == PUBLIC_KEY);
        let refusal = match secret.len() {
            0 => Some("no token is good here: the secret is empty"),
            _ if is_public => Some("no token is good here: the secret is a public key"),
            bytes if bytes < SECRET_BYTES => {
                tracing::warn!(bytes, "a secret for HS256 should have {SECRET_BYTES} bytes or more");
                None
            }
            _ => None,
        };
        Self::new(match refusal {
            None => Keys::One(Key::secret(secret)),
            Some(refusal) => {
                tracing::error!("{refusal}");
                Keys::None(refusal)
            }
        })
    }

    /// Verifies by a public key in PEM (`-----BEGIN PUBLIC KEY-----`): RS256 by one of RSA, ES256 by one of P-256, EdDSA
    /// by one of Ed25519.
    ///
    /// # Errors
    /// The text is no such key, or an RSA key of less than 2048 or more than 4096 bits.
    ///
    /// # Examples
    /// ```
    /// use tricast::auth::Jwt;
    /// let pem = "-----BEGIN PUBLIC KEY-----
    /// MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
    /// -----END PUBLIC KEY-----";
    /// let jwt = Jwt::public_key_pem(pem)?.issuer("https://login.example");
    /// # Ok::<(), tricast::auth::JwtError>(())
    /// ```
    pub fn public_key_pem(pem: &str) -> Result<Self, JwtError> {
        Key::pem(pem).map(|key| Self::new(Keys::One(key))).map_err(JwtError::Key)
    }

    /// Verifies by the public keys of a JWK set (RFC 7517), each with its own algorithm.
    ///
    /// A token names its key by `kid`; one without is taken only where there is one key. Keys for anything but RS256, ES256
    /// and EdDSA are left out.
    ///
    /// # Errors
    /// The text is no such set, or one of its keys is broken, private, or has another's `kid`; or none is left.
    ///
    /// # Examples
    /// ```
    /// use tricast::auth::Jwt;
    /// let jwt = Jwt::jwks(
    ///     r#"{"keys": [{
    ///         "kty": "OKP", "crv": "Ed25519", "kid": "2026",
    ///         "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    ///     }]}"#,
    /// )?;
    /// # Ok::<(), tricast::auth::JwtError>(())
    /// ```
    pub fn jwks(json: &str) -> Result<Self, JwtError> {
        KeySet::parse(json).map(|set| Self::new(Keys::Set(set)))
    }

    /// Verifies by the keys of a file, as [`Jwt::jwks`] does.
    ///
    /// The file is read again when a token names a key that is not known, but at most every 10 s; and once a minute, so
    /// that a key that was taken out is not trusted for longer. While it cannot be read, or is broken, the keys stay as
    /// they were, with a warning in the log. It may have 256 KiB. Write a new file and rename it.
    ///
    /// # Errors
    /// As [`Jwt::jwks`], and where the file cannot be read.
    pub fn jwks_file(path: impl Into<PathBuf>) -> Result<Self, JwtError> {
        KeyFile::open(path.into()).map(|file| Self::new(Keys::File(file)))
    }

    /// For whom tokens must be: `aud` has to be this or contain it.
    ///
    /// Unless it is configured, a token that has an `aud` is refused, for it was made for somebody else (RFC 7519, section
    /// 4.1.3).
    #[must_use]
    pub fn audience(self, audience: impl Into<Box<str>>) -> Self {
        Self { audience: Some(audience.into()), ..self }
    }

    /// By whom tokens must be made: `iss` has to be this.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<Box<str>>) -> Self {
        Self { issuer: Some(issuer.into()), ..self }
    }

    /// Looks for the token in this cookie as well, where it was brought in no other way.
    ///
    /// An empty cookie is none. Anything else in it has to be a good token, so give it a name that nothing else uses.
    #[must_use]
    pub fn cookie(self, name: impl Into<Box<str>>) -> Self {
        Self { cookie: Some(name.into()), ..self }
    }

    /// Lets callers without a token be anonymous. Those with a bad one are still refused.
    #[must_use]
    pub fn optional(self) -> Self {
        Self { required: false, ..self }
    }

    fn new(keys: Keys) -> Self {
        Self { keys, audience: None, issuer: None, cookie: None, required: true }
    }

    fn token_in<'a>(&self, credentials: &Credentials<'a>) -> Option<&'a str> {
        if let Some(token) = credentials.token {
            return Some(token.expose());
        }
        credentials.cookie(self.cookie.as_deref()?).filter(|token| !token.is_empty())
    }

    /// The claims of a token, once it is certain who wrote them.
    async fn verified(&self, token: &Token<'_>, now_ms: u64) -> Result<Vec<u8>, AuthError> {
        match &self.keys {
            Keys::One(key) => token.verified_by(key),
            Keys::Set(set) => token.verified_by(set.find(token.kid())?),
            Keys::File(file) => token.verified_by(file.keys_for(token.kid(), now_ms).await.find(token.kid())?),
            Keys::None(refusal) => Err(AuthError::invalid(*refusal)),
        }
    }
}

impl Authenticator for Jwt {
    async fn authenticate(&self, credentials: Credentials<'_>) -> Result<Option<Authenticated>, AuthError> {
        let Some(text) = self.token_in(&credentials) else { return Ok(None) };
        let claims = self.verified(&Token::parse(text)?, credentials.now_ms).await?;
        Claims::parse(&claims)?.accept(self, credentials.now_ms).map(Some)
    }

    fn required(&self) -> bool {
        self.required
    }
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys)
            .field("audience", &self.audience)
            .field("issuer", &self.issuer)
            .field("cookie", &self.cookie)
            .field("required", &self.required)
            .finish()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(key) => write!(f, "{:?}", key.algorithm()),
            Self::Set(set) => write!(f, "{} of a set", set.len()),
            Self::File(file) => write!(f, "{:?}", file.path()),
            Self::None(refusal) => f.write_str(refusal),
        }
    }
}

/// Bytes of a good secret for HS256, as long as the hash (RFC 7518, section 3.2).
const SECRET_BYTES: usize = 32;

/// What is in the text of a public key, of whatever kind.
const PUBLIC_KEY: &[u8] = b"PUBLIC KEY-----";
