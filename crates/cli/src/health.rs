//! `tricast health`: what a container without any other tool asks its server by.

use std::io;
use std::time::Duration;

use clap::Args;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::parse_time;
use crate::outcome::Outcome;

/// What `health` is told on the command line.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where the server listens, as host and port.
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:8000")]
    addr: String,

    /// How long to wait for the answer.
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = parse_time)]
    timeout: Duration,
}

/// Why a server is not ready, as far as anybody can tell.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HealthError {
    #[error("{addr} cannot be asked")]
    Unreachable { addr: String, source: io::Error },
    #[error("{addr} did not answer within {timeout:?}")]
    Silent { addr: String, timeout: Duration },
    #[error("{addr} is not ready: {answer}")]
    NotReady { addr: String, answer: String },
}

/// Asks `/readyz`, and prints nothing where the answer is good.
///
/// # Errors
/// Any other answer, or none.
pub(crate) async fn run(options: &Options) -> Result<Outcome, HealthError> {
    let Options { addr, timeout } = options;
    let answer = match tokio::time::timeout(*timeout, ask(addr)).await {
        Err(_) => return Err(HealthError::Silent { addr: addr.clone(), timeout: *timeout }),
        Ok(Err(source)) => return Err(HealthError::Unreachable { addr: addr.clone(), source }),
        Ok(Ok(answer)) => String::from_utf8_lossy(&answer).into_owned(),
    };
    if is_ok(&answer) {
        return Ok(Outcome::Done);
    }
    Err(HealthError::NotReady { addr: addr.clone(), answer: summary(&answer) })
}

/// One request by hand: a client of HTTP would be the larger part of this program.
async fn ask(addr: &str) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(addr).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST_ANSWER_BYTES).read_to_end(&mut answer).await?;
    Ok(answer)
}

fn is_ok(answer: &str) -> bool {
    answer.starts_with("HTTP/1.1 200 ")
}

/// The status and the first line of the body.
fn summary(answer: &str) -> String {
    let status = answer.lines().next().unwrap_or_default();
    let body = answer.split_once("\r\n\r\n").and_then(|(_, body)| body.lines().next()).unwrap_or_default();
    if body.is_empty() { status.to_owned() } else { format!("{status} ({body})") }
}

/// More than the answer ever has.
const MOST_ANSWER_BYTES: u64 = 4 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_200_is_ready_and_others_are_told_with_their_words() {
        assert!(is_ok("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nready"));
        for (answer, told) in [
            ("HTTP/1.1 503 Service Unavailable\r\nx: y\r\n\r\ndraining", "HTTP/1.1 503 Service Unavailable (draining)"),
            ("SSH-2.0-x", "SSH-2.0-x"),
            ("", ""),
        ] {
            assert!(!is_ok(answer));
            assert_eq!(summary(answer), told);
        }
    }
}
