//! One key, with the algorithm that belongs to it.
//!
//! A token's header says by which algorithm it was signed, and nobody is asked to believe it: the algorithm follows from
//! the key, and a header that says another one is refused (RFC 8725, section 3.1). So a public key is never taken for the
//! secret of an HMAC.

use jsonwebtoken::DecodingKey;
// By name: the library's own choice panics where another crate of the application turns on its other provider too.
use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER as RUST_CRYPTO;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// Whether a token's header, or a key's, means this one.
    pub(super) fn is_called(self, name: &str) -> bool {
        match self {
            Self::Hs256 => name == "HS256",
            Self::Rs256 => name == "RS256",
            Self::Es256 => name == "ES256",
            // RFC 9864 gives the same signatures a second name.
            Self::EdDsa => name == "EdDSA" || name == "Ed25519",
        }
    }

    fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// A key that verifies.
pub(super) struct Key {
    algorithm: Algorithm,
    decoding: DecodingKey,
}

impl Key {
    /// A secret shared with who signs.
    pub(super) fn secret(secret: &[u8]) -> Self {
        Self { algorithm: Algorithm::Hs256, decoding: DecodingKey::from_secret(secret) }
    }

    /// The public key of a PEM text.
    pub(super) fn pem(text: &str) -> Result<Self, KeyProblem> {
        let pem = text.as_bytes();
        match label(text)? {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => {}
            private if private.ends_with("PRIVATE KEY") => return Err(KeyProblem::Private),
            _ => return Err(KeyProblem::Kind),
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            let der = key.try_get_as_bytes().map_err(|_| KeyProblem::Malformed)?;
            let numbers = (RUST_CRYPTO.key_utils.rsa_pub_components_from_public_key)(der);
            let (n, e) = numbers.map_err(|_| KeyProblem::Malformed)?;
            Self::rsa(&n, &e)
        } else if let Ok(decoding) = DecodingKey::from_ec_pem(pem) {
            Self::elliptic(decoding)
        } else {
            let key = DecodingKey::from_ed_pem(pem).map_err(|_| KeyProblem::Kind)?;
            Self::ed25519(key.try_get_as_bytes().map_err(|_| KeyProblem::Malformed)?)
        }
    }

    /// An RSA key by its modulus and its exponent, most significant byte first.
    pub(super) fn rsa(n: &[u8], e: &[u8]) -> Result<Self, KeyProblem> {
        let (n, e) = (without_zeros(n), without_zeros(e));
        let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
        if !(RSA_BITS_MIN..=RSA_BITS_MAX).contains(&bits) {
            return Err(KeyProblem::RsaBits(bits));
        }
        let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
        if !is_odd(n) || !is_odd(e) || e.len() > RSA_EXPONENT_BYTES || e == [1] {
            return Err(KeyProblem::Malformed);
        }
        Ok(Self { algorithm: Algorithm::Rs256, decoding: DecodingKey::from_rsa_raw_components(n, e) })
    }

    /// A key on the curve P-256 by its coordinates.
    pub(super) fn p256(x: &[u8], y: &[u8]) -> Result<Self, KeyProblem> {
        if x.len() != COORDINATE_BYTES || y.len() != COORDINATE_BYTES {
            return Err(KeyProblem::Malformed);
        }
        Self::elliptic(DecodingKey::from_ec_der(&[&[UNCOMPRESSED], x, y].concat()))
    }

    fn elliptic(decoding: DecodingKey) -> Result<Self, KeyProblem> {
        let key = Self { algorithm: Algorithm::Es256, decoding };
        // Making a verifier finds out whether the point is one of P-256.
        (RUST_CRYPTO.verifier_factory)(&key.algorithm.of_library(), &key.decoding).map_err(|_| KeyProblem::Curve)?;
        Ok(key)
    }

    /// An Ed25519 key by its bytes.
    pub(super) fn ed25519(x: &[u8]) -> Result<Self, KeyProblem> {
        // The library's verifier takes it for granted that there are so many.
        if x.len() != COORDINATE_BYTES {
            return Err(KeyProblem::Malformed);
        }
        let key = Self { algorithm: Algorithm::EdDsa, decoding: DecodingKey::from_ed_der(x) };
        (RUST_CRYPTO.verifier_factory)(&key.algorithm.of_library(), &key.decoding)
            .map_err(|_| KeyProblem::Malformed)?;
        Ok(key)
    }

    pub(super) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this key's other half signed the message.
    pub(super) fn verifies(&self, message: &[u8], signature: &Vec<u8>) -> bool {
        let verifier = (RUST_CRYPTO.verifier_factory)(&self.algorithm.of_library(), &self.decoding);
        verifier.is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

/// What the one block of a PEM text says it is.
fn label(text: &str) -> Result<&str, KeyProblem> {
    let mut blocks = text.split("-----BEGIN ").skip(1);
    match (blocks.next(), blocks.next()) {
        (Some(block), None) => block.split_once("-----").map(|(label, _)| label).ok_or(KeyProblem::NotPem),
        _ => Err(KeyProblem::NotPem),
    }
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// Why a key cannot verify tokens.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyProblem {
    /// It is not one PEM block.
    #[error("it is not one PEM block, from -----BEGIN to -----END")]
    NotPem,
    /// It could sign, which is nobody's business here.
    #[error("it is a private key; only its public half belongs here")]
    Private,
    /// A certificate, an Ed448 key, or whatever else.
    #[error("it is no public key of RSA, P-256 or Ed25519")]
    Kind,
    /// A curve of which ES256 knows nothing.
    #[error("it is no point on the curve P-256")]
    Curve,
    /// RFC 7518, section 3.3, wants 2048 bits at least; more than 4096 cost each token dearly.
    #[error("it is an RSA key of {0} bits, {RSA_BITS_MIN} to {RSA_BITS_MAX} are allowed")]
    RsaBits(usize),
    /// The numbers in it make no key.
    #[error("its numbers make no key")]
    Malformed,
    /// Something else stands in the place of a JWK.
    #[error("it is no JWK: an object with kty, all of whose known members are texts")]
    NoJwk,
    /// A member of a JWK is missing, or is not what RFC 7518, section 6, says.
    #[error("its member {0:?} is missing or malformed")]
    Member(&'static str),
}

const RSA_BITS_MIN: usize = 2048;

const RSA_BITS_MAX: usize = 4096;

/// What every implementation takes; nearly all keys have 65537.
const RSA_EXPONENT_BYTES: usize = 4;

/// A coordinate on P-256 (RFC 7518, section 6.2.1), and an Ed25519 key (RFC 8032, section 5.1.5).
const COORDINATE_BYTES: usize = 32;

/// What stands before the coordinates of a point that has both (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 4;
