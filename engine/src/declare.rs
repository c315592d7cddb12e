//! What the settings say that the facts do not say yet: declarations, as a plain function.

use std::collections::BTreeSet;

use renewd_events::account::AccountEvent;
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::{CertificateEvent, Declaration};
use renewd_events::event::NewEvent;
use renewd_events::id::{BindingId, CertificateId, ListenerId};
use renewd_events::listener::ListenerEvent;
use renewd_events::{Facts, binding::Target};

use crate::settings::{BindingSettings, CertificateSettings, Settings};

/// The id of a place where a certificate is served: moving the place makes another binding.
pub fn binding_id(certificate: CertificateId, target: &Target) -> BindingId {
    let kind: &[u8] = match target {
        Target::Builtin { .. } => b"builtin",
        Target::Files { .. } => b"files",
        Target::Library => b"library",
    };
    BindingId::derive(&[&certificate.0, kind, target.label().as_bytes()])
}

fn said(
    stream: impl Into<renewd_events::id::StreamId>,
    event: impl Into<renewd_events::Event>,
) -> NewEvent {
    NewEvent { stream: stream.into(), event: event.into(), renewal: None, cause: None }
}

/// Facts to append at a start, in order.
pub fn declarations(settings: &Settings, facts: &Facts) -> Vec<NewEvent> {
    let mut events = account(settings, facts);
    let mut wanted = BTreeSet::new();
    for certificate in &settings.certificates {
        let id = certificate.name.id();
        wanted.insert(id);
        events.extend(declare(settings, certificate, facts));
        events.extend(bindings(id, &certificate.bindings, facts));
    }
    for (id, known) in &facts.certificates {
        if !wanted.contains(id) && known.orphaned.is_none() && known.declared.is_some() {
            events.push(said(*id, CertificateEvent::CertificateOrphaned));
            events.extend(bindings(*id, &[], facts));
        }
    }
    events.extend(listeners(settings, facts));
    events
}

/// The listeners of certificates that are there already are needed in this life too: said once here,
/// else each of many certificates would say it, and all but the first on an old state.
fn listeners(settings: &Settings, facts: &Facts) -> Vec<NewEvent> {
    let issued = settings.certificates.iter().filter(|certificate| {
        let known = facts.certificates.get(&certificate.name.id());
        known.is_some_and(|known| known.current.is_some())
    });
    let addresses: BTreeSet<&String> = issued
        .flat_map(|certificate| &certificate.bindings)
        .filter_map(|binding| match &binding.target {
            Target::Builtin { address } => Some(address),
            Target::Files { .. } | Target::Library => None,
        })
        .collect();
    let needed = addresses.into_iter().map(|address| {
        let id = ListenerId::derive(&[address.as_bytes()]);
        let address = address.clone();
        said(id, ListenerEvent::ListenerNeeded { address })
    });
    needed.collect()
}

fn account(settings: &Settings, facts: &Facts) -> Vec<NewEvent> {
    let account = &settings.account;
    let id = account.id();
    let known = facts.accounts.get(&id);
    let mut events = Vec::new();
    if known.is_none_or(|known| known.contacts_wanted != account.contacts_hash()) {
        events.push(said(
            id,
            AccountEvent::AccountDeclared {
                directory_url: account.directory_url.clone(),
                contacts_hash: account.contacts_hash(),
                contacts: u8::try_from(account.contacts.len()).unwrap_or(u8::MAX),
            },
        ));
    }
    if account.terms_accepted && known.is_none_or(|known| known.terms.is_none()) {
        let directory = known.and_then(|known| known.directory.as_ref());
        let terms_url = directory.and_then(|directory| directory.terms_url.clone());
        let by = "configuration".to_owned();
        events.push(said(id, AccountEvent::TermsAccepted { terms_url, by }));
    }
    events
}

fn declare(
    settings: &Settings,
    certificate: &CertificateSettings,
    facts: &Facts,
) -> Option<NewEvent> {
    let id = certificate.name.id();
    let mut identifiers = certificate.identifiers.clone();
    identifiers.sort();
    let declaration = Declaration {
        name: certificate.name.as_str().to_owned(),
        account: settings.account.id(),
        identifiers,
        profile: certificate.profile.clone(),
        ari: certificate.ari,
        life_left: certificate.life_left,
    };
    let known = facts.certificates.get(&id);
    let same =
        known.is_some_and(|c| c.declared.as_ref() == Some(&declaration) && c.orphaned.is_none());
    (!same).then(|| said(id, CertificateEvent::CertificateDeclared(declaration)))
}

fn bindings(
    certificate: CertificateId,
    wanted: &[BindingSettings],
    facts: &Facts,
) -> Vec<NewEvent> {
    let mut events = Vec::new();
    let mut ids = BTreeSet::new();
    for binding in wanted {
        let id = binding_id(certificate, &binding.target);
        // The same place may be written twice; it is one binding.
        if !ids.insert(id) {
            continue;
        }
        let known = facts.bindings.get(&id).and_then(|known| known.target.as_ref());
        if known != Some(&binding.target) {
            let target = binding.target.clone();
            events.push(said(id, BindingEvent::BindingDeclared { certificate, target }));
        }
    }
    for (id, _) in facts.bindings_of(certificate) {
        if !ids.contains(&id) {
            events.push(said(id, BindingEvent::BindingRemoved));
        }
    }
    events
}
