//! Carrying commands: over the socket that lives, or by POST.

use std::time::Duration;

use tricast_core::channel::ChannelName;
use tricast_core::protocol::{Event, Ref, Secret};

use super::{Engine, Phase};
use crate::error::{AskError, Closed, Failure, PublishError, Refusal};
use crate::limits::{ASKING_POSTS, LONGEST, PUBLISHING_POSTS};
use crate::link::Link;
use crate::outbox::Entry;
use crate::output::{Endpoint, Io, Output, Reply, Report};
use crate::questions::Question;
use crate::tokens::Readiness;

/// What a POST of commands is about.
#[derive(Debug)]
enum Post {
    Publishes(ChannelName),
    Question(u64),
}

/// A POST that is under way.
#[derive(Debug)]
pub(super) struct Sent {
    post: Post,
    token: Option<Secret>,
}

/// What carries commands now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Carrier {
    Nothing,
    Socket(Io),
    Posts,
}

impl Engine {
    /// Takes a publish, made once its `ref` is known.
    pub(crate) fn publish(
        &mut self,
        channel: &ChannelName,
        entry: impl FnOnce(u64) -> Entry,
    ) -> Result<u64, PublishError> {
        if let Some(closed) = self.closed() {
            return Err(PublishError::Closed { channel: channel.clone(), closed: closed.clone() });
        }
        if self.outbox.is_full() {
            return Err(PublishError::OutboxFull { channel: channel.clone(), most: self.outbox.capacity() });
        }
        self.refs += 1;
        self.outbox.add(channel, entry(self.refs));
        Ok(self.refs)
    }

