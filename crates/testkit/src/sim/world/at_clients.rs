//! What happens at those who read and publish.

use super::{Happening, Link, Transport, World};
use crate::sim::client::{Client, Heard};
use crate::sim::flaw::Flaw;
use crate::sim::node::Told;
use crate::sim::violation::Checked;

impl World {
    pub(super) fn connect(&mut self, client: usize) -> Checked {
        if self.clients[client].current.is_none() {
            let link = self.dial(client);
            self.clients[client].current = Some(link);
        }
        Ok(())
    }

    fn dial(&mut self, client: usize) -> usize {
        let transport = match self.calm {
            // One after another, so that each transport has to finish what the others began.
            true => [Transport::Ws, Transport::Sse, Transport::Poll][(client + self.kinds.len()) % 3],
            false => self.random.pick(&[Transport::Ws, Transport::Sse, Transport::Poll, Transport::Poll]),
        };
        let link = self.links.len();
        let last_arrival = self.agenda.now();
        self.links.push(Link { client, transport, last_arrival, broken: false, answered: false });
        let (wants, cursor) = (self.clients[client].ask(link), self.clients[client].cursor());
        match transport {
            Transport::Poll => {
                for at in self.arrivals() {
                    let (wants, cursor) = (wants.clone(), cursor.clone());
                    self.agenda.note(at, Happening::Subscribe { link, wants, cursor });
                }
            }
            // Channel by channel, each with its own position.
            Transport::Ws if self.random.chance(50) => {
                for (want, cursor) in wants.into_iter().zip(cursor.split(',')) {
                    let (wants, cursor) = (vec![want], cursor.to_owned());
                    self.send_on(link, Happening::Subscribe { link, wants, cursor });
                }
            }
            Transport::Ws | Transport::Sse => self.send_on(link, Happening::Subscribe { link, wants, cursor }),
        }
        let patience = if self.calm { 100_000 } else { 2_000 };
        self.later(patience, Happening::Patience { link });
        link
    }

    /// Sends on a connection: in order, or not at all from the moment on at which it is cut.
    pub(super) fn send_on(&mut self, link: usize, what: Happening) {
        let cut = !self.calm && self.random.chance(self.plan.network.cuts);
        let arrival = (self.agenda.now() + self.delay()).max(self.links[link].last_arrival);
        if self.links[link].broken {
            return;
        }
        self.links[link].last_arrival = arrival;
        if !cut {
            self.agenda.note(arrival, what);
            return;
        }
        if let Happening::Hears { told, .. } = what {
            let arrived = self.random.between(0..=told.len() as u64);
            let told = told.into_iter().take(usize::try_from(arrived).unwrap_or_default()).collect();
            self.agenda.note(arrival, Happening::Hears { link, told });
        }
        self.cut(link);
    }

    /// Both ends learn of it by themselves, some time.
    pub(super) fn cut(&mut self, link: usize) {
        self.links[link].broken = true;
        self.later(500, Happening::Noticed { link });
        self.later(500, Happening::Gone { link });
    }

    /// Closes a connection from the client's end.
    fn close(&mut self, link: usize) {
        let at = self.agenda.now() + self.delay();
        self.agenda.note(at, Happening::Gone { link });
    }

    pub(super) fn lost(&mut self, link: usize) -> Checked {
        let client = self.links[link].client;
        if !self.clients[client].listens_to(link) {
            return Ok(());
        }
        self.close(link);
        if let Some(other) = self.clients[client].lost(link) {
            self.close(other);
        }
        if self.clients[client].current.is_none() {
            self.later(100, Happening::Connect { client });
        }
        Ok(())
    }

    pub(super) fn whim(&mut self, client: usize) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.later(150, Happening::Whim { client });
        let Client { current, next, .. } = self.clients[client];
        match (current, next) {
            // To another connection: it is made first, and takes over once it has proved itself.
            (Some(current), None) if self.links[current].answered && self.random.chance(40) => {
                let link = self.dial(client);
                self.clients[client].next = Some(link);
                Ok(())
            }
            // Or without care.
            (Some(current), _) if self.random.chance(30) => self.lost(current),
            _ => Ok(()),
        }
    }

    pub(super) fn hears(&mut self, link: usize, told: &[Told]) -> Checked {
        let Link { client, transport, .. } = self.links[link];
        let listens = self.clients[client].listens_to(link) || self.flaw == Some(Flaw::HearsEveryConnection);
        if !listens {
            return Ok(());
        }
        self.links[link].answered = true;
        if transport == Transport::Poll {
            self.clients[client].give_all_to(link);
        }
        for one in told {
            match self.clients[client].hear(link, one, &self.node)? {
                Heard::Well => {}
                Heard::Void => return self.lost(link),
                // A server that keeps its promises makes no client ask twice.
                Heard::Fault => return Err(format!("{one:?} comes without what was before it").into()),
            }
        }
        if let Some(old) = self.clients[client].promote() {
            self.close(old);
        }
        // An answer ends its request.
        if transport == Transport::Poll { self.lost(link) } else { Ok(()) }
    }

    pub(super) fn publish(&mut self, publisher: usize) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.later(60, Happening::Publish { publisher });
        let publish = self.publishers[publisher].send(publisher, &self.kinds, &mut self.random);
        for at in self.arrivals() {
            self.agenda.note(at, Happening::Published(publish.clone()));
        }
        Ok(())
    }
}
