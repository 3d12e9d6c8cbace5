//! One history of a cluster: readers, publishers, nodes and their store, and the networks between them.

mod at_nodes;
mod at_readers;
mod at_store;

use std::collections::BTreeSet;

use tricast_core::channel::Kind;
use tricast_core::position::{Epoch, Position};

use super::flaw::Flaw;
use super::node::{Comes, Node};
use super::plan::Plan;
use super::question::{Answer, Errand, News, Purpose, Question};
use super::reader::Reader;
use super::store::Store;
use crate::sim::agenda::Agenda;
use crate::sim::node::Told;
use crate::sim::publisher::{Publish, Publisher};
use crate::sim::random::Random;
use crate::sim::tally::Tally;
use crate::sim::violation::Checked;

pub(super) struct World {
    random: Random,
    plan: Plan,
    kinds: Vec<Kind>,
    agenda: Agenda<Happening>,
    store: Store,
    /// Nobody reaches the store until then.
    store_is_down: bool,
    nodes: Vec<Place>,
    links: Vec<Link>,
    readers: Vec<Reader>,
    publishers: Vec<Publisher>,
    /// Who has seen two lives of an epoch: it has to end.
    forked: BTreeSet<(Who, usize, Epoch)>,
    /// What is being asked: for all who want to know it, so by one.
    asking: BTreeSet<(Who, usize, Topic)>,
    questions: u64,
    happenings: u64,
    /// The network has healed, and nobody has whims.
    calm: bool,
    flaw: Option<Flaw>,
    pub(super) trace: Trace,
}

/// What becomes of the words that tell what happens.
pub(super) enum Trace {
    Off,
    Print,
    Keep(Vec<String>),
}

/// A place where a node runs, or does not.
struct Place {
    node: Option<Node>,
    /// How many nodes ran here before.
    life: u64,
    /// Between it and the store nothing arrives.
    cut: bool,
}

/// A connection, or one request of a poll.
struct Link {
    reader: usize,
    node: usize,
    life: u64,
    /// Bytes arrive in their order.
    last_arrival: u64,
    broken: bool,
    /// Where the log stood when its request arrived.
    came_at: Option<Position>,
    /// It came in the middle of a snapshot.
    goes_on: bool,
}

/// What a node asks about a channel at most once at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Head,
    Lacked,
    Missed,
}

/// A node at a place, of which there may be another by now.
type Who = (usize, u64);

#[derive(Debug)]
enum Happening {
    Connect {
        reader: usize,
    },
    Whim {
        reader: usize,
    },
    Hears {
        link: usize,
        told: Vec<Told>,
        ends: bool,
    },
    Lost {
        link: usize,
    },
    /// At a node.
    Comes {
        who: Who,
        comes: Comes,
    },
    Gone {
        who: Who,
        link: usize,
    },
    Writable {
        who: Who,
        link: usize,
    },
    Waited {
        who: Who,
        link: usize,
    },
    Published {
        publish: Publish,
    },
    News {
        who: Who,
        news: News,
    },
    Answered {
        who: Who,
        purpose: Purpose,
        answer: Option<Answer>,
    },
    Arrives {
        who: Who,
        channel: usize,
        errand: Errand,
    },
    Round {
        who: Who,
        nth: u64,
    },
    Uncertain {
        who: Who,
    },
    Heals {
        node: usize,
    },
    Starts {
        node: usize,
    },
    /// At the store.
    Asked {
        who: Who,
        purpose: Purpose,
        question: Question,
    },
    StoreStarts,
    Upset,
    /// At a publisher.
    Publish {
        publisher: usize,
    },
    Acknowledged {
        publish: Publish,
        position: Option<Position>,
    },
}

/// Where the store's clock begins.
const EPOCH_MS: u64 = 1_000_000_000;

/// Milliseconds after which a node waits for an answer no longer.
const TIMEOUT: u64 = 1_000;

/// In so many milliseconds after the network has healed everybody has to catch up.
const CALM: u64 = 20_000;

