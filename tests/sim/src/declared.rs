//! What the configuration says about the certificates of a plan.

use renewd_events::account::AccountEvent;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{CertificateEvent, Declaration};
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::{DnsName, Hash, StreamId};

use crate::plan::Served;
use crate::world::{World, account, binding_of, certificate_of};

/// The address of the listener.
const LISTENER: &str = "0.0.0.0:443";

impl World {
    /// What the configuration says about the certificates of the plan.
    pub(crate) fn declarations(&self) -> Vec<NewEvent> {
        let new =
            |stream: StreamId, event: Event| NewEvent { stream, event, renewal: None, cause: None };
        let declared = AccountEvent::AccountDeclared {
            directory_url: "https://ca.test/directory".to_owned(),
            contacts_hash: Hash::default(),
            contacts: 0,
        };
        let terms = AccountEvent::TermsAccepted { terms_url: None, by: "test".to_owned() };
        let id = account().into();
        let mut events = vec![new(id, declared.into()), new(id, terms.into())];
        for wanted in &self.plan.certificates {
            let id = certificate_of(wanted.name());
            let identifiers = wanted.names.iter().filter_map(|name| DnsName::parse(name).ok());
            let declaration = Declaration {
                name: wanted.name().to_owned(),
                account: account(),
                identifiers: identifiers.collect(),
                profile: None,
                ari: self.plan.ca.renewal_info,
                life_left: self.plan.life_left,
            };
            let event = CertificateEvent::CertificateDeclared(declaration);
            events.push(new(id.into(), event.into()));
            if let Some(target) = target(wanted.served, wanted.name()) {
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
