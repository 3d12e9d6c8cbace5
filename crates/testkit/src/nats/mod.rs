//! The real NATS server, with JetStream: alone, or as a cluster.

mod cluster;

use std::fs;
use std::io::{self, BufRead, BufReader, Error, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::WATCHDOG;
use crate::daemon::{Daemon, Program};

pub use cluster::Cluster;

/// A NATS server with JetStream, on a loopback port of its own, which it keeps while it is down. It ends, and its
/// folder goes, when this value goes.
///
/// # Examples
///
/// ```no_run
/// use tricast_testkit::nats::Nats;
///
/// let mut nats = Nats::options().user("ada", "secret").start();
/// assert!(nats.request("$JS.API.INFO", "").contains("streams"));
/// nats.restart_empty();
/// ```
#[derive(Debug)]
pub struct Nats {
    daemon: Daemon,
    login: Login,
}

/// How a [`Nats`] is to be. Without anything said it takes whoever comes.
#[derive(Debug, Clone)]
pub struct Options {
    program: Program,
    login: Login,
    configuration: String,
}

#[derive(Debug, Default, Clone)]
enum Login {
    #[default]
    None,
    User(String, String),
    Token(String),
}

impl Options {
    /// It takes nobody but this user.
    #[must_use]
    pub fn user(self, name: &str, password: &str) -> Self {
        Self { login: Login::User(name.to_owned(), password.to_owned()), ..self }
    }

    /// It takes nobody without this token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        Self { login: Login::Token(token.to_owned()), ..self }
    }

    /// More of its configuration file, as in `max_payload: 4096`.
    #[must_use]
    pub fn configuration(mut self, lines: &str) -> Self {
        self.configuration.push_str(lines);
        self.configuration.push('\n');
        self
    }

    /// Starts it, and waits until it answers.
    ///
    /// # Panics
    ///
    /// If NATS is not installed, or does not start; prints its log.
    pub fn start(&self) -> Nats {
        let daemon = Daemon::start(self.program.clone(), is_ready, |command, folder, port| {
            let login = match &self.login {
                Login::None => String::new(),
                Login::User(name, password) => format!("authorization {{ user: {name:?}, password: {password:?} }}\n"),
                Login::Token(token) => format!("authorization {{ token: {token:?} }}\n"),
            };
            let listen = format!("listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: {DATA:?} }}\n");
            fs::write(folder.join("nats.conf"), listen + &login + &self.configuration)
                .expect("a new folder takes files");
            command.args(["-c", "nats.conf"]);
        });
        Nats { daemon, login: self.login.clone() }
    }
}

impl Nats {
    /// Starts a server that takes whoever comes.
    ///
    /// # Panics
    ///
    /// If NATS is not installed, or does not start; prints its log.
    pub fn start() -> Self {
        Self::options().start()
    }

    /// Begins to say how a server is to be.
    pub fn options() -> Options {
        Options { program: Program::of_the_system(NATS), login: Login::None, configuration: String::new() }
    }

    /// Where it listens, or would if it ran.
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// Its URL, with name and password, or the token, if it has them.
    pub fn url(&self) -> String {
        let login = match &self.login {
            Login::None => String::new(),
            Login::User(name, password) => format!("{name}:{password}@"),
            Login::Token(token) => format!("{token}@"),
        };
        format!("nats://{login}{}", self.address())
    }

