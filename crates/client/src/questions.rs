//! Questions that are not answered yet (`history`, `members`, `call`), without any I/O.
//!
//! Reading may be repeated, a call may not: the connection on which it was made is lost, and so is its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tricast_core::protocol::Event;

use crate::error::{AskError, Closed, Failure, Refusal};
use crate::limits::{ANSWER_TIMEOUT, QUESTIONS};
use crate::output::{AnswerReply, Reply};

/// A question, encoded once.
#[derive(Debug)]
pub(crate) struct Question {
    /// The channel or the method.
    pub(crate) about: Box<str>,
    /// The command.
    pub(crate) text: String,
    /// Whether asking twice changes nothing.
    pub(crate) repeatable: bool,
    pub(crate) reply: AnswerReply,
}

#[derive(Debug)]
struct Asked {
    question: Question,
    turn: Turn,
    /// Without an answer by then there is none.
    until: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Waiting,
    Flying,
    Resting { until: Duration },
}

/// All questions that wait for an answer.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: BTreeMap<u64, Asked>,
}

impl Questions {
    pub(crate) fn is_full(&self) -> bool {
        self.asked.len() >= QUESTIONS
    }

    pub(crate) fn add(&mut self, reference: u64, question: Question, now: Duration) {
        let until = now + ANSWER_TIMEOUT;
        self.asked.insert(reference, Asked { question, turn: Turn::Waiting, until });
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn abandon(&mut self, reference: u64) {
        self.asked.remove(&reference);
    }

    pub(crate) fn has_work(&self) -> bool {
        self.asked.values().any(|asked| asked.turn == Turn::Waiting)
    }

    pub(crate) fn flying(&self) -> usize {
        self.asked.values().filter(|asked| asked.turn == Turn::Flying).count()
    }

    /// The next command to send, and its `ref`.
    pub(crate) fn next_command(&mut self) -> Option<(u64, String)> {
        let (reference, asked) = self.asked.iter_mut().find(|(_, asked)| asked.turn == Turn::Waiting)?;
        asked.turn = Turn::Flying;
        Some((*reference, asked.question.text.clone()))
    }

    /// An answer came.
    pub(crate) fn answered(&mut self, reference: u64, answer: Result<Event, Refusal>) -> Option<Reply> {
        let Asked { question, .. } = self.asked.remove(&reference)?;
        let about = question.about;
        let answer = answer.map_err(|refusal| AskError::Refused { about, refusal });
        Some(Reply::Answer(question.reply, Box::new(answer)))
    }

    /// No answer came on this connection.
    pub(crate) fn failed(&mut self, reference: u64, failure: &Failure, rest: Duration, now: Duration) -> Option<Reply> {
        let asked = self.asked.get_mut(&reference)?;
        match failure {
            Failure::Refused(refusal) if !refusal.may_retry() => self.answered(reference, Err(refusal.clone())),
            _ if asked.question.repeatable => {
                asked.turn = Turn::Resting { until: now + rest };
                None
            }
            _ => self.unanswered(reference),
        }
    }

    /// What is under way is not answered any more, but for those that are `spared`; and nothing rests.
    pub(crate) fn start_over(&mut self, spared: impl Fn(u64) -> bool) -> Vec<Reply> {
        let mut lost = Vec::new();
        for (reference, asked) in self.asked.iter_mut().filter(|(reference, _)| !spared(**reference)) {
            match asked.turn {
                Turn::Flying if !asked.question.repeatable => lost.push(*reference),
                Turn::Flying | Turn::Resting { .. } | Turn::Waiting => asked.turn = Turn::Waiting,
            }
        }
        lost.into_iter().filter_map(|reference| self.unanswered(reference)).collect()
    }

    /// Gives up those whose time is over, and lets those try again who have rested.
    pub(crate) fn tick(&mut self, now: Duration) -> Vec<Reply> {
        for asked in self.asked.values_mut() {
            if matches!(asked.turn, Turn::Resting { until } if until <= now) {
                asked.turn = Turn::Waiting;
            }
        }
        let late = self.asked.iter().filter(|(_, asked)| asked.until <= now).map(|(reference, _)| *reference);
        let late: Vec<u64> = late.collect();
        late.into_iter().filter_map(|reference| self.unanswered(reference)).collect()
    }

    /// When [`Questions::tick`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let due = |asked: &Asked| match asked.turn {
            Turn::Resting { until } => until.min(asked.until),
            Turn::Waiting | Turn::Flying => asked.until,
        };
        self.asked.values().map(due).min()
    }

    pub(crate) fn close(&mut self, closed: &Closed) -> Vec<Reply> {
        let all = std::mem::take(&mut self.asked).into_values();
        let told = all.map(|Asked { question, .. }| {
            let error = AskError::Closed { about: question.about, closed: closed.clone() };
            Reply::Answer(question.reply, Box::new(Err(error)))
        });
        told.collect()
    }

    fn unanswered(&mut self, reference: u64) -> Option<Reply> {
        let Asked { question, .. } = self.asked.remove(&reference)?;
        let error = AskError::Unanswered { about: question.about };
        Some(Reply::Answer(question.reply, Box::new(Err(error))))
    }
}
