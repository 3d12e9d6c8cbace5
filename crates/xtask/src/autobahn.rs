//! Autobahn's WebSocket cases, from PyPI, against the echo server of `tests/suite`.

use std::env;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::failure::Failure;
use crate::python::Program;
use crate::workspace::{self, Workspace};

/// Runs the cases; red when one of them fails.
pub(crate) fn run(workspace: &Workspace) -> Result<(), Failure> {
    let kosoku = KOSOKU.install(&workspace.scratch(KOSOKU.name))?;
    let reports = workspace.scratch("autobahn");
    let server = EchoServer::start(&workspace.binary(&format!("echo-server{}", env::consts::EXE_SUFFIX)))?;
    let mut command = Command::new(kosoku);
    command.args(["-p", "4"]);
    for case in CASES {
        command.args(["-i", case]);
    }
    workspace::run(command.arg("-o").arg(&reports).arg(format!("ws://{}/echo", server.address)))
}

/// The echo server, killed when this goes.
struct EchoServer {
    process: Child,
    address: String,
}

impl EchoServer {
    fn start(program: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(program);
        let shown = workspace::shown(&command);
        let mut process = command
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|source| Failure::Start { command: shown.clone(), source })?;
        let output = process.stdout.take();
        let mut server = Self { process, address: String::new() };
        let (found, address) = mpsc::channel();
        thread::spawn(move || {
            let lines = output.into_iter().flat_map(|output| BufReader::new(output).lines()).map_while(Result::ok);
            for line in lines {
                if let Some(address) = address_in(&line) {
                    // Nobody waits any more after the watchdog; reading on keeps the pipe from filling up.
                    let _ = found.send(address.to_owned());
                }
            }
        });
        server.address = address.recv_timeout(WATCHDOG).map_err(|_| {
            Failure::Found(format!("`{shown}` did not print its address within {} s", WATCHDOG.as_secs()))
        })?;
        Ok(server)
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        // Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn address_in(line: &str) -> Option<&str> {
    line.strip_prefix("listening on http://").map(str::trim_end)
}

const KOSOKU: Program = Program { name: "kosoku", package: "kosoku==0.1.0" };
const CASES: &[&str] = &["1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "9.*", "10.*"];
const WATCHDOG: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_its_line_alone() {
        assert_eq!(address_in("listening on http://127.0.0.1:4000\n"), Some("127.0.0.1:4000"));
        assert_eq!(address_in("warming up"), None);
    }

    #[test]
    fn a_server_that_ends_without_an_address_is_named() {
        let failure = EchoServer::start(Path::new("/bin/true")).err().unwrap();
        assert!(failure.to_string().starts_with("`true` did not print"), "{failure}");
    }
}
