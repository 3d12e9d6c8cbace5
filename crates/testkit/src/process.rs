//! A server program, started on a free port and stopped by its id.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::WATCHDOG;

/// A program that printed `listening on http://ADDR`. It is killed when this value goes.
///
/// # Examples
///
/// ```no_run
/// use std::process::Command;
/// use tricast_testkit::process::Server;
///
/// let mut server = Server::start(Command::new("tricast").args(["serve", "--dev", "--listen", "127.0.0.1:0"]));
/// println!("{}", server.url("/healthz"));
/// server.terminate();
/// assert!(server.wait().success());
/// ```
#[derive(Debug)]
pub struct Server {
    process: Child,
    program: String,
    address: SocketAddr,
    lines: Vec<String>,
    output: Receiver<String>,
}

impl Server {
    /// Starts the program and waits for the line with its address. Its stderr is the test's.
    ///
    /// # Panics
    ///
    /// If the program does not start, or ends or stays silent without having printed its address.
    pub fn start(command: &mut Command) -> Self {
        let program = command.get_program().to_string_lossy().into_owned();
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        let stdout = process.stdout.take().expect("stdout was asked for");
        let (sender, output) = mpsc::channel();
        thread::spawn(move || pass_lines(stdout, &sender));

        let mut server = Self { process, program, address: UNKNOWN, lines: Vec::new(), output };
        while server.address == UNKNOWN {
            let line = server.next_line().unwrap_or_else(|silence| panic!("{silence}"));
            if let Some(address) = line.strip_prefix("listening on http://") {
                server.address = address.parse().unwrap_or_else(|error| panic!("{}: {line}: {error}", server.program));
            }
        }
        server
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// An URL of the server; `path` begins with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The process id, while it runs.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Sends SIGTERM, and returns at once.
    pub fn terminate(&self) {
        let id = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw).expect("a process id is positive");
        kill_process(id, Signal::TERM).unwrap_or_else(|error| panic!("{}: SIGTERM: {error}", self.program));
    }

    /// Waits for its end, and says how it ended.
    ///
    /// # Panics
    ///
    /// If it has not ended within [`WATCHDOG`].
    pub fn wait(&mut self) -> ExitStatus {
        loop {
            match self.next_line() {
                Ok(_) => {}
                Err(Silence { ended: true, .. }) => return self.process.wait().expect("a child can be waited for"),
                Err(silence) => panic!("{silence}"),
            }
        }
    }

    /// The lines on stdout that were read: up to the address, or after [`wait`](Self::wait), all.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    fn next_line(&mut self) -> Result<String, Silence> {
        let line = self.output.recv_timeout(WATCHDOG).map_err(|error| Silence {
            program: self.program.clone(),
            ended: error == RecvTimeoutError::Disconnected,
            lines: self.lines.clone(),
        })?;
        self.lines.push(line.clone());
        Ok(line)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// No further line came.
struct Silence {
    program: String,
    ended: bool,
    lines: Vec<String>,
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.ended { "ended" } else { "went on in silence" };
        write!(f, "{} {what} after printing {:?}", self.program, self.lines)
    }
}

fn pass_lines(stdout: ChildStdout, lines: &Sender<String>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        // Reading goes on when nobody listens: a full pipe would stall the program.
        let _ = lines.send(line);
    }
}

const UNKNOWN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn the_address_is_read_past_other_lines() {
        let server = Server::start(&mut shell(
            "echo warming up; echo listening on http://127.0.0.1:4000; read forever < /dev/zero",
        ));
        assert_eq!(server.url("/healthz"), "http://127.0.0.1:4000/healthz");
    }

    #[test]
    #[should_panic(expected = "sh ended after printing [\"sorry\"]")]
    fn a_program_that_ends_without_an_address_is_reported_with_its_words() {
        Server::start(&mut shell("echo sorry"));
    }

    #[test]
    fn sigterm_reaches_the_program_and_its_exit_code_comes_back() {
        let script = "trap 'echo draining; exit 7' TERM; echo listening on http://127.0.0.1:4000; while :; do :; done";
        let mut server = Server::start(&mut shell(script));
        server.terminate();
        assert_eq!(server.wait().code(), Some(7));
        assert_eq!(server.lines(), ["listening on http://127.0.0.1:4000", "draining"]);
    }
}
