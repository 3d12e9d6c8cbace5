//! How a sleeping reader learns that one of its logs grew.
//!
//! A [`Bell`] carries no news, only that there are some: whoever hears it looks at its logs. However often it is rung
//! before it is heard, it is heard once, so nothing queues.
//!
//! # Why no wake is lost
//! A publisher appends, then rings; a reader hears, then reads. [`Bell::ring`] sets the flag and *then* takes the
//! waker; [`Bell::poll_rung`] stores its waker and *then* looks at the flag again. Both orders go through one mutex:
//! either the ring finds the stored waker, or it came first and the second look sees the flag. A reader that joins a
//! channel is put on its list *before* it reads the log, so an append is seen by that read or rings.
//! Loom tries all of it in every order of threads (`tests/loom`).

use std::future::poll_fn;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use crate::sync::{AtomicBool, Mutex, Ordering};

/// Wakes one task; rung by many.
///
/// # Examples
/// ```
/// use tricast_core::wake::Bell;
/// let bell = Bell::default();
/// assert!(bell.ring(), "the first ring counts");
/// assert!(!bell.ring(), "the second changes nothing before it is heard");
/// ```
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    /// The waker of the task that listens. Held for a move only, never while waking.
    listener: Mutex<Option<Waker>>,
}

impl Bell {
    /// Rings: the listener will be woken, unless an earlier ring has not been heard yet (`false`).
    pub fn ring(&self) -> bool {
        // Release: what was appended before is visible to whoever hears this.
        if self.rung.swap(true, Ordering::AcqRel) {
            return false;
        }
        let listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(listener) = listener {
            listener.wake();
        }
        true
    }

    /// Ready once per ring heard; otherwise the task of `cx` will be woken. Only the last task that polled is.
    pub fn poll_rung(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.rung.swap(false, Ordering::AcqRel) {
            return Poll::Ready(());
        }
        {
            let mut listener = self.listener.lock().unwrap_or_else(PoisonError::into_inner);
            match &mut *listener {
                Some(known) => known.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        if self.rung.swap(false, Ordering::AcqRel) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits for a ring.
    ///
    /// # Cancel safety
    /// A ring is consumed only when this resolves; dropping it before loses nothing.
    pub async fn rung(&self) {
        poll_fn(|cx| self.poll_rung(cx)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn many_rings_wake_once_until_heard() {
        let (bell, count) = (Bell::default(), Arc::new(Count::default()));
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert!(bell.poll_rung(&mut cx).is_pending());
        for _ in 0..3 {
            bell.ring();
        }
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(bell.poll_rung(&mut cx).is_ready());
        assert!(bell.poll_rung(&mut cx).is_pending(), "a ring is heard once");
        bell.ring();
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_ring_before_anyone_listens_is_kept() {
        let bell = Bell::default();
        bell.ring();
        let waker = Waker::from(Arc::new(Count::default()));
        assert!(bell.poll_rung(&mut Context::from_waker(&waker)).is_ready());
    }

    #[test]
    fn a_ringer_and_a_listener_on_two_threads_miss_nothing() {
        struct Unpark(std::thread::Thread);
        impl Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        const ROUNDS: usize = 50_000;
        let bell = Arc::new(Bell::default());
        let heard = Arc::new(AtomicUsize::new(0));
        let listener = std::thread::spawn({
            let (bell, heard) = (Arc::clone(&bell), Arc::clone(&heard));
            move || {
                let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
                let mut cx = Context::from_waker(&waker);
                for _ in 0..ROUNDS {
                    while bell.poll_rung(&mut cx).is_pending() {
                        std::thread::park();
                    }
                    heard.fetch_add(1, Ordering::Release);
                }
            }
        });
        for round in 1..=ROUNDS {
            assert!(bell.ring());
            // A lost wake would leave the listener parked, and this loop spinning until the suite's watchdog.
            while heard.load(Ordering::Acquire) < round {
                std::hint::spin_loop();
            }
        }
        listener.join().unwrap();
    }
}
