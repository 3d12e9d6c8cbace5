//! A node: real copies of logs, driven by a small model of who drives them in a server, and its readers.
//!
//! It is told what happens and says what it wants ([`Out`]); it knows no network and no store. Whoever has to wait is
//! written down, and who waits for the same waits for one question: as in the server, one turn to ask where a log stands,
//! one to catch up, one to fetch what a reader lacks.

mod asking;
mod reading;
mod rounds;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::mem;

use tricast_core::backplane::Slice;
use tricast_core::cache::{Cache, Filling, Heard};
use tricast_core::channel::Kind;
use tricast_core::log::{Head, Limit};
use tricast_core::position::{Epoch, Position};
use tricast_core::protocol::Start;

use super::flaw::Flaw;
use super::plan::{Plan, retention};
use super::question::{Answer, Errand, News, Purpose, Question, Waiter};
use crate::sim::ledger::Keeps;
use crate::sim::node::Told;
use session::{Session, State};

pub(super) struct Node {
    plan: Terms,
    /// `None`: nobody has read the channel for a while.
    copies: Vec<Option<Copy>>,
    sessions: BTreeMap<u64, Session>,
    /// What every copy says may be incomplete.
    doubt: bool,
    /// Which wait between two rounds is the present one; none while a round is made.
    pub(super) waits: Option<u64>,
    rounds: u64,
    now: u64,
    out: Vec<Out>,
    pub(super) fills: u64,
    pub(super) owed: u64,
    flaw: Option<Flaw>,
}

/// What of a plan concerns a node.
struct Terms {
    channels: Vec<Keeps>,
    batch: Limit,
    linger: u64,
    copies_remember: usize,
}

/// What a node wants.
#[derive(Debug)]
pub(super) enum Out {
    /// To ask the store.
    Ask(Purpose, Question),
    /// To send somebody.
    Send { channel: usize, errand: Errand },
    /// To write to a reader; the last words of a poll's answer say where it stands.
    Tell { session: u64, told: Vec<Told>, ends: Option<Ends> },
    /// To say that it cannot serve now.
    Refuse { session: u64 },
    /// To come back to a reader at once.
    Look { session: u64 },
    /// To make a round after so many milliseconds.
    Round { wait: u64, nth: u64 },
    /// To tell a publisher.
    Acknowledge(super::super::publisher::Publish, Option<Position>),
}

/// The end of a poll's answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    pub(super) position: Option<Position>,
    /// Something that it wanted could not be read.
    pub(super) owed: bool,
}

/// Who comes to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Comes {
    pub(super) session: u64,
    pub(super) channel: usize,
    pub(super) polls: bool,
    pub(super) asked: Option<Position>,
    pub(super) start: Start,
}

struct Copy {
    kind: Kind,
    cache: Cache,
    /// Counts the epochs that it has had.
    life: u32,
    watched: bool,
    /// Who asks where the log stands, for all these.
    turn: Option<Turn>,
    /// Who waits for the turn after that.
    next: Vec<Waiter>,
    catching: Option<Caller>,
    catch_next: VecDeque<Caller>,
    fetching: Option<Fetch>,
    fetch_next: VecDeque<u64>,
    /// The last page that was fetched past the copy, for those who wait for the same.
    page: Option<(Position, Slice)>,
    /// What an earlier filling fetched.
    old_pages: Vec<Slice>,
    /// Somebody is on the way.
    behind: bool,
    owed: bool,
    idle_since: Option<u64>,
}

struct Turn {
    waiters: Vec<Waiter>,
    head: Option<Head>,
    watches: bool,
}

/// Who catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Turn,
    Errand,
}

struct Fetch {
    session: u64,
    filling: Option<Filling>,
    pages: Vec<Slice>,
}

impl Node {
    pub(super) fn new(plan: &Plan, flaw: Option<Flaw>) -> Self {
        let terms = Terms {
            channels: plan.channels.clone(),
            batch: Limit { messages: plan.batch, bytes: usize::MAX },
            linger: plan.linger,
            copies_remember: plan.copies_remember,
        };
        let copies = plan.channels.iter().map(|_| None).collect();
        let mut node = Self {
            plan: terms,
            copies,
            sessions: BTreeMap::new(),
            doubt: false,
            waits: None,
            rounds: 0,
            now: 0,
            out: Vec::new(),
            fills: 0,
            owed: 0,
            flaw,
        };
        node.wait_for_round();
        node
    }

