//! What happens at the store, and what becomes of it and of the nodes.

use super::{Happening, TIMEOUT, Who, World};
use crate::sim::cluster::question::{News, Purpose, Question};
use crate::sim::violation::Checked;

impl World {
    /// A question arrives; its answer may not.
    pub(super) fn asked(&mut self, who: Who, purpose: Purpose, question: &Question) -> Checked {
        let now = self.agenda.now();
        if self.nodes[who.0].cut || self.store_is_down {
            self.agenda.note(now + TIMEOUT, Happening::Answered { who, purpose, answer: None });
            return Ok(());
        }
        let (answer, news) = self.store.ask(who.0, question, self.wall())?;
        self.spread(news);
        let lost = !self.calm && self.random.chance(self.plan.network.questions_lost / 2);
        let (wait, answer) = if lost { (TIMEOUT, None) } else { (self.delay(), Some(answer)) };
        self.agenda.note(now + wait, Happening::Answered { who, purpose, answer });
        Ok(())
    }

    /// Tells of news whoever watches the channel: never, once or twice, and in any order.
    fn spread(&mut self, news: Vec<News>) {
        for news in news {
            for node in self.store.watchers(news.channel) {
                let (lost, repeats) = (self.plan.network.news_lost, self.plan.network.news_repeated);
                let copies = match () {
                    () if self.nodes[node].cut => 0,
                    () if self.calm => 1,
                    () if self.random.chance(lost) => 0,
                    () if self.random.chance(repeats) => 2,
                    () => 1,
                };
                let who = (node, self.nodes[node].life);
                for _ in 0..copies {
                    // Some are late enough to be of an epoch that is over.
                    let late = !self.calm && self.random.chance(2);
                    let at = self.agenda.now() + self.delay() + if late { 700 } else { 0 };
                    self.agenda.note(at, Happening::News { who, news: news.clone() });
                }
            }
        }
    }

    /// Something becomes of a node, or of the store.
    pub(super) fn upset(&mut self) -> Checked {
        if self.calm {
            return Ok(());
        }
        self.later(500, Happening::Upset);
        if self.random.chance(self.plan.node_upsets) {
            let node = self.random.below(self.nodes.len());
            if self.random.chance(60) {
                self.nodes[node].cut = true;
                self.later(1_500, Happening::Heals { node });
            } else {
                self.crash(node);
            }
        }
        if self.random.chance(self.plan.store_upsets) {
            self.store_ends();
        }
        Ok(())
    }

    /// The store starts anew with its data, or without, or what takes over has not all of it.
    fn store_ends(&mut self) {
        self.store_is_down = true;
        self.later(400, Happening::StoreStarts);
        let (keeps_all, loses_all) = (self.random.chance(30), self.random.chance(30));
        if keeps_all {
            return;
        }
        for channel in 0..self.kinds.len() {
            let lag = self.random.below(4);
            match () {
                () if self.plan.forks && lag > 0 => self.store.forget_newest(channel, lag),
                // What lost anything begins anew, and says so.
                () if loses_all || lag > 0 => self.store.lose(channel),
                () => {}
            }
        }
    }

    pub(super) fn store_starts(&mut self) -> Checked {
        self.store_is_down = false;
        for node in 0..self.nodes.len() {
            let who = (node, self.nodes[node].life);
            self.later(50, Happening::Uncertain { who });
        }
        Ok(())
    }
}
