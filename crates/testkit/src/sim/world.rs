//! One history: clients, publishers and a server, and the network between them.

mod at_clients;
mod at_server;

use tricast_core::channel::Kind;
use tricast_core::position::Position;

use super::agenda::Agenda;
use super::client::Client;
use super::flaw::Flaw;
use super::node::{Node, Told, Want};
use super::plan::Plan;
use super::publisher::{Publish, Publisher};
use super::random::Random;
use super::tally::Tally;
use super::violation::Checked;

pub(super) struct World {
    random: Random,
    plan: Plan,
    kinds: Vec<Kind>,
    agenda: Agenda<Happening>,
    node: Node,
    links: Vec<Link>,
    clients: Vec<Client>,
    publishers: Vec<Publisher>,
    /// What the server's clock shows beyond the time that passed; an administrator sets it.
    skew: u64,
    /// The network has healed, and nobody has whims.
    calm: bool,
    flaw: Option<Flaw>,
    /// Says on stderr what happens.
    trace: bool,
}

/// A connection, or one request of a poll.
struct Link {
    client: usize,
    transport: Transport,
    /// Bytes arrive in their order, so none before those that were sent earlier.
    last_arrival: u64,
    /// Nothing that is sent from now on arrives.
    broken: bool,
    answered: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Ws,
    Sse,
    Poll,
}

#[derive(Debug)]
enum Happening {
    /// At a client.
    Connect {
        client: usize,
    },
    Whim {
        client: usize,
    },
    Patience {
        link: usize,
    },
    Noticed {
        link: usize,
    },
    Hears {
        link: usize,
        told: Vec<Told>,
    },
    /// At the server.
    Subscribe {
        link: usize,
        wants: Vec<Want>,
        cursor: String,
    },
    Writable {
        session: u64,
    },
    Waited {
        session: u64,
    },
    Gone {
        link: usize,
    },
    Published(Publish),
    Expire {
        channel: usize,
    },
    Upset,
    /// At a publisher.
    Publish {
        publisher: usize,
    },
    Answered {
        publish: Publish,
        position: Option<Position>,
    },
}

/// Where the server's clock begins; it may be set back from there.
const EPOCH_MS: u64 = 1_000_000_000;

/// So many things are enough for everybody to catch up in; who has not by then never will.
const CALM_HAPPENINGS: u64 = 5_000;

impl World {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let kinds = plan.kinds();
        let node = Node::new(&plan.channels, plan.limit, flaw);
        let clients = (0..plan.clients).map(|_| Client::new(&kinds, &mut random, flaw)).collect();
        let publishers = (0..2).map(|scope| Publisher::new(scope, kinds.len())).collect();
        let (agenda, links, skew) = (Agenda::new(), Vec::new(), EPOCH_MS);
        Self { random, plan, kinds, agenda, node, links, clients, publishers, skew, calm: false, flaw, trace }
    }

    /// Lets it all happen.
    pub(super) fn run(mut self) -> Checked<Tally> {
        for client in 0..self.clients.len() {
            self.agenda.note(0, Happening::Connect { client });
            self.later(50, Happening::Whim { client });
        }
        for publisher in 0..self.publishers.len() {
            self.later(50, Happening::Publish { publisher });
        }
        self.later(200, Happening::Upset);
        let happenings = self.plan.happenings;
        for _ in 0..happenings {
            self.step()?;
        }
        self.calm = true;
        for extra in 0..CALM_HAPPENINGS {
            if self.is_settled()? {
                return Ok(self.tally(happenings + extra));
            }
            self.step()?;
        }
        let stuck: Vec<String> = self.clients.iter().map(Client::cursor).collect();
        Err(format!("readers at {} never catch up", stuck.join(" and ")).into())
    }

    fn tally(&self, happenings: u64) -> Tally {
        let mut tally = Tally { histories: 1, happenings, duplicates: self.node.duplicates, ..Tally::default() };
        self.clients.iter().for_each(|client| tally += client.tally);
        tally
    }

    fn is_settled(&mut self) -> Checked<bool> {
        let now = self.wall();
        for client in &self.clients {
            if !client.is_settled(&mut self.node, now)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn step(&mut self) -> Checked {
        let happening = self.agenda.next();
        if self.trace
            && let Some(happening) = &happening
        {
            eprintln!("{:>8} {happening:?}", self.agenda.now());
        }
        match happening {
            None => Ok(()),
            Some(Happening::Connect { client }) => self.connect(client),
            Some(Happening::Whim { client }) => self.whim(client),
            Some(Happening::Patience { link }) if !self.links[link].answered => self.lost(link),
            Some(Happening::Patience { .. }) => Ok(()),
            Some(Happening::Noticed { link }) => self.lost(link),
            Some(Happening::Hears { link, told }) => self.hears(link, &told),
            Some(Happening::Subscribe { link, wants, cursor }) => self.subscribe(link, &wants, &cursor),
            Some(Happening::Writable { session }) => self.writable(session),
            Some(Happening::Waited { session }) => self.waited(session),
            Some(Happening::Gone { link }) => {
                self.node.end(link);
                Ok(())
            }
            Some(Happening::Published(publish)) => self.published(publish),
            Some(Happening::Expire { channel }) => self.expire(channel),
            Some(Happening::Upset) => self.upset(),
            Some(Happening::Publish { publisher }) => self.publish(publisher),
            Some(Happening::Answered { publish, position }) => {
                let ledger = self.node.ledger(publish.channel);
                self.publishers[publish.publisher].answered(publish.nth, position, ledger)
            }
        }
    }

    fn wall(&self) -> u64 {
        self.agenda.now() + self.skew
    }

    /// Notes something for a moment within so many milliseconds; now and then, for much later.
    fn later(&mut self, within: u64, what: Happening) {
        let far = !self.calm && self.random.chance(1);
        let wait = if far { self.random.between(within..=400_000) } else { self.random.between(0..=within) };
        self.agenda.note(self.agenda.now() + wait, what);
    }

    fn delay(&mut self) -> u64 {
        self.random.between(self.plan.network.delay.clone())
    }

    /// When a request, or its answer, arrives: never, once or twice.
    fn arrivals(&mut self) -> Vec<u64> {
        let (loss, repeats) = (self.plan.network.loss, self.plan.network.repeats);
        let copies = match () {
            () if self.calm => 1,
            () if self.random.chance(loss) => 0,
            () if self.random.chance(repeats) => 2,
            () => 1,
        };
        (0..copies).map(|_| self.agenda.now() + self.delay()).collect()
    }
}
