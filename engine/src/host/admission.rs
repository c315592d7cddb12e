//! How many connections at once: in all, and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Bounds of one kind of server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Connections in all.
    pub(crate) total: usize,
    /// Connections from one IPv4 address or one IPv6 /64. Loopback is exempt: a proxy on this
    /// machine speaks for all of its clients.
    pub(crate) per_address: usize,
}

/// Counts open connections.
#[derive(Debug)]
pub(crate) struct Admission {
    bounds: Bounds,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The place of one connection; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    pub(crate) fn new(bounds: Bounds) -> Arc<Self> {
        Arc::new(Self { bounds, open: Mutex::default() })
    }

    /// A place for a connection from `peer`; absent when a bound is reached.
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Place> {
        let address = group(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = open.by_address.get(&address).copied().unwrap_or(0);
        let full = open.total >= self.bounds.total
            || (from_there >= self.bounds.per_address && !address.is_loopback());
        if full {
            return None;
        }
        open.total += 1;
        open.by_address.insert(address, from_there + 1);
        Some(Place { admission: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.admission.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(count) = open.by_address.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

/// One customer of a network: an IPv4 address, an IPv6 /64.
fn group(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) if v6.is_loopback() => IpAddr::V6(v6),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bounds_hold_and_places_come_back() {
        let admission = Admission::new(Bounds { total: 3, per_address: 2 });
        let one: IpAddr = "2001:db8::1".parse().unwrap();
        let same_network: IpAddr = "2001:db8::ffff".parse().unwrap();
        let other: IpAddr = "198.51.100.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:198.51.100.7".parse().unwrap();
        let first = admission.admit(one).unwrap();
        let _second = admission.admit(same_network).unwrap();
        assert!(admission.admit(one).is_none(), "two per address");
        let _third = admission.admit(other).unwrap();
        assert!(admission.admit(mapped).is_none(), "three in all");
        drop(first);
        assert!(admission.admit(mapped).is_some());
    }

    #[test]
    fn loopback_is_bounded_in_all_only() {
        let admission = Admission::new(Bounds { total: 3, per_address: 1 });
        let here: IpAddr = "127.0.0.1".parse().unwrap();
        let places: Vec<_> = (0..5).filter_map(|_| admission.admit(here)).collect();
        assert_eq!(places.len(), 3);
    }
}
