//! The real nginx in front of a server, in the configurations that people run.
//!
//! The configurations are the files of the folder `nginx` of this crate; the browser tests use the same ones.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::WATCHDOG;

/// How nginx treats the application behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// A bare `proxy_pass`: HTTP/1.0 to the upstream, with the upstream's `Host`, and no `Upgrade`.
    Plain,
    /// HTTP/1.1 with the client's `Host`; `/rt/ws` answers 403.
    NoUpgrade,
    /// As [`NoUpgrade`](Self::NoUpgrade), and `/rt/sse` answers 403 too.
    PollOnly,
    /// As [`NoUpgrade`](Self::NoUpgrade), and it collects answers before it passes them on, whatever they ask for: an
    /// event stream never comes.
    Buffering,
    /// Upgrades pass and nothing is buffered.
    Proper,
}

impl Preset {
    fn locations(self) -> &'static str {
        match self {
            Self::Plain => include_str!("../nginx/plain.conf"),
            Self::NoUpgrade => include_str!("../nginx/no_upgrade.conf"),
            Self::PollOnly => include_str!("../nginx/poll_only.conf"),
            Self::Buffering => include_str!("../nginx/buffering.conf"),
            Self::Proper => include_str!("../nginx/proper.conf"),
        }
    }
}

/// An nginx with its own folder, on a free loopback port. It ends, and its folder goes, when this value goes.
#[derive(Debug)]
pub struct Nginx {
    process: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Nginx {
    /// Starts nginx in front of `upstream` and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// If nginx is not installed, or ends at once; prints its error log.
    pub fn start(preset: Preset, upstream: SocketAddr) -> Self {
        for _ in 0..ATTEMPTS {
            let mut nginx = Self::launch(preset, upstream);
            if nginx.accepts() {
                return nginx;
            }
            let log = nginx.error_log();
            // Between our choice of a free port and nginx's bind somebody may have taken it.
            assert!(log.contains("Address already in use"), "nginx ended at once: {log}");
        }
        panic!("nginx found no free port in {ATTEMPTS} attempts");
    }

    /// The address to connect to in place of the upstream's.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What nginx has written to its error log.
    pub fn error_log(&self) -> String {
        fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }

    fn launch(preset: Preset, upstream: SocketAddr) -> Self {
        let address = free_address();
        let configuration = include_str!("../nginx/base.conf")
            .replace("@LOCATIONS@", preset.locations())
            .replace("@LISTEN@", &address.to_string())
            .replace("@UPSTREAM@", &upstream.to_string());
        let folder = tempfile::tempdir().expect("the temporary folder takes another");
        let file = folder.path().join("nginx.conf");
        fs::write(&file, configuration).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let process = Command::new(program())
            .arg("-p")
            .arg(folder.path())
            .args(["-e", "error.log", "-c", "nginx.conf"])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx does not start: {error}"));
        Self { process, address, folder }
    }

    /// True once connections are accepted, false if nginx has ended.
    fn accepts(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < WATCHDOG {
            if self.process.try_wait().expect("a child can be asked").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            thread::sleep(Duration::from_millis(10)); // nginx tells nobody when it has bound its port
        }
        panic!("nginx does not accept connections: {}", self.error_log());
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // One process (`master_process off`): nothing is left behind. Both fail only if it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback port is free");
    listener.local_addr().expect("a bound listener has an address")
}

/// Debian keeps nginx in a folder that is not in everyone's PATH.
fn program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join("nginx")).find(|it| it.is_file()).unwrap_or_else(|| Path::new("nginx").to_owned())
}

const ATTEMPTS: u32 = 5;
