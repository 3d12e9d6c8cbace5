//! `pub` and `sub`, against a server that lives, dies and comes back.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tricast_testkit::WATCHDOG;
use tricast_testkit::process::Server;

use crate::{dev_server, tricast};

/// The program as a client of a server.
fn client(server: &Server, arguments: &[&str]) -> Command {
    let mut command = tricast(arguments);
    command.env("TRICAST_URL", server.url("/rt"));
    command
}

pub(crate) fn publish(server: &Server, arguments: &[&str]) -> Output {
    let output = client(server, &[&["pub"], arguments].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    output
}

/// A `sub` that runs, line by line. It is killed when this value goes.
pub(crate) struct Sub {
    process: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Sub {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        Self::at(&server.url("/rt"), arguments)
    }

    /// One that reads from wherever this leads.
    pub(crate) fn at(url: &str, arguments: &[&str]) -> Self {
        let mut command = tricast(&[&["sub"], arguments].concat());
        command.env("TRICAST_URL", url);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = lines(process.stdout.take().unwrap());
        let stderr = lines(process.stderr.take().unwrap());
        Self { process, stdout, stderr }
    }

    pub(crate) fn next(&self) -> String {
        self.within(WATCHDOG).unwrap()
    }

    /// The next line, if one comes in time.
    pub(crate) fn within(&self, time: Duration) -> Option<String> {
        self.stdout.recv_timeout(time).ok()
    }

    /// The next line on stderr that has this in it.
    pub(crate) fn told(&self, what: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(WATCHDOG).expect(what);
            if line.contains(what) {
                return line;
            }
        }
    }

    fn interrupt(&mut self) -> Option<i32> {
        interrupt(&self.process);
        self.wait()
    }

    fn wait(&mut self) -> Option<i32> {
        // Both pipes end with the process.
        while self.stdout.recv_timeout(WATCHDOG).is_ok() {}
        self.process.wait().unwrap().code()
    }
}

impl Drop for Sub {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn interrupt(process: &Child) {
    let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw).unwrap();
    kill_process(id, Signal::INT).unwrap();
}

