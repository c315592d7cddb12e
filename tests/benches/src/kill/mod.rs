//! `bench kill`: what a SIGKILL at newOrder or at finalize costs, beside other clients.
//!
//! Each client gets ten certificates, one after the other, each on a host of its own. It is killed when
//! the CA has acted, its answer is lost, and it is started again with all that it has kept.

mod client;

use std::time::{Duration, Instant};

use renewd_tests::passage::Passage;
use renewd_tests::pebble::{Pebble, PebbleOptions};
use renewd_tests::{ports, wait};

use self::client::{CADDY, Client, LEGO, OURS, Site};
use crate::error::BenchError;
use crate::figure::{Figure, Goal, median};
use crate::{rig, say};

/// Certificates that each client gets at each moment.
const CERTIFICATES: u32 = 10;
/// From a start to the kill. lego waits five seconds before it finalizes.
const MOMENT_TIME_MAX: Duration = Duration::from_secs(60);
/// From the new start to the certificate. Caddy waits ten seconds for the lock of its dead self.
const BACK_TIME_MAX: Duration = Duration::from_secs(90);
/// Between two looks at a new start: the error of its time.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What a new start may take.
const BACK_S: f64 = 1.0;

/// When a client is killed.
struct Moment {
    name: &'static str,
    /// Pebble says this before it answers: that answer is lost.
    reached: &'static str,
    /// Pebble has done what it was asked for: now the client is killed.
    acted: &'static str,
}

const ORDERED: &str = "Added order ";
const MOMENTS: [Moment; 2] = [
    Moment { name: "newOrder", reached: ORDERED, acted: ORDERED },
    Moment {
        name: "finalize",
        reached: "POST /finalize-order/ -> calling handler()",
        acted: "Issued certificate ",
    },
];

/// What one client's certificates cost at one moment.
struct Cost {
    /// The client, with its version.
    who: String,
    /// Orders that the CA made.
    orders: f64,
    /// From each new start to its certificate, in seconds.
    back_s: Vec<f64>,
}

impl Cost {
    fn worst_s(&self) -> f64 {
        self.back_s.iter().copied().fold(0.0, f64::max)
    }

    fn middle_s(&self) -> f64 {
        median(self.back_s.clone())
    }
}

/// A Pebble, the way to it, and the ports it will look at.
struct Ca {
    pebble: Pebble,
    passage: Passage,
    directory_url: String,
    http_port: u16,
    https_port: u16,
}

impl Ca {
    fn fresh() -> Result<Self, BenchError> {
        let [http_port, https_port, port] = ports::free()?;
        // Caddy picks tls-alpn-01 or http-01 at random: both must be reachable.
        let pebble = Pebble::start(PebbleOptions {
            tls_port: https_port,
            ..PebbleOptions::repeatable(http_port)
        })?;
        let passage = Passage::open(port, pebble.acme().port)?;
        let directory_url = format!("https://127.0.0.1:{port}/dir");
        Ok(Self { pebble, passage, directory_url, http_port, https_port })
    }
}

pub(crate) fn run() -> Result<Vec<Figure>, BenchError> {
    let mut figures = Vec::new();
    for moment in &MOMENTS {
        let own = killed(&OURS, moment)?;
        let mut peers = Vec::new();
        for peer in [&LEGO, &CADDY] {
            match killed(peer, moment) {
                Ok(cost) => peers.push(cost),
                Err(cause) => say::progress(&format!("kill: without {}: {cause}", peer.name)),
            }
        }
        if peers.is_empty() {
            return Err(BenchError::Wrong("no peer could be measured".to_owned()));
        }
        figures.extend(compared(moment, &own, &peers));
    }
    Ok(figures)
}

/// Orders, worst and middle time beside each peer.
fn compared(moment: &Moment, own: &Cost, peers: &[Cost]) -> Vec<Figure> {
    let orders = format!("killed at {}: orders for {CERTIFICATES} certificates", moment.name);
    let back = format!("killed at {}: new start to certificate", moment.name);
    let (least, soon) = (Goal::AtMost(f64::from(CERTIFICATES)), Goal::AtMost(BACK_S));
    let mut figures = Vec::new();
    figures.extend(beside_each(peers, Some(least), |peer| {
        Figure::new(&orders, own.orders, "orders").beside(&peer.who, peer.orders)
    }));
    figures.extend(beside_each(peers, Some(soon), |peer| {
        Figure::new(format!("{back}, worst of {CERTIFICATES}"), own.worst_s(), "s")
            .beside(&peer.who, peer.worst_s())
    }));
    figures.extend(beside_each(peers, None, |peer| {
        Figure::new(format!("{back}, median of {CERTIFICATES}"), own.middle_s(), "s")
            .beside(&peer.who, peer.middle_s())
    }));
    figures
}

