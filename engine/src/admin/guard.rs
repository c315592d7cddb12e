//! Which Host headers the loopback page answers. A page of an attacker can make a browser send
//! requests to 127.0.0.1 under the attacker's own name (DNS rebinding); such a name is refused here.

use std::net::{IpAddr, SocketAddr};

use http::Request;
use http::header::HOST;

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no Host, or more than one, or it cannot be read (RFC 9112 §3.2).
    Unreadable,
    /// It is a name that nobody of this machine uses.
    Foreign,
}

/// The hosts that stand for this listener.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hosts {
    listen: IpAddr,
}

impl Hosts {
    /// For a listener on this address.
    pub(super) fn of(listen: SocketAddr) -> Self {
        Self { listen: listen.ip().to_canonical() }
    }

    /// Whether the request names this machine: `localhost`, a loopback address, or the address it
    /// listens on. On all addresses every literal address is taken: rebinding needs a name.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        let mut hosts = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (hosts.next(), hosts.next()) else {
            return Err(Refusal::Unreadable);
        };
        let host = host.to_str().map_err(|_| Refusal::Unreadable)?;
        let host = without_port(host).ok_or(Refusal::Unreadable)?;
        // A request line with a whole URL says whom it is for as well (RFC 9112 §3.2.2).
        let same = request.uri().host().is_none_or(|named| named.eq_ignore_ascii_case(host));
        if same && self.is_ours(host) { Ok(()) } else { Err(Refusal::Foreign) }
    }

    fn is_ours(&self, host: &str) -> bool {
        if host.eq_ignore_ascii_case("localhost") {
            return true;
        }
        let literal =
            host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        literal.parse::<IpAddr>().is_ok_and(|address| {
            let address = address.to_canonical();
            address.is_loopback() || address == self.listen || self.listen.is_unspecified()
        })
    }
}

/// `name:port`, `[v6]:port`, or either without a port.
fn without_port(host: &str) -> Option<&str> {
    let end = match host.strip_prefix('[') {
        Some(rest) => rest.find(']')?.checked_add(2)?,
        None => host.find(':').unwrap_or(host.len()),
    };
    let (name, port) = host.split_at_checked(end)?;
    let port_is_fine =
        port.is_empty() || port.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    (port_is_fine && !name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(listen: &str, host: &str) -> Result<(), Refusal> {
        let request = Request::builder().uri("/").header(HOST, host).body(()).unwrap();
        Hosts::of(listen.parse().unwrap()).admit(&request)
    }

    #[test]
    fn only_this_machine_is_named() {
        for host in ["localhost", "LocalHost:9180", "127.0.0.1:9180", "127.9.9.9", "[::1]:9180"] {
            assert_eq!(admit("127.0.0.1:9180", host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "192.0.2.1",
            "127.0.0.1.nip.io:80",
            "[2001:db8::1]",
        ] {
            assert_eq!(admit("127.0.0.1:9180", host), Err(Refusal::Foreign), "{host}");
        }
        for host in ["", ":80", "[::1", "localhost:x", "localhost:80:80"] {
            assert_eq!(admit("127.0.0.1:9180", host), Err(Refusal::Unreadable), "{host}");
        }
    }

    #[test]
    fn a_listener_elsewhere_is_named_by_its_address() {
        assert_eq!(admit("192.0.2.1:9180", "192.0.2.1:9180"), Ok(()));
        assert_eq!(admit("192.0.2.1:9180", "192.0.2.2"), Err(Refusal::Foreign));
        assert_eq!(admit("0.0.0.0:9180", "192.0.2.2"), Ok(()));
        assert_eq!(admit("0.0.0.0:9180", "renewd.internal"), Err(Refusal::Foreign));
    }

    #[test]
    fn two_hosts_or_a_url_of_another_are_refused() {
        let hosts = Hosts::of("127.0.0.1:1".parse().unwrap());
        let two = Request::builder().header(HOST, "localhost").header(HOST, "localhost");
        assert_eq!(hosts.admit(&two.body(()).unwrap()), Err(Refusal::Unreadable));
        let url = Request::builder().uri("http://evil.example/").header(HOST, "localhost");
        assert_eq!(hosts.admit(&url.body(()).unwrap()), Err(Refusal::Foreign));
    }
}
