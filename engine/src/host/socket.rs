//! Opening a listening address, or saying why it cannot be and what to do.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use renewd_actors::ports::ListenerRefused;
use renewd_events::problem::{Problem, ProblemClass};
use rustix::io::Errno;
use socket2::{Domain, Protocol, Socket, Type};

use super::holder::holder;

/// Connections that wait for us in the kernel: a CA asks from a handful of places at once.
const BACKLOG: i32 = 1024;

/// The kind of a [`Problem`] when the address is taken.
pub const IN_USE: &str = "addressInUse";
/// The kind of a [`Problem`] when we may not open the port.
pub const NOT_PERMITTED: &str = "listenNotPermitted";

/// Reads `address:port`; `all:port` is every address of this machine, IPv6 and IPv4.
///
/// # Errors
/// It is neither.
pub fn parse(text: &str) -> Result<SocketAddr, Problem> {
    let full = text.strip_prefix("all:").map(|port| format!("[::]:{port}"));
    full.as_deref().unwrap_or(text).parse().map_err(|_| {
        let detail = format!(
            "`{text}` is not an address to listen on; write 192.0.2.1:443, [2001:db8::1]:443 or \
             all:443"
        );
        Problem::new(ProblemClass::Local, "badAddress", &detail).about(text)
    })
}

/// Opens a listening socket, non-blocking and closed on exec. `[::]` takes IPv4 too, and becomes
/// `0.0.0.0` on a machine without IPv6. Blocks only while it looks for the holder of a taken address.
///
/// # Errors
/// The system's reason, which does not repeat the address (the subject has it), and the program that holds the address where that is the reason.
/// `needs_restart` is false: what a restart can mend is the host's knowledge.
pub fn listen(address: SocketAddr) -> Result<TcpListener, ListenerRefused> {
    match open(address) {
        Ok(listener) => Ok(listener),
        Err(error) if address.is_ipv6() && address.ip().is_unspecified() && no_ipv6(&error) => {
            let v4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            open(v4).map_err(|error| refused(v4, &error))
        }
        Err(error) => Err(refused(address, &error)),
    }
}

/// Where a client on this machine reaches the listener of this address.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    }
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Connections of an earlier life in TIME_WAIT do not keep the address from us.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn is(error: &io::Error, errnos: &[Errno]) -> bool {
    errnos.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

fn no_ipv6(error: &io::Error) -> bool {
    is(error, &[Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL])
}

fn refused(address: SocketAddr, error: &io::Error) -> ListenerRefused {
    let port = address.port();
    let mut found = None;
    let (kind, detail) = if is(error, &[Errno::ADDRINUSE]) {
        found = holder(address).map(|holder| holder.to_string());
        let who =
            found.as_deref().unwrap_or("a program that is not ours to see (as root: ss -ltnp)");
        let detail = format!("{who} holds the address. Stop that program, or give another address");
        (IN_USE, detail)
    } else if is(error, &[Errno::ACCESS, Errno::PERM]) {
        let detail = format!(
            "{error}. Port {port} wants a privilege: \
             AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit, or sysctl \
             net.ipv4.ip_unprivileged_port_start={port}"
        );
        (NOT_PERMITTED, detail)
    } else if is(error, &[Errno::ADDRNOTAVAIL]) {
        let detail = format!("no interface of this machine has the address {}", address.ip());
        ("addressNotHere", detail)
    } else {
        ("listen", error.to_string())
    };
    ListenerRefused {
        problem: Problem::new(ProblemClass::Local, kind, &detail).about(&address.to_string()),
        holder: found,
        needs_restart: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_address_names_its_holder() {
        let first = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let refused = listen(address).unwrap_err();
        assert_eq!(refused.problem.kind, IN_USE);
        // Whoever tells it names the address; twice in a line it cuts the cure off.
        assert!(!refused.problem.detail.contains(&address.to_string()), "{refused:?}");
        assert_eq!(refused.problem.subject, address.to_string());
        let pid = format!("(pid {}, this process)", std::process::id());
        assert!(refused.problem.detail.contains(&pid), "{refused:?}");
        assert!(refused.holder.unwrap().contains(&pid));
    }

    #[test]
    fn all_is_both_families() {
        let listener = listen(parse("all:0").unwrap()).unwrap();
        let at = listener.local_addr().unwrap();
        std::net::TcpStream::connect(reachable(at)).unwrap();
        if at.is_ipv6() {
            std::net::TcpStream::connect(("::1", at.port())).unwrap();
        }
        assert!(parse("443").is_err());
        assert!(parse("all").is_err());
    }

    #[test]
    fn an_address_of_another_machine_is_refused() {
        let refused = listen("192.0.2.1:0".parse().unwrap()).unwrap_err();
        assert_eq!(refused.problem.kind, "addressNotHere");
        assert_eq!(refused.holder, None);
    }
}
