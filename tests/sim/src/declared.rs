//! What the configuration says about the certificates of a plan.

use renewd_events::Facts;
use renewd_events::account::AccountEvent;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{CertificateEvent, Declaration};
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::{DnsName, Hash, StreamId};

use crate::plan::Served;
use crate::world::{World, binding_of, certificate_of};

/// The address of the listener.
const LISTENER: &str = "0.0.0.0:443";

impl World {
    /// What the configuration says and the facts do not say yet, as the daemon's start finds it.
    pub(crate) fn declarations(&self, facts: &Facts) -> Vec<NewEvent> {
        let new =
            |stream: StreamId, event: Event| NewEvent { stream, event, renewal: None, cause: None };
        let declared = AccountEvent::AccountDeclared {
            directory_url: self.directory_url(),
            contacts_hash: Hash::default(),
            contacts: 0,
        };
        let terms = AccountEvent::TermsAccepted { terms_url: None, by: "test".to_owned() };
        let account = self.account();
        let known = facts.accounts.get(&account);
        let mut events = Vec::new();
        if known.is_none() {
            events.push(new(account.into(), declared.into()));
        }
        if known.is_none_or(|known| known.terms.is_none()) {
            events.push(new(account.into(), terms.into()));
        }
        for wanted in &self.plan.certificates {
            let id = certificate_of(wanted.name());
            let identifiers = wanted.names.iter().filter_map(|name| DnsName::parse(name).ok());
            let declaration = Declaration {
                name: wanted.name().to_owned(),
                account,
                identifiers: identifiers.collect(),
                profile: None,
                ari: self.plan.ca.renewal_info,
                life_left: self.plan.life_left,
            };
            let known = facts.certificates.get(&id).and_then(|it| it.declared.as_ref());
            if known != Some(&declaration) {
                let event = CertificateEvent::CertificateDeclared(declaration);
                events.push(new(id.into(), event.into()));
            }
            let known = facts.bindings.get(&binding_of(id)).and_then(|it| it.target.as_ref());
            let wanted = target(wanted.served, wanted.name());
            if let Some(target) = wanted.filter(|target| known != Some(target)) {
                let event = BindingEvent::BindingDeclared { certificate: id, target };
                events.push(new(binding_of(id).into(), event.into()));
            }
        }
        events
    }
}

fn target(served: Served, name: &str) -> Option<Target> {
    match served {
        Served::Builtin => Some(Target::Builtin { address: LISTENER.to_owned() }),
        Served::Files => {
            let directory = format!("/tls/{name}");
            Some(Target::Files { directory, reload: true, verify: None })
        }
        Served::Nowhere => None,
    }
}
