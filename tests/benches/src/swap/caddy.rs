//! Caddy beside it: the same life of a certificate, the same visitors, seen from outside.

use std::time::{Duration, Instant};

use renewd_tests::pebble::{Pebble, PebbleOptions};
use renewd_tests::process::Process;
use renewd_tests::{ports, tls, wait};

use super::{ISSUES, LIFE, PROFILE, TIME_MAX, under_visits};
use crate::error::BenchError;
use crate::figure::median;
use crate::peer::caddy::{Site, Wanted};
use crate::peer::{domain, with_version};
use crate::say;

/// It looks for certificates that are due every ten minutes unless told otherwise.
const OPTIONS: &str = "  renew_interval 1s\n";
/// Pebble says this when a chain is asked for.
const DOWNLOAD: &str = "POST /certZ/ -> calling handler()";

/// Caddy with its version, and its middle time in ms from the request of a chain to a handshake that
/// showed it, over all swaps.
pub(super) fn swaps() -> Result<(String, f64), BenchError> {
    let [http_port, https_port] = ports::free()?;
    let pebble = Pebble::start(PebbleOptions {
        tls_port: https_port,
        // The only profile, because Pebble picks one when none is named.
        profiles: [(PROFILE.to_owned(), LIFE)].into(),
        ..PebbleOptions::repeatable(http_port)
    })?;
    let name = domain(1);
    let site = Site::new(&Wanted {
        directory_url: &pebble.directory_url(),
        root_pem: pebble.root_pem(),
        http_port,
        https_port,
        names: std::slice::from_ref(&name),
        options: OPTIONS,
    })?;
    let who = with_version("caddy")?;
    let (address, root) = (([127, 0, 0, 1], https_port).into(), pebble.issuer_root_pem()?);
    let mut caddy = site.start()?;
    let first = caddy.wait_until("Caddy's first certificate", TIME_MAX, |_| {
        tls::handshake(address, &name, &root).ok()
    })?;
    say::progress(&format!("swap: {who}, the same visitors over {} renewals", ISSUES - 1));
    let (times, seen, _) = under_visits(address, &name, &root, || {
        let mut shown = first.leaf_sha256;
        let swaps = (1..ISSUES).map(|_| {
            let (time, leaf) = swap(&pebble, &mut caddy, &shown, || {
                tls::handshake(address, &name, &root).ok().map(|served| served.leaf_sha256)
            })?;
            shown = leaf;
            Ok(time.as_secs_f64() * 1000.0)
        });
        swaps.collect::<Result<Vec<f64>, BenchError>>()
    })?;
    caddy.sigkill()?;
    let times = times?;
    say::progress(&format!(
        "swap: {who}: {times:.1?} ms, {} handshakes failed",
        seen.failures.len()
    ));
    Ok((who, median(times)))
}

/// One swap: from the request of a chain, as Pebble says it, to a handshake that shows another leaf.
fn swap(
    pebble: &Pebble,
    caddy: &mut Process,
    shown: &str,
    mut visit: impl FnMut() -> Option<String>,
) -> Result<(Duration, String), BenchError> {
    let said = pebble.said(DOWNLOAD);
    let asked = wait::until_soon(TIME_MAX, || (said.times() > 0).then(Instant::now));
    let from = asked.filter(|_| caddy.ended().is_none()).ok_or_else(|| {
        BenchError::Wrong(format!("Caddy did not renew by itself: {}", caddy.stderr()))
    })?;
    loop {
        if let Some(leaf) = visit().filter(|leaf| leaf != shown) {
            return Ok((from.elapsed(), leaf));
        }
        if from.elapsed() > TIME_MAX {
            return Err(BenchError::Wrong("Caddy does not serve what it downloaded".to_owned()));
        }
    }
}
