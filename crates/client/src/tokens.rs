//! The token at hand, and when to ask for another: decided without I/O.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use tricast_core::protocol::Secret;

use crate::limits::{LONGEST, TOKEN_RETRY};

/// What a token source gave.
pub(crate) type Given = Result<Secret, Arc<dyn Error + Send + Sync>>;

/// Whether the token at hand can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It can, or the caller is anonymous.
    Ready,
    /// One has been asked for, or is to be.
    Awaited,
}

/// The tokens of one client.
#[derive(Debug)]
pub(crate) struct Tokens {
    has_source: bool,
    token: Option<Secret>,
    /// The source has been asked and has not answered.
    asking: bool,
    /// No token has been accepted since one was refused.
    doubted: bool,
    renew_at: Option<Duration>,
    /// The source has failed and is left alone until then.
    rests_until: Option<Duration>,
}

impl Tokens {
    pub(crate) fn new(has_source: bool) -> Self {
        Self { has_source, token: None, asking: false, doubted: false, renew_at: None, rests_until: None }
    }

    pub(crate) fn at_hand(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Whether there is anything to wait for.
    pub(crate) fn readiness(&self) -> Readiness {
        if self.has_source && self.token.is_none() {
            return Readiness::Awaited;
        }
        Readiness::Ready
    }

    /// Whether the source is to be asked now; it is not asked twice at a time, nor right after it failed.
    pub(crate) fn ask(&mut self, now: Duration) -> bool {
        let ask = self.has_source && !self.asking && self.rests_until.is_none_or(|until| until <= now);
        self.asking |= ask;
        ask
    }

    /// When to look again: ahead of the token's end, or once a source that failed has rested.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        if self.asking {
            return None;
        }
        [self.renew_at, self.rests_until].into_iter().flatten().min()
    }

    /// Whether the token's successor is to be asked for.
    pub(crate) fn is_due(&mut self, now: Duration) -> bool {
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
        }
        let due = !self.asking && self.renew_at.is_some_and(|at| at <= now);
        if due {
            self.renew_at = None;
        }
        due
    }

    /// The source has answered. Where it failed while a token is at hand, it is asked again in a while.
    pub(crate) fn given(&mut self, given: Given, now: Duration) -> Result<(), Arc<dyn Error + Send + Sync>> {
        self.asking = false;
        match given {
            Ok(token) => {
                self.token = Some(token);
                Ok(())
            }
            Err(error) => {
                self.rests_until = Some(now + TOKEN_RETRY);
                self.renew_at = self.token.as_ref().map(|_| now + TOKEN_RETRY);
                Err(error)
            }
        }
    }

    /// The server took the token, which ends after this time: the next is asked for when a quarter of it is left.
    pub(crate) fn accepted(&mut self, expires_in: Option<Duration>, now: Duration) {
        self.doubted = false;
        if self.has_source
            && let Some(time) = expires_in
        {
            // A source that gives the same old token is not asked for another all the time.
            let time = time.min(4 * LONGEST);
            self.renew_at = Some(now + (time * 3 / 4).max(TOKEN_RETRY.min(time)));
        }
    }

    /// The server refused the token that was used; whether another one may help: not where none was accepted since the last
    /// refusal.
    pub(crate) fn refused(&mut self, used: Option<&Secret>) -> bool {
        // Another one has come, or is coming, meanwhile.
        if self.has_source && used != self.token.as_ref() {
            return true;
        }
        let may_help = self.has_source && !self.doubted;
        self.token = None;
        self.renew_at = None;
        self.doubted = true;
        may_help
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    fn token(text: &str) -> Given {
        Ok(Secret::new(text))
    }

    #[test]
    fn an_anonymous_caller_is_ready_and_no_token_would_help() {
        let mut tokens = Tokens::new(false);
        assert_eq!(tokens.readiness(), Readiness::Ready);
        assert!(!tokens.ask(NOW) && !tokens.refused(None));
    }

    #[test]
    fn the_source_is_asked_once_at_a_time() {
        let mut tokens = Tokens::new(true);
        assert_eq!(tokens.readiness(), Readiness::Awaited);
        assert!(tokens.ask(NOW) && !tokens.ask(NOW));
        tokens.given(token("a"), NOW).unwrap();
        assert_eq!(tokens.readiness(), Readiness::Ready);
    }

    #[test]
    fn a_token_is_renewed_ahead_of_its_end() {
        let mut tokens = Tokens::new(true);
        tokens.ask(NOW);
        tokens.given(token("a"), NOW).unwrap();
        tokens.accepted(Some(Duration::from_secs(40)), NOW);
        assert_eq!(tokens.deadline(), Some(NOW + Duration::from_secs(30)));
        assert!(!tokens.is_due(NOW + Duration::from_secs(29)));
        assert!(tokens.is_due(NOW + Duration::from_secs(30)));
        assert_eq!(tokens.deadline(), None);
    }

    #[test]
    fn a_source_that_fails_while_a_token_is_at_hand_is_asked_again() {
        let mut tokens = Tokens::new(true);
        tokens.ask(NOW);
        tokens.given(token("a"), NOW).unwrap();
        tokens.ask(NOW);
        assert!(tokens.given(Err(Arc::from(Box::<dyn Error + Send + Sync>::from("down"))), NOW).is_err());
        assert!(!tokens.ask(NOW), "at once");
        assert_eq!(tokens.deadline(), Some(NOW + TOKEN_RETRY));
        assert!(tokens.is_due(NOW + TOKEN_RETRY));
        assert_eq!(tokens.at_hand(), Some(&Secret::new("a")));
    }

    #[test]
    fn of_two_refusals_in_a_row_the_second_is_the_end() {
        let mut tokens = Tokens::new(true);
        let refused = |tokens: &mut Tokens, text| tokens.refused(Some(&Secret::new(text)));
        for (text, may_help) in [("a", true), ("b", false)] {
            tokens.ask(NOW);
            tokens.given(token(text), NOW).unwrap();
            assert_eq!(refused(&mut tokens, text), may_help);
        }
        tokens.accepted(None, NOW);
        tokens.given(token("c"), NOW).unwrap();
        assert!(refused(&mut tokens, "c"));
    }

    #[test]
    fn a_refusal_of_an_older_token_is_no_doubt_of_the_next() {
        let mut tokens = Tokens::new(true);
        tokens.ask(NOW);
        tokens.given(token("a"), NOW).unwrap();
        assert!(tokens.refused(Some(&Secret::new("a"))) && tokens.refused(Some(&Secret::new("a"))), "none at hand");
        tokens.given(token("b"), NOW).unwrap();
        assert!(tokens.refused(Some(&Secret::new("a"))));
        assert_eq!(tokens.at_hand(), Some(&Secret::new("b")));
    }
}
