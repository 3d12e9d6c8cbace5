//! The real nginx in front of a server, in the configurations that people run.
//!
//! The configurations are the files of the folder `nginx` of this crate; the browser tests use the same ones.

use std::fs;
use std::net::{SocketAddr, TcpStream};

use crate::daemon::{Daemon, Program};

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

/// An nginx with its own folder and loopback port. It ends, and its folder goes, when this value goes.
#[derive(Debug)]
pub struct Nginx {
    daemon: Daemon,
}

impl Nginx {
    /// Starts nginx in front of `upstream` and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// If nginx is not installed, or ends at once; prints its error log.
    pub fn start(preset: Preset, upstream: SocketAddr) -> Self {
        let accepts = |address| TcpStream::connect(address).is_ok();
        let daemon = Daemon::start(Program::of_the_system("nginx"), accepts, |command, folder, port| {
            let configuration = include_str!("../nginx/base.conf")
                .replace("@LOCATIONS@", preset.locations())
                .replace("@LISTEN@", &format!("127.0.0.1:{port}"))
                .replace("@UPSTREAM@", &upstream.to_string());
            let file = folder.join("nginx.conf");
            fs::write(&file, configuration).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            // One process (`master_process off`): killing it leaves nothing behind.
            command.arg("-p").arg(folder).args(["-e", "error.log", "-c", "nginx.conf"]);
        });
        Self { daemon }
    }

    /// The address to connect to in place of the upstream's.
    pub fn address(&self) -> SocketAddr {
        self.daemon.address()
    }

    /// What nginx has written to its error log.
    pub fn error_log(&self) -> String {
        self.daemon.log()
    }
}
