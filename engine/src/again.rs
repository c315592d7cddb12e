//! What our own listeners served before, served again at a start: a projection of the log onto the
//! settings, so no fact.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use renewd_events::Facts;
use renewd_events::binding::Target;

use crate::bind::Shown;
use crate::declare::binding_id;
use crate::host::socket;
use crate::settings::Settings;
use crate::wire::Wired;

/// Shows it and opens its listeners. What fails is logged: the Binder's first look at it in this life,
/// within moments, makes it a fact, and it is put in place again.
pub(crate) fn serve_again(wired: &Wired, settings: &Settings, facts: &RwLock<Facts>) {
    let facts = facts.read().unwrap_or_else(PoisonError::into_inner);
    let shown = served_before(settings, &facts);
    let refused = wired.bindings.show_again(&shown);
    for (binding, problem) in &refused {
        tracing::error!(%binding, detail = %problem.detail, "a certificate is not served again");
    }
    let failed: BTreeSet<_> = refused.iter().map(|(binding, _)| *binding).collect();
    let mut addresses = BTreeSet::new();
    for it in shown.iter().filter(|it| !failed.contains(&it.binding)) {
        if let Target::Builtin { address } = it.target {
            addresses.extend(socket::parse(address).ok());
        }
    }
    let addresses: Vec<_> = addresses.into_iter().collect();
    for refused in wired.host.open_at_start(&addresses) {
        tracing::warn!(address = %refused.problem.subject, detail = %refused.problem.detail, "a listener of the last life is not open");
    }
}

/// What the settings still want and an earlier life had put in place. What they no longer name is not
/// served, even though its removal is recorded only after this.
fn served_before<'a>(settings: &'a Settings, facts: &'a Facts) -> Vec<Shown<'a>> {
    let mut all = Vec::new();
    for certificate in &settings.certificates {
        let id = certificate.name.id();
        let known = facts.certificates.get(&id);
        let Some(issue) = known.and_then(|known| known.current.as_ref()) else {
            continue;
        };
        for wanted in &certificate.bindings {
            let binding = binding_id(id, &wanted.target);
            let known = facts.bindings.get(&binding);
            // Also where the newest issue was adopted and not yet put in place when that life ended: its
            // key and chain are on disk, and an open listener without a certificate would refuse.
            // And where a handshake missed it, so that it counts as not in place: what missed it may have
            // ended with that life.
            let served =
                known.is_some_and(|known| known.deployed.is_some() || known.mismatched.is_some());
            let ours = !matches!(wanted.target, Target::Files { .. });
            if ours && served {
                all.push(Shown { binding, target: &wanted.target, issue });
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::acme::Roots;
    use crate::settings::{AccountSettings, BindingSettings, CertificateSettings};
    use crate::vault::KeySource;
    use renewd_events::binding::Binding;
    use renewd_events::certificate::{Certificate, Issue, Leaf, LifeLeft};
    use renewd_events::id::{BootNo, CertificateName, Generation, Hash, KeyRef, OrderId};

    fn builtin(address: &str) -> Target {
        Target::Builtin { address: address.to_owned() }
    }

    fn certificate(name: &str, targets: &[Target]) -> CertificateSettings {
        let place = |target: &Target| BindingSettings { target: target.clone(), reload: None };
        CertificateSettings {
            name: CertificateName::parse(name).unwrap(),
            identifiers: Vec::new(),
            profile: None,
            ari: true,
            life_left: LifeLeft::Share(1, 3),
            bindings: targets.iter().map(place).collect(),
        }
    }

    fn settings(certificates: Vec<CertificateSettings>) -> Settings {
        let account = AccountSettings {
            directory_url: "https://ca.test/dir".to_owned(),
            contacts: Vec::new(),
            terms_accepted: true,
            roots: Roots::Native,
        };
        let key = KeySource::File("key".into());
        let mut settings = Settings::new("state".into(), account, key);
        settings.certificates = certificates;
        settings
    }

    /// Everything that these settings name is in place, as issue 2.
    fn all_deployed(settings: &Settings) -> Facts {
        let issue = Issue {
            generation: Generation(2),
            order: OrderId::default(),
            key_ref: KeyRef("key".to_owned()),
            spki: Hash::default(),
            leaf: Leaf::default(),
        };
        let mut facts = Facts::default();
        for certificate in &settings.certificates {
            let id = certificate.name.id();
            let known = facts.certificates.entry(id).or_default();
            *known = Certificate::default();
            known.current = Some(issue.clone());
            for binding in &certificate.bindings {
                let known = Binding {
                    certificate: id,
                    target: Some(binding.target.clone()),
                    listener: binding.target.listener(),
                    deployed: Some((Generation(2), BootNo(1))),
                    ..Binding::default()
                };
                facts.bindings.insert(binding_id(id, &binding.target), known);
            }
        }
        facts
    }

    #[test]
    fn one_listener_of_many_certificates_is_declared_once() {
        let target = builtin("127.0.0.1:443");
        let many = ["a", "b", "c"].map(|name| certificate(name, std::slice::from_ref(&target)));
        let settings = settings(many.to_vec());
        let needed = |facts: &Facts| {
            let events = crate::declare::declarations(&settings, facts);
            let needed = events.iter().filter(|new| new.event.name() == "ListenerNeeded");
            needed.count()
        };
        assert_eq!(needed(&all_deployed(&settings)), 1);
        assert_eq!(needed(&Facts::default()), 0, "nothing to serve there yet");
    }

    #[test]
    fn what_the_settings_no_longer_name_is_not_served_again() {
        let (one, two) = (builtin("127.0.0.1:443"), builtin("127.0.0.1:8443"));
        let before = settings(vec![
            certificate("kept", &[one.clone(), two.clone()]),
            certificate("gone", std::slice::from_ref(&one)),
        ]);
        let mut facts = all_deployed(&before);
        assert_eq!(served_before(&before, &facts).len(), 3);
        let after = settings(vec![certificate("kept", std::slice::from_ref(&one))]);
        let shown = served_before(&after, &facts);
        let [shown] = &shown[..] else { panic!("{shown:?}") };
        assert_eq!(shown.target, &one);
        let kept = CertificateName::parse("kept").unwrap().id();
        let binding = facts.bindings.get_mut(&binding_id(kept, &one)).unwrap();
        binding.deployed = Some((Generation(1), BootNo(1)));
        let shown = served_before(&after, &facts);
        assert_eq!(shown.len(), 1, "killed between adoption and deployment");
        assert_eq!(shown[0].issue.generation, Generation(2));
        let binding = facts.bindings.get_mut(&binding_id(kept, &one)).unwrap();
        binding.deployed = None;
        binding.mismatched = Some((Generation(1), 1));
        assert_eq!(served_before(&after, &facts).len(), 1, "a handshake missed it");
        facts.bindings.get_mut(&binding_id(kept, &one)).unwrap().mismatched = None;
        assert!(served_before(&after, &facts).is_empty(), "never put there");
    }
}
