//! `bench swap`: renewals of the real process while visitors keep coming.

mod caddy;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use renewd_events::Event;
use renewd_events::binding::BindingEvent;
use renewd_events::order::OrderEvent;
use renewd_events::{Envelope, WallMs};
use renewd_tests::pebble::{Pebble, PebbleOptions};
use renewd_tests::{ports, tls};

use crate::error::BenchError;
use crate::figure::{Figure, Goal, median};
use crate::history::History;
use crate::{rig, say};

/// Life of a certificate: the engine renews it at half of that, by itself.
const LIFE: Duration = Duration::from_secs(14);
/// The profile with that life.
const PROFILE: &str = "fourteenseconds";
/// Issues: the first, and so many swaps less one.
const ISSUES: usize = 4;
/// All of them, on a machine with other work.
const TIME_MAX: Duration = Duration::from_secs(90);
/// Threads that shake hands.
const VISITORS: u32 = 4;
/// Handshakes per second of all of them.
const HANDSHAKES_PER_SECOND: u32 = 200;
/// From a download to the new certificate in a handshake.
const SWAP_MS: f64 = 10.0;

/// What the visitors saw.
#[derive(Debug, Default)]
struct Seen {
    handshakes: u32,
    failures: Vec<String>,
    leaves: BTreeSet<String>,
}

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let [http_port, https_port] = ports::free()?;
    let mut options = PebbleOptions::repeatable(http_port);
    options.profiles.insert(PROFILE.to_owned(), LIFE);
    let pebble = Pebble::start(options)?;
    let url = pebble.directory_url();
    let site = History::at(&url).lineage(1)?;
    let host = rig::host(&rig::Wanted {
        directory_url: &url,
        root_pem: Some(pebble.root_pem()),
        http_port,
        https_port: Some(https_port),
        profile: Some(PROFILE),
        sites: std::slice::from_ref(&site),
    })?;
    let mut renewd = host.start(&["run"])?;
    rig::wait_for(&mut renewd, "RenewalSucceeded", 1, TIME_MAX)?;
    let address = ([127, 0, 0, 1], https_port).into();
    let root = pebble.issuer_root_pem()?;
    say::progress(&format!(
        "swap: {HANDSHAKES_PER_SECOND} handshakes/s over {} renewals",
        ISSUES - 1
    ));
    let (waited, all, seconds) = under_visits(address, site.domain.as_str(), &root, || {
        rig::wait_for(&mut renewd, "RenewalSucceeded", ISSUES, TIME_MAX)
    })?;
    waited?;
    let events = rig::events(&host)?;
    renewd.sigkill()?;
    drop((renewd, pebble));
    let caddy = match caddy::swaps() {
        Ok(caddy) => Some(caddy),
        Err(cause) => {
            say::progress(&format!("swap: without caddy: {cause}"));
            None
        }
    };
    figures(&all, seconds, &events, caddy)
}

/// Does `act` while visitors come to this address; says what they saw, and in how many seconds.
fn under_visits<T>(
    address: SocketAddr,
    name: &str,
    root: &str,
    act: impl FnOnce() -> T,
) -> Result<(T, Seen, f64), BenchError> {
    let (over, from) = (AtomicBool::new(false), Instant::now());
    let (acted, seen) = thread::scope(|scope| {
        let visit = || visitor(address, name, root, &over);
        let visitors: Vec<_> = (0..VISITORS).map(|_| scope.spawn(visit)).collect();
        let acted = act();
        over.store(true, Ordering::Relaxed);
        let seen: Vec<_> = visitors.into_iter().map(thread::ScopedJoinHandle::join).collect();
        (acted, seen)
    });
    let seconds = from.elapsed().as_secs_f64();
    let mut all = Seen::default();
    for seen in seen {
        let seen = seen.map_err(|_| BenchError::Wrong("a visitor panicked".to_owned()))?;
        all.handshakes += seen.handshakes;
        all.failures.extend(seen.failures);
        all.leaves.extend(seen.leaves);
    }
    Ok((acted, all, seconds))
}

/// Shakes hands at its share of the rate until it is over.
fn visitor(address: SocketAddr, name: &str, root: &str, over: &AtomicBool) -> Seen {
    let every = Duration::from_secs(1) * VISITORS / HANDSHAKES_PER_SECOND;
    let mut seen = Seen::default();
    let mut next = Instant::now();
    while !over.load(Ordering::Relaxed) {
        rig::pause(next.saturating_duration_since(Instant::now()));
        next += every;
        seen.handshakes += 1;
        match tls::handshake(address, name, root) {
            Ok(served) => drop(seen.leaves.insert(served.leaf_sha256)),
            Err(cause) => seen.failures.push(cause.to_string()),
        }
    }
    seen
}

fn figures(
    seen: &Seen,
    seconds: f64,
    events: &[Envelope],
    caddy: Option<(String, f64)>,
) -> Result<Vec<Figure>, BenchError> {
    if seen.leaves.len() < ISSUES - 1 {
        return Err(BenchError::Wrong(format!(
            "{} renewals, but visitors saw only {} certificates",
            ISSUES - 1,
            seen.leaves.len()
        )));
    }
    for failure in seen.failures.iter().take(3) {
        say::progress(&format!("swap: {failure}"));
    }
    let downloaded =
        times(events, |event| matches!(event, Event::Order(OrderEvent::ChainDownloaded(_))));
    let ready =
        times(events, |event| matches!(event, Event::Order(OrderEvent::CertificateReady { .. })));
    let served =
        times(events, |event| matches!(event, Event::Binding(BindingEvent::ServedVerified { .. })));
    let failures = u32::try_from(seen.failures.len()).unwrap_or(u32::MAX);
    let mut whole = Figure::new(
        "download about to begin to seen in a handshake",
        between(&ready, &served),
        "ms",
    )
    .goal(Goal::AtMost(SWAP_MS));
    if let Some((who, ms)) = caddy {
        whole = whole.beside(who, ms);
    }
    Ok(vec![
        whole,
        Figure::new("chain downloaded to seen in a handshake", between(&downloaded, &served), "ms")
            .goal(Goal::AtMost(SWAP_MS)),
        Figure::new("failed handshakes over 3 swaps", f64::from(failures), "handshakes")
            .goal(Goal::AtMost(0.0)),
        Figure::new("rate of the handshakes", f64::from(seen.handshakes) / seconds, "handshakes/s"),
    ])
}

fn times(events: &[Envelope], which: impl Fn(&Event) -> bool) -> Vec<WallMs> {
    let which = events.iter().filter(|envelope| which(&envelope.event));
    which.map(|envelope| envelope.at).collect()
}

/// The middle time from each of `first` to its `second`, swaps only: the first issue opens a listener.
fn between(first: &[WallMs], second: &[WallMs]) -> f64 {
    let pairs = first.iter().zip(second).skip(1);
    median(pairs.map(|(first, second)| second.since(*first).as_secs_f64() * 1000.0).collect())
}
