//! A task asleep until its waker is called.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Notify;

/// Polls until it is ready, asleep in between.
///
/// Loom's own executor holds counters of loom's, whose end in a thread that is stuck aborts the process; this one lets
/// the panic through that reports the deadlock, so that a test can expect it.
pub(crate) fn until_ready(poll: impl Fn(&mut Context<'_>) -> Poll<()>) {
    let sleep = Arc::new(Sleep(Notify::new()));
    let waker = Waker::from(Arc::clone(&sleep));
    while poll(&mut Context::from_waker(&waker)).is_pending() {
        sleep.0.wait();
    }
}

struct Sleep(Notify);

impl Wake for Sleep {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}
