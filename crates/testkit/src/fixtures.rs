//! Topics, drafts and positions, as tests of backplanes say them.

use std::sync::Arc;

use tricast_core::access::{Identity, Scope};
use tricast_core::channel::{Rule, Topic};
use tricast_core::message::{Draft, Message};
use tricast_core::position::Seq;

/// A channel under a rule.
///
/// # Panics
/// The name is none.
#[must_use]
pub fn topic(name: &str, rule: Rule) -> Topic {
    let name = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    Topic { name, rule: Arc::new(rule) }
}

/// A stream under the default rule.
#[must_use]
pub fn stream(name: &str) -> Topic {
    topic(name, Rule::stream())
}

/// A state under the default rule.
#[must_use]
pub fn state(name: &str) -> Topic {
    topic(name, Rule::state())
}

/// A message that says this.
pub fn saying(text: &str) -> Draft {
    Draft::json(text).expect("a string is JSON")
}

/// Who publishes as the server itself.
#[must_use]
pub fn server() -> Scope {
    Identity::Server.scope()
}

/// A number.
///
/// # Panics
/// It is too large for one.
#[must_use]
pub fn seq(number: u64) -> Seq {
    Seq::new(number).expect("a small number")
}

/// The numbers of messages.
#[must_use]
pub fn seqs(messages: &[Arc<Message>]) -> Vec<u64> {
    messages.iter().map(|message| message.seq.get()).collect()
}
