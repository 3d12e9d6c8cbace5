//! What happens at those who read and publish.

use tricast_core::position::Position;

use super::{Happening, Link, World};
use crate::sim::cluster::node::Comes;
use crate::sim::node::Told;
use crate::sim::publisher::Publish;
use crate::sim::violation::Checked;

impl World {
    /// To any node, with nothing but a position.
    pub(super) fn connect(&mut self, reader: usize) -> Checked {
        if self.readers[reader].link.is_some() {
            return Ok(());
        }
        let (node, polls) = (self.random.below(self.nodes.len()), self.random.chance(self.plan.polls));
        if self.nodes[node].node.is_none() {
            self.later(50, Happening::Connect { reader });
            return Ok(());
        }
        let (link, life, last_arrival) = (self.links.len(), self.nodes[node].life, self.agenda.now());
        self.links.push(Link { reader, node, life, last_arrival, broken: false, came_at: None, goes_on: false });
        let it = &mut self.readers[reader];
        it.link = Some(link);
        let (channel, asked, start) = (it.channel, it.position(), it.start);
        let comes = Comes { session: link as u64, channel, polls, asked, start };
        self.later(10, Happening::Comes { who: (node, life), comes });
        Ok(())
    }

    /// Sends on a connection: in order, or not at all from the moment on at which it is cut.
    pub(super) fn send(&mut self, link: usize, told: Vec<Told>, ends: bool) {
        if self.links[link].broken {
            return;
        }
        if !self.calm && self.plan.moves && self.random.chance(2) {
            self.links[link].broken = true;
            self.later(200, Happening::Lost { link });
            return;
        }
        let at = (self.agenda.now() + self.random.between(0..=10)).max(self.links[link].last_arrival);
        self.links[link].last_arrival = at;
        self.agenda.note(at, Happening::Hears { link, told, ends });
    }

    pub(super) fn hears(&mut self, link: usize, told: &[Told], ends: bool) -> Checked {
        let reader = self.links[link].reader;
        if self.readers[reader].link != Some(link) {
            return Ok(());
        }
        for one in told {
            let before = self.readers[reader].position();
            if !self.readers[reader].hear(one, &self.store)? {
                let channel = self.readers[reader].channel;
                if before.is_some_and(|at| self.store.is_void(channel, at.epoch)) {
                    return self.lost(link);
                }
                return Err(format!("{one:?} comes without what was before it").into());
            }
        }
        // An answer ends its request.
        if ends { self.lost(link) } else { Ok(()) }
    }

    pub(super) fn lost(&mut self, link: usize) -> Checked {
        let Link { reader, node, life, .. } = self.links[link];
        if self.readers[reader].link != Some(link) {
            return Ok(());
        }
        self.readers[reader].link = None;
        self.later(10, Happening::Gone { who: (node, life), link });
        // A reader is elsewhere before the news are.
        let wait = self.random.pick(&[0, 20, 200]);
        self.later(wait, Happening::Connect { reader });
        Ok(())
    }

    pub(super) fn whim(&mut self, reader: usize) -> Checked {
        if self.calm || !self.plan.moves {
            return Ok(());
        }
        self.later(600, Happening::Whim { reader });
        self.readers[reader].link.map_or(Ok(()), |link| self.lost(link))
    }

    pub(super) fn publish(&mut self, publisher: usize) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.later(120, Happening::Publish { publisher });
        let publish = self.publishers[publisher].send(publisher, &self.kinds, &mut self.random);
        self.later(10, Happening::Published { publish });
        Ok(())
    }

    pub(super) fn acknowledged(&mut self, publish: &Publish, position: Option<Position>) -> Checked {
        let Publish { publisher, nth, channel, .. } = *publish;
        // Of an epoch with two lives nothing is promised.
        let position = position.filter(|position| !self.store.is_void(channel, position.epoch));
        self.publishers[publisher].answered(nth, position, self.store.ledger(channel))
    }
}
