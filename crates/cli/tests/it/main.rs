//! The program as its users meet it: flags, output, signals and exit codes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Instant;

use tricast_testkit::WATCHDOG;
use tricast_testkit::process::Server;

mod clients;
mod cluster;
mod config;
mod operations;
mod snapshots;
mod token;

fn tricast(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tricast"));
    command.args(arguments);
    for variable in ["RUST_LOG", "NO_COLOR", "TRICAST_URL", "TRICAST_TOKEN", "TRICAST_BACKPLANE"] {
        command.env_remove(variable);
    }
    command
}

fn dev_server() -> Server {
    Server::start(&mut tricast(&["serve", "--dev", "--listen", "127.0.0.1:0"]))
}

/// Runs a command that ends by itself.
fn run(arguments: &[&str]) -> Output {
    tricast(arguments).output().unwrap()
}

/// A connection on which requests are written and answers read by hand.
struct Connection {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Connection {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(WATCHDOG)).unwrap();
        Self { stream: BufReader::new(stream), host: server.address().to_string() }
    }

    fn send(&mut self, target: &str) -> &mut Self {
        self.send_with(target, &[])
    }

    fn send_with(&mut self, target: &str, headers: &[&str]) -> &mut Self {
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n", self.host);
        self.stream.get_mut().write_all(head.as_bytes()).unwrap();
        self
    }

    /// Reads the head of an answer.
    fn head(&mut self) -> String {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).unwrap(), 0, "ended within {head:?}");
        }
        head
    }

    /// Reads up to a line that has this in it.
    fn line_with(&mut self, text: &str) -> String {
        let (mut line, began) = (String::new(), Instant::now());
        while !line.contains(text) {
            // Heartbeats would come for ever.
            assert!(began.elapsed() < WATCHDOG, "waited for {text}");
            line.clear();
            assert_ne!(self.stream.read_line(&mut line).unwrap(), 0, "ended before {text}");
        }
        line
    }

    /// Reads an answer with a length, and gives its body.
    fn body(&mut self) -> String {
        let head = self.head();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.parse().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    fn rest(&mut self) -> String {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).unwrap();
        rest
    }
}

#[test]
fn an_unknown_flag_is_an_error_that_names_it() {
    let output = run(&["serve", "--dev", "--presence"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--presence"));
    assert!(output.stdout.is_empty());
}

#[test]
fn without_rules_it_refuses_to_start_and_names_the_ways_out() {
    let output = run(&["serve", "--listen", "127.0.0.1:0"]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr);
    for way in ["tricast serve --dev", "tricast serve --config tricast.toml", "[[channel]]\n    pattern = "] {
        assert!(told.contains(way), "{told}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn an_address_in_use_is_named_with_the_cause() {
    let first = dev_server();
    let addr = first.address().to_string();
    let output = run(&["serve", "--dev", "--listen", &addr]);
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains(&format!("cannot listen on {addr}: ")), "{told}");
}

#[test]
fn it_prints_one_line_and_exits_with_zero_at_sigterm() {
    let mut server = dev_server();
    assert!(server.address().ip().is_loopback());
    server.terminate();
    assert!(server.wait().success());
    assert_eq!(server.lines(), [format!("listening on http://{}", server.address())]);
}

#[test]
fn a_foreign_host_is_refused() {
    let server = dev_server();
    let mut connection = Connection::open(&server);
    connection.host = "rebound.example".to_owned();
    let head = connection.send("/rt/poll?channel=a").head();
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}

#[test]
fn sigterm_answers_a_parked_poll_and_ends_an_sse_stream() {
    let mut server = dev_server();
    let mut sse = Connection::open(&server);
    assert!(sse.send("/rt/sse?channel=a").head().starts_with("HTTP/1.1 200 "));

    let mut poll = Connection::open(&server);
    let fresh = poll.send("/rt/poll?channel=a").body();
    let cursor = fresh.split_once(r#""cursor":""#).unwrap().1.split('"').next().unwrap();
    poll.send(&format!("/rt/poll?channel=a&cursor={cursor}&wait=60"));
    // Nothing tells that a poll is parked; it was sent before these were answered.
    let mut other = Connection::open(&server);
    for _ in 0..20 {
        other.send("/healthz").body();
    }

    server.terminate();
    let answer = poll.body();
    assert!(answer.contains(r#""type":"bye""#) && answer.contains(r#""code":"draining""#), "{answer}");
    let stream = sse.rest();
    assert!(stream.contains("event: tricast:bye") || stream.contains("event:tricast:bye"), "{stream}");
    assert!(server.wait().success());
}

#[test]
fn each_shell_is_told_of_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = run(&["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        let script = String::from_utf8(output.stdout).unwrap();
        for word in ["check-config", "completions", "health", "inspect", "--transport"] {
            assert!(script.contains(word.trim_start_matches('-')), "{shell}: {word}");
        }
    }
}
