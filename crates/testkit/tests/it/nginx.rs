//! nginx in front of a server of a few lines.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use tricast_testkit::nginx::{Nginx, Preset};

/// Answers every request with its head.
fn mirror() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            let head = read_head(&mut stream);
            let length = head.len();
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{head}").unwrap();
        }
    });
    address
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// The status and what reached the application.
fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(tricast_testkit::WATCHDOG)).unwrap();
    let upgrade = "Connection: Upgrade, close\r\nUpgrade: websocket";
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\n{upgrade}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn plain_speaks_http_1_0_with_the_upstreams_host_and_drops_the_upgrade() {
    let upstream = mirror();
    let nginx = Nginx::start(Preset::Plain, upstream);
    let seen = get(nginx.address(), "/rt/ws");
    assert!(seen.contains(&format!("GET /rt/ws HTTP/1.0\r\nHost: {upstream}\r\n")), "{seen}");
    assert!(!seen.contains("Upgrade: websocket"), "{seen}");
}

#[test]
fn no_upgrade_refuses_the_socket_and_passes_the_rest_with_the_clients_host() {
    let nginx = Nginx::start(Preset::NoUpgrade, mirror());
    assert!(get(nginx.address(), "/rt/ws?channel=a").starts_with("HTTP/1.1 403"));
    let seen = get(nginx.address(), "/rt/sse?channel=a");
    assert!(seen.contains(&format!("GET /rt/sse?channel=a HTTP/1.1\r\nHost: {}\r\n", nginx.address())), "{seen}");
}

#[test]
fn poll_only_refuses_both_streams() {
    let nginx = Nginx::start(Preset::PollOnly, mirror());
    assert!(get(nginx.address(), "/rt/ws").starts_with("HTTP/1.1 403"));
    assert!(get(nginx.address(), "/rt/sse").starts_with("HTTP/1.1 403"));
    assert!(get(nginx.address(), "/rt/poll").starts_with("HTTP/1.1 200"));
}

#[test]
fn proper_passes_the_upgrade() {
    let nginx = Nginx::start(Preset::Proper, mirror());
    let seen = get(nginx.address(), "/rt/ws");
    assert!(seen.contains("Upgrade: websocket\r\n") && seen.contains("Connection: upgrade\r\n"), "{seen}");
}

#[test]
fn nginx_ends_with_its_value() {
    let nginx = Nginx::start(Preset::Plain, mirror());
    let address = nginx.address();
    drop(nginx);
    assert!(TcpStream::connect(address).is_err());
}
