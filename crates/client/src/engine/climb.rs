//! Climbing back: a better transport is tried beside the one that works, and takes its place once it has proved itself.
//!
//! A socket on trial reads nothing. A stream on trial asks for the channels, so what it brings after its welcome counts, and
//! what both bring is told once, for the readers' positions say what is new.

use std::time::Duration;

use tricast_core::protocol::Event;

use super::{Engine, Phase};
use crate::limits::{CONNECT_TIMEOUT_MAX, FIRST_PROBE, LAST_PROBE};
use crate::link::{Effect, Link};
use crate::output::{Io, Output, Report};
use crate::state::State;
use crate::transport::Transport;

/// Better transports, and the one on trial.
#[derive(Debug, Default)]
pub(super) struct Climb {
    /// When to try next; `None` where nothing is better, or while one is on trial.
    next_at: Option<Duration>,
    tries: u32,
    trial: Option<Trial>,
}

#[derive(Debug)]
struct Trial {
    transport: Transport,
    link: Link,
}

impl Climb {
    pub(super) fn deadline(&self) -> Option<Duration> {
        let trial = self.trial.as_ref().and_then(|trial| trial.link.deadline());
        [self.next_at, trial].into_iter().flatten().min()
    }

    pub(super) fn io(&self) -> Option<Io> {
        self.trial.as_ref().and_then(|trial| trial.link.io())
    }

    /// The connection lived long enough: whatever made it a worse one may be over.
    pub(super) fn encourage(&mut self) {
        self.tries = 0;
    }
}

impl Engine {
    /// Plans the next look at a better transport, if there is one.
    pub(super) fn plan_climb(&mut self, now: Duration) {
        let is_best = self.proven.is_none_or(|transport| self.choice.better_than(transport).is_empty());
        self.climb.next_at = (!is_best).then(|| {
            let bound = FIRST_PROBE.saturating_mul(2_u32.saturating_pow(self.climb.tries)).min(LAST_PROBE);
            let half_ms = u64::try_from(bound.as_millis() / 2).unwrap_or(u64::MAX);
            now + bound / 2 + Duration::from_millis(self.entropy.below(half_ms))
        });
    }

    /// Does what is due of climbing.
    pub(super) fn tick_climb(&mut self, now: Duration) {
        if self.climb.next_at.is_some_and(|at| at <= now) {
            self.climb.next_at = None;
            self.try_better(now);
        }
        let Some(mut trial) = self.climb.trial.take() else { return };
        match trial.link.tick(&mut self.context(now)) {
            Some(Effect::Ended(_)) => self.give_up(&trial, now),
            _ => self.climb.trial = Some(trial),
        }
    }

    /// The one on trial brought something.
    pub(super) fn tried(&mut self, report: Report, now: Duration) {
        let Some(mut trial) = self.climb.trial.take() else { return };
        let mut effects = trial.link.report(report, &mut self.context(now));
        let told = effects.len();
        effects.retain(|effect| !matches!(effect, Effect::Proven));
        if effects.len() < told {
            self.take_over(trial, now);
            // What came with the proof is the connection's own from here on.
            return self.apply(effects, now);
        }
        let is_over = effects
            .iter()
            .any(|effect| matches!(effect, Effect::Ended(_) | Effect::Refused(..) | Effect::Event(Event::Bye(_))));
        if is_over {
            self.give_up(&trial, now);
        } else {
            self.climb.trial = Some(trial);
        }
    }

    /// Ends a trial, and what is planned.
    pub(super) fn drop_climb(&mut self) {
        self.climb.next_at = None;
        if let Some(io) = self.climb.trial.take().and_then(|trial| trial.link.io()) {
            self.put(Output::Cancel { io });
        }
    }

    fn try_better(&mut self, now: Duration) {
        let Some(proven) = self.proven else { return };
        let better = self.choice.better_than(proven);
        let Some(transport) = better.get(usize::try_from(self.climb.tries).unwrap_or(0) % better.len().max(1)).copied()
        else {
            return;
        };
        self.climb.tries = self.climb.tries.saturating_add(1);
        let patience = self.config.connect_timeout.min(CONNECT_TIMEOUT_MAX);
        let mut link = self.new_link(transport, patience, now);
        let wants = self.wants();
        link.update(&wants, &mut self.context(now));
        self.climb.trial = Some(Trial { transport, link });
    }

    /// The one on trial has proved itself.
    fn take_over(&mut self, trial: Trial, now: Duration) {
        let Trial { transport, link } = trial;
        // Requests that are under way are answered all the same; a socket takes its answers along.
        let had_socket = matches!(self.phase, Phase::Linked(Link::Socket(_)));
        if let Some(io) = self.link_io() {
            self.put(Output::Cancel { io });
        }
        self.phase = Phase::Linked(link);
        self.choice.settle(transport);
        self.proven = Some(transport);
        self.proven_at = now;
        self.put(Output::State(State::Connected { transport }));
        if had_socket {
            self.change_carrier(now);
        }
        self.is_stale = true;
        self.plan_climb(now);
    }

    fn give_up(&mut self, trial: &Trial, now: Duration) {
        if let Some(io) = trial.link.io() {
            self.put(Output::Cancel { io });
        }
        self.plan_climb(now);
    }
}