/// One figure per peer; the goal stands once.
fn beside_each(
    peers: &[Cost],
    mut goal: Option<Goal>,
    figure: impl Fn(&Cost) -> Figure,
) -> Vec<Figure> {
    let figures = peers.iter().map(|peer| match goal.take() {
        Some(goal) => figure(peer).goal(goal),
        None => figure(peer),
    });
    figures.collect()
}

/// All certificates of one client, each killed once at this moment.
fn killed(client: &Client, moment: &Moment) -> Result<Cost, BenchError> {
    let who = (client.who)()?;
    let ca = Ca::fresh()?;
    let issuer_root = ca.pebble.issuer_root_pem()?;
    let mut back_s = Vec::new();
    for number in 0..CERTIFICATES {
        let site = (client.site)(&ca, number)?;
        until_killed(&ca, &site, moment)?;
        back_s.push(until_back(&ca, &site, &issuer_root)?.as_secs_f64());
    }
    let orders = u32::try_from(ca.pebble.orders_made()).unwrap_or(u32::MAX);
    let cost = Cost { who, orders: f64::from(orders), back_s };
    let issued = ca.pebble.log().matches("Issued certificate ").count();
    say::progress(&format!(
        "kill: {} at {}: {orders} orders and {issued} issues for {CERTIFICATES} certificates; back \
         after {:.3} s, at worst {:.3} s",
        cost.who,
        moment.name,
        cost.middle_s(),
        cost.worst_s()
    ));
    Ok(cost)
}

/// The first life: it ends when the CA has acted, without the answer.
fn until_killed(ca: &Ca, site: &Site, moment: &Moment) -> Result<(), BenchError> {
    let (orders, acted) = (ca.pebble.said(ORDERED), ca.pebble.said(moment.acted));
    ca.passage.lose_answers_after(ca.pebble.said(moment.reached));
    let mut process = site.start()?;
    let came = wait::until_soon(MOMENT_TIME_MAX, || (acted.times() > 0).then_some(()));
    process.sigkill()?;
    ca.passage.lose_no_answers();
    match (came, orders.times()) {
        (Some(()), 1) => Ok(()),
        (_, orders) => Err(BenchError::Wrong(format!(
            "it was to be killed at {} of its only order, but there were {orders}: {}",
            moment.name,
            process.stderr()
        ))),
    }
}

/// The next life, to its certificate.
fn until_back(ca: &Ca, site: &Site, issuer_root: &str) -> Result<Duration, BenchError> {
    let from = Instant::now();
    let mut process = site.start()?;
    loop {
        let ended = process.ended();
        if site.has_its_certificate(ca, ended, issuer_root) {
            break;
        }
        if ended.is_some() || from.elapsed() > BACK_TIME_MAX {
            let said = process.stdout() + &process.stderr();
            return Err(BenchError::Wrong(format!("it did not get its certificate: {said}")));
        }
        rig::pause(LOOK_EVERY);
    }
    let back = from.elapsed();
    process.sigkill()?;
    Ok(back)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_stands_beside_each_peer_and_its_goal_once() {
        let cost = |who: &str, orders, back_s: &[f64]| Cost {
            who: who.to_owned(),
            orders,
            back_s: back_s.to_vec(),
        };
        let own = cost("renewd", 10.0, &[0.2, 1.5, 0.1]);
        let peers = [cost("lego 4", 20.0, &[5.0]), cost("caddy 2", 20.0, &[10.0])];
        let figures = compared(&MOMENTS[0], &own, &peers);
        let lines: Vec<String> = figures.iter().map(Figure::line).collect();
        assert_eq!(
            lines,
            [
                "10.0 orders, ratio 0.50 to lego 4 (20.0), goal <= 10.0 orders: met",
                "10.0 orders, ratio 0.50 to caddy 2 (20.0)",
                "1.50 s, ratio 0.30 to lego 4 (5.00), goal <= 1.00 s: missed",
                "1.50 s, ratio 0.15 to caddy 2 (10.0)",
                "0.20 s, ratio 0.0400 to lego 4 (5.00)",
                "0.20 s, ratio 0.0200 to caddy 2 (10.0)",
            ]
        );
    }
}
