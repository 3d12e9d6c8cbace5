//! Ports that stay ours while a server is down.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

/// A loopback port that no other test takes for as long as this value lives, whether its server runs or not.
///
/// It is below the ports that systems give away by themselves (to `bind` with port 0, and to outgoing connections),
/// and the UDP port of the same number is held as the sign, across processes, that it is taken.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _taken: UdpSocket,
}

impl Port {
    /// Takes a port on which nobody listens.
    pub(crate) fn take() -> Self {
        (0..COUNT).find_map(|_| Self::try_take(next())).expect("a loopback port is free")
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.number).into()
    }

    fn try_take(number: u16) -> Option<Self> {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, _taken: taken })
    }
}

/// Processes begin at different places, so that they rarely ask for the same port.
fn next() -> u16 {
    static NEXT: OnceLock<AtomicU16> = OnceLock::new();
    let start = || {
        let [low, high, ..] = RandomState::new().hash_one(std::process::id()).to_le_bytes();
        AtomicU16::new(u16::from_le_bytes([low, high]))
    };
    FIRST + NEXT.get_or_init(start).fetch_add(1, Ordering::Relaxed) % COUNT
}

const FIRST: u16 = 14_000;
const COUNT: u16 = 16_384; // a power of two, so that the counter may wrap

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once_until_it_is_free_again() {
        let port = Port::take();
        let number = port.number();
        assert!(Port::try_take(number).is_none());
        drop(port);
        assert!(Port::try_take(number).is_some());
    }

    #[test]
    fn a_port_on_which_somebody_listens_is_not_taken() {
        let port = Port::take();
        let listener = TcpListener::bind(port.address()).unwrap();
        let number = port.number();
        drop(port);
        assert!(Port::try_take(number).is_none());
        drop(listener);
    }
}
