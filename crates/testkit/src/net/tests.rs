//! The proxy in front of a server that echoes.

use super::*;

/// A server that echoes one connection after another.
fn echo() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

/// A server that answers every connection with this byte, and keeps it open.
fn greeter(byte: u8) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let _ = stream.write_all(&[byte]);
            open.push(stream);
        }
    });
    address
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    stream
}

fn read(stream: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

fn assert_silent(stream: &mut TcpStream) {
    // Long enough for an echo that got through by mistake.
    stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert_eq!(stream.read(&mut [0; 4]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
}

#[test]
fn bytes_and_ends_pass() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"hello").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!((answer.as_slice(), proxy.accepted()), (&b"hello"[..], 1));
}

#[test]
fn refused_connections_end_and_open_ones_live_on() {
    let proxy = Proxy::start(echo());
    let mut open = connect(&proxy);
    open.write_all(b"a").unwrap();
    assert_eq!(read(&mut open, 1), b"a");

    proxy.behave(Behaviour::Refuse);
    let mut refused = connect(&proxy);
    assert!(matches!(refused.read(&mut [0; 1]), Ok(0) | Err(_)));
    open.write_all(b"b").unwrap();
    assert_eq!(read(&mut open, 1), b"b");
}

#[test]
fn a_stalled_connection_delivers_nothing_until_it_passes_again() {
    let proxy = Proxy::start(echo());
    proxy.behave(Behaviour::Stall);
    let mut stream = connect(&proxy);
    stream.write_all(b"late").unwrap();
    assert_silent(&mut stream);
    proxy.behave(Behaviour::Pass);
    assert_eq!(read(&mut stream, 4), b"late");
}

#[test]
fn a_connection_is_cut_after_exactly_so_many_bytes() {
    let proxy = Proxy::start(echo());
    proxy.behave(Behaviour::CutAfter(5));
    let mut stream = connect(&proxy);
    stream.write_all(b"hel").unwrap();
    assert_eq!(read(&mut stream, 3), b"hel");
    stream.write_all(b"lo, world").unwrap();
    assert_eq!(read(&mut stream, 2), b"lo");
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
}

#[test]
fn late_bytes_arrive_all_the_same() {
    let proxy = Proxy::start(echo());
    proxy.behave(Behaviour::Latency(Duration::from_millis(5)));
    let mut stream = connect(&proxy);
    stream.write_all(b"slow").unwrap();
    assert_eq!(read(&mut stream, 4), b"slow");
}

#[test]
fn cut_ends_what_is_open_and_nothing_else() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    assert_eq!(read(&mut stream, 1), b"a");
    proxy.cut();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));

    let mut next = connect(&proxy);
    next.write_all(b"b").unwrap();
    assert_eq!(read(&mut next, 1), b"b");
}

#[test]
fn what_a_client_sends_vanishes_while_the_server_is_still_heard() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    assert_eq!(read(&mut stream, 1), b"a");
    proxy.behave(Behaviour::DeafToClient);
    stream.write_all(b"lost").unwrap();
    assert_silent(&mut stream);

    proxy.redirect(greeter(b'g'));
    assert_eq!(read(&mut connect(&proxy), 1), b"g");
}

#[test]
fn what_the_server_sends_vanishes_and_its_end_too() {
    let proxy = Proxy::start(echo());
    let mut stream = connect(&proxy);
    stream.write_all(b"a").unwrap();
    assert_eq!(read(&mut stream, 1), b"a");
    proxy.behave(Behaviour::DeafToServer);
    stream.write_all(b"lost").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_silent(&mut stream);
    proxy.cut();
    assert!(matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_)));
}

#[test]
fn new_connections_follow_the_upstream_and_open_ones_stay() {
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let proxy = Proxy::start(nobody);
    assert!(matches!(connect(&proxy).read(&mut [0; 1]), Ok(0) | Err(_)));

    proxy.redirect(echo());
    let mut open = connect(&proxy);
    open.write_all(b"a").unwrap();
    assert_eq!(read(&mut open, 1), b"a");
    proxy.redirect(greeter(b'g'));
    assert_eq!(read(&mut connect(&proxy), 1), b"g");
    open.write_all(b"b").unwrap();
    assert_eq!(read(&mut open, 1), b"b");
}
