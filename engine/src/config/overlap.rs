//! Addresses that two parts of this process would listen on: the system gives each to one of them.

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddr};
use std::ops::Range;

use super::fault::Fault;
use super::sink::Sink;

/// For what an address is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Use {
    /// `http.listen`.
    Challenges,
    /// A bind with target = "builtin".
    Https,
    /// `admin.listen`.
    Page,
}

impl Use {
    /// As it is named in a message.
    fn name(self) -> &'static str {
        match self {
            Self::Challenges => "http.listen",
            Self::Https => "a bind",
            Self::Page => "admin.listen",
        }
    }
}

/// Where an address is written; `None` for one that holds because nothing is.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) field: String,
    pub(super) span: Option<Range<usize>>,
}

#[derive(Clone, Debug)]
struct Listener {
    of: Use,
    address: SocketAddr,
    text: String,
    place: Place,
}

/// All addresses that the process is to listen on.
#[derive(Debug, Default)]
pub(super) struct Listeners(Vec<Listener>);

impl Listeners {
    /// Notes one.
    pub(super) fn note(&mut self, of: Use, address: SocketAddr, place: Place) {
        self.0.push(Listener { of, address, text: address.to_string(), place });
    }

    /// Notes all addresses of this machine as one, so that a mistake is told once.
    pub(super) fn note_all(&mut self, of: Use, port: u16, place: Place) {
        let address = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port);
        self.0.push(Listener { of, address, text: format!("all:{port}"), place });
    }

    /// Refuses those that cannot be opened beside another, at the later of both places. Each address
    /// is compared with its like and with the few that stand for all: files name thousands.
    pub(super) fn check(mut self, sink: &mut Sink) {
        self.0.sort_by_key(|it| it.place.span.as_ref().map(|span| span.start));
        let mut exact: BTreeMap<SocketAddr, BTreeMap<Use, Listener>> = BTreeMap::new();
        let mut all: BTreeMap<u16, BTreeMap<Use, Listener>> = BTreeMap::new();
        let mut some: BTreeMap<u16, BTreeMap<Use, Listener>> = BTreeMap::new();
        for it in self.0 {
            let (address, port) = (it.address, it.address.port());
            let wide = address.ip().is_unspecified();
            let like = if wide { all.get(&port) } else { exact.get(&address) };
            let like = others(like, |of| of != it.of);
            let across = if wide { some.get(&port) } else { all.get(&port) };
            // `[::]` takes IPv4 too; and an address beside all of them is refused by the system,
            // whatever either is for.
            let found = like.or_else(|| others(across, |_| true));
            if let (Some(found), Some(span)) = (found, it.place.span.clone()) {
                let (other, line) = (found.of.name(), found.place.span.as_ref());
                let at = line.map(|span| sink.line(span.start));
                let fault = Fault::AddressTaken {
                    text: it.text.clone(),
                    other,
                    held: found.text.clone(),
                    at: at.map_or_else(|| ", its default".to_owned(), |n| format!(" on line {n}")),
                };
                sink.push(&it.place.field, span, fault);
                continue;
            }
            let group = if wide { &mut all } else { &mut some };
            group.entry(port).or_default().entry(it.of).or_insert_with(|| it.clone());
            exact.entry(address).or_default().entry(it.of).or_insert(it);
        }
    }
}

fn others(
    found: Option<&BTreeMap<Use, Listener>>,
    wanted: impl Fn(Use) -> bool,
) -> Option<&Listener> {
    found?.values().find(|it| wanted(it.of))
}
