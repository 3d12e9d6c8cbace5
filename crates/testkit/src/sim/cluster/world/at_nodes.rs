//! What happens at the nodes, and on the way between them and their store.

use super::{Happening, Link, TIMEOUT, Topic, Who, World};
use crate::sim::cluster::node::{Comes, Ends, Node, Out};
use crate::sim::cluster::question::{Answer, News, Purpose, Question};
use crate::sim::node::Told;
use crate::sim::publisher::Publish;
use crate::sim::violation::{Checked, ensure};

impl World {
    /// Something happens at a node, if it still runs.
    pub(super) fn with(&mut self, who: Who, happens: impl FnOnce(&mut Node)) -> Checked {
        let now = self.agenda.now();
        let place = &mut self.nodes[who.0];
        match place.node.as_mut().filter(|_| place.life == who.1) {
            Some(node) => happens(node.at(now)),
            None => return Ok(()),
        }
        self.serve(who.0)
    }

    /// Does what a node wants.
    pub(super) fn serve(&mut self, node: usize) -> Checked {
        let place = &mut self.nodes[node];
        let who = (node, place.life);
        let wants = place.node.as_mut().map(Node::wants).unwrap_or_default();
        for out in wants {
            match out {
                Out::Ask(purpose, question) => self.ask(who, purpose, question)?,
                Out::Send { channel, errand } => self.later(2, Happening::Arrives { who, channel, errand }),
                Out::Tell { session, told, ends } => self.tell(who, link(session), told, ends)?,
                Out::Refuse { session } => self.later(20, Happening::Lost { link: link(session) }),
                Out::Look { session } => {
                    let link = link(session);
                    self.agenda.note(self.agenda.now() + 1, Happening::Writable { who, link });
                }
                Out::Round { wait, nth } => {
                    self.agenda.note(self.agenda.now() + wait, Happening::Round { who, nth });
                }
                Out::Acknowledge(publish, position) => self.later(20, Happening::Acknowledged { publish, position }),
            }
        }
        Ok(())
    }

    pub(super) fn comes(&mut self, who: Who, comes: Comes) -> Checked {
        let link = link(comes.session);
        if self.nodes[who.0].life != who.1 {
            return self.lost(link);
        }
        self.links[link].came_at = Some(self.store.ledger(comes.channel).position());
        self.links[link].goes_on = comes.asked.is_some_and(|asked| asked.base.is_some());
        if comes.polls {
            let wait = self.random.pick(&[0, 100, 1_500]);
            self.later(wait, Happening::Waited { who, link });
        }
        self.with(who, |node| node.comes(comes))
    }

    /// Writes to a reader; what is told for the present has to be of it.
    fn tell(&mut self, who: Who, link: usize, told: Vec<Told>, ends: Option<Ends>) -> Checked {
        let Link { came_at, goes_on, .. } = self.links[link];
        let nothing_new = ends.filter(|ends| told.is_empty() && !ends.owed).and_then(|ends| ends.position);
        let present = told.iter().filter_map(|told| match told {
            Told::Subscribed { head, .. } | Told::Gap { head, .. } => Some(*head),
            // Who comes in the middle of a snapshot is live at the base of that.
            Told::Live { position, .. } => Some(*position).filter(|_| !goes_on),
            Told::Message { .. } => None,
        });
        let channel = self.readers[self.links[link].reader].channel;
        for position in present.chain(nothing_new) {
            let Some(moment) = came_at.filter(|moment| !self.store.is_void(channel, moment.epoch)) else { continue };
            self.store.ledger(channel).check_truth(position, moment)?;
        }
        self.send(link, told, ends.is_some());
        if ends.is_none() {
            // Some readers are slow, and some now and then.
            let slow = self.random.pick(&[0, 5, 300]);
            self.later(slow, Happening::Writable { who, link });
        }
        Ok(())
    }

