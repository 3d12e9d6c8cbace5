//! A server program that says nothing when it is ready: it is given a port and asked until it answers.

use std::env;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::WATCHDOG;
use crate::port::Port;

/// A program with a port and a folder that are its own, also while it is down. It ends, and its folder goes, when this
/// value goes.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: Program,
    command: Command,
    process: Child,
    port: Port,
    folder: TempDir,
    is_ready: fn(SocketAddr) -> bool,
}

impl Daemon {
    /// Starts `program` as `configure` has it, which is given the command, its folder and its port, and waits until
    /// `is_ready`.
    ///
    /// # Panics
    ///
    /// If it is not installed, ends by itself, or is not ready within [`WATCHDOG`]; with what it printed.
    pub(crate) fn start(
        program: Program,
        is_ready: fn(SocketAddr) -> bool,
        configure: impl Fn(&mut Command, &Path, u16),
    ) -> Self {
        let name = program.name;
        for _ in 0..ATTEMPTS {
            let mut daemon = Self::launch(program.clone(), is_ready, &configure);
            if daemon.becomes_ready() {
                return daemon;
            }
            let log = daemon.log();
            // Between our look at the port and the program's bind somebody may have taken it.
            assert!(log.to_lowercase().contains("address already in use"), "{name} ended at once: {log}");
        }
        panic!("{name} found no free port in {ATTEMPTS} attempts");
    }

    /// Where it listens, or would if it ran.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// What it has printed since it was first started.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Its own folder.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends SIGKILL, and returns when it has ended. Nothing happens if it has ended before.
    pub(crate) fn kill(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Kills it if it runs, and starts it again, on the same port and in the same folder.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.process = spawn(self.program.name, &mut self.command);
        assert!(self.becomes_ready(), "{} does not start again: {}", self.program.name, self.log());
    }

    /// Sends SIGSTOP: its connections stay open, and nothing is answered until [`resume`](Self::resume).
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Sends SIGCONT.
    pub(crate) fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn launch(
        program: Program,
        is_ready: fn(SocketAddr) -> bool,
        configure: &impl Fn(&mut Command, &Path, u16),
    ) -> Self {
        let port = Port::take();
        let folder = tempfile::tempdir().expect("the temporary folder takes another");
        let mut command = Command::new(&program.path);
        let log =
            File::options().append(true).create(true).open(folder.path().join(LOG)).expect("a new folder takes files");
        let twin = log.try_clone().expect("a file can be cloned");
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(log).stderr(twin);
        configure(&mut command, folder.path(), port.number());
        let process = spawn(program.name, &mut command);
        Self { program, command, process, port, folder, is_ready }
    }

    /// True once it answers, false if it has ended.
    fn becomes_ready(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < WATCHDOG {
            if self.process.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            if (self.is_ready)(self.address()) {
                return true;
            }
            thread::sleep(PAUSE); // it tells nobody
        }
        panic!("{} is not ready: {}", self.program.name, self.log());
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id is positive");
        kill_process(id, signal).unwrap_or_else(|error| panic!("{}: {signal:?}: {error}", self.program.name));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Asks until the answer is yes.
///
/// # Panics
///
/// If it is not within [`WATCHDOG`]; `what` says what did not happen.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < WATCHDOG, "in vain: {what}");
        thread::sleep(PAUSE); // the programs that are asked tell nobody
    }
}

fn spawn(program: &str, command: &mut Command) -> Child {
    command.spawn().unwrap_or_else(|error| panic!("{program} does not start: {error}"))
}

/// A server program, and which of that name.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    name: &'static str,
    path: PathBuf,
}

impl Program {
    /// The one that the system has. Debian keeps some in a folder that is not in everyone's PATH.
    pub(crate) fn of_the_system(name: &'static str) -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
        let found = folders.map(|folder| folder.join(name)).find(|it| it.is_file());
        Self { name, path: found.unwrap_or_else(|| name.into()) }
    }

    /// The one that `cargo xtask test` installed beside the target directory's builds, or else the system's.
    pub(crate) fn of_the_tests(name: &'static str) -> Self {
        let this = env::current_exe().unwrap_or_default();
        // target/debug/deps/it, or target/debug/it.
        let places = this.ancestors().skip(2).take(2);
        let installed = places.map(|target| target.join("xtask").join(name).join("bin").join(name));
        match installed.into_iter().find(|path| path.is_file()) {
            Some(path) => Self { name, path },
            None => Self::of_the_system(name),
        }
    }
}

const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_millis(10);
const LOG: &str = "error.log"; // nginx appends to it too
