//! One server, or one after the other in the same place: the tasks that keep the connections to it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::backoff::Backoff;
use crate::dial::Running;
use crate::ear::Ear;
use crate::error::{Failure, LinkError, chain};
use crate::link::Link;
use crate::refusal::Refusal;
use crate::sentinel::find_master;
use crate::shared::Shared;
use crate::url::Address;

/// How often a server is looked at: whether it answers, is the same, and may keep what it has.
const LOOK: Duration = Duration::from_secs(1);

/// Where the server of a shard is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// There.
    At(Address),
    /// Where sentinels say.
    Named { sentinels: Vec<Address>, service: String },
}

/// One of the two connections to a server.
#[derive(Clone)]
pub(crate) enum State<T> {
    /// For the first time.
    Connecting,
    Up(Arc<T>),
    Down(LinkError),
}

/// A server, and how we stand with it. Its tasks end with it.
pub(crate) struct Shard {
    pub(crate) place: Place,
    link: watch::Receiver<State<Link>>,
    ear: watch::Receiver<State<Ear>>,
    poke: Arc<Notify>,
    _tasks: [Running; 2],
}

impl Shard {
    pub(crate) fn start(shared: &Arc<Shared>, place: Place) -> Arc<Self> {
        let (to_link, link) = watch::channel(State::Connecting);
        let (to_ear, ear) = watch::channel(State::Connecting);
        let poke = Arc::new(Notify::new());
        let calling = keep_link(Arc::clone(shared), place.clone(), to_link);
        let hearing = keep_ear(Arc::clone(shared), place.clone(), link.clone(), to_ear, Arc::clone(&poke));
        Arc::new(Self { place, link, ear, poke, _tasks: [Running::spawn(calling), Running::spawn(hearing)] })
    }

    /// The connection for calls. Waits for the first one; says at once that it is lost.
    pub(crate) async fn link(&self, deadline: Instant) -> Result<Arc<Link>, Failure> {
        state(self.link.clone(), deadline).await.map_err(|error| Failure::before(self.down(&error)))
    }

    /// The connection for news, as [`Shard::link`].
    pub(crate) async fn ear(&self, deadline: Instant) -> Result<Arc<Ear>, Failure> {
        state(self.ear.clone(), deadline).await.map_err(|error| Failure::before(self.down(&error)))
    }

    /// Waits until it was tried to connect, and says what came of it.
    pub(crate) async fn tried(&self, deadline: Instant) -> Result<(), LinkError> {
        state(self.link.clone(), deadline).await?;
        state(self.ear.clone(), deadline).await.map(drop)
    }

    /// The connection for calls, if it is there.
    pub(crate) fn present(&self) -> Option<Arc<Link>> {
        match &*self.link.borrow() {
            State::Up(link) => Some(Arc::clone(link)),
            State::Connecting | State::Down(_) => None,
        }
    }

    /// The connection for news, if it is there.
    pub(crate) fn listening(&self) -> Option<Arc<Ear>> {
        match &*self.ear.borrow() {
            State::Up(ear) => Some(Arc::clone(ear)),
            State::Connecting | State::Down(_) => None,
        }
    }

    /// Why it cannot serve, if it cannot.
    pub(crate) fn trouble(&self) -> Option<String> {
        match &*self.link.borrow() {
            State::Up(link) => link.trouble(),
            State::Connecting => Some("connecting".to_owned()),
            State::Down(error) => Some(self.down(error)),
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.link.borrow(), State::Up(_))
    }

    /// Has what it subscribes to compared with what is watched.
    pub(crate) fn poke(&self) {
        self.poke.notify_one();
    }

    fn down(&self, error: &LinkError) -> String {
        format!("Redis at {} is down: {}", self.place, chain(error))
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Named { service, .. } => write!(f, "the sentinels' {service:?}"),
        }
    }
}

async fn state<T>(mut receiver: watch::Receiver<State<T>>, deadline: Instant) -> Result<Arc<T>, LinkError> {
    let decided = timeout_at(deadline, receiver.wait_for(|state| !matches!(state, State::Connecting))).await;
    let Ok(Ok(state)) = decided else { return Err(LinkError::Ended) };
    match &*state {
        State::Up(it) => Ok(Arc::clone(it)),
        State::Down(error) => Err(error.clone()),
        State::Connecting => Err(LinkError::Ended),
    }
}

async fn locate(shared: &Shared, place: &Place) -> Result<Address, LinkError> {
    match place {
        Place::At(address) => Ok(address.clone()),
        Place::Named { sentinels, service } => find_master(&shared.dialer, sentinels, service).await,
    }
}

