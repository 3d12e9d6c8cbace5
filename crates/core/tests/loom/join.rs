//! Append against subscribe: a channel as a node keeps it (its log, the seq of its newest message, the bells of its
//! readers), modelled step by step on the crate `tricast` with the real log and the real bells.

use std::collections::BTreeMap;
use std::sync::Arc;

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use loom::thread::{self, JoinHandle};
use tricast_core::access::Identity;
use tricast_core::channel::{Kind, Retention};
use tricast_core::log::{Limit, Log, Stamp};
use tricast_core::message::Draft;
use tricast_core::position::{Epoch, Position, Seq};
use tricast_core::wake::Bell;

use crate::explore;
use crate::listen::until_ready;

/// What may be done in the wrong order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Right,
    /// A reader looks at the log, then goes on the list.
    ReadsThenJoins,
    /// A publisher rings, then appends.
    RingsThenAppends,
    /// A sweep asks for no more sweeps until it is over.
    SweepsThenAllowsAnother,
}

fn epoch() -> Epoch {
    Epoch::from_bits(1)
}

struct Channel {
    order: Order,
    log: Mutex<Log>,
    newest: AtomicU64,
    bells: Mutex<BTreeMap<u64, Arc<Bell>>>,
    /// Set while a sweep is due.
    queued: AtomicBool,
}

impl Channel {
    fn new(order: Order) -> Arc<Self> {
        Arc::new(Self {
            order,
            log: Mutex::new(Log::new(Kind::Stream, epoch(), Retention::stream())),
            newest: AtomicU64::new(0),
            bells: Mutex::default(),
            queued: AtomicBool::new(false),
        })
    }

    fn append(&self) {
        let mut log = self.log.lock().unwrap();
        let stamp = Stamp { now_ms: 0, tag: 0 };
        log.append(Draft::binary([]), &Identity::Server.scope(), stamp).unwrap();
        self.newest.store(log.head().head.get(), Ordering::Release);
    }

    /// Appends, and tells whoever has to be told.
    fn publish(&self, tell: impl FnOnce(&Self)) {
        if self.order == Order::RingsThenAppends {
            tell(self);
            self.append();
        } else {
            self.append();
            tell(self);
        }
    }

    fn ring_all(&self) {
        let bells: Vec<Arc<Bell>> = self.bells.lock().unwrap().values().cloned().collect();
        for bell in bells {
            bell.ring();
        }
    }

    /// The publisher's part of a sweep.
    fn ask_for_sweep(&self, sweeper: &Sweeper) {
        let readers = self.bells.lock().unwrap().len();
        if readers > 0 && !self.queued.swap(true, Ordering::AcqRel) {
            sweeper.send(Sweep::Due);
        }
    }

    fn sweep(&self) {
        let late = self.order == Order::SweepsThenAllowsAnother;
        if !late {
            self.queued.store(false, Ordering::Release);
        }
        self.ring_all();
        if late {
            self.queued.store(false, Ordering::Release);
        }
    }
}

/// The sweeper's queue.
#[derive(Default)]
struct Sweeper {
    queue: Mutex<Vec<Sweep>>,
    bell: Bell,
}

enum Sweep {
    Due,
    Over,
}

impl Sweeper {
    fn send(&self, sweep: Sweep) {
        self.queue.lock().unwrap().push(sweep);
        self.bell.ring();
    }

    fn run(&self, channel: &Channel) {
        loop {
            until_ready(|cx| self.bell.poll_rung(cx));
            let sent = std::mem::take(&mut *self.queue.lock().unwrap());
            for sweep in sent {
                match sweep {
                    Sweep::Due => channel.sweep(),
                    Sweep::Over => return,
                }
            }
        }
    }
}

struct Reader {
    channel: Arc<Channel>,
    bell: Arc<Bell>,
    position: Seq,
    taken: Vec<u64>,
}

impl Reader {
    /// Subscribes to what comes from now on.
    fn subscribe(channel: &Arc<Channel>) -> Self {
        let mut reader =
            Self { channel: Arc::clone(channel), bell: Arc::default(), position: Seq::ZERO, taken: Vec::new() };
        let join = |bell: &Arc<Bell>| channel.bells.lock().unwrap().insert(0, Arc::clone(bell));
        if channel.order != Order::ReadsThenJoins {
            join(&reader.bell);
        }
        reader.position = channel.log.lock().unwrap().head().head;
        reader.take();
        if channel.order == Order::ReadsThenJoins {
            join(&reader.bell);
        }
        reader
    }

    fn take(&mut self) {
        if self.channel.newest.load(Ordering::Acquire) <= self.position.get() {
            return;
        }
        for message in self.channel.log.lock().unwrap().read(Position::new(epoch(), self.position), Limit::default()) {
            self.position = message.seq;
            self.taken.push(message.seq.get());
        }
    }

    /// Takes everything up to `last`, asleep in between.
    fn take_until(mut self, last: u64) {
        let start = self.position.get() + 1 - self.taken.len() as u64;
        while self.position.get() < last {
            until_ready(|cx| self.bell.poll_rung(cx));
            self.take();
        }
        assert!(self.taken.into_iter().eq(start..=last), "each once, in order");
    }
}

/// Publishers ring the reader themselves, as they do when there are few.
fn few_readers(order: Order, publishers: u64, messages: u64) {
    let channel = Channel::new(order);
    let publishers_run: Vec<JoinHandle<()>> = (0..publishers)
        .map(|_| {
            let channel = Arc::clone(&channel);
            thread::spawn(move || (0..messages).for_each(|_| channel.publish(Channel::ring_all)))
        })
        .collect();
    Reader::subscribe(&channel).take_until(publishers * messages);
    for publisher in publishers_run {
        publisher.join().unwrap();
    }
}

/// Publishers leave the ringing to a sweeper, as they do when there are many.
fn many_readers(order: Order) {
    let channel = Channel::new(order);
    let sweeper = Arc::new(Sweeper::default());
    let sweeping = thread::spawn({
        let (channel, sweeper) = (Arc::clone(&channel), Arc::clone(&sweeper));
        move || sweeper.run(&channel)
    });
    let reader = Reader::subscribe(&channel);
    let publisher = thread::spawn({
        let (channel, sweeper) = (Arc::clone(&channel), Arc::clone(&sweeper));
        move || (0..2).for_each(|_| channel.publish(|channel| channel.ask_for_sweep(&sweeper)))
    });
    reader.take_until(2);
    publisher.join().unwrap();
    sweeper.send(Sweep::Over);
    sweeping.join().unwrap();
}

#[test]
fn a_subscriber_that_arrives_during_a_publish_gets_it_once() {
    explore(3, || few_readers(Order::Right, 1, 2));
}

#[test]
fn a_subscriber_that_arrives_between_two_publishers_gets_both_in_order() {
    explore(3, || few_readers(Order::Right, 2, 1));
}

#[test]
fn what_is_published_during_a_sweep_is_swept_too() {
    explore(2, || many_readers(Order::Right));
}

mod can_fail {
    use super::*;

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_reader_that_reads_before_it_joins_misses_a_message() {
        explore(3, || few_readers(Order::ReadsThenJoins, 1, 1));
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_publisher_that_rings_before_it_appends_wakes_for_nothing() {
        explore(3, || few_readers(Order::RingsThenAppends, 1, 1));
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_sweep_that_allows_no_other_until_it_is_over_misses_a_message() {
        explore(2, || many_readers(Order::SweepsThenAllowsAnother));
    }
}
