//! The one task of a client: it does what the engine wants, and tells it what came.

use std::collections::HashMap;
use std::error::Error;
use std::future::{Future, pending};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep_until, timeout};
use tricast_core::protocol::Secret;

use crate::engine::Engine;
use crate::error::{Failure, TokenTimeout};
use crate::limits::{FRAMES, GOODBYE, REPORTS, TOKEN_TIMEOUT};
use crate::output::{Io, Output, Report};
use crate::state::State;
use crate::system::Stopwatch;
use crate::tokens::Given;
use crate::transport::http::{Http, Post};
use crate::transport::ws::Sockets;

/// What an application's token source promises.
pub(crate) type TokenFuture = Pin<Box<dyn Future<Output = Result<String, Box<dyn Error + Send + Sync>>> + Send>>;

/// The application's token source.
pub(crate) type TokenSource = Arc<dyn Fn() -> TokenFuture + Send + Sync>;

/// What handles and the driver share. The lock guards the engine, is held for one step at a time and never across an
/// `.await`, and nobody is woken under it.
pub(crate) struct Shared {
    engine: Mutex<Engine>,
    clock: Stopwatch,
    /// The application did something.
    stirred: Notify,
}

impl Shared {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine: Mutex::new(engine), clock: Stopwatch::start(), stirred: Notify::new() }
    }

    /// Lets the application do something, and the driver see to the consequences.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Engine, Duration) -> T) -> T {
        let outcome = act(&mut self.lock(), self.clock.now());
        self.stirred.notify_one();
        outcome
    }

    fn lock(&self) -> MutexGuard<'_, Engine> {
        // Whatever a panic left half done is sorted out by the next reconnect; giving up here would panic everywhere.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ways to the world.
pub(crate) struct Network {
    pub(crate) sockets: Sockets,
    pub(crate) http: Http,
    pub(crate) tokens: Option<TokenSource>,
}

/// Runs a client until it is closed.
pub(crate) struct Driver {
    shared: Arc<Shared>,
    network: Network,
    states: watch::Sender<State>,
    tasks: JoinSet<()>,
    open: HashMap<Io, Open>,
    reports: mpsc::Sender<(Io, Report)>,
    tokens: mpsc::Sender<Given>,
}

/// A socket or a request under way.
enum Open {
    Socket(mpsc::Sender<String>),
    Request(AbortHandle),
}

/// What the driver waited for.
enum Next {
    Stirred,
    Due,
    Reported(Vec<(Io, Report)>),
    Given(Given),
}

impl Driver {
    /// Runs until the client is closed, then ends its connections.
    pub(crate) async fn run(shared: Arc<Shared>, network: Network, states: watch::Sender<State>) {
        let (reports, mut reported) = mpsc::channel(REPORTS);
        let (tokens, mut given) = mpsc::channel(1);
        let (tasks, open) = (JoinSet::new(), HashMap::new());
        let mut driver = Self { shared, network, states, tasks, open, reports, tokens };
        let mut news = Vec::new();
        while let Some(deadline) = driver.step() {
            while driver.tasks.try_join_next().is_some() {}
            let next = tokio::select! {
                () = driver.shared.stirred.notified() => Next::Stirred,
                _ = reported.recv_many(&mut news, REPORTS) => Next::Reported(std::mem::take(&mut news)),
                Some(given) = given.recv() => Next::Given(given),
                () = driver.due(deadline) => Next::Due,
            };
            driver.tell(next);
        }
        // Sockets say goodbye now that nobody can write to them; whoever takes too long is cut off.
        driver.open.clear();
        drop(reported);
        drop(timeout(GOODBYE, async { while driver.tasks.join_next().await.is_some() {} }).await);
    }

    /// Does what the engine wants, and gives when to look again; `None` once it is over.
    fn step(&mut self) -> Option<Option<Duration>> {
        let (outputs, deadline, is_closed) = {
            let mut engine = self.shared.lock();
            engine.flush(self.shared.clock.now());
            let outputs: Vec<Output> = std::iter::from_fn(|| engine.next_output()).collect();
            (outputs, engine.deadline(), engine.closed().is_some())
        };
        for output in outputs {
            self.perform(output);
        }
        (!is_closed).then_some(deadline)
    }

    fn tell(&self, next: Next) {
        let now = self.shared.clock.now();
        let mut engine = self.shared.lock();
        match next {
            Next::Stirred => {}
            Next::Due => engine.tick(now),
            Next::Reported(news) => news.into_iter().for_each(|(io, report)| engine.report(io, report, now)),
            Next::Given(given) => engine.given(given, now),
        }
    }

    async fn due(&self, deadline: Option<Duration>) {
        match deadline {
            Some(at) => sleep_until(self.shared.clock.instant(at).into()).await,
            None => pending().await,
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::OpenSocket { io } => {
                let (frames, to_write) = mpsc::channel(FRAMES);
                self.tasks.spawn(self.network.sockets.clone().run(io, to_write, self.reports.clone()));
                self.open.insert(io, Open::Socket(frames));
            }
            Output::Write { io, text } => self.write(io, text),
            Output::Post { io, endpoint, body, token } => {
                let post = Post { io, endpoint, body, token };
                let request = self.tasks.spawn(self.network.http.clone().run(post, self.reports.clone()));
                self.open.retain(|_, open| !matches!(open, Open::Request(request) if request.is_finished()));
                self.open.insert(io, Open::Request(request));
            }
            // A socket whose sender is gone says goodbye by itself.
            Output::Cancel { io } => {
                if let Some(Open::Request(request)) = self.open.remove(&io) {
                    request.abort();
                }
            }
            Output::FetchToken => self.fetch_token(),
            Output::State(state) => {
                tracing::debug!(state = state.as_str(), "the connection's state");
                drop(self.states.send_replace(state));
            }
            Output::Reply(reply) => reply.send(),
        }
    }

    fn write(&self, io: Io, text: String) {
        let Some(Open::Socket(frames)) = self.open.get(&io) else { return };
        if let Err(mpsc::error::TrySendError::Full(_)) = frames.try_send(text) {
            let stuck = Failure::unreachable("the server takes nothing");
            self.shared.with(|engine, now| engine.report(io, Report::Ended(stuck), now));
        }
    }

    fn fetch_token(&mut self) {
        let Some(source) = self.network.tokens.clone() else { return };
        let given = self.tokens.clone();
        self.tasks.spawn(async move {
            let asking = AssertUnwindSafe(async move { source().await }).catch_unwind();
            let token = match timeout(TOKEN_TIMEOUT, asking).await {
                Ok(Ok(Ok(token))) => Ok(Secret::new(token)),
                Ok(Ok(Err(error))) => Err(Arc::from(error)),
                Ok(Err(_)) => Err(Arc::from(Box::<dyn Error + Send + Sync>::from("the token source panicked"))),
                Err(_) => Err(Arc::new(TokenTimeout(TOKEN_TIMEOUT)) as Arc<dyn Error + Send + Sync>),
            };
            // The client may have been closed meanwhile.
            drop(given.send(token).await);
        });
    }
}