    /// Which version it is, as `2.9.10`.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    pub fn version(&self) -> String {
        let greeting = greeting(self.address()).expect("it answers");
        let info = greeting.strip_prefix("INFO ").unwrap_or_default();
        let info: serde_json::Value = serde_json::from_str(info).expect("NATS greets by JSON");
        info["version"].as_str().expect("NATS tells its version").to_owned()
    }

    /// Sends a request on a connection of its own, and returns the answer.
    ///
    /// # Panics
    ///
    /// If there is no answer.
    pub fn request(&self, subject: &str, payload: &str) -> String {
        self.try_request(subject, payload).unwrap_or_else(|error| panic!("{subject}: {error}"))
    }

    /// Sends a request on a connection of its own, and returns the answer.
    ///
    /// # Errors
    ///
    /// NATS does not run, or ends the connection.
    pub fn try_request(&self, subject: &str, payload: &str) -> io::Result<String> {
        self.ask(subject, payload, WATCHDOG)
    }

    fn ask(&self, subject: &str, payload: &str, patience: Duration) -> io::Result<String> {
        let mut stream = connect(self.address())?;
        stream.set_read_timeout(Some(patience))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut options = serde_json::json!({ "verbose": false, "pedantic": false });
        match &self.login {
            Login::None => {}
            Login::User(name, password) => {
                options["user"] = name.as_str().into();
                options["pass"] = password.as_str().into();
            }
            Login::Token(token) => options["auth_token"] = token.as_str().into(),
        }
        let length = payload.len();
        write!(stream, "CONNECT {options}\r\nSUB answer 1\r\nPUB {subject} answer {length}\r\n{payload}\r\n")?;
        read_answer(&mut reader)
    }

    /// Kills it (SIGKILL). Its folder stays.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Kills it if it runs, starts it on the same port with the data of its folder, and waits until it answers.
    pub fn restart(&mut self) {
        self.daemon.restart();
    }

    /// As [`restart`](Self::restart), but without its data: a new server in the old one's place.
    pub fn restart_empty(&mut self) {
        self.daemon.kill();
        fs::remove_dir_all(self.daemon.folder().join(DATA)).expect("a server that is down lets go of its data");
        self.daemon.restart();
    }

    /// Kills it, copies its data, and starts it again: for [`restart_saved`](Self::restart_saved).
    ///
    /// # Panics
    ///
    /// If the data cannot be copied.
    pub fn save(&mut self) {
        self.daemon.kill();
        let folder = self.daemon.folder();
        copy(&folder.join(DATA), &folder.join(SAVED)).expect("data can be copied");
        self.daemon.restart();
    }

    /// Kills it if it runs, and starts it on the same port with the data that were saved: what came after is gone.
    ///
    /// # Panics
    ///
    /// If nothing was saved.
    pub fn restart_saved(&mut self) {
        self.daemon.kill();
        let (data, saved) = (self.daemon.folder().join(DATA), self.daemon.folder().join(SAVED));
        fs::remove_dir_all(&data).expect("a server that is down lets go of its data");
        fs::rename(saved, data).expect("something was saved");
        self.daemon.restart();
    }

    /// Stops it (SIGSTOP): connections stay open, and nothing is answered until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on (SIGCONT), with what it has been sent meanwhile.
    pub fn resume(&self) {
        self.daemon.resume();
    }

    /// What it has printed since it was first started.
    pub fn log(&self) -> String {
        self.daemon.log()
    }
}

fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, WATCHDOG)?;
    stream.set_read_timeout(Some(WATCHDOG))?;
    Ok(stream)
}

/// True when it greets; it does so when JetStream has read its data.
fn is_ready(address: SocketAddr) -> bool {
    greeting(address).is_ok_and(|line| line.starts_with("INFO {"))
}

fn greeting(address: SocketAddr) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(connect(address)?).read_line(&mut line)?;
    Ok(line)
}

/// The payload of the first message, past whatever else the server says.
fn read_answer(reader: &mut impl BufRead) -> io::Result<String> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut words = line.split_whitespace();
        match words.next() {
            Some("-ERR") => return Err(Error::other(line)),
            // The last word is the length of the whole, the one before it in an HMSG that of the headers.
            Some("MSG" | "HMSG") => {
                let length = words.next_back().and_then(|word| word.parse().ok()).ok_or(ErrorKind::InvalidData)?;
                let mut bytes = vec![0; length];
                reader.read_exact(&mut bytes)?;
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            _ => {}
        }
    }
}

const NATS: &str = "nats-server";

const DATA: &str = "jetstream";

const SAVED: &str = "saved";

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
