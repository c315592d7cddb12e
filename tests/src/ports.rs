//! Free loopback ports.
//!
//! They are taken below the range from which the system serves `bind` to port 0 and outgoing
//! connections (32768 and above on Linux): a port that a killed program will need again is then not
//! lent to somebody's client socket while the program is down.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::HarnessError;

/// Starts of one program with fresh ports. A second conflict in a row is not bad luck.
pub const PORT_TRIES: usize = 2;

/// The first port that is handed out.
const FIRST: u16 = 12_000;
/// So many from there on; all lie below 32768.
const SPAN: u16 = 20_000;
/// Candidates to look at: more in a row are never taken.
const CANDIDATES_MAX: u16 = 2_000;
/// Each process starts elsewhere, this far apart: two test binaries seldom look at the same ports.
const PROCESS_STRIDE: u32 = 397;

/// Candidates handed out by this process; no port is handed out twice.
static USED: AtomicU16 = AtomicU16::new(0);

/// See [`alone`].
static ALONE: Mutex<()> = Mutex::new(());

/// Held while a port is tried and while a child is started: between fork and exec a child holds copies
/// of all our sockets, and a port that was let go would still be taken.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `N` different ports of 127.0.0.1 that are free for TCP now.
///
/// # Errors
/// When there is no free port.
pub fn free<const N: usize>() -> Result<[u16; N], HarnessError> {
    let mut ports = [0; N];
    for port in &mut ports {
        *port = next(|candidate| TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)).is_ok())?;
    }
    Ok(ports)
}

/// So many different ports of 127.0.0.1 that are free for TCP now.
///
/// # Errors
/// When there is no free port.
pub fn several(count: usize) -> Result<Vec<u16>, HarnessError> {
    (0..count).map(|_| free::<1>().map(|[port]| port)).collect()
}

/// One port of 127.0.0.1 that is free for TCP and for UDP, as a DNS server needs it.
///
/// # Errors
/// When there is no such port.
pub fn free_for_dns() -> Result<u16, HarnessError> {
    next(|candidate| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)).is_ok()
            && UdpSocket::bind((Ipv4Addr::LOCALHOST, candidate)).is_ok()
    })
}

fn next(is_free: impl Fn(u16) -> bool) -> Result<u16, HarnessError> {
    let spread = std::process::id().wrapping_mul(PROCESS_STRIDE) % u32::from(SPAN);
    let start = u16::try_from(spread).unwrap_or(0);
    let _alone = alone();
    for _ in 0..CANDIDATES_MAX {
        let number = USED.fetch_add(1, Ordering::Relaxed) % SPAN;
        let candidate = FIRST + (start + number) % SPAN;
        if is_free(candidate) {
            return Ok(candidate);
        }
    }
    Err(HarnessError::io("find a free port", "127.0.0.1")(std::io::Error::other(
        "all candidates are taken",
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_differ_and_can_be_bound() {
        let [a, b, c] = free::<3>().unwrap();
        assert!(a != b && b != c && a != c);
        for port in several(2).unwrap().into_iter().chain([a, b, c]) {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn a_taken_port_is_not_handed_out() {
        let refused = next(|_| false).unwrap_err().to_string();
        assert!(refused.contains("all candidates are taken"), "{refused}");
    }
}