    /// Takes a question, made once its `ref` is known.
    pub(crate) fn ask(
        &mut self,
        about: &str,
        question: impl FnOnce(u64) -> Question,
        now: Duration,
    ) -> Result<u64, AskError> {
        if let Some(closed) = self.closed() {
            return Err(AskError::Closed { about: about.into(), closed: closed.clone() });
        }
        if self.questions.is_full() {
            return Err(AskError::TooMany { about: about.into(), most: crate::limits::QUESTIONS });
        }
        self.refs += 1;
        self.questions.add(self.refs, question(self.refs), now);
        Ok(self.refs)
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn abandon(&mut self, reference: u64) {
        self.outbox.abandon(reference);
        self.questions.abandon(reference);
    }

    /// Sends as much as the carrier takes at once.
    pub(super) fn pump(&mut self, now: Duration) {
        let carrier = self.carrier();
        if carrier == Carrier::Nothing || self.tokens.readiness() == Readiness::Awaited {
            return;
        }
        let mut replies = Vec::new();
        while carrier != Carrier::Posts || self.outbox.flying() < PUBLISHING_POSTS {
            let Some(batch) = self.outbox.next_batch(now, &mut replies) else { break };
            self.send(carrier, batch.text, Post::Publishes(batch.channel));
        }
        while carrier != Carrier::Posts || self.questions.flying() < ASKING_POSTS {
            let Some((reference, text)) = self.questions.next_command() else { break };
            self.send(carrier, format!("[{text}]"), Post::Question(reference));
        }
        self.reply(replies);
    }

    /// Whether nothing goes on before there is a token.
    pub(super) fn wants_token(&self) -> bool {
        let for_commands = self.carrier() != Carrier::Nothing && (self.outbox.has_work() || self.questions.has_work());
        self.tokens.readiness() == Readiness::Awaited && (for_commands || matches!(self.phase, Phase::AwaitingToken))
    }

    /// Another connection carries from now on: publishes that were not answered are sent again, for their ids make that
    /// safe. Questions that went by POST are answered there.
    pub(super) fn change_carrier(&mut self, now: Duration) {
        self.cancel_posts(|post| matches!(post, Post::Publishes(_)));
        self.start_over();
        self.pump(now);
    }

    /// What no POST carries went by a connection that is gone.
    pub(super) fn start_over(&mut self) {
        let posts = &self.posts;
        let by_post = |is_it: &dyn Fn(&Post) -> bool| posts.values().any(|sent| is_it(&sent.post));
        self.outbox.start_over(|channel| by_post(&|post| matches!(post, Post::Publishes(of) if of == channel)));
        let unanswered = self
            .questions
            .start_over(|question| by_post(&|post| matches!(post, Post::Question(of) if *of == question)));
        self.reply(unanswered);
    }

    /// A POST of commands brought something.
    pub(super) fn posted(&mut self, io: Io, report: Report, now: Duration) {
        let failure = match report {
            Report::Answer(answer) => {
                self.tokens.accepted(None, now);
                for event in answer.events {
                    self.answer(event, now);
                }
                Failure::unreachable("the answer lacks what was asked for")
            }
            Report::Ended(failure) => failure,
            Report::Opened | Report::Heard | Report::Event(_) => return,
        };
        let Some(Sent { post, token }) = self.posts.remove(&io) else { return };
        if let Failure::Refused(refusal) = &failure
            && refusal.is_about_token()
            && self.tokens.refused(token.as_ref())
        {
            return self.failed(&post, &Failure::unreachable("the token was refused"), now);
        }
        self.failed(&post, &failure, now);
    }

    /// Takes the answer to a command.
    pub(super) fn answer(&mut self, event: Event, now: Duration) {
        let reference = match &event {
            Event::Published(event) => number(event.reference.as_ref()),
            Event::Error(event) => number(event.reference.as_ref()),
            Event::History(event) => number(event.reference.as_ref()),
            Event::Presence(event) => number(event.reference.as_ref()),
            Event::Result { reference, .. } => number(reference.as_ref()),
            _ => None,
        };
        let Some(reference) = reference else { return };
        let reply = match event {
            Event::Published(event) => {
                let published = Ok((event.position, event.duplicate));
                self.outbox.outcome(reference, published, now, &*self.entropy)
            }
            Event::Error(error) => {
                let refusal = Refusal::from(error);
                let published = self.outbox.outcome(reference, Err(refusal.clone()), now, &*self.entropy);
                published.or_else(|| self.questions.answered(reference, Err(refusal)))
            }
            answer => self.questions.answered(reference, Ok(answer)),
        };
        self.reply(reply.into_iter().collect());
    }

    /// Lets commands try again, and gives up what was never answered.
    pub(super) fn carry_on(&mut self, now: Duration) {
        for channel in self.outbox.tick(now, &*self.entropy) {
            self.cancel_posts(|post| matches!(post, Post::Publishes(of) if *of == channel));
        }
        let late = self.questions.tick(now);
        self.reply(late);
    }

    pub(super) fn close_commands(&mut self, closed: &Closed) {
        self.cancel_posts(|_| true);
        let mut replies = self.questions.close(closed);
        self.outbox.close(closed, &mut replies);
        self.reply(replies);
    }

    fn failed(&mut self, post: &Post, failure: &Failure, now: Duration) {
        let mut replies = Vec::new();
        match (post, failure) {
            (Post::Publishes(channel), Failure::Refused(refusal)) if !refusal.may_retry() => {
                self.outbox.refuse(channel, refusal, &mut replies);
            }
            (Post::Publishes(channel), failure) if self.outbox.is_flying(channel) => {
                self.outbox.retry(channel, failure.retry_after(), now, &*self.entropy);
            }
            (Post::Publishes(_), _) => {}
            (Post::Question(reference), failure) => {
                let rest = self.config.pace.base.max(failure.retry_after().unwrap_or_default()).min(LONGEST);
                replies.extend(self.questions.failed(*reference, failure, rest, now));
            }
        }
        self.reply(replies);
    }

    fn send(&mut self, carrier: Carrier, text: String, post: Post) {
        if let Carrier::Socket(io) = carrier {
            return self.put(Output::Write { io, text });
        }
        self.ios += 1;
        let io = Io(self.ios);
        let token = self.tokens.at_hand().cloned();
        self.posts.insert(io, Sent { post, token: token.clone() });
        self.put(Output::Post { io, endpoint: Endpoint::Send, body: text, token });
    }

    fn cancel_posts(&mut self, is_given_up: impl Fn(&Post) -> bool) {
        let given_up: Vec<Io> =
            self.posts.iter().filter(|(_, sent)| is_given_up(&sent.post)).map(|(io, _)| *io).collect();
        for io in given_up {
            self.posts.remove(&io);
            self.put(Output::Cancel { io });
        }
    }

    fn carrier(&self) -> Carrier {
        match &self.phase {
            Phase::Idle => Carrier::Posts,
            Phase::Linked(_) if self.proven.is_none() => Carrier::Nothing,
            Phase::Linked(Link::Socket(link)) => Carrier::Socket(link.io()),
            Phase::Linked(Link::Requests(_)) => Carrier::Posts,
            Phase::AwaitingToken | Phase::Waiting { .. } | Phase::Closed(_) => Carrier::Nothing,
        }
    }

    fn reply(&mut self, replies: Vec<Reply>) {
        self.outputs.extend(replies.into_iter().map(Output::Reply));
    }
}

/// The `ref` of a command of ours, all of which are numbers.
fn number(reference: Option<&Ref>) -> Option<u64> {
    reference?.to_string().parse().ok()
}
