//! Ports for services that are started, and started again, under a number that stays.

// No test program uses all of it.
#![allow(dead_code)]

use std::net::{TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Mutex;

/// Below the ports that clients get by themselves: no connection of anybody takes one of these before
/// its service does, or while that is down. Above are those of `scripts/stack`.
const PORTS: Range<u16> = 10_000..20_000;

/// What this process has claimed.
static CLAIMS: Mutex<Vec<UdpSocket>> = Mutex::new(Vec::new());

/// Ports that nobody listens on. No other test gets them while this process lives: it holds those of
/// the same numbers that UDP has.
pub fn free_ports<const N: usize>() -> [u16; N] {
    [(); N].map(|()| free_port())
}

/// A port that nobody listens on, as [`free_ports`].
pub fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if let Ok(claim) = UdpSocket::bind(("127.0.0.1", port))
            && TcpListener::bind(("127.0.0.1", port)).is_ok()
        {
            CLAIMS.lock().unwrap().push(claim);
            return port;
        }
    }
}