    /// Asks the store; it may never hear of it.
    pub(super) fn ask(&mut self, who: Who, purpose: Purpose, question: Question) -> Checked {
        self.questions += 1;
        if let Some((channel, topic)) = once(&purpose) {
            ensure(self.asking.insert((who, channel, topic)), || {
                format!("a node asks twice at once for the {topic:?} of channel {channel}")
            })?;
        }
        let (now, unreachable) = (self.agenda.now(), self.nodes[who.0].cut || self.store_is_down);
        let lost = !self.calm && self.random.chance(self.plan.network.questions_lost / 2);
        if unreachable || lost {
            // Where it knows that there is nobody it says so at once.
            let knows = unreachable && self.random.chance(50);
            let wait = if knows { self.random.between(0..=50) } else { TIMEOUT };
            self.agenda.note(now + wait, Happening::Answered { who, purpose, answer: None });
        } else {
            let at = now + self.delay();
            self.agenda.note(at, Happening::Asked { who, purpose, question });
        }
        Ok(())
    }

    pub(super) fn answered(&mut self, who: Who, purpose: Purpose, answer: Option<Answer>) -> Checked {
        let answer = answer.filter(|_| !self.nodes[who.0].cut);
        if let Some((channel, topic)) = once(&purpose) {
            self.asking.remove(&(who, channel, topic));
        }
        if let (Purpose::CatchUp(channel, after), Some(Answer::Slice(slice))) = (&purpose, &answer)
            && slice.head.epoch == after.epoch
            && self.runs(who).is_some_and(|node| node.is_at(*channel, *after))
        {
            for message in &slice.messages {
                let (channel, epoch, message) = (*channel, after.epoch, message.clone());
                self.notice_fork(who, &News { channel, epoch, message });
            }
        }
        self.with(who, |node| node.answered(purpose, answer))
    }

    pub(super) fn news(&mut self, who: Who, news: News) -> Checked {
        if self.nodes[who.0].cut {
            return Ok(());
        }
        self.notice_fork(who, &news);
        self.with(who, |node| node.hears(news))
    }

    /// A node that is told of two messages with one number has to see to it that their epoch ends.
    fn notice_fork(&mut self, who: Who, news: &News) {
        if self.plan.forks && self.runs(who).is_some_and(|node| node.has_another(news)) {
            self.forked.insert((who, news.channel, news.epoch));
        }
    }

    pub(super) fn runs(&self, who: Who) -> Option<&Node> {
        let place = &self.nodes[who.0];
        place.node.as_ref().filter(|_| place.life == who.1)
    }

    pub(super) fn published(&mut self, publish: Publish) -> Checked {
        let node = self.random.below(self.nodes.len());
        if self.nodes[node].node.is_none() {
            return Ok(());
        }
        let who = (node, self.nodes[node].life);
        self.ask(who, Purpose::Publish(publish.clone()), Question::Append(publish))
    }

    pub(super) fn uncertain(&mut self, who: Who) -> Checked {
        self.with(who, Node::uncertain)
    }

    pub(super) fn heals(&mut self, node: usize) -> Checked {
        self.nodes[node].cut = false;
        let who = (node, self.nodes[node].life);
        self.later(20, Happening::Uncertain { who });
        Ok(())
    }

    /// A node starts with nothing.
    pub(super) fn starts(&mut self, node: usize) -> Checked {
        let place = &mut self.nodes[node];
        if place.node.is_none() {
            place.node = Some(Node::new(&self.plan, self.flaw));
        }
        self.serve(node)
    }

    /// A node ends, with all that it knew and all connections.
    pub(super) fn crash(&mut self, node: usize) {
        let place = &mut self.nodes[node];
        if place.node.take().is_none() {
            return;
        }
        let life = place.life;
        place.life += 1;
        for link in 0..self.links.len() {
            if self.links[link].node == node && self.links[link].life == life {
                self.links[link].broken = true;
                self.later(200, Happening::Lost { link });
            }
        }
        self.later(500, Happening::Starts { node });
    }
}

/// The connection of a session: they have the same number.
fn link(session: u64) -> usize {
    usize::try_from(session).expect("it was an index")
}

/// What is asked at most once at a time.
fn once(purpose: &Purpose) -> Option<(usize, Topic)> {
    match purpose {
        Purpose::Turn(channel) | Purpose::Alone(channel, _) => Some((*channel, Topic::Head)),
        Purpose::Fill(channel) | Purpose::Page(channel, _) => Some((*channel, Topic::Lacked)),
        Purpose::CatchUp(channel, _) => Some((*channel, Topic::Missed)),
        Purpose::Retire(_) | Purpose::EndEpoch { .. } | Purpose::Heads { .. } | Purpose::Publish(_) => None,
    }
}