impl World {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>, trace: Trace) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        Self::of(plan, random, flaw, trace)
    }

    pub(super) fn of(plan: Plan, mut random: Random, flaw: Option<Flaw>, trace: Trace) -> Self {
        let (kinds, store) = (plan.kinds(), Store::new(&plan));
        let node = |_| Place { node: Some(Node::new(&plan, flaw)), life: 0, cut: false };
        let nodes = (0..plan.nodes).map(node).collect();
        let readers = (0..plan.readers).map(|_| Reader::new(&kinds, &mut random)).collect();
        let publishers = (0..2).map(|scope| Publisher::new(scope, kinds.len())).collect();
        Self {
            random,
            plan,
            kinds,
            agenda: Agenda::new(),
            store,
            store_is_down: false,
            nodes,
            links: Vec::new(),
            readers,
            publishers,
            forked: BTreeSet::new(),
            asking: BTreeSet::new(),
            questions: 0,
            happenings: 0,
            calm: false,
            flaw,
            trace,
        }
    }

    /// Lets it all happen.
    pub(super) fn run(&mut self) -> Checked<Tally> {
        for reader in 0..self.readers.len() {
            self.later(100, Happening::Connect { reader });
            self.later(600, Happening::Whim { reader });
        }
        for publisher in 0..self.publishers.len() {
            self.later(100, Happening::Publish { publisher });
        }
        self.later(500, Happening::Upset);
        for node in 0..self.nodes.len() {
            self.serve(node)?;
        }
        while self.agenda.now() < self.plan.trouble {
            self.step()?;
        }
        self.heal();
        let healed = self.agenda.now();
        while self.agenda.now() < healed + CALM {
            if self.is_settled()? {
                return Ok(self.tally());
            }
            self.step()?;
        }
        let stuck = self.readers.iter().map(|reader| reader.position().map_or("-".into(), |at| at.to_string()));
        let stuck: Vec<String> = stuck.collect();
        Err(format!("of the readers at {} one never catches up", stuck.join(" and ")).into())
    }

    fn heal(&mut self) {
        self.calm = true;
        self.store_is_down = false;
        for node in 0..self.nodes.len() {
            self.agenda.note(0, Happening::Heals { node });
            self.agenda.note(0, Happening::Starts { node });
        }
    }

    fn tally(&self) -> Tally {
        let nodes = self.nodes.iter().filter_map(|place| place.node.as_ref());
        let (fills, owed) = nodes.fold((0, 0), |(fills, owed), node| (fills + node.fills, owed + node.owed));
        let sum = |count: fn(&Reader) -> u64| self.readers.iter().map(count).sum();
        Tally {
            histories: 1,
            happenings: self.happenings,
            delivered: sum(|reader| reader.delivered),
            dropped: sum(|reader| reader.dropped),
            gaps: sum(|reader| reader.gaps),
            duplicates: self.store.duplicates,
            questions: self.questions,
            fills,
            owed,
            forks: self.store.renewed,
            ..Tally::default()
        }
    }

    fn is_settled(&self) -> Checked<bool> {
        // Who has seen it may have ended, or given up the copy, before it could say so.
        let knows = |who, channel, epoch| self.runs(who).is_some_and(|node| node.follows(channel, epoch));
        if self
            .forked
            .iter()
            .any(|(who, channel, epoch)| self.store.epoch(*channel) == *epoch && knows(*who, *channel, *epoch))
        {
            return Ok(false);
        }
        for reader in &self.readers {
            if !reader.is_settled(&self.store)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn step(&mut self) -> Checked {
        let Some(happening) = self.agenda.next() else { return Err("nothing happens any more".to_owned().into()) };
        self.happenings += 1;
        let now = self.agenda.now();
        match &mut self.trace {
            Trace::Off => {}
            Trace::Print => eprintln!("{now:>8} {happening:?}"),
            Trace::Keep(lines) => lines.push(format!("{now:>8} {happening:?}")),
        }
        match happening {
            Happening::Connect { reader } => self.connect(reader),
            Happening::Whim { reader } => self.whim(reader),
            Happening::Hears { link, told, ends } => self.hears(link, &told, ends),
            Happening::Lost { link } => self.lost(link),
            Happening::Comes { who, comes } => self.comes(who, comes),
            Happening::Gone { who, link } => self.with(who, |node| node.leaves(link as u64)),
            Happening::Writable { who, link } => self.with(who, |node| node.writable(link as u64)),
            Happening::Waited { who, link } => self.with(who, |node| node.waited(link as u64)),
            Happening::Published { publish } => self.published(publish),
            Happening::News { who, news } => self.news(who, news),
            Happening::Answered { who, purpose, answer } => self.answered(who, purpose, answer),
            Happening::Arrives { who, channel, errand } => self.with(who, |node| node.arrives(channel, errand)),
            Happening::Round { who, nth } => self.with(who, |node| node.round(nth)),
            Happening::Uncertain { who } => self.uncertain(who),
            Happening::Heals { node } => self.heals(node),
            Happening::Starts { node } => self.starts(node),
            Happening::Asked { who, purpose, question } => self.asked(who, purpose, &question),
            Happening::StoreStarts => self.store_starts(),
            Happening::Upset => self.upset(),
            Happening::Publish { publisher } => self.publish(publisher),
            Happening::Acknowledged { publish, position } => self.acknowledged(&publish, position),
        }
    }

    fn wall(&self) -> u64 {
        self.agenda.now() + EPOCH_MS
    }

    /// Notes something for a moment within so many milliseconds.
    fn later(&mut self, within: u64, what: Happening) {
        let wait = self.random.between(0..=within);
        self.agenda.note(self.agenda.now() + wait, what);
    }

    fn delay(&mut self) -> u64 {
        self.random.between(self.plan.network.delay.clone())
    }
}
