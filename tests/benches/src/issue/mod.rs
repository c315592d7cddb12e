//! `bench issue`: certificates from an empty start on Pebble, beside other clients.

mod caddy;
mod certbot;
mod lego;
mod ours;
mod spend;

use renewd_tests::pebble::{Pebble, PebbleOptions};
use renewd_tests::ports;

use crate::error::BenchError;
use crate::figure::{Figure, Goal, median};
use crate::peer::with_version;
use crate::say;

/// Repetitions of the first certificate; the middle one counts.
const FIRST_ROUNDS: usize = 3;
/// Certificates of the larger starts.
const SOME: u32 = 20;
/// See [`SOME`].
const MANY: u32 = 100;
/// Between the goals for the first (0.2 s) and for 100 (4 s), by their number.
const SOME_WALL_S: f64 = 0.2 + 19.0 * (4.0 - 0.2) / 99.0;
/// In the same way between 30 ms for the first and 600 ms for 100, for each of 20.
const SOME_CPU_MS: f64 = (30.0 + 19.0 * (600.0 - 30.0) / 99.0) / 20.0;
/// 1.15 times the least that the protocol takes for one name, 7. Pebble refuses no nonce here. What the
/// account takes (directory, nonce, newAccount) must fit in.
const SOME_REQUESTS: f64 = 7.0 * 1.15;

/// What one start took.
#[derive(Clone, Copy, Debug)]
struct Spent {
    /// From exec to the last certificate.
    wall_s: f64,
    /// User and system time.
    cpu_s: f64,
    /// The largest resident size; of several processes that of the largest one.
    peak_mib: f64,
    /// HTTP requests, counted by Pebble.
    requests: f64,
}

/// A client and how it is started with so many certificates.
struct Client {
    name: &'static str,
    /// Said after its version.
    how: &'static str,
    run: fn(&Ca, u32) -> Result<Spent, BenchError>,
}

/// renewd's peers for the first certificate, and for many.
const FIRST_PEERS: [Client; 3] = [
    Client { name: "lego", how: "", run: lego::one_by_one },
    Client { name: "certbot", how: "", run: certbot::one_by_one },
    Client { name: "caddy", how: "", run: caddy::run },
];
/// See [`FIRST_PEERS`]. lego alone waits five seconds for each, certbot four: they are left out.
const MANY_PEERS: [Client; 2] = [
    Client { name: "lego", how: ", 50 processes", run: lego::fifty_at_once },
    Client { name: "caddy", how: "", run: caddy::run },
];

/// A Pebble without history, and the ports it will look at.
struct Ca {
    pebble: Pebble,
    http_port: u16,
    https_port: u16,
}

impl Ca {
    fn fresh() -> Result<Self, BenchError> {
        let [http_port, https_port] = ports::free()?;
        // Caddy picks tls-alpn-01 or http-01 at random: both must be reachable.
        let pebble = Pebble::start(PebbleOptions {
            tls_port: https_port,
            ..PebbleOptions::repeatable(http_port)
        })?;
        Ok(Self { pebble, http_port, https_port })
    }

    fn requests(&self) -> u32 {
        let all: usize = self.pebble.requests().values().sum();
        u32::try_from(all).unwrap_or(u32::MAX)
    }
}

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let own = Client { name: "renewd", how: "", run: ours::run };
    let first = repeated(&own, 1)?;
    let first_peers = beside(&FIRST_PEERS, 1, FIRST_ROUNDS)?;
    let some = repeated(&own, SOME)?;
    let many = repeated(&own, MANY)?;
    let many_peers = beside(&MANY_PEERS, MANY, 1)?;
    let mut figures = first_figures(first, &first_peers);
    figures.extend(some_figures(some));
    figures.extend(many_figures(many, &many_peers));
    Ok(figures)
}

/// Twenty at a start: no peer was measured with so many.
fn some_figures(own: Spent) -> Vec<Figure> {
    vec![
        Figure::new("20 certificates: wall", own.wall_s, "s").goal(Goal::AtMost(SOME_WALL_S)),
        each("20 certificates: CPU each", own.cpu_s * 1000.0, SOME, "ms")
            .goal(Goal::AtMost(SOME_CPU_MS)),
        each("20 certificates: HTTP requests each", own.requests, SOME, "requests")
            .goal(Goal::AtMost(SOME_REQUESTS)),
        Figure::new("20 certificates: peak resident size", own.peak_mib, "MiB"),
    ]
}

