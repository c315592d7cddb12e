//! How the certificates are, for a program.

use std::time::SystemTime;

use renewd_events::Facts;
use renewd_events::certificate::Certificate;
use renewd_events::schedule::Schedule;

use super::events::time;

/// How one certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CertificateStatus {
    /// Its name.
    pub name: String,
    /// The DNS names that are wanted in it, as A-labels.
    pub domains: Vec<String>,
    /// SHA-256 of the newest issue, hexadecimal; absent before the first.
    pub fingerprint: Option<String>,
    /// When the newest issue ends.
    pub not_after: Option<SystemTime>,
    /// When it was last renewed.
    pub renewed_at: Option<SystemTime>,
    /// A renewal is under way.
    pub renewing: bool,
    /// The next renewal and why, e.g. `ari-window`; absent while one is under way.
    pub next: Option<(SystemTime, String)>,
    /// Why the last try failed: a code that `renewd explain` knows, and the evidence. Absent after a
    /// success.
    pub failure: Option<(String, String)>,
}

/// All certificates that are wanted, by name.
pub(super) fn status(facts: &Facts) -> Vec<CertificateStatus> {
    let mut all: Vec<CertificateStatus> = facts
        .certificates
        .iter()
        .filter(|(_, certificate)| certificate.orphaned.is_none())
        .map(|(id, certificate)| one(certificate, facts.schedules.get(id)))
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn one(certificate: &Certificate, schedule: Option<&Schedule>) -> CertificateStatus {
    let issue = certificate.current.as_ref();
    let declared = certificate.declared.iter();
    let planned = schedule.and_then(|schedule| schedule.planned.as_ref());
    CertificateStatus {
        name: certificate.name().to_owned(),
        domains: declared
            .flat_map(|declared| &declared.identifiers)
            .map(ToString::to_string)
            .collect(),
        fingerprint: issue.map(|issue| issue.leaf.fingerprint.to_string()),
        not_after: issue.map(|issue| time(issue.leaf.not_after)),
        renewed_at: certificate.renewed_at.map(time),
        renewing: certificate.run.is_some(),
        next: planned.map(|planned| (time(planned.at), planned.cause.to_string())),
        failure: certificate
            .failure
            .as_ref()
            .map(|failure| (failure.code.clone(), failure.problem.detail.clone())),
    }
}