fn lines(from: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    lines
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn what_is_published_is_printed_over_each_transport() {
    let server = dev_server();
    for transport in ["ws", "sse", "poll"] {
        let mut sub = Sub::start(&server, &[transport, "--transport", transport, "--from", "earliest"]);
        sub.told(&format!("connected to {} by {transport}", server.url("/rt")));
        publish(&server, &[transport, r#"{"hi":1}"#]);
        assert_eq!(sub.next(), format!(r#"{transport} 1 {{"hi":1}}"#));
        publish(&server, &[transport, "-2", "--event", "note"]);
        assert_eq!(sub.next(), format!("{transport} 2 note -2"));
        assert_eq!(sub.interrupt(), Some(130));
    }
}

#[test]
fn a_server_that_is_killed_and_restarted_is_found_again_and_the_gap_is_told() {
    let first = dev_server();
    let address = first.address().to_string();
    let mut sub = Sub::start(&first, &["a", "--from", "earliest"]);
    let mut json = Sub::start(&first, &["a", "--from", "earliest", "--json", "--transport", "sse"]);
    publish(&first, &["a", "1"]);
    assert_eq!(sub.next(), "a 1 1");
    assert!(json.next().contains(r#""seq":1,"#));
    drop(first);
    sub.told("connection lost");
    let second = Server::start(&mut tricast(&["serve", "--dev", "--listen", &address]));
    sub.told("connected again to ");
    let gap = sub.told("gap on a: ");
    assert!(gap.contains("messages may be missing, the log began anew; going on after "), "{gap}");
    let gap = json.next();
    assert!(gap.starts_with(r#"{"type":"gap","channel":"a","#) && gap.contains(r#""reason":"epoch""#), "{gap}");
    publish(&second, &["a", "2"]);
    assert_eq!(sub.next(), "a 1 2");
    assert!(json.next().contains(r#""data":2"#));
    assert_eq!((sub.interrupt(), json.interrupt()), (Some(130), Some(130)));
}

#[test]
fn several_channels_are_read_and_a_count_ends_the_reading() {
    let server = dev_server();
    for channel in ["a", "b"] {
        publish(&server, &[channel, "1"]);
    }
    let mut sub = Sub::start(&server, &["a", "b", "a", "--from", "last:5", "--count", "2"]);
    let mut seen = [sub.next(), sub.next()];
    seen.sort();
    assert_eq!(seen, ["a 1 1", "b 1 1"]);
    assert_eq!(sub.wait(), Some(0));
}

#[test]
fn a_state_is_read_by_its_keys_with_deletions() {
    let server = dev_server();
    publish(&server, &["state:cpu", "0.5", "--key", "web", "--ttl", "1h"]);
    publish(&server, &["state:cpu", "0.7", "--key", "db"]);
    let mut sub = Sub::start(&server, &["state:cpu"]);
    assert_eq!([sub.next(), sub.next()], ["state:cpu 1 web 0.5", "state:cpu 2 db 0.7"]);
    publish(&server, &["state:cpu", "--key", "web", "--delete"]);
    assert_eq!(sub.next(), "state:cpu 3 web deleted");
    assert_eq!(sub.interrupt(), Some(130));
    let mut sub = Sub::start(&server, &["state:cpu", "--json"]);
    assert!(sub.next().contains(r#""key":"db""#));
    // The snapshot is at its end once the deletion was told, too.
    let live = std::iter::from_fn(|| Some(sub.next())).find(|line| line.contains(r#""type":"live""#)).unwrap();
    assert!(live.contains(r#""channel":"state:cpu""#), "{live}");
    assert_eq!(sub.interrupt(), Some(130));
}

#[test]
fn lines_are_published_in_order_and_a_bad_one_is_named() {
    let server = dev_server();
    let piped = |input: &str, arguments: &[&str]| {
        let mut command = client(&server, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        process.wait_with_output().unwrap()
    };
    let output = piped("1\n[2]\n\"three\"", &["pub", "a", "-"]);
    assert_eq!((text(&output.stderr), output.status.code()), ("published 3 messages\n", Some(0)));
    assert_eq!(text(&output.stdout).lines().count(), 3);
    let output = piped("4\nfive\n6\n", &["pub", "a", "-"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: line 2 of the input: it is no message: "), "{output:?}");
    let mut sub = Sub::start(&server, &["a", "--from", "earliest", "--count", "4"]);
    let seen = [sub.next(), sub.next(), sub.next(), sub.next()];
    assert_eq!(seen, ["a 1 1", "a 2 [2]", "a 3 \"three\"", "a 4 4"]);
    assert_eq!(sub.wait(), Some(0));
}

#[test]
fn a_repeated_id_is_told_and_not_appended() {
    let server = dev_server();
    let first = publish(&server, &["a", "1", "--id", "once"]);
    let position = text(&first.stdout).trim();
    let again = publish(&server, &["a", "1", "--id", "once"]);
    assert_eq!(text(&again.stdout), format!("{position} (it was there already)\n"));
    let again = publish(&server, &["a", "1", "--id", "once", "--json"]);
    let told = format!(r#"{{"channel":"a","duplicate":true,"id":"once","position":"{position}"}}"#);
    assert_eq!(text(&again.stdout).trim(), told);
}

#[test]
fn what_others_publish_cannot_drive_the_terminal() {
    let server = dev_server();
    publish(&server, &["a", "\"\u{9b}31m\u{7f}\""]);
    for arguments in
        [&["a", "--from", "earliest", "--count", "1"][..], &["a", "--from", "earliest", "--count", "1", "--json"]]
    {
        let mut sub = Sub::start(&server, arguments);
        let line = sub.next();
        assert!(line.contains(r#""\u009b31m\u007f""#), "{line:?}");
        assert_eq!(sub.wait(), Some(0));
    }
}

#[test]
fn nobody_there_is_a_failure_that_names_the_server_once_the_time_is_over() {
    let gone = dev_server();
    let mut command = client(&gone, &["pub", "a", "1", "--timeout", "200ms"]);
    drop(gone);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/rt did not acknowledge the message within 200ms"), "{output:?}");
}

#[test]
fn a_message_that_is_none_is_an_error_of_usage_with_a_hint() {
    let output = tricast(&["pub", "a", "hello"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains(r#"(text needs quotes: '"hello"')"#), "{output:?}");
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_program() {
    let server = dev_server();
    let mut sub = client(&server, &["sub", "a", "--from", "earliest", "--quiet"]);
    let mut sub = sub.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(sub.stdout.take());
    publish(&server, &["a", "1"]);
    let output = sub.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}

#[test]
fn ctrl_c_ends_a_publish_that_waits_for_its_input() {
    let server = dev_server();
    let mut command = client(&server, &["pub", "a", "-"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = process.stdin.take().unwrap();
    let answers = lines(process.stdout.take().unwrap());
    input.write_all(b"1\n").unwrap();
    // Once it has answered, it listens for signals too.
    assert!(answers.recv_timeout(WATCHDOG).unwrap().ends_with("-1"));
    interrupt(&process);
    assert_eq!(process.wait().unwrap().code(), Some(130));
    drop(input);
}

#[test]
fn colours_are_left_out_where_nobody_wants_them() {
    let server = dev_server();
    publish(&server, &["a", "1"]);
    let read = |no_color: &str| {
        let mut command = client(&server, &["sub", "a", "--from", "earliest", "--count", "1"]);
        let output = command.env("CLICOLOR_FORCE", "1").env("NO_COLOR", no_color).output().unwrap();
        [output.stdout, output.stderr].map(|bytes| bytes.contains(&0x1b))
    };
    assert_eq!(read(""), [true, true]);
    assert_eq!(read("1"), [false, false]);
}
