//! A TCP proxy that misbehaves on demand.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::WATCHDOG;

/// How a [`Proxy`] treats connections. A change takes effect at once, on open connections too where that has a
/// meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Bytes pass both ways.
    Pass,
    /// New connections are closed as soon as they come; open ones pass.
    Refuse,
    /// Connections stay open and no byte passes, in either direction, until the behaviour changes.
    Stall,
    /// What clients send vanishes, their ends included, while the server's bytes pass. Nobody is told: connections stay
    /// half-open, and are of no use even when bytes pass again.
    DeafToClient,
    /// As [`DeafToClient`](Self::DeafToClient), the other way: what the server sends vanishes.
    DeafToServer,
    /// Each connection ends when this many bytes have passed to the client since it began.
    CutAfter(usize),
    /// Each chunk of bytes is held back for this long, in both directions.
    Latency(Duration),
}

/// A proxy on a free loopback port, for one upstream at a time. It ends, with its connections, when this value goes.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts to pass connections on to `upstream`. While that is down, connections end as soon as they come.
    pub fn start(upstream: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let state = State { behaviour: Behaviour::Pass, upstream, stopped: false, open: Vec::new() };
        let shared =
            Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new(), accepted: AtomicUsize::new(0) });
        let acceptor = thread::spawn({
            let shared = Arc::clone(&shared);
            move || shared.accept(&listener)
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    /// The address to connect to in place of the upstream's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how connections are treated from now on.
    pub fn behave(&self, behaviour: Behaviour) {
        self.shared.lock().behaviour = behaviour;
        self.shared.changed.notify_all();
    }

    /// Passes new connections on to another upstream; open ones stay where they are.
    pub fn redirect(&self, upstream: SocketAddr) {
        self.shared.lock().upstream = upstream;
    }

    /// Ends every open connection; new ones are treated as before.
    pub fn cut(&self) {
        for stream in self.shared.lock().open.drain(..) {
            // Fails only on a connection that has ended already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// How many connections have come, the refused ones included.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        self.cut();
        // Wakes the acceptor.
        let _ = TcpStream::connect_timeout(&self.address, WATCHDOG);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    accepted: AtomicUsize,
}

#[derive(Debug)]
struct State {
    behaviour: Behaviour,
    upstream: SocketAddr,
    stopped: bool,
    /// Both ends of the connections that have not been cut.
    open: Vec<TcpStream>,
}

/// Which way a chunk travels.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

/// What happens to a chunk.
enum Verdict {
    Write(usize),
    WriteThenCut(usize),
    Cut,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics with the lock")
    }

    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming().map_while(Result::ok) {
            let State { behaviour, upstream, stopped, .. } = *self.lock();
            if stopped {
                return;
            }
            self.accepted.fetch_add(1, Ordering::SeqCst);
            if behaviour != Behaviour::Refuse {
                self.connect(client, upstream);
            }
        }
    }

    /// Joins a client to the upstream; without an upstream the client's connection just ends.
    fn connect(self: &Arc<Self>, client: TcpStream, upstream: SocketAddr) {
        let Ok(server) = TcpStream::connect_timeout(&upstream, WATCHDOG) else { return };
        for stream in [&client, &server] {
            stream.set_nodelay(true).expect("an open socket takes options");
        }
        let twin = |stream: &TcpStream| stream.try_clone().expect("a socket can be cloned");
        self.lock().open.extend([twin(&client), twin(&server)]);
        let ways = [(twin(&client), twin(&server), Direction::ToServer), (server, client, Direction::ToClient)];
        for (from, to, direction) in ways {
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pump(from, to, direction));
        }
    }

    fn pump(&self, mut from: TcpStream, mut to: TcpStream, direction: Direction) {
        let mut buffer = [0; 4096];
        let mut passed = 0;
        let is_cut = loop {
            let length = match from.read(&mut buffer) {
                Ok(0) | Err(_) if self.is_lost(direction) => return,
                Ok(0) | Err(_) => break false,
                Ok(_) if self.is_lost(direction) => continue,
                Ok(length) => length,
            };
            let (allowed, is_last) = match self.judge(length, passed, direction) {
                Verdict::Write(allowed) => (allowed, false),
                Verdict::WriteThenCut(allowed) => (allowed, true),
                Verdict::Cut => break true,
            };
            if to.write_all(&buffer[..allowed]).is_err() || is_last {
                break true;
            }
            passed += allowed;
        };
        // An end on one side is passed on alone, as TCP has it: the other direction may go on.
        let _ = to.shutdown(if is_cut { Shutdown::Both } else { Shutdown::Write });
        if is_cut {
            let _ = from.shutdown(Shutdown::Both);
        }
    }

    /// Whether what travels this way vanishes.
    fn is_lost(&self, direction: Direction) -> bool {
        let State { behaviour, stopped, .. } = *self.lock();
        match behaviour {
            Behaviour::DeafToClient => direction == Direction::ToServer && !stopped,
            Behaviour::DeafToServer => direction == Direction::ToClient && !stopped,
            Behaviour::Pass | Behaviour::Refuse | Behaviour::Stall | Behaviour::CutAfter(_) | Behaviour::Latency(_) => {
                false
            }
        }
    }

    /// Decides on a chunk of `length` bytes after `passed` ones; waits while the proxy stalls.
    fn judge(&self, length: usize, passed: usize, direction: Direction) -> Verdict {
        let state = self
            .changed
            .wait_while(self.lock(), |state| state.behaviour == Behaviour::Stall && !state.stopped)
            .expect("no thread panics with the lock");
        let (behaviour, stopped) = (state.behaviour, state.stopped);
        drop(state);
        if stopped {
            return Verdict::Cut;
        }
        match behaviour {
            Behaviour::CutAfter(limit) if direction == Direction::ToClient && passed + length >= limit => {
                Verdict::WriteThenCut(limit.saturating_sub(passed))
            }
            Behaviour::Latency(latency) => {
                thread::sleep(latency); // holding bytes back is what was asked for
                Verdict::Write(length)
            }
            Behaviour::Pass
            | Behaviour::Refuse
            | Behaviour::Stall
            | Behaviour::DeafToClient
            | Behaviour::DeafToServer
            | Behaviour::CutAfter(_) => Verdict::Write(length),
        }
    }
}

#[cfg(test)]
mod tests;
