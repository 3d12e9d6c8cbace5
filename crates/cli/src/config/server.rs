//! `[server]`: where it listens, whom it believes, and how it ends.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::problem::Fault;
use super::section::Section;
use super::value::{self, At, Named};

#[derive(Debug)]
pub(super) struct Server {
    pub(super) listen: SocketAddr,
    pub(super) mount: String,
    pub(super) allowed_origins: Vec<String>,
    pub(super) trusted_proxies: Vec<String>,
    pub(super) heartbeat_ws: Duration,
    pub(super) heartbeat_sse: Duration,
    pub(super) drain: Duration,
}

pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Server {
    let (heartbeat_ws, heartbeat_sse) = section
        .table("heartbeat", |section| (section.or("ws", WS, value::deadline), section.or("sse", SSE, value::deadline)));
    section.table("tls", |section| tls(section, folder));
    Server {
        listen: section.or("listen", LISTEN, value::address),
        mount: section.or("mount", "/rt".to_owned(), value::mount),
        allowed_origins: section.list("allowed_origins", value::origin),
        trusted_proxies: section.list("trusted_proxies", value::network),
        heartbeat_ws,
        heartbeat_sse,
        drain: section.or("drain", Duration::from_secs(10), value::drain),
    }
}

/// A certificate and its key are looked for, though nothing is served by them yet.
fn tls(section: &mut Section<'_>, folder: &Path) {
    for name in ["cert", "key"] {
        if let Some(At { line, value: file }) = section.required(name, |value| value::file(value, folder))
            && let Err(fault) = readable(file)
        {
            section.problem(name, line, fault);
        }
    }
    section.refuse(Fault::NotYet("TLS"));
}

fn readable(file: Named) -> Result<(), Fault> {
    match File::open(&file.path) {
        Ok(_) => Ok(()),
        Err(error) => Err(Fault::File { file: file.shown, problem: error.to_string() }),
    }
}

/// What is listened on unless somebody says otherwise.
pub(super) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);
const WS: Duration = Duration::from_secs(25);
const SSE: Duration = Duration::from_secs(15);
