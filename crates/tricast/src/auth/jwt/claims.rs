//! What a verified token says.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use tricast_core::access::{Capabilities, Identity, User, UserId};
use tricast_core::channel::{Pattern, PatternError};
use tricast_core::limits::{CAPABILITIES, TOKEN_LEEWAY_MS};

use super::Jwt;
use super::token::object;
use crate::auth::{AuthError, Authenticated};

/// The claims that count (RFC 7519, section 4.1), each as its JSON text, so that each can be blamed by name.
#[derive(Deserialize)]
pub(super) struct Claims<'a> {
    #[serde(borrow)]
    sub: Option<&'a RawValue>,
    #[serde(borrow)]
    exp: Option<&'a RawValue>,
    #[serde(borrow)]
    nbf: Option<&'a RawValue>,
    #[serde(borrow)]
    iat: Option<&'a RawValue>,
    #[serde(borrow)]
    aud: Option<&'a RawValue>,
    #[serde(borrow)]
    iss: Option<&'a RawValue>,
    #[serde(borrow)]
    tricast: Option<&'a RawValue>,
}

impl<'a> Claims<'a> {
    pub(super) fn parse(json: &'a [u8]) -> Result<Self, AuthError> {
        object(json)
            .ok_or_else(|| AuthError::invalid("the token's claims are no JSON object, or one stands there twice"))
    }

    /// Who the bearer is, if the token is good now.
    pub(super) fn accept(&self, expected: &Jwt, now_ms: u64) -> Result<Authenticated, AuthError> {
        self.check_audience(expected.audience.as_deref())?;
        self.check_issuer(expected.issuer.as_deref())?;
        let exp_ms = time("exp", self.exp)?.ok_or_else(|| fault("exp", "is missing"))?;
        let iat_ms = time("iat", self.iat)?;
        let earliest = now_ms.saturating_add(TOKEN_LEEWAY_MS);
        if time("nbf", self.nbf)?.is_some_and(|nbf_ms| nbf_ms > earliest) {
            return Err(fault("nbf", "says that the token is not good yet"));
        }
        if iat_ms.is_some_and(|iat_ms| iat_ms > earliest) {
            return Err(fault("iat", "is in the future"));
        }
        let identity = self.identity()?;
        // Last, so that "expired" is said of nothing but what was good once: a new token helps.
        if now_ms > exp_ms.saturating_add(TOKEN_LEEWAY_MS) {
            return Err(AuthError::Expired);
        }
        // Without `iat` nobody can tell it from one that was issued before its user was revoked.
        Ok(Authenticated::new(identity).until_ms(exp_ms).since_ms(iat_ms.unwrap_or(0)))
    }

    fn check_audience(&self, expected: Option<&str>) -> Result<(), AuthError> {
        let given: Option<Audience> = read("aud", self.aud, "is neither a string nor a list of strings")?;
        match (given, expected) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(fault("aud", "is missing")),
            (Some(_), None) => Err(fault("aud", "is for others: no audience is configured here")),
            (Some(given), Some(expected)) if given.contains(expected) => Ok(()),
            (Some(_), Some(_)) => Err(fault("aud", "is for others")),
        }
    }

    fn check_issuer(&self, expected: Option<&str>) -> Result<(), AuthError> {
        let Some(expected) = expected else { return Ok(()) };
        match read::<String>("iss", self.iss, "is not a string")? {
            None => Err(fault("iss", "is missing")),
            Some(given) if given == expected => Ok(()),
            Some(_) => Err(fault("iss", "is another issuer")),
        }
    }

    fn identity(&self) -> Result<Identity, AuthError> {
        let capabilities = self.capabilities()?;
        match read::<String>("sub", self.sub, "is not a string")? {
            Some(sub) => {
                let id: UserId = sub.parse().map_err(|error| fault("sub", &format!("is no user's id: {error}")))?;
                Ok(User::new(id).with(capabilities).into())
            }
            None if capabilities.is_server() => Ok(Identity::Server),
            None => Err(fault("sub", "is missing")),
        }
    }

    fn capabilities(&self) -> Result<Capabilities, AuthError> {
        let Some(claim) = self.tricast else { return Ok(Capabilities::default()) };
        let granted: Granted<'_> = object(claim.get().as_bytes())
            .ok_or_else(|| fault("tricast", "is not an object of subscribe, publish and server"))?;
        let server = read("tricast.server", granted.server, "is neither true nor false")?;
        let mut all = if server == Some(true) { Capabilities::server() } else { Capabilities::default() };
        for pattern in patterns("tricast.subscribe", granted.subscribe)? {
            all = all.subscribe(pattern);
        }
        for pattern in patterns("tricast.publish", granted.publish)? {
            all = all.publish(pattern);
        }
        if all.len() > CAPABILITIES {
            let has = all.len();
            return Err(fault("tricast", &format!("has {has} patterns, {CAPABILITIES} are allowed")));
        }
        Ok(all)
    }
}

/// The claim `tricast`. What is not known here is refused: who wrote it meant something by it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Granted<'a> {
    #[serde(borrow)]
    subscribe: Option<&'a RawValue>,
    #[serde(borrow)]
    publish: Option<&'a RawValue>,
    #[serde(borrow)]
    server: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn contains(&self, expected: &str) -> bool {
        match self {
            Self::One(one) => one == expected,
            Self::Many(many) => many.iter().any(|one| one == expected),
        }
    }
}

/// The value of a claim; `null` is none.
fn read<'a, T: Deserialize<'a>>(
    claim: &str,
    value: Option<&'a RawValue>,
    problem: &str,
) -> Result<Option<T>, AuthError> {
    value.map(|value| serde_json::from_str(value.get()).map_err(|_| fault(claim, problem))).transpose()
}

/// A point in time in milliseconds, where the token has seconds, possibly broken ones.
fn time(claim: &str, value: Option<&RawValue>) -> Result<Option<u64>, AuthError> {
    let problem = "is no time in seconds since 1970";
    let Some(seconds) = read::<f64>(claim, value, problem)? else { return Ok(None) };
    let since_1970 = Duration::try_from_secs_f64(seconds).ok().filter(|time| time.as_secs() <= LATEST_SECONDS);
    let ms = since_1970.and_then(|time| u64::try_from(time.as_millis()).ok());
    ms.ok_or_else(|| fault(claim, problem)).map(Some)
}

fn patterns(claim: &str, value: Option<&RawValue>) -> Result<Vec<Pattern>, AuthError> {
    let texts = read::<Vec<String>>(claim, value, "is not a list of patterns")?.unwrap_or_default();
    let parsed = texts.iter().enumerate().map(|(nth, text)| {
        text.parse().map_err(|PatternError { problem, .. }| {
            fault(&format!("{claim}[{nth}]"), &format!("is no pattern: {problem}"))
        })
    });
    parsed.collect()
}

fn fault(claim: &str, problem: &str) -> AuthError {
    AuthError::invalid(format!("the token's {claim} {problem}"))
}

/// The end of the year 9999. What is later was meant as milliseconds, and would be good for ever.
const LATEST_SECONDS: u64 = 253_402_300_799;
