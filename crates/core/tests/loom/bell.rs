//! One bell: those who ring, and the one who listens.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread::{self, JoinHandle};
use tricast_core::wake::Bell;

use crate::explore;
use crate::listen::until_ready;

/// What the models need of a bell, so that they run on the real one and on the wrong ones.
trait Rings: Default + Send + Sync + 'static {
    fn ring(&self);
    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()>;
}

impl Rings for Bell {
    fn ring(&self) {
        Bell::ring(self);
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        Bell::poll_rung(self, cx)
    }
}

/// A ring is heard, and with it what was written before it.
fn one_ring<B: Rings>() {
    let (bell, news) = (Arc::new(B::default()), Arc::new(AtomicUsize::new(0)));
    let ringer = publish(&bell, &news);
    until_ready(|cx| bell.poll_rung(cx));
    assert_eq!(news.load(Ordering::Relaxed), 1, "heard without the news");
    ringer.join().unwrap();
}

/// However two rings merge, the listener learns of the second news.
fn two_rings<B: Rings>() {
    let (bell, news) = (Arc::new(B::default()), Arc::new(AtomicUsize::new(0)));
    let ringers = [publish(&bell, &news), publish(&bell, &news)];
    while news.load(Ordering::Relaxed) < 2 {
        until_ready(|cx| bell.poll_rung(cx));
    }
    for ringer in ringers {
        ringer.join().unwrap();
    }
}

/// A listener that looked once and went away, as the branch of a `select!` that lost, took no ring with it.
fn a_listener_that_gives_up<B: Rings>() {
    let (bell, news) = (Arc::new(B::default()), Arc::new(AtomicUsize::new(0)));
    let ringer = publish(&bell, &news);
    if bell.poll_rung(&mut Context::from_waker(Waker::noop())).is_pending() {
        until_ready(|cx| bell.poll_rung(cx));
    }
    assert_eq!(news.load(Ordering::Relaxed), 1);
    ringer.join().unwrap();
}

/// Relaxed on both sides: the bell itself has to order the news.
fn publish<B: Rings>(bell: &Arc<B>, news: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let (bell, news) = (Arc::clone(bell), Arc::clone(news));
    thread::spawn(move || {
        news.fetch_add(1, Ordering::Relaxed);
        bell.ring();
    })
}

#[test]
fn a_ring_is_heard_with_what_was_written_before_it() {
    explore(3, one_ring::<Bell>);
}

#[test]
fn of_two_rings_the_last_is_never_missed() {
    explore(3, two_rings::<Bell>);
}

#[test]
fn a_listener_that_gives_up_leaves_the_ring_to_the_next() {
    explore(3, a_listener_that_gives_up::<Bell>);
}

/// The same bell with one step wrong.
#[derive(Default)]
struct Wrong<const STEP: u8> {
    rung: AtomicBool,
    listener: Mutex<Option<Waker>>,
}

const LOOKS_ONCE: u8 = 0;
const WAKES_FIRST: u8 = 1;
const RELAXED: u8 = 2;

impl<const STEP: u8> Wrong<STEP> {
    const ORDER: Ordering = if STEP == RELAXED { Ordering::Relaxed } else { Ordering::AcqRel };

    fn wake(&self) {
        let listener = self.listener.lock().unwrap().take();
        if let Some(listener) = listener {
            listener.wake();
        }
    }
}

impl<const STEP: u8> Rings for Wrong<STEP> {
    fn ring(&self) {
        if STEP == WAKES_FIRST {
            self.wake();
        }
        if !self.rung.swap(true, Self::ORDER) && STEP != WAKES_FIRST {
            self.wake();
        }
    }

    fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rung.swap(false, Self::ORDER) {
            return Poll::Ready(());
        }
        *self.listener.lock().unwrap() = Some(cx.waker().clone());
        if STEP != LOOKS_ONCE && self.rung.swap(false, Self::ORDER) { Poll::Ready(()) } else { Poll::Pending }
    }
}

mod can_fail {
    use super::*;

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_bell_that_looks_once_misses_a_ring() {
        explore(3, one_ring::<Wrong<LOOKS_ONCE>>);
    }

    #[test]
    #[should_panic(expected = "deadlock")]
    fn a_bell_that_wakes_before_it_sets_the_flag_misses_a_ring() {
        explore(3, one_ring::<Wrong<WAKES_FIRST>>);
    }

    #[test]
    #[should_panic(expected = "heard without the news")]
    fn a_relaxed_flag_brings_no_news() {
        explore(3, one_ring::<Wrong<RELAXED>>);
    }
}
