//! Which program holds a listening address, from `/proc`. Evidence for people; nothing is done to it.

use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use renewd_events::id::parse_hex;

/// The state LISTEN in `/proc/net/tcp` (Linux `include/net/tcp_states.h`).
const LISTEN: &str = "0A";
/// Processes looked at; a machine with more is not searched to its end, because a person waits.
const PROCESSES_MAX: usize = 20_000;
/// Descriptors looked at per process, for the same reason.
const DESCRIPTORS_MAX: usize = 20_000;

/// A program that listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process id.
    pub pid: u32,
    /// Its name, as the kernel keeps it (15 octets).
    pub command: String,
    /// It is this process.
    pub ours: bool,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let command = self.command.escape_default();
        if self.ours {
            write!(f, "{command} (pid {}, this process)", self.pid)
        } else {
            write!(f, "{command} (pid {})", self.pid)
        }
    }
}

/// Who listens on an address that collides with this one. Absent when nobody does, or when the
/// system does not show it to us (another user's process). Blocks: up to some 100 ms on a machine
/// with thousands of processes.
pub fn holder(address: SocketAddr) -> Option<Holder> {
    let inodes: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, address))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if inodes.is_empty() {
        return None;
    }
    fs::read_dir("/proc").ok()?.flatten().take(PROCESSES_MAX).find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        has_one(&process.path(), &inodes).then(|| Holder {
            pid,
            command: fs::read_to_string(process.path().join("comm"))
                .map_or_else(|_| "?".to_owned(), |name| name.trim_end().to_owned()),
            ours: pid == std::process::id(),
        })
    })
}

fn has_one(process: &Path, sockets: &[String]) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    descriptors.flatten().take(DESCRIPTORS_MAX).any(|fd| {
        fs::read_link(fd.path())
            .is_ok_and(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str()))
    })
}

/// Inodes of the sockets in a table of `/proc/net` that listen where `address` would.
fn listening(table: &str, address: SocketAddr) -> Vec<String> {
    let collides = |local: SocketAddr| {
        let (ours, theirs) = (address.ip(), local.ip());
        local.port() == address.port()
            && (ours == theirs || ours.is_unspecified() || theirs.is_unspecified())
    };
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let local = local_address(fields.next()?)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            (state == LISTEN && collides(local)).then(|| inode.to_owned())
        })
        .collect()
}

/// `0100007F:1F90`: the address as 32-bit words in the machine's order, the port in network order.
fn local_address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let octets: Vec<u8> = parse_hex(address)?
        .chunks_exact(4)
        .filter_map(|word| <[u8; 4]>::try_from(word).ok())
        .flat_map(|word| u32::from_be_bytes(word).to_ne_bytes())
        .collect();
    let ip = if let Ok(v4) = <[u8; 4]>::try_from(octets.as_slice()) {
        IpAddr::V4(Ipv4Addr::from(v4))
    } else {
        IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(octets.as_slice()).ok()?))
    };
    Some(SocketAddr::new(ip.to_canonical(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_kernel_is_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0\n\
             1: 0100007F:1F90 0200007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 4712 1 0\n";
        let inodes = |address: &str| listening(table, address.parse().unwrap());
        assert_eq!(inodes("127.0.0.1:8080"), ["4711"]);
        assert_eq!(inodes("[::]:8080"), ["4711"]);
        assert!(inodes("127.0.0.2:8080").is_empty());
        assert!(inodes("127.0.0.1:8081").is_empty());
    }

    #[test]
    fn a_listening_socket_of_ours_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let found = holder(listener.local_addr().unwrap()).unwrap();
        assert_eq!(found.pid, std::process::id());
        assert!(found.ours);
    }
}