async fn keep_link(shared: Arc<Shared>, place: Place, state: watch::Sender<State<Link>>) {
    let mut backoff = Backoff::default();
    let mut is_first = true;
    loop {
        let opened = match locate(&shared, &place).await {
            Ok(address) => Link::open(&shared.dialer, &address, &shared.trust).await,
            Err(error) => Err(error),
        };
        let why = match opened {
            Ok((link, mut task)) => {
                backoff.reset();
                let link = Arc::new(link);
                tracing::debug!(%place, "Redis answers");
                state.send_replace(State::Up(Arc::clone(&link)));
                if !is_first {
                    shared.tell_uncertain(&place);
                }
                tend_link(&shared, &place, &link, &mut task).await
            }
            Err(error) => error,
        };
        is_first = false;
        tracing::warn!(%place, error = chain(&why), "Redis is lost");
        state.send_replace(State::Down(why));
        shared.stale.notify_one();
        sleep(backoff.next()).await;
    }
}

/// Waits for the end of a connection, and says why it came.
async fn tend_link(shared: &Shared, place: &Place, link: &Link, task: &mut Running) -> LinkError {
    loop {
        tokio::select! {
            () = task.ended() => return LinkError::Ended,
            why = link.lost() => return why,
            () = sleep(LOOK) => {}
        }
        let look = async {
            link.check().await?;
            match place {
                Place::At(_) => Ok(()),
                // While none of them answers, the master they named last is the one.
                Place::Named { .. } => match locate(shared, place).await {
                    Ok(address) if address != link.address => Err(LinkError::NoMaster),
                    Ok(_) | Err(_) => Ok(()),
                },
            }
        };
        let limit = shared.dialer.timeout;
        if let Err(error) = timeout(limit, look).await.unwrap_or(Err(LinkError::Silent(limit))) {
            return error;
        }
    }
}

async fn keep_ear(
    shared: Arc<Shared>,
    place: Place,
    link: watch::Receiver<State<Link>>,
    state: watch::Sender<State<Ear>>,
    poke: Arc<Notify>,
) {
    let mut backoff = Backoff::default();
    let mut is_first = true;
    loop {
        let opened = match locate(&shared, &place).await {
            Ok(address) => Ear::open(&shared, &address).await,
            Err(error) => Err(error),
        };
        let why = match opened {
            Ok((ear, mut task)) => {
                backoff.reset();
                let ear = Arc::new(ear);
                state.send_replace(State::Up(Arc::clone(&ear)));
                match listen(&shared, &place, &ear, !is_first).await {
                    Ok(is_done) => tend_ear(&shared, &place, &link, &ear, &mut task, &poke, is_done).await,
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        is_first = false;
        if let LinkError::Moved = why {
            // It is there all the same.
            state.send_replace(State::Connecting);
            continue;
        }
        state.send_replace(State::Down(why));
        sleep(backoff.next()).await;
    }
}

async fn tend_ear(
    shared: &Shared,
    place: &Place,
    link: &watch::Receiver<State<Link>>,
    ear: &Ear,
    task: &mut Running,
    poke: &Notify,
    mut is_done: bool,
) -> LinkError {
    loop {
        let limit = shared.dialer.timeout;
        let outcome = tokio::select! {
            () = task.ended() => Err(LinkError::Ended),
            () = ear.lost() => Err(LinkError::Moved),
            () = poke.notified() => listen(shared, place, ear, false).await.map(|done| is_done = done),
            () = sleep(LOOK) => timeout(limit, ear.check()).await.unwrap_or(Err(LinkError::Silent(limit))),
        };
        if !is_done && outcome.is_ok() {
            // The map was out of date, or is: who has the slot is not yet known to all.
            is_done = match listen(shared, place, ear, false).await {
                Ok(is_done) => is_done,
                Err(error) => return error,
            };
        }
        let moved = matches!(&*link.borrow(), State::Up(link) if link.address != ear.address);
        match outcome {
            Ok(()) if moved => return LinkError::NoMaster,
            Ok(()) => {}
            Err(error) => return error,
        }
    }
}

/// Subscribes to what is watched and not yet subscribed, and tells that it was not. False where some of it is elsewhere.
async fn listen(shared: &Shared, place: &Place, ear: &Ear, is_again: bool) -> Result<bool, LinkError> {
    let wanted = shared.watched_at(place);
    let (missing, channels): (Vec<_>, Vec<_>) =
        wanted.iter().filter(|(feed, _)| !ear.hears(feed)).map(|(feed, name)| (feed.clone(), name.clone())).unzip();
    let limit = shared.dialer.timeout;
    let subscribing = async {
        let subscribed = ear.subscribe(&missing).await;
        ear.unsubscribe(&ear.others(&wanted)).await?;
        subscribed
    };
    // Many subscriptions take their time; one that is not confirmed at all is noticed by the next look.
    let subscribed = timeout(limit * 10, subscribing).await.map_err(|_| LinkError::Silent(limit))?;
    let is_done = match subscribed {
        Ok(()) => true,
        Err(refusal @ (Refusal::Moved(_) | Refusal::Ask(_) | Refusal::Later(_))) => {
            shared.learn(&refusal);
            false
        }
        Err(refusal) => return Err(refusal.into()),
    };
    if is_again && !shared.is_cluster() {
        shared.tell_uncertain(place);
    } else {
        shared.tell_uncertain_of(&channels);
    }
    Ok(is_done)
}
