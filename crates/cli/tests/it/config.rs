//! `serve --config` and `check-config`.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;
use tricast_testkit::process::Server;

use crate::{Connection, tricast};

/// A configuration in a folder of its own.
pub(crate) struct File {
    folder: TempDir,
}

impl File {
    pub(crate) fn new(text: &str) -> Self {
        let file = Self { folder: tempfile::tempdir().unwrap() };
        fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("tricast.toml")
    }

    /// The program, run beside the file.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = tricast(arguments);
        command.current_dir(self.folder.path()).env("TRICAST_SECRET", "a-secret-of-at-least-thirty-two-bytes");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn serve(&self) -> Server {
        Server::start(&mut self.command(&["serve", "--config", "tricast.toml"]))
    }
}

/// HS256 by the secret above: `{"sub":"ann","aud":"tricast","exp":4102444800}`.
pub(crate) const ANN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
    eyJzdWIiOiJhbm4iLCJhdWQiOiJ0cmljYXN0IiwiZXhwIjo0MTAyNDQ0ODAwfQ.A6z1OaWHawqiw5Zc4iLsRjnam2fpnfNU5e0Ky18GwkM";

pub(crate) const RULES: &str = r#"
[server]
listen = "127.0.0.1:0"
mount = "/live"

[auth]
jwt_hs256 = "${TRICAST_SECRET}"
audience = "tricast"
cookie = "session"
required = false

[[channel]]
pattern = "news"