fn first_figures(own: Spent, peers: &[(String, Spent)]) -> Vec<Figure> {
    vec![
        best(Figure::new("first certificate: wall", own.wall_s, "s"), peers, |s| s.wall_s)
            .goal(Goal::AtMost(0.2)),
        best(Figure::new("first certificate: CPU", own.cpu_s, "s"), peers, |s| s.cpu_s)
            .goal(Goal::AtMost(0.03)),
        best(
            Figure::new("first certificate: HTTP requests", own.requests, "requests"),
            peers,
            |s| s.requests,
        )
        .goal(Goal::AtMost(10.0)),
        best(
            Figure::new("first certificate: peak resident size", own.peak_mib, "MiB"),
            peers,
            |s| s.peak_mib,
        ),
    ]
}

fn many_figures(own: Spent, peers: &[(String, Spent)]) -> Vec<Figure> {
    let per = f64::from(MANY);
    vec![
        best(Figure::new("100 certificates: wall", own.wall_s, "s"), peers, |s| s.wall_s)
            .goal(Goal::AtMost(4.0)),
        best(each("100 certificates: CPU each", own.cpu_s * 1000.0, MANY, "ms"), peers, |s| {
            s.cpu_s * 1000.0 / per
        })
        .goal(Goal::AtMost(6.0)),
        best(
            each("100 certificates: HTTP requests each", own.requests, MANY, "requests"),
            peers,
            |s| s.requests / per,
        )
        .goal(Goal::AtMost(7.5)),
        best(
            Figure::new("100 certificates: peak resident size", own.peak_mib, "MiB"),
            peers,
            |s| s.peak_mib,
        ),
    ]
}

fn each(measure: &str, total: f64, certificates: u32, unit: &'static str) -> Figure {
    Figure::new(measure, total / f64::from(certificates), unit)
}

/// Beside the peer that is best in this very point.
fn best(figure: Figure, peers: &[(String, Spent)], part: impl Fn(&Spent) -> f64) -> Figure {
    let best = peers.iter().min_by(|a, b| part(&a.1).total_cmp(&part(&b.1)));
    match best {
        Some((name, spent)) => figure.beside(name, part(spent)),
        None => figure,
    }
}

/// One start of one client, said aloud.
fn once(client: &Client, certificates: u32) -> Result<Spent, BenchError> {
    let ca = Ca::fresh()?;
    let spent = (client.run)(&ca, certificates)?;
    say::progress(&format!(
        "issue: {}{}, {certificates}: {:.3} s wall, {:.3} s CPU, {:.0} MiB, {} requests",
        client.name, client.how, spent.wall_s, spent.cpu_s, spent.peak_mib, spent.requests
    ));
    Ok(spent)
}

fn repeated(client: &Client, certificates: u32) -> Result<Spent, BenchError> {
    rounds(client, certificates, FIRST_ROUNDS)
}

/// The middle of several starts, point by point.
fn rounds(client: &Client, certificates: u32, rounds: usize) -> Result<Spent, BenchError> {
    let all = (0..rounds).map(|_| once(client, certificates));
    let all = all.collect::<Result<Vec<_>, _>>()?;
    let middle = |part: fn(&Spent) -> f64| median(all.iter().map(part).collect());
    Ok(Spent {
        wall_s: middle(|s| s.wall_s),
        cpu_s: middle(|s| s.cpu_s),
        peak_mib: middle(|s| s.peak_mib),
        requests: middle(|s| s.requests),
    })
}

/// The peers that are installed here. One that is not, or fails, is named and left out.
fn beside(
    peers: &[Client],
    certificates: u32,
    times: usize,
) -> Result<Vec<(String, Spent)>, BenchError> {
    let mut measured = Vec::new();
    for peer in peers {
        let measure = || {
            let who = format!("{}{}", with_version(peer.name)?, peer.how);
            Ok::<_, BenchError>((who, rounds(peer, certificates, times)?))
        };
        match measure() {
            Ok(one) => measured.push(one),
            Err(cause) => say::progress(&format!("issue: without {}: {cause}", peer.name)),
        }
    }
    match measured.is_empty() {
        true => Err(BenchError::Wrong("no peer could be measured".to_owned())),
        false => Ok(measured),
    }
}
