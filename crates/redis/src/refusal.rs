//! What Redis refuses, and what has to be done about it.

use redis::{RedisError, ServerError, Value};

use crate::error::LinkError;
use crate::url::{self, Address};

/// Why a call was not answered as it should.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The script is not known there.
    NoScript,
    /// The slot is another's.
    Moved(Address),
    /// The key is on its way to another.
    Ask(Address),
    /// Not now.
    Later(String),
    /// Nothing is to be had from this server: it is a replica by now, or in another life.
    Server(LinkError),
    /// It does not do this.
    Not(String),
    /// It did something else than it should: what was asked for may be done, or not.
    Fault(String),
    /// The connection ended meanwhile.
    Lost(LinkError),
}

impl From<RedisError> for Refusal {
    fn from(error: RedisError) -> Self {
        match error.clone().into_server_errors().as_deref() {
            Some([(_, error)]) => Self::from(error),
            _ => Self::Lost(error.into()),
        }
    }
}

impl From<Refusal> for LinkError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Server(error) | Refusal::Lost(error) => error,
            Refusal::NoScript | Refusal::Moved(_) | Refusal::Ask(_) => Self::Answer("SSUBSCRIBE"),
            Refusal::Later(text) | Refusal::Not(text) | Refusal::Fault(text) => Self::Unfit(text),
        }
    }
}

impl From<&ServerError> for Refusal {
    fn from(error: &ServerError) -> Self {
        let text = || format!("{} {}", error.code(), error.details().unwrap_or_default());
        match error.code() {
            "NOSCRIPT" => Self::NoScript,
            "MOVED" => redirection(error).map_or_else(|| Self::Fault(text()), Self::Moved),
            "ASK" => redirection(error).map_or_else(|| Self::Fault(text()), Self::Ask),
            "TRYAGAIN" | "CLUSTERDOWN" | "BUSY" => Self::Later(text()),
            "READONLY" | "MASTERDOWN" => Self::Server(LinkError::NoMaster),
            "LOADING" => Self::Server(LinkError::Refused(error.clone().into())),
            // A script is refused at its first write, or not at all.
            "OOM" | "MISCONF" | "NOREPLICAS" | "NOAUTH" => Self::Not(text()),
            _ => Self::Fault(text()),
        }
    }
}

/// The values of an array; anything else is a refusal.
pub(crate) fn array(answer: Value) -> Result<Vec<Value>, Refusal> {
    match answer {
        Value::Array(values) => Ok(values),
        Value::ServerError(error) => Err(Refusal::from(&error)),
        _ => Err(Refusal::Fault("the script's answer is no list".to_owned())),
    }
}

/// `3999 127.0.0.1:6381`; without a host it is the same as before.
fn redirection(error: &ServerError) -> Option<Address> {
    let (_, address) = error.details()?.split_once(' ')?;
    url::address(address.trim(), 0).ok().filter(|address| address.port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: &str, detail: &str) -> Refusal {
        redis::make_extension_error(code.to_owned(), Some(detail.to_owned())).into()
    }

    #[test]
    fn where_a_slot_went_is_read() {
        assert!(
            matches!(refusal("MOVED", "3999 10.0.0.1:6381"), Refusal::Moved(to) if to.to_string() == "10.0.0.1:6381")
        );
        assert!(matches!(refusal("ASK", "3999 [::1]:6381"), Refusal::Ask(to) if to.port == 6_381));
        assert!(matches!(refusal("MOVED", "nowhere"), Refusal::Fault(_)));
    }

    #[test]
    fn what_is_refused_before_anything_was_done_is_told_from_what_is_unknown() {
        assert!(matches!(refusal("OOM", "command not allowed"), Refusal::Not(_)));
        assert!(matches!(refusal("READONLY", ""), Refusal::Server(LinkError::NoMaster)));
        assert!(matches!(refusal("TRYAGAIN", ""), Refusal::Later(_)));
        assert!(matches!(refusal("ERR", "anything"), Refusal::Fault(_)));
        assert!(matches!(refusal("NOPERM", "in the middle of a script"), Refusal::Fault(_)));
    }
}
