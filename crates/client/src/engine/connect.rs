//! Getting a connection, and losing it.

use std::time::Duration;

use super::{Engine, Phase};
use crate::error::{Failure, Refusal};
use crate::limits::{CONNECT_TIMEOUT_MAX, SHORT_LIFE, SHORT_LIVES};
use crate::output::Output;
use crate::state::State;
use crate::tokens::Readiness;

impl Engine {
    /// Begins a round of tries with the best transport.
    pub(super) fn begin(&mut self, now: Duration) {
        self.choice.restart();
        self.put(Output::State(State::Connecting));
        self.connect(now);
    }

    /// The server has spoken: this transport delivers.
    pub(super) fn prove(&mut self, now: Duration) {
        if self.proven.is_some() {
            return;
        }
        let Some(transport) = self.choice.current() else { return };
        self.backoff.reset();
        self.proven = Some(transport);
        self.proven_at = now;
        self.put(Output::State(State::Connected { transport }));
        self.change_carrier(now);
        self.plan_climb(now);
    }

    /// There is nothing to read any more.
    pub(super) fn rest(&mut self) {
        self.drop_link();
        self.phase = Phase::Idle;
        self.put(Output::State(State::Idle));
    }

    /// Ends the connection without a word about it.
    pub(super) fn drop_link(&mut self) {
        if let Some(io) = self.link_io() {
            self.put(Output::Cancel { io });
        }
        self.drop_climb();
        self.proven = None;
        self.phase = Phase::Idle;
        self.start_over();
    }

    /// The server's last words. It may say them for the last of its subscriptions, which have left already.
    pub(super) fn said_goodbye(&mut self, refusal: Refusal, is_final: bool, now: Duration) {
        let asked = self.with_link(now, |link, _| link.ends_with().to_vec()).unwrap_or_default();
        if !is_final {
            self.lost(Failure::Refused(refusal), now);
        } else if self.channels.is_empty() {
            self.rest();
        } else if !asked.is_empty() && !asked.iter().any(|name| self.channels.contains_key(name)) {
            // Others rest, or came since: they are asked for next.
            self.update_link(now);
        } else {
            self.close(Some(Failure::Refused(refusal)));
        }
    }

    /// The connection is over.
    pub(super) fn lost(&mut self, failure: Failure, now: Duration) {
        let was_proven = self.proven.is_some();
        let lives_are_short = self.count_life(&failure, now);
        let token = self.with_link(now, |link, _| link.token().cloned()).flatten();
        self.drop_link();
        let is_blamed = match &failure {
            Failure::Refused(refusal) if refusal.is_about_token() => {
                if !self.tokens.refused(token.as_ref()) {
                    return self.close(Some(failure));
                }
                false
            }
            Failure::Refused(refusal) if !refusal.may_retry() => return self.close(Some(failure)),
            Failure::Refused(_) | Failure::Token(_) => false,
            Failure::Unfit { .. } => true,
            Failure::Unreachable { .. } => !was_proven || lives_are_short,
        };
        if is_blamed {
            self.choice.failed();
            if self.choice.current().is_some() {
                if was_proven {
                    self.put(Output::State(State::Connecting));
                }
                return self.connect(now);
            }
        }
        self.wait(failure, now);
    }

    /// Waits for the next round.
    pub(super) fn wait(&mut self, failure: Failure, now: Duration) {
        self.choice.restart();
        let retry_in = self.backoff.next(self.config.pace, &*self.entropy, failure.retry_after());
        self.phase = Phase::Waiting { until: now + retry_in };
        self.put(Output::State(State::Waiting { retry_in, failure }));
    }

    /// Opens the transport whose turn it is.
    pub(super) fn open(&mut self, now: Duration) {
        let Some(transport) = self.choice.current() else {
            return self.wait(Failure::unreachable("no transport is left"), now);
        };
        let factor = 2_u32.saturating_pow(self.backoff.failures());
        let patience = self.config.connect_timeout.saturating_mul(factor).min(CONNECT_TIMEOUT_MAX);
        self.phase = Phase::Linked(self.new_link(transport, patience, now));
        self.update_link(now);
    }

    /// Counts the lives of proven connections that were cut early, in a row; whether there were too many: something lets the
    /// transport open and then ends it.
    fn count_life(&mut self, failure: &Failure, now: Duration) -> bool {
        if self.proven.is_some() {
            let is_short = matches!(failure, Failure::Unreachable { .. }) && now - self.proven_at < SHORT_LIFE;
            self.short_lives = if is_short { self.short_lives + 1 } else { 0 };
            if !is_short {
                self.climb.encourage();
            }
        }
        self.short_lives >= SHORT_LIVES
    }

    fn connect(&mut self, now: Duration) {
        match self.tokens.readiness() {
            Readiness::Ready => self.open(now),
            Readiness::Awaited => self.phase = Phase::AwaitingToken,
        }
    }
}
