//! Serving an application: accept, backlog, deadlines and drain.
//!
//! [`serve`] owns what `axum::serve` leaves open and a server of long-lived connections needs; plain `axum::serve`
//! works too, without the guarantees below.
//!
//! # Many connections at once
//! [`bind`] listens with a backlog of 4,096. With the usual 128, clients that all reconnect in one moment wait for
//! the retries of their SYN, a second and more.
//!
//! # Slow and silent peers
//! A request's head must arrive within the [header timeout](Serve::header_timeout). A peer that takes no byte for the
//! [write timeout](Serve::write_timeout) while some wait for it is disconnected: hyper itself would wait for ever.
//!
//! # Too many, and too fast
//! There are at most [so many connections](Serve::connections) at a time, whatever they do, so that heads that are
//! never finished use up nothing but those; and at most [so many a second](Serve::accept_rate) are accepted. Others wait
//! in the backlog.
//!
//! # Running out of files
//! An accept that fails for want of a resource is logged and tried again, after a pause that grows to a second.
//! Connections that exist are not touched.
//!
//! # Draining
//! After [the shutdown signal](Serve::shutdown) no connection is accepted, idle ones are closed, and responses in
//! flight are completed while the [draining](Serve::draining) step tells long-lived ones to end. What is left after
//! the [drain timeout](Serve::drain_timeout) is cut.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tower_service::Service;

use self::gate::{Gate, Place, Width};
use self::write_deadline::WriteDeadline;
use crate::handle::Tricast;

mod gate;
mod signal;
mod write_deadline;

pub use self::signal::shutdown_signal;

/// Listens on the first address of `addr` that can be bound.
///
/// The address may be used again at once after a restart.
///
/// # Errors
/// Those of the name lookup, or of the last address tried.
pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on");
    for addr in lookup_host(addr).await? {
        match listen(addr) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Serves `app` over HTTP/1.1 on `listener` until told to stop.
///
/// Await the returned [`Serve`]. Handlers can extract [`ConnectInfo<SocketAddr>`](axum::extract::ConnectInfo).
///
/// # Examples
/// ```no_run
/// # async fn run(tricast: tricast::Tricast) -> std::io::Result<()> {
/// let app = axum::Router::new().nest("/rt", tricast.router());
/// let listener = tricast::bind("127.0.0.1:8000").await?;
/// tricast::serve(listener, app)
///     .drains(&tricast)
///     .shutdown(tricast::shutdown_signal())
///     .await
/// # }
/// ```
pub fn serve(listener: TcpListener, app: Router) -> Serve {
    Serve {
        listener,
        app,
        timeouts: Timeouts::default(),
        width: Width::default(),
        signal: Box::pin(std::future::pending()),
        draining: Box::new(|_| Box::pin(async {})),
    }
}

/// A server about to run: awaiting it runs it. Made by [`serve`].
///
/// # Cancel safety
/// Dropping the running future closes the listener and cuts every connection that is not upgraded.
#[must_use = "a server does nothing unless awaited"]
pub struct Serve {
    listener: TcpListener,
    app: Router,
    timeouts: Timeouts,
    width: Width,
    signal: BoxFuture,
    draining: Box<dyn FnOnce(Duration) -> BoxFuture + Send>,
}

impl Serve {
    /// Sets how long the head of a request may take, counted from when the server begins to wait for it; so it also
    /// ends idle kept-alive connections. Default: 10 s.
    pub fn header_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.header = limit;
        self
    }

    /// Sets how long a peer may take no byte while some wait to be written to it. Default: 10 s.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.write = limit;
        self
    }

    /// Sets how long draining may take in all. Default: 10 s.
    pub fn drain_timeout(mut self, limit: Duration) -> Self {
        self.timeouts.drain = limit;
        self
    }

    /// Sets how many connections there may be at a time, upgraded ones included; 0: as many as the system can have. One
    /// more waits in the backlog until another ends. Default: 131,072.
    ///
    /// This protects the process from what is not even a request yet. To tell clients that there are too many of them,
    /// see [`Builder::connections`](crate::Builder::connections), and leave some room above it.
    pub fn connections(mut self, connections: usize) -> Self {
        self.width.connections = connections;
        self
    }

    /// Sets how many connections are accepted a second on average, and at most at once; 0: no limit. Others wait in the
    /// backlog. Default: 0.
    pub fn accept_rate(mut self, per_second: u32) -> Self {
        self.width.per_second = per_second;
        self
    }

    /// Begins to drain when `signal` resolves. Without one the server runs until its future is dropped.
    pub fn shutdown(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.signal = Box::pin(signal);
        self
    }

    /// Drains this node when told to stop: every connection is told when to come back, and then ended.
    ///
    /// Of several nodes, and for anything else that is to be ended, see [`Serve::draining`].
    pub fn drains(self, tricast: &Tricast) -> Self {
        let tricast = tricast.clone();
        self.draining(move |within| async move { tricast.drain(within).await })
    }

    /// Sets what to do while draining: called with the drain timeout once nothing is accepted any more, and awaited,
    /// within that timeout, beside the connections. This is the place to end long-lived ones.
    pub fn draining<F>(mut self, step: impl FnOnce(Duration) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.draining = Box::new(|limit| Box::pin(step(limit)));
        self
    }

    async fn run(self) -> io::Result<()> {
        let connections = Connections::new(self.app, self.timeouts);
        let mut acceptor = Acceptor::new(self.listener, Gate::new(self.width));
        let mut signal = self.signal;
        loop {
            tokio::select! {
                (stream, peer, place) = acceptor.accept() => connections.spawn(stream, peer, place),
                () = &mut signal => break,
            }
        }
        drop(acceptor);
        connections.drain(self.draining).await;
        Ok(())
    }
}

