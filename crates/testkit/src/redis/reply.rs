//! Just enough of Redis' protocol (RESP 2) to ask a server something.

use std::io::{self, BufRead, BufReader, Error, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};

use crate::WATCHDOG;

/// What Redis answers to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// There is nothing.
    Null,
    /// A number.
    Integer(i64),
    /// A string; what is not UTF-8 is replaced.
    Text(String),
    /// A refusal, in Redis' words.
    Error(String),
    /// Several replies.
    List(Vec<Reply>),
}

impl Reply {
    /// Its string, or an empty one.
    pub fn text(&self) -> &str {
        if let Self::Text(text) | Self::Error(text) = self { text } else { "" }
    }

    /// Its parts; none if it is not a list.
    pub fn list(&self) -> &[Self] {
        if let Self::List(list) = self { list } else { &[] }
    }

    fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let line = line.strip_suffix("\r\n").ok_or(ErrorKind::UnexpectedEof)?;
        let (kind, rest) = line.split_at_checked(1).ok_or(ErrorKind::InvalidData)?;
        let number = || rest.parse::<i64>().map_err(|error| Error::new(ErrorKind::InvalidData, error));
        match kind {
            "+" => Ok(Self::Text(rest.to_owned())),
            "-" => Ok(Self::Error(rest.to_owned())),
            ":" => Ok(Self::Integer(number()?)),
            "$" => usize::try_from(number()?).map_or(Ok(Self::Null), |length| read_text(stream, length)),
            "*" => usize::try_from(number()?).map_or(Ok(Self::Null), |length| read_list(stream, length)),
            _ => Err(Error::new(ErrorKind::InvalidData, format!("no reply of Redis: {line}"))),
        }
    }
}

/// Sends one command after another on a connection of its own, and returns the last reply.
pub(super) fn ask(address: SocketAddr, commands: &[&[&str]]) -> io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, WATCHDOG)?;
    stream.set_read_timeout(Some(WATCHDOG))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut last = Reply::Null;
    for command in commands {
        stream.write_all(&encode(command))?;
        last = Reply::read(&mut reader)?;
    }
    Ok(last)
}

fn encode(command: &[&str]) -> Vec<u8> {
    let words = command.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
    format!("*{}\r\n{}", command.len(), words.collect::<String>()).into_bytes()
}

fn read_text(stream: &mut impl BufRead, length: usize) -> io::Result<Reply> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes)?;
    stream.read_exact(&mut [0; 2])?;
    Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

fn read_list(stream: &mut impl BufRead, length: usize) -> io::Result<Reply> {
    (0..length).map(|_| Reply::read(stream)).collect::<io::Result<_>>().map(Reply::List)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_reply_is_read() {
        let mut bytes = &b"*6\r\n+OK\r\n-ERR no\r\n:-7\r\n$5\r\nab\r\nc\r\n$-1\r\n*0\r\n"[..];
        let text = |text: &str| Reply::Text(text.to_owned());
        let wanted = [
            text("OK"),
            Reply::Error("ERR no".to_owned()),
            Reply::Integer(-7),
            text("ab\r\nc"),
            Reply::Null,
            Reply::List(Vec::new()),
        ];
        assert_eq!(Reply::read(&mut bytes).unwrap(), Reply::List(wanted.to_vec()));
    }

    #[test]
    fn what_is_cut_off_or_foreign_is_an_error() {
        for bytes in ["", "+OK", "$5\r\nabc", "*2\r\n:1\r\n", "HTTP/1.1 400 Bad Request\r\n", "\r\n"] {
            assert!(Reply::read(&mut bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
