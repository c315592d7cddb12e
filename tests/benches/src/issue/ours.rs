//! renewd: the real binary, from exec to the last verified handshake.

use std::time::Duration;

use renewd_events::Event;
use renewd_events::certificate::CertificateEvent;

use super::{Ca, Spent};
use crate::error::BenchError;
use crate::history::History;
use crate::{rig, usage};
use renewd_tests::pebble::PROFILE_DEFAULT;

/// All certificates of one start. A debug build beside other work needs a minute for 100.
const ISSUE_TIME_MAX: Duration = Duration::from_secs(120);

pub(super) fn run(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let url = ca.pebble.directory_url();
    let history = History::at(&url);
    let sites = (0..certificates).map(|number| history.lineage(number));
    let sites = sites.collect::<Result<Vec<_>, _>>()?;
    let host = rig::host(&rig::Wanted {
        directory_url: &url,
        root_pem: Some(ca.pebble.root_pem()),
        http_port: ca.http_port,
        https_port: Some(ca.https_port),
        profile: Some(PROFILE_DEFAULT),
        sites: &sites,
    })?;
    let before = ca.requests();
    let from = rig::now();
    let mut renewd = host.start(&["run"])?;
    rig::wait_for(&mut renewd, "RenewalSucceeded", sites.len(), ISSUE_TIME_MAX)?;
    let cpu_s = usage::cpu_s(renewd.id())?;
    let peak_mib = usage::peak_mib(renewd.id()).unwrap_or(f64::NAN);
    let requests = f64::from(ca.requests().saturating_sub(before));
    // From the log's own times: our looks at the process are 10 ms apart.
    let events = rig::events(&host)?;
    let last = events.iter().rev().find(|envelope| {
        matches!(envelope.event, Event::Certificate(CertificateEvent::RenewalSucceeded { .. }))
    });
    let last = last.ok_or_else(|| BenchError::Wrong("no renewal succeeded".to_owned()))?;
    let wall_s = last.at.since(from).as_secs_f64();
    renewd.sigkill()?;
    Ok(Spent { wall_s, cpu_s, peak_mib, requests })
}