impl IntoFuture for Serve {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Serve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serve")
            .field("listener", &self.listener)
            .field("timeouts", &self.timeouts)
            .field("width", &self.width)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Timeouts {
    header: Duration,
    write: Duration,
    drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { header: Duration::from_secs(10), write: Duration::from_secs(10), drain: Duration::from_secs(10) }
    }
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What every connection is told. Its receivers are counted: none left means that every connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Cut,
}

struct Connections {
    app: Router,
    http: http1::Builder,
    timeouts: Timeouts,
    phase: watch::Sender<Phase>,
}

impl Connections {
    fn new(app: Router, timeouts: Timeouts) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(timeouts.header).max_buf_size(READ_BUFFER);
        Self { app, http, timeouts, phase: watch::Sender::new(Phase::Serving) }
    }

    fn spawn(&self, stream: TcpStream, peer: SocketAddr, place: Place) {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%peer, %error, "TCP_NODELAY was refused");
        }
        let io = TokioIo::new(WriteDeadline::new(stream, self.timeouts.write).holding(place));
        let app = self.app.clone();
        let service = service_fn(move |request: http::Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer));
            app.clone().call(request)
        });
        let connection = self.http.serve_connection(io, service).with_upgrades();
        let mut phase = self.phase.subscribe();

        tokio::spawn(async move {
            let mut connection = pin!(connection);
            loop {
                tokio::select! {
                    ended = connection.as_mut() => {
                        if let Err(error) = ended {
                            tracing::debug!(%peer, %error, "a connection failed");
                        }
                        return;
                    }
                    told = phase.changed() => match *phase.borrow_and_update() {
                        Phase::Draining if told.is_ok() => connection.as_mut().graceful_shutdown(),
                        _ => return,
                    },
                }
            }
        });
    }

    async fn drain(self, step: impl FnOnce(Duration) -> BoxFuture) {
        let limit = self.timeouts.drain;
        self.phase.send_replace(Phase::Draining);
        let ended = async { tokio::join!(step(limit), self.phase.closed()) };
        if timeout(limit, ended).await.is_err() {
            let left = self.phase.receiver_count();
            tracing::warn!(left, "connections were cut: draining took {limit:?}");
            self.phase.send_replace(Phase::Cut);
        }
    }
}

/// A listener whose failures are waited out.
struct Acceptor {
    listener: TcpListener,
    gate: Gate,
    pause: Duration,
}

impl Acceptor {
    fn new(listener: TcpListener, gate: Gate) -> Self {
        Self { listener, gate, pause: SHORTEST_PAUSE }
    }

    /// # Cancel safety
    /// No accepted connection is lost.
    async fn accept(&mut self) -> (TcpStream, SocketAddr, Place) {
        let place = self.gate.pass().await;
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    self.pause = SHORTEST_PAUSE;
                    return (stream, peer, place);
                }
                // Only the one that was about to be accepted is gone.
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept; next try in {:?}", self.pause);
                    sleep(self.pause).await;
                    self.pause = LONGEST_PAUSE.min(self.pause * 2);
                }
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused
    )
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = match addr {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // On Windows this would let two processes share the address.
    #[cfg(not(windows))]
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// The most bytes of a request's head, which is kept while it arrives: the longest query, a token, cookies.
const READ_BUFFER: usize = 64 * 1024;

/// Connections that the kernel completes ahead of us; it caps this at its own limit.
const BACKLOG: u32 = 4096;

const SHORTEST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
