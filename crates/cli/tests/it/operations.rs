//! What operators ask a server, and `tricast health`.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::thread;

use crate::{Connection, dev_server, run};

#[test]
fn healthz_and_readyz_are_ok() {
    let server = dev_server();
    assert_eq!(Connection::open(&server).send("/healthz").body(), "ok");
    assert_eq!(Connection::open(&server).send("/readyz").body(), "ready");
    let output = run(&["health", &server.address().to_string()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
}

#[test]
fn metrics_tell_what_was_published_and_who_is_connected() {
    let server = dev_server();
    let metrics = || {
        let mut connection = Connection::open(&server);
        connection.send("/metrics").body()
    };
    let before = metrics();
    for line in [
        "# TYPE tricast_published_total counter",
        "tricast_published_total 0",
        "tricast_connections{transport=\"sse\"} 0",
    ] {
        assert!(before.lines().any(|found| found == line), "{before}");
    }
    let mut stream = Connection::open(&server);
    stream.send("/rt/sse?channel=a").line_with("id:");
    let output = run(&["pub", "a", "1", "--url", &server.url("/rt")]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let after = metrics();
    for line in ["tricast_published_total 1", "tricast_connections{transport=\"sse\"} 1"] {
        assert!(after.lines().any(|found| found == line), "{after}");
    }
}

#[test]
fn a_server_that_is_not_ready_is_a_failure_with_its_words() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = String::new();
        let mut lines = BufReader::new(&stream);
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).unwrap(), 0, "{head:?}");
        }
        assert!(head.starts_with("GET /readyz HTTP/1.1\r\n"), "{head}");
        stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 8\r\n\r\ndraining").unwrap();
    });
    let output = run(&["health", &addr]);
    server.join().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let told = format!("error: {addr} is not ready: HTTP/1.1 503 Service Unavailable (draining)\n");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), told);
}

#[test]
fn a_server_that_says_nothing_is_a_failure_after_a_time() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let output = run(&["health", &addr, "--timeout", "100ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), format!("error: {addr} did not answer within 100ms\n"));
}