    /// What it wants since it was asked last.
    pub(super) fn wants(&mut self) -> Vec<Out> {
        mem::take(&mut self.out)
    }

    pub(super) fn at(&mut self, now: u64) -> &mut Self {
        self.now = now;
        self
    }

    /// Somebody comes to read.
    pub(super) fn comes(&mut self, comes: Comes) {
        let Comes { session, channel, .. } = comes;
        let copy = self.obtain(channel);
        copy.idle_since = None;
        let (life, begun, head, serves) = {
            let cache = &copy.cache;
            (copy.life, cache.is_begun(), cache.log().head(), comes.asked.map(|asked| cache.serves(asked)))
        };
        self.sessions.insert(session, Session::new(comes, life));
        let believes = begun && self.flaw == Some(Flaw::BelievesItsOwnHead);
        let silent = self.flaw == Some(Flaw::SaysNothingNew)
            && serves.is_some_and(|serves| serves != tricast_core::cache::Serves::No)
            && comes.asked.is_some_and(|asked| asked.seq <= head.head && asked.base.is_none());
        if believes || silent {
            self.entered(session, Some(head));
        } else {
            self.watch(channel, Waiter::Enter(session));
        }
    }

    pub(super) fn leaves(&mut self, session: u64) {
        self.sessions.remove(&session);
    }

    /// A batch has been written, or a poll has waited for long enough, or something may be there.
    pub(super) fn writable(&mut self, session: u64) {
        if let Some(it) = self.sessions.get_mut(&session).filter(|it| it.state == State::Writing) {
            it.state = State::Idle;
        }
        self.pump(session);
    }

    pub(super) fn waited(&mut self, session: u64) {
        if let Some(it) = self.sessions.remove(&session) {
            let ends = Ends { position: it.begun.then_some(it.position), owed: it.owed || it.state != State::Idle };
            self.out.push(Out::Tell { session, told: it.told, ends: Some(ends) });
        }
    }

    pub(super) fn hears(&mut self, News { channel, epoch, message }: News) {
        let Some(copy) = &mut self.copies[channel] else { return };
        let (seq, before) = (message.seq, copy.cache.log().head());
        match copy.cache.hear(epoch, message.clone()) {
            Heard::Grew => self.tell(channel),
            Heard::Behind if self.flaw == Some(Flaw::SkipsHoles) => {
                copy.cache.close();
                copy.cache.learn(&Head { head: seq.back(1), first: seq, ..before });
                copy.cache.hear(epoch, message);
                for it in self.sessions.values_mut().filter(|it| it.channel == channel && it.begun) {
                    let skips = it.position.epoch == epoch && it.position.seq == before.head;
                    it.position.seq = if skips { seq.back(1) } else { it.position.seq };
                }
                self.tell(channel);
            }
            Heard::Behind => self.send(channel, Errand::CatchUp),
            Heard::Doubt if self.flaw == Some(Flaw::AdoptsOldEpochs) => {
                self.learn(channel, &Head { epoch, first: seq, head: seq.back(1), floor: seq.back(u64::MAX) });
            }
            Heard::Doubt => self.send(channel, Errand::Ask),
            Heard::Fork(_) if self.flaw == Some(Flaw::IgnoresForks) => {}
            Heard::Fork(fork) => self.send(channel, Errand::EndEpoch(fork)),
            Heard::Nothing => {}
        }
    }

    /// Whether the copy has another message than this one under its number.
    pub(super) fn has_another(&self, News { channel, epoch, message }: &News) -> bool {
        let Some(copy) = &self.copies[*channel] else { return false };
        let before = Position::new(*epoch, message.seq.back(1));
        let one = Limit { messages: 1, bytes: usize::MAX };
        let here = || copy.cache.log().read(before, one).into_iter().next();
        self.follows(*channel, *epoch) && here().is_some_and(|own| own.seq == message.seq && own.tag != message.tag)
    }

