//! Free loopback ports.
//!
//! A port is found by binding port 0 and let go again, because the program that will use it binds
//! itself. Somebody else can take it in between: who starts a program tries [`PORT_TRIES`] times.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};

use crate::error::HarnessError;

/// Starts of one program with fresh ports. A second conflict in a row is not bad luck.
pub const PORT_TRIES: usize = 2;

/// Ports to try for one that is free for TCP and UDP at once.
const BOTH_TRIES: usize = 16;

/// `N` different ports of 127.0.0.1 that are free for TCP now.
///
/// # Errors
/// When the system has no free port.
pub fn free<const N: usize>() -> Result<[u16; N], HarnessError> {
    let mut held = Vec::with_capacity(N); // held until all are chosen: no port twice
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(no_port())?;
        *port = listener.local_addr().map_err(no_port())?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// One port of 127.0.0.1 that is free for TCP and for UDP, as a DNS server needs it.
///
/// # Errors
/// When the system has no such port.
pub fn free_for_dns() -> Result<u16, HarnessError> {
    let mut held = Vec::new();
    let mut last = None;
    for _ in 0..BOTH_TRIES {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(no_port())?;
        let port = listener.local_addr().map_err(no_port())?.port();
        match UdpSocket::bind((Ipv4Addr::LOCALHOST, port)) {
            Ok(_) => return Ok(port),
            Err(cause) => last = Some(cause),
        }
        held.push(listener);
    }
    let cause = last.unwrap_or_else(|| std::io::Error::other("no port was tried"));
    Err(no_port()(cause))
}

fn no_port() -> impl FnOnce(std::io::Error) -> HarnessError {
    HarnessError::io("find a free port", "127.0.0.1:0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_differ_and_can_be_bound() {
        let [a, b, c] = free::<3>().unwrap();
        assert!(a != b && b != c && a != c);
        for port in [a, b, c] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
