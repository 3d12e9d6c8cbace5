//! How news travel to a node.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tricast_core::backplane;
use tricast_core::channel::ChannelName;
use tricast_core::message::Message;
use tricast_core::position::Epoch;

/// What a node is to hear.
#[derive(Debug, Clone)]
pub struct Told {
    /// Of which channel.
    pub channel: ChannelName,
    /// In which epoch.
    pub epoch: Epoch,
    /// The message that was appended.
    pub message: Arc<Message>,
}

/// How news travel to a node. All of it is within the contract, which calls them hints.
#[derive(Clone)]
pub enum News {
    /// Each is told once, at once, in order.
    Pass,
    /// So many vanish; those after them pass.
    DropNext(usize),
    /// Those of which this holds vanish.
    DropIf(Arc<dyn Fn(&Told) -> bool + Send + Sync>),
    /// All are kept back, and told in order when something else is said of news.
    Hold,
    /// As [`Hold`](Self::Hold), but the last is told first.
    HoldAndReverse,
    /// Each is told twice.
    Twice,
    /// Each waits for the next, and is told after it.
    Swap,
    /// Each is told on a thread of its own, so much later.
    Late(Duration),
}

impl fmt::Debug for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pass => f.write_str("Pass"),
            Self::DropNext(count) => write!(f, "DropNext({count})"),
            Self::DropIf(_) => f.write_str("DropIf"),
            Self::Hold => f.write_str("Hold"),
            Self::HoldAndReverse => f.write_str("HoldAndReverse"),
            Self::Twice => f.write_str("Twice"),
            Self::Swap => f.write_str("Swap"),
            Self::Late(time) => write!(f, "Late({time:?})"),
        }
    }
}

/// The way of news to one node.
#[derive(Debug)]
pub(super) struct Way {
    news: News,
    kept: Vec<Told>,
}

impl Default for Way {
    fn default() -> Self {
        Self { news: News::Pass, kept: Vec::new() }
    }
}

impl Way {
    /// Changes how they travel; what was kept back is to be told now.
    pub(super) fn change(&mut self, news: News) -> Vec<Told> {
        let mut kept = std::mem::take(&mut self.kept);
        if matches!(std::mem::replace(&mut self.news, news), News::HoldAndReverse) {
            kept.reverse();
        }
        kept
    }

    /// Loses what was kept back.
    pub(super) fn lose(&mut self) {
        self.kept.clear();
    }

    /// What is to be told when this comes, and how much later.
    pub(super) fn take(&mut self, told: &Told) -> (Vec<Told>, Duration) {
        let told = told.clone();
        let now = |all| (all, Duration::ZERO);
        match &mut self.news {
            News::Pass => now(vec![told]),
            News::DropNext(0) => {
                self.news = News::Pass;
                now(vec![told])
            }
            News::DropNext(count) => {
                *count -= 1;
                now(Vec::new())
            }
            News::DropIf(is_dropped) if is_dropped(&told) => now(Vec::new()),
            News::DropIf(_) => now(vec![told]),
            News::Hold | News::HoldAndReverse => {
                self.kept.push(told);
                now(Vec::new())
            }
            News::Twice => now(vec![told.clone(), told]),
            News::Swap => match self.kept.pop() {
                Some(before) => now(vec![told, before]),
                None => {
                    self.kept.push(told);
                    now(Vec::new())
                }
            },
            News::Late(time) => (vec![told], *time),
        }
    }
}

/// Tells now, or later on a thread of its own.
pub(super) fn tell(events: &Arc<dyn backplane::Events>, all: Vec<Told>, later: Duration) {
    if later.is_zero() {
        tell_now(&**events, &all);
        return;
    }
    let events = Arc::clone(events);
    thread::spawn(move || {
        thread::sleep(later); // to be late is what was asked for
        tell_now(&*events, &all);
    });
}

fn tell_now(events: &dyn backplane::Events, all: &[Told]) {
    for Told { channel, epoch, message } in all {
        events.grew(backplane::News { channel, epoch: *epoch, seq: message.seq, message: Some(message) });
    }
}