    /// Whether the copy is of this epoch.
    pub(super) fn follows(&self, channel: usize, epoch: Epoch) -> bool {
        let copy = self.copies[channel].as_ref();
        copy.is_some_and(|copy| copy.cache.is_begun() && copy.cache.log().head().epoch == epoch)
    }

    /// Whether an answer to who catches up would be taken.
    pub(super) fn is_at(&self, channel: usize, after: Position) -> bool {
        let copy = self.copies[channel].as_ref().filter(|copy| copy.cache.is_begun());
        let head = copy.map(|copy| copy.cache.log().head());
        head.is_some_and(|head| head.epoch == after.epoch && after.seq <= head.head)
    }

    pub(super) fn answered(&mut self, purpose: Purpose, answer: Option<Answer>) {
        match (purpose, answer) {
            (Purpose::Turn(channel), Some(Answer::Head(head))) => self.turn_answered(channel, Some(head)),
            (Purpose::Turn(channel), _) => self.turn_answered(channel, None),
            (Purpose::Alone(channel, waiter), answer) => {
                let head = if let Some(Answer::Head(head)) = answer { Some(head) } else { None };
                head.inspect(|head| self.learn_alone(channel, head));
                self.resolve(channel, waiter, head);
            }
            (Purpose::Retire(channel), _) => self.retired(channel),
            (Purpose::CatchUp(channel, after), Some(Answer::Slice(slice))) => self.missed(channel, after, &slice),
            (Purpose::CatchUp(channel, _), _) => self.caught_up(channel, false),
            (Purpose::EndEpoch { channel, catches_up }, Some(Answer::Head(head))) => {
                self.learn(channel, &head);
                if catches_up {
                    self.catch_on(channel);
                }
            }
            (Purpose::EndEpoch { channel, catches_up: true }, _) => self.caught_up(channel, false),
            (Purpose::EndEpoch { catches_up: false, .. }, _) => {}
            (Purpose::Fill(channel), Some(Answer::Slice(slice))) => self.lacked(channel, slice),
            (Purpose::Fill(channel) | Purpose::Page(channel, _), None) => self.fetch_failed(channel),
            (Purpose::Page(channel, after), Some(Answer::Slice(slice))) => self.fetched(channel, after, slice),
            (Purpose::Fill(_) | Purpose::Page(..), Some(_)) => {}
            (Purpose::Heads { channels, .. }, Some(Answer::Heads(heads))) => self.compared(&channels, &heads),
            (Purpose::Heads { in_doubt, .. }, _) => self.not_compared(in_doubt),
            (Purpose::Publish(publish), Some(Answer::Appended(position))) => {
                self.out.push(Out::Acknowledge(publish, position));
            }
            (Purpose::Publish(_), _) => {}
        }
    }

    /// The copy of a channel, made if there is none.
    fn obtain(&mut self, channel: usize) -> &mut Copy {
        let (keeps, remember) = (self.plan.channels[channel], self.plan.copies_remember);
        self.copies[channel].get_or_insert_with(|| Copy::new(keeps, remember))
    }

    /// The readers of a channel look whether there is something for them.
    fn tell(&mut self, channel: usize) {
        let readers: Vec<u64> =
            self.sessions.iter().filter(|(_, it)| it.channel == channel).map(|(id, _)| *id).collect();
        for session in readers {
            self.pump(session);
        }
    }
}

impl Copy {
    fn new(keeps: Keeps, remember: usize) -> Self {
        Self {
            kind: keeps.kind,
            cache: Cache::remembering(remember, keeps.kind, retention(keeps)),
            life: 0,
            watched: false,
            turn: None,
            next: Vec::new(),
            catching: None,
            catch_next: VecDeque::new(),
            fetching: None,
            fetch_next: VecDeque::new(),
            page: None,
            old_pages: Vec::new(),
            behind: false,
            owed: false,
            idle_since: None,
        }
    }

    /// Changes the cache, and counts its epochs.
    fn change<T>(&mut self, change: impl FnOnce(&mut Cache) -> T) -> T {
        let before = self.cache.log().head().epoch;
        let done = change(&mut self.cache);
        self.life += u32::from(self.cache.log().head().epoch != before);
        done
    }
}
