//! How many connections there may be: in all, of one user, and from one address.
//!
//! A connection holds a [`Ticket`] for as long as it lives. Only users and addresses that have connections now are
//! remembered, so there are never more of either than tickets.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tricast_core::access::{Identity, UserId};

/// The most connections there may be of each kind; `None`: as many as there come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub(crate) all: usize,
    pub(crate) per_user: Option<usize>,
    pub(crate) per_address: Option<usize>,
}

/// The connections there are.
#[derive(Debug)]
pub(crate) struct Connections {
    most: Most,
    /// Guards nothing but itself. One lock, so that a limit is exact and an admission all or nothing.
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    users: HashMap<UserId, usize>,
    places: HashMap<Place, usize>,
}

/// Where connections come from that are counted together: an IPv4 address, or the /64 that a customer is given of IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    V4([u8; 4]),
    V6([u16; 4]),
}

impl From<IpAddr> for Place {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Which limit a connection would be beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TooMany {
    #[error("this node has the {0} connections that it takes")]
    InAll(usize),
    #[error("there are already the {0} connections that a user may have")]
    OfUser(usize),
    #[error("there are already the {0} connections that an address may have")]
    FromAddress(usize),
}

impl Connections {
    pub(crate) fn new(most: Most) -> Arc<Self> {
        Arc::new(Self { most, counts: Mutex::default() })
    }

    /// Counts one more connection, of somebody at an address.
    ///
    /// A back end that may do anything is no user here, and who comes from nowhere known has no address.
    ///
    /// # Errors
    /// The first limit that it would be beyond; nothing was counted then.
    pub(crate) fn admit(self: &Arc<Self>, address: Option<IpAddr>, who: &Identity) -> Result<Ticket, TooMany> {
        let user = self.counted(who);
        let place = address.filter(|_| self.most.per_address.is_some()).map(Place::from);
        let mut counts = self.lock();
        if counts.all >= self.most.all {
            return Err(TooMany::InAll(self.most.all));
        }
        if let Some(user) = user {
            check(&counts.users, user, self.most.per_user, TooMany::OfUser)?;
        }
        if let Some(place) = place {
            check(&counts.places, &place, self.most.per_address, TooMany::FromAddress)?;
            *counts.places.entry(place).or_default() += 1;
        }
        if let Some(user) = user {
            *counts.users.entry(user.clone()).or_default() += 1;
        }
        counts.all += 1;
        drop(counts);
        Ok(Ticket { connections: Arc::clone(self), user: user.cloned(), place })
    }

    /// The user as whose a connection counts.
    fn counted<'a>(&self, who: &'a Identity) -> Option<&'a UserId> {
        who.user_id().filter(|_| self.most.per_user.is_some() && !who.is_server())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Counts> {
        // Counting does not panic half-way.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One connection, as it is counted. It is no more when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    connections: Arc<Connections>,
    user: Option<UserId>,
    place: Option<Place>,
}

impl Ticket {
    /// The connection has turned out to be this caller's, who was anonymous until now.
    ///
    /// # Errors
    /// They have as many as they may; then nothing has changed.
    pub(crate) fn becomes(&mut self, who: &Identity) -> Result<(), TooMany> {
        let most = self.connections.most.per_user;
        let user = self.connections.counted(who);
        if user == self.user.as_ref() {
            return Ok(());
        }
        let mut counts = self.connections.lock();
        if let Some(user) = user {
            check(&counts.users, user, most, TooMany::OfUser)?;
            *counts.users.entry(user.clone()).or_default() += 1;
        }
        if let Some(before) = std::mem::replace(&mut self.user, user.cloned()) {
            release(&mut counts.users, &before);
        }
        Ok(())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut counts = self.connections.lock();
        counts.all -= 1;
        if let Some(user) = &self.user {
            release(&mut counts.users, user);
        }
        if let Some(place) = &self.place {
            release(&mut counts.places, place);
        }
    }
}

fn check<K: Eq + Hash>(
    counts: &HashMap<K, usize>,
    key: &K,
    most: Option<usize>,
    too_many: fn(usize) -> TooMany,
) -> Result<(), TooMany> {
    match most {
        Some(most) if counts.get(key).is_some_and(|count| *count >= most) => Err(too_many(most)),
        _ => Ok(()),
    }
}

fn release<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
    // What a crowd needed is given back when it has gone.
    if counts.capacity() > SMALL && counts.len() < counts.capacity() / 4 {
        counts.shrink_to(counts.len() * 2);
    }
}

