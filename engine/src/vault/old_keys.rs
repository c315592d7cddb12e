//! Which certificate keys nobody needs any more: those of earlier generations and of failed tries.
//!
//! A key's name holds the number of its renewal, and the log says which renewals are over. So nothing is
//! recorded before or after: a removal that a crash cuts off is begun again by the next start, from the
//! same facts. What the log does not say is over is never touched.

use renewd_events::Facts;
use renewd_events::certificate::Certificate;
use renewd_events::id::{CertificateId, KeyRef};

/// Keys before the newest ones that stay: a state restored from a backup is a few renewals old.
const KEPT: u32 = 3;

/// The number in `cert-ID-NUMBER`, when it is a key of this certificate.
fn number(id: CertificateId, key: &KeyRef) -> Option<u32> {
    key.0.strip_prefix(&format!("cert-{id}-"))?.parse().ok()
}

/// Whether an earlier generation may still be shown somewhere.
fn is_served_old(facts: &Facts, id: CertificateId, certificate: &Certificate) -> bool {
    let Some(current) = &certificate.current else {
        return true;
    };
    let newest = |generation| generation >= current.generation;
    facts.bindings_of(id).any(|(_, binding)| {
        let deployed = binding.deployed.is_some_and(|(generation, _)| newest(generation));
        let served = binding.served.as_ref().is_some_and(|served| newest(served.generation));
        !(deployed && served)
    })
}

/// Those of `keys` that can go.
pub(super) fn needless<'a>(facts: &Facts, keys: &'a [KeyRef]) -> Vec<&'a KeyRef> {
    let mut by_certificate: Vec<(&KeyRef, CertificateId)> = Vec::new();
    let ids: std::collections::BTreeMap<String, CertificateId> =
        facts.certificates.keys().map(|id| (id.to_string(), *id)).collect();
    for key in keys {
        let middle = key.0.strip_prefix("cert-").and_then(|rest| rest.rsplit_once('-'));
        if let Some(id) = middle.and_then(|(id, _)| ids.get(id)) {
            by_certificate.push((key, *id));
        }
    }
    let over = |(key, id): &(&KeyRef, CertificateId)| {
        let Some(certificate) = facts.certificates.get(id) else {
            return false;
        };
        number(*id, key).is_some_and(|number| is_over(facts, *id, certificate, number))
    };
    by_certificate.into_iter().filter(over).map(|(key, _)| key).collect()
}

/// Whether the renewal of this number is over, for long, and its key shown nowhere.
fn is_over(facts: &Facts, id: CertificateId, certificate: &Certificate, of: u32) -> bool {
    let current = certificate.current.as_ref().and_then(|issue| number(id, &issue.key_ref));
    let Some(current) = current else {
        // Without an issue, or with one whose key has another name, nothing is certain.
        return false;
    };
    let near = |newest: u32| of <= newest && newest.saturating_sub(of) <= KEPT;
    let known = of <= certificate.renewals;
    let running = certificate.run.as_ref().is_some_and(|run| run.number == of);
    known
        && !running
        && !near(current)
        && !near(certificate.renewals)
        && certificate.anomaly.is_none()
        && !is_served_old(facts, id, certificate)
}

#[cfg(test)]
mod tests {
    use renewd_events::WallMs;
    use renewd_events::certificate::{Issue, Leaf, Run};
    use renewd_events::id::{CertificateName, Generation, Hash, OrderId};
    use renewd_events::schedule::Cause;

    use super::*;

    fn id() -> CertificateId {
        CertificateName::parse("web").unwrap().id()
    }

    fn key(number: u32) -> KeyRef {
        KeyRef(format!("cert-{}-{number}", id()))
    }

    /// The newest issue is of renewal `current`, and `renewals` were begun.
    fn facts(current: u32, renewals: u32) -> Facts {
        let issue = Issue {
            generation: Generation(2),
            order: OrderId::default(),
            key_ref: key(current),
            spki: Hash::default(),
            leaf: Leaf::default(),
        };
        let mut facts = Facts::default();
        let web = facts.certificates.entry(id()).or_default();
        web.current = Some(issue);
        web.renewals = renewals;
        facts
    }

    fn gone(facts: &Facts) -> Vec<u32> {
        let keys: Vec<KeyRef> = (1..=30).map(key).collect();
        needless(facts, &keys).into_iter().filter_map(|key| number(id(), key)).collect()
    }

    #[test]
    fn the_newest_the_running_the_unknown_and_some_before_them_stay() {
        assert_eq!(gone(&facts(10, 10)), [1, 2, 3, 4, 5, 6]);
        // Twelve failed tries since.
        assert_eq!(gone(&facts(10, 22)), [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16, 17, 18]);
        let mut running = facts(10, 22);
        running.certificates.get_mut(&id()).unwrap().run = Some(Run {
            renewal: Certificate::renewal_id(id(), 12),
            number: 12,
            cause: Cause::Retry,
            attempt: 1,
            started: WallMs(0),
            replaces: None,
            identifiers: Vec::new(),
            key: renewd_events::certificate::KeyStep::Absent,
            order: None,
            orders: 1,
            adopted: None,
        });
        assert!(!gone(&running).contains(&12));
    }

    #[test]
    fn where_nothing_is_certain_nothing_goes() {
        let mut without = facts(10, 22);
        without.certificates.get_mut(&id()).unwrap().current = None;
        assert!(gone(&without).is_empty());
        let others =
            ["cert-000000-1", "cert-x-1", "account", "cert-"].map(|n| KeyRef(n.to_owned()));
        assert!(needless(&facts(10, 22), &others).is_empty());
    }
}