[[channel]]
pattern = "inbox:{user}"
subscribe = "self"
publish = "signed_in"
"#;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The status of an answer to this request.
fn status(server: &Server, target: &str, headers: &[&str]) -> String {
    let head = Connection::open(server).send_with(target, headers).head();
    head.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_file_says_where_the_channels_are_and_which() {
    let server = File::new(RULES).serve();
    assert!(server.address().ip().is_loopback());
    let statuses = ["/live/poll?channel=news", "/rt/poll?channel=news", "/live/poll?channel=olds", "/healthz"]
        .map(|target| status(&server, target, &[]));
    assert_eq!(statuses, ["200", "404", "404", "200"]);
}

#[test]
fn an_anonymous_subscriber_is_refused_what_a_token_opens() {
    let server = File::new(RULES).serve();
    let (bearer, cookie) = (format!("Authorization: Bearer {ANN}"), format!("Cookie: session={ANN}"));
    let inbox = "/live/poll?channel=inbox:ann";
    assert_eq!(status(&server, inbox, &[]), "403");
    assert_eq!(status(&server, inbox, &[&bearer]), "200");
    assert_eq!(status(&server, inbox, &[&cookie]), "200");
    assert_eq!(status(&server, "/live/poll?channel=inbox:bob", &[&bearer]), "403");
    assert_eq!(status(&server, "/live/poll?channel=news", &["Authorization: Bearer x.y.z"]), "401");
}

#[test]
fn a_token_is_required_once_there_is_a_key() {
    let server = File::new(&RULES.replace("required = false", "")).serve();
    assert_eq!(status(&server, "/live/poll?channel=news", &[]), "401");
    assert_eq!(status(&server, "/live/poll?channel=news", &[&format!("Authorization: Bearer {ANN}")]), "200");
}

#[test]
fn heartbeats_and_limits_are_those_of_the_file() {
    let file = File::new(
        "[server]
        listen = \"127.0.0.1:0\"
        heartbeat = { sse = \"7s\" }
        [limits]
        message_bytes = \"1KiB\"
        channels_per_connection = 5
        [[channel]]
        pattern = \"news\"",
    );
    let server = file.serve();
    let mut stream = Connection::open(&server);
    assert!(stream.send("/rt/sse?channel=news&envelope=1").head().starts_with("HTTP/1.1 200 "));
    let welcome = stream.line_with("\"type\":\"welcome\"");
    for said in ["\"heartbeat\":7,", "\"message\":1024,", "\"channels\":5,"] {
        assert!(welcome.contains(said), "{welcome}");
    }
}

#[test]
fn pages_of_the_origins_of_the_file_are_let_in() {
    let server = File::new(&RULES.replace("[server]", "[server]\nallowed_origins = [\"https://app.example\"]")).serve();
    let upgrade = [
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    let from = |origin| status(&server, "/live/ws", &[&upgrade[..], &[origin]].concat());
    assert_eq!(from("Origin: https://app.example"), "101");
    assert_eq!(from("Origin: https://other.example"), "403");
}

#[test]
fn one_connection_more_than_the_file_allows_is_told_so() {
    let limits = "[limits]\nconnections_per_ip = 1\n[auth]";
    let server = File::new(&RULES.replace("[auth]", limits)).serve();
    let mut first = Connection::open(&server);
    assert!(first.send("/live/sse?channel=news").head().starts_with("HTTP/1.1 200 "));
    let mut second = Connection::open(&server);
    second.send("/live/sse?channel=news").head();
    second.line_with("\"code\":\"too_many\"");
}

#[test]
fn the_command_line_has_the_last_word_about_the_address() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let file = File::new(&RULES.replace("127.0.0.1:0", &taken.local_addr().unwrap().to_string()));
    let output = file.run(&["serve", "--config", "tricast.toml"]);
    assert!(text(&output.stderr).contains("cannot listen on "), "{output:?}");
    let arguments = ["serve", "--config", "tricast.toml", "--listen", "127.0.0.1:0"];
    let server = Server::start(&mut file.command(&arguments));
    assert_ne!(server.address(), taken.local_addr().unwrap());
}

#[test]
fn dev_takes_no_file() {
    let output = File::new(RULES).run(&["serve", "--dev", "--config", "tricast.toml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("'--dev' cannot be used with '--config"), "{output:?}");
}

#[test]
fn check_config_prints_what_would_be_served() {
    let output = File::new(RULES).run(&["check-config"]);
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
    let expected = "\
tricast.toml is fine

listen            http://127.0.0.1:0/live
origins           the host's own
trusted proxies   none
heartbeat         ws 25s, sse 15s
drain             10s
auth              JWT, HS256 by a secret
  audience        tricast
  issuer          not looked at
  cookie          session
  without a token anonymous
message           64KiB
connections       100000, any number per address, any number per user
channels          128 per connection
publishes         any number per second
timeouts          write 10s, header 10s
backplane         memory: this server is alone, and a restart begins anew

channels, the first that matches decides:
  1. news
     stream of 1000 messages, 8MiB, for 1d
     subscribe anyone, publish server, users shown
  2. inbox:{user}
     stream of 1000 messages, 8MiB, for 1d
     subscribe self, publish signed_in, users shown
";
    assert_eq!(text(&output.stdout), expected);
}

#[test]
fn what_is_wrong_is_told_at_once_by_file_line_and_key_and_nothing_is_served() {
    let file = File::new(
        "[server]\nlissen = 1\n[auth]\njwt_hs256 = \"${NOT_SET}\"\n[[channel]]\npattern = \"a{\"\nkeep = \"x\"\n",
    );
    let expected = "\
error: elsewhere.toml cannot be used; 4 problems:
elsewhere.toml:2: server.lissen: unknown key; known here: heartbeat, tls, listen, mount, allowed_origins, \
trusted_proxies, drain
elsewhere.toml:4: auth.jwt_hs256: the environment has no variable NOT_SET
elsewhere.toml:6: channel.pattern: a { is not closed
elsewhere.toml:7: channel.keep: must be a whole number, not a string
";
    fs::rename(file.path(), file.path().with_file_name("elsewhere.toml")).unwrap();
    for arguments in [&["check-config", "elsewhere.toml"][..], &["serve", "--config", "elsewhere.toml"]] {
        let output = file.run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stderr), expected);
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = File::new("").run(&["check-config", "none.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("error: cannot read none.toml: "), "{output:?}");
}