/// A map that is not worth shrinking.
const SMALL: usize = 64;

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use tricast_core::access::{Capabilities, User};

    use super::*;

    fn connections(all: usize, per_user: usize, per_address: usize) -> Arc<Connections> {
        let some = |most: usize| Some(most).filter(|most| *most > 0);
        Connections::new(Most { all, per_user: some(per_user), per_address: some(per_address) })
    }

    fn user(id: &str) -> Identity {
        User::new(id.parse().unwrap()).into()
    }

    fn at(address: &str) -> Option<IpAddr> {
        Some(address.parse().unwrap())
    }

    fn counts(connections: &Connections) -> (usize, usize, usize) {
        let counts = connections.lock();
        (counts.all, counts.users.values().sum(), counts.places.values().sum())
    }

    #[test]
    fn one_more_than_all_is_too_many_until_one_has_gone() {
        let connections = connections(2, 0, 0);
        let first = connections.admit(None, &Identity::Anonymous).unwrap();
        let _second = connections.admit(at("192.0.2.1"), &user("ann")).unwrap();
        assert_eq!(connections.admit(None, &Identity::Server).unwrap_err(), TooMany::InAll(2));
        drop(first);
        connections.admit(None, &Identity::Anonymous).unwrap();
        assert_eq!(counts(&connections), (1, 0, 0), "what has no limit is not counted");
    }

    #[test]
    fn a_user_has_as_many_connections_wherever_they_are() {
        let connections = connections(100, 2, 0);
        let ann = user("ann");
        let _held = [connections.admit(at("192.0.2.1"), &ann).unwrap(), connections.admit(None, &ann).unwrap()];
        assert_eq!(connections.admit(at("192.0.2.2"), &ann).unwrap_err(), TooMany::OfUser(2));
        for other in [user("bob"), Identity::Anonymous, Identity::Anonymous, Identity::Anonymous] {
            connections.admit(None, &other).unwrap();
        }
        assert_eq!(counts(&connections), (2, 2, 0), "a refusal counts nothing");
    }

    #[test]
    fn an_address_of_ipv6_is_its_64() {
        let connections = connections(100, 0, 1);
        let anonymous = Identity::Anonymous;
        let _held = ["192.0.2.1", "2001:db8:1:2::1"].map(|one| connections.admit(at(one), &anonymous).unwrap());
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1:2:ffff::9"] {
            assert_eq!(connections.admit(at(same), &anonymous).unwrap_err(), TooMany::FromAddress(1), "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:1:3::1"] {
            connections.admit(at(other), &anonymous).unwrap();
        }
        assert_eq!(counts(&connections), (2, 0, 2));
    }

    #[test]
    fn a_back_end_is_no_user() {
        let connections = connections(100, 1, 0);
        let back_end = User::new("ann".parse().unwrap()).with(Capabilities::server());
        let held = [(); 3].map(|()| connections.admit(at("192.0.2.1"), &back_end.clone().into()).unwrap());
        assert_eq!(counts(&connections), (3, 0, 0));
        drop(held);
    }

    #[test]
    fn who_signs_in_later_counts_from_then_on() {
        let connections = connections(100, 1, 0);
        let ann = user("ann");
        let mut first = connections.admit(None, &Identity::Anonymous).unwrap();
        let mut second = connections.admit(None, &Identity::Anonymous).unwrap();
        first.becomes(&ann).unwrap();
        first.becomes(&ann).unwrap();
        assert_eq!(second.becomes(&ann).unwrap_err(), TooMany::OfUser(1));
        assert_eq!(counts(&connections), (2, 1, 0));
        drop(first);
        second.becomes(&ann).unwrap();
        drop(second);
        assert_eq!(counts(&connections), (0, 0, 0));
    }

    #[test]
    fn limits_are_exact_however_many_come_at_once() {
        const THREADS: usize = 8;
        let connections = connections(13, 7, 0);
        let (admitted, of_ann) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (together, wrong) = (Barrier::new(THREADS), Mutex::new(Vec::new()));
        let come = |thread: usize| {
            let who = if thread < THREADS / 2 { Identity::Anonymous } else { user("ann") };
            for _ in 0..500 {
                together.wait();
                let held = (0..THREADS).filter_map(|_| connections.admit(None, &who).ok()).collect::<Vec<_>>();
                admitted.fetch_add(held.len(), SeqCst);
                of_ann.fetch_add(held.iter().filter(|ticket| ticket.user.is_some()).count(), SeqCst);
                together.wait();
                let seen = (admitted.load(SeqCst), of_ann.load(SeqCst));
                together.wait();
                drop(held);
                admitted.store(0, SeqCst);
                of_ann.store(0, SeqCst);
                // All that may be is given, and no more. A panic here would leave the others waiting.
                if seen.0 != 13 || seen.1 > 7 {
                    wrong.lock().unwrap().push(seen);
                }
            }
        };
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let come = &come;
                scope.spawn(move || come(thread));
            }
        });
        assert_eq!(wrong.into_inner().unwrap(), []);
        assert_eq!(counts(&connections), (0, 0, 0), "and all have gone");
    }

    #[test]
    fn when_a_crowd_has_gone_so_has_its_memory() {
        let connections = connections(100_000, 1, 1);
        let ticket = |n: u32| connections.admit(Some(IpAddr::V4(n.into())), &user(&n.to_string())).unwrap();
        let crowd = (0..10_000).map(ticket).collect::<Vec<_>>();
        assert_eq!(counts(&connections), (10_000, 10_000, 10_000));
        drop(crowd);
        let counts = connections.lock();
        assert!(counts.users.is_empty() && counts.places.is_empty());
        assert!(counts.users.capacity() <= SMALL && counts.places.capacity() <= SMALL);
    }
}
