//! Caddy: a server, so it is watched until it has downloaded and serves all certificates.

use std::time::{Duration, Instant};

use renewd_tests::tls;

use super::{Ca, Spent};
use crate::error::BenchError;
use crate::peer::caddy::{Site, Wanted};
use crate::{peer, rig, usage};

/// Until all are served. Its own limiter allows ten orders in ten seconds.
const TIME_MAX: Duration = Duration::from_secs(150);
/// Between two looks: the error of its wall time.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(super) fn run(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let names: Vec<String> = (0..certificates).map(peer::domain).collect();
    let site = Site::new(&Wanted {
        directory_url: &ca.pebble.directory_url(),
        root_pem: ca.pebble.root_pem(),
        http_port: ca.http_port,
        https_port: ca.https_port,
        names: &names,
        options: "",
    })?;
    let issuer_root = ca.pebble.issuer_root_pem()?;
    let before = ca.requests();
    let from = Instant::now();
    let mut caddy = site.start()?;
    // Visitors before that would only keep it busy.
    caddy.wait_until("Caddy's downloads", TIME_MAX, |_| {
        (ca.pebble.count("POST /certZ/") >= names.len()).then_some(())
    })?;
    let address = ([127, 0, 0, 1], ca.https_port).into();
    for name in &names {
        while tls::handshake(address, name, &issuer_root).is_err() {
            if from.elapsed() > TIME_MAX || caddy.ended().is_some() {
                return Err(BenchError::Wrong(format!(
                    "{name} was not served: {}",
                    caddy.stderr()
                )));
            }
            rig::pause(LOOK_EVERY);
        }
    }
    let spent = Spent {
        wall_s: from.elapsed().as_secs_f64(),
        cpu_s: usage::cpu_s(caddy.id())?,
        peak_mib: usage::peak_mib(caddy.id()).unwrap_or(f64::NAN),
        requests: f64::from(ca.requests().saturating_sub(before)),
    };
    caddy.sigkill()?;
    Ok(spent)
}
