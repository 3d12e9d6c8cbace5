//! Who is on a channel, against a naive account of it: whatever comes, goes, changes and fails, and however late it is
//! written, the members' log ends as the account says, and says nothing twice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use tricast_core::json::Json;
use tricast_core::position::Seq;
use tricast_core::presence::{Change, Outcome, Presence, Who};

#[derive(Debug, Clone)]
enum Step {
    Hold {
        client: u8,
        data: Option<u8>,
    },
    Release {
        client: u8,
        linger: u64,
    },
    Show {
        client: u8,
        data: u8,
    },
    Advance {
        ms: u64,
    },
    /// Whoever has something to write begins to.
    Begin {
        client: u8,
    },
    /// The write that began first comes to its end.
    End {
        fails: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..3_u8;
    prop_oneof![
        4 => (client.clone(), prop::option::of(0..3_u8)).prop_map(|(client, data)| Step::Hold { client, data }),
        4 => (client.clone(), 1..40_u64).prop_map(|(client, linger)| Step::Release { client, linger }),
        1 => (client.clone(), 0..3_u8).prop_map(|(client, data)| Step::Show { client, data }),
        3 => (0..30_u64).prop_map(|ms| Step::Advance { ms }),
        3 => client.prop_map(|client| Step::Begin { client }),
        4 => prop::bool::weighted(0.2).prop_map(|fails| Step::End { fails }),
    ]
}

/// A client as a naive account keeps it.
#[derive(Debug, Default, Clone)]
struct Account {
    holds: usize,
    until: u64,
    data: Option<u8>,
}

impl Account {
    fn is_there(&self, now: u64) -> bool {
        self.holds > 0 || now < self.until
    }
}

#[derive(Default)]
struct World {
    accounts: BTreeMap<u8, Account>,
    /// What each client's entry in the members' log shows, and its seq.
    log: BTreeMap<u8, (u64, Option<String>)>,
    head: u64,
    now: u64,
    writing: VecDeque<(u8, Change)>,
}

fn who(client: u8) -> Who {
    Who { channel: "x".parse().unwrap(), user: None, client: format!("client-{client}").parse().unwrap() }
}

fn json(data: u8) -> Json {
    Json::parse(&data.to_string()).unwrap()
}

impl World {
    fn time(&self) -> Duration {
        Duration::from_millis(self.now)
    }

    fn take(&mut self, presence: &mut Presence, step: Step) {
        let now = self.now;
        match step {
            Step::Hold { client, data } => {
                let account = self.accounts.entry(client).or_default();
                if !account.is_there(now) {
                    account.data = None;
                }
                account.holds += 1;
                account.data = data.or(account.data);
                assert!(presence.hold(&who(client), data.map(json), now));
            }
            Step::Release { client, linger } => {
                let Some(account) = self.accounts.get_mut(&client).filter(|account| account.holds > 0) else { return };
                account.holds -= 1;
                account.until = account.until.max(now + linger);
                presence.release(&who(client), Duration::from_millis(now + linger));
            }
            Step::Show { client, data } => {
                let account = self.accounts.entry(client).or_default();
                let holds = account.holds > 0;
                if holds {
                    account.data = Some(data);
                }
                assert_eq!(presence.show(&who(client), json(data)), holds);
            }
            Step::Advance { ms } => {
                self.now += ms;
                self.expire(presence);
            }
            Step::Begin { client } => self.begin(presence, client),
            Step::End { fails } => self.end(presence, fails),
        }
    }

    fn expire(&mut self, presence: &mut Presence) {
        // The node's task is never late here: to the account who is over is gone.
        presence.expire(self.time());
        assert!(presence.due().is_none_or(|due| due > self.time()), "what is over is due no more");
    }

    fn begin(&mut self, presence: &mut Presence, client: u8) {
        if let Some(change) = presence.next(&who(client)) {
            assert!(self.writing.iter().all(|(writing, _)| *writing != client), "two writes of one member");
            self.writing.push_back((client, change));
        }
    }

    fn end(&mut self, presence: &mut Presence, fails: bool) {
        let Some((client, change)) = self.writing.pop_front() else { return };
        let outcome = if fails { Outcome::Failed } else { self.append(client, &change) };
        presence.written(&who(client), &change, outcome, self.time());
    }

    fn append(&mut self, client: u8, change: &Change) -> Outcome {
        let before = self.log.get(&client).cloned();
        self.head += 1;
        match change {
            Change::Show(member) => {
                let shows = member.to_json();
                assert_ne!(before.and_then(|(_, shown)| shown).as_ref(), Some(&shows), "said twice");
                self.log.insert(client, (self.head, Some(shows)));
            }
            Change::Remove(seq) => {
                let (present, shown) = before.expect("what is removed was there");
                assert!(shown.is_some() && present == seq.get(), "nobody else writes");
                self.log.insert(client, (self.head, None));
            }
        }
        Outcome::Written(Seq::new(self.head).unwrap())
    }

    /// Writes all that is left to write.
    fn settle(&mut self, presence: &mut Presence) {
        while !self.writing.is_empty() {
            self.end(presence, false);
        }
        for client in 0..3 {
            self.begin(presence, client);
            while !self.writing.is_empty() {
                self.end(presence, false);
                self.begin(presence, client);
            }
        }
    }

    fn check(&self) {
        for client in 0..3 {
            let account = self.accounts.get(&client).cloned().unwrap_or_default();
            let shown = self.log.get(&client).and_then(|(_, shown)| shown.clone());
            assert_eq!(shown.is_some(), account.is_there(self.now), "client {client} at {}", self.now);
            let Some(shown) = shown else { continue };
            let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
            assert_eq!(shown.get("data").and_then(serde_json::Value::as_u64), account.data.map(u64::from));
        }
    }
}

proptest! {
    #[test]
    fn the_members_log_ends_as_a_naive_account(steps in prop::collection::vec(step(), 0..80)) {
        let (mut world, mut presence) = (World::default(), Presence::new(10));
        for step in steps {
            world.take(&mut presence, step);
        }
        world.settle(&mut presence);
        world.check();
        // Everybody goes, and nothing is left.
        for client in 0..3 {
            while world.accounts.get(&client).is_some_and(|account| account.holds > 0) {
                world.take(&mut presence, Step::Release { client, linger: 1 });
            }
        }
        world.take(&mut presence, Step::Advance { ms: 1_000 });
        world.settle(&mut presence);
        world.check();
        prop_assert!(!presence.has_members(&who(0).channel));
        // A write that failed may be due once more.
        presence.expire(world.time() + Duration::from_secs(10));
        prop_assert_eq!(presence.due(), None);
    }
}
