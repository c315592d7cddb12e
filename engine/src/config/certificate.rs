//! `[[certificate]]`: which names, under which identity, renewed when.

use std::collections::{BTreeMap, BTreeSet};

use renewd_events::id::{CertificateName, DnsName};

use super::bind::{self, Places};
use super::error::shown;
use super::fault::Fault;
use super::model::{CaDirectory, Certificate, Domain, RenewPolicy};
use super::names::parse_domain;
use super::raw::{At, Section};
use super::sections;
use super::sink::Sink;

/// Names in one certificate: the limit of Let's Encrypt, and the smallest of the known CAs.
const DOMAINS_MAX: usize = 100;
/// A profile's name is a word; it goes into an event.
const PROFILE_OCTETS_MAX: usize = 64;

/// What certificates may not share, and the line that has it.
#[derive(Default)]
struct Taken {
    names: BTreeMap<String, usize>,
    sets: BTreeMap<BTreeSet<DnsName>, (String, usize)>,
}

pub(super) fn parse_all(
    root: &Section<'_, '_>,
    ca: &CaDirectory,
    policy: RenewPolicy,
    places: &mut Places,
    sink: &mut Sink,
) -> Vec<Certificate> {
    let mut taken = Taken::default();
    let mut certificates = Vec::new();
    for mut section in root.sections("certificate", "certificate", sink) {
        certificates.extend(parse(&mut section, ca, policy, (&mut taken, places), sink));
    }
    certificates
}

fn parse(
    section: &mut Section<'_, '_>,
    ca: &CaDirectory,
    policy: RenewPolicy,
    (taken, places): (&mut Taken, &mut Places),
    sink: &mut Sink,
) -> Option<Certificate> {
    let name = name(section, sink);
    if let Some(name) = &name {
        section.rename(format!("certificate[{name}]"));
        let (span, field) = (section.span_of("name"), section.field("name"));
        let line = sink.line(span.start);
        if let Some(first) = taken.names.insert(name.to_string(), line) {
            sink.push(&field, span, Fault::CertificateTwice { text: name.to_string(), first });
        }
    }
    let domains = domains(section, ca, sink);
    let profile = profile(section, sink);
    let own = section.section("renew", "certificate.renew", sink);
    let renew = sections::policy(&own, policy, sink);
    let bindings = bind::parse_all(section, places, sink);
    let certificate = Certificate {
        name: name?,
        domains: domains?,
        profile: profile.filter(|profile| !profile.is_empty()),
        renew,
        bindings,
    };
    refuse_same_set(section, &certificate, taken, sink);
    Some(certificate)
}

/// The name that is written, else the first domain.
fn name(section: &Section<'_, '_>, sink: &mut Sink) -> Option<CertificateName> {
    if section.has("name") {
        let found = section.text("name", sink)?;
        let parsed = CertificateName::parse(found.value);
        return note(parsed, found.value, &found, sink);
    }
    // Mistakes of the list itself are noted where the list is read.
    let domain = parse_domain(section.first_text("domains")?, None).ok()?;
    let text = domain.name().as_str();
    let at = At { value: text, span: section.span_of("domains"), field: section.field("name") };
    note(CertificateName::parse(text), text, &at, sink)
}

fn note(
    parsed: Result<CertificateName, renewd_events::id::BadName>,
    text: &str,
    at: &At<&str>,
    sink: &mut Sink,
) -> Option<CertificateName> {
    match parsed {
        Ok(name) => Some(name),
        Err(cause) => {
            let fault =
                Fault::CertificateName { text: shown(text), reason: shown(&cause.to_string()) };
            sink.push(&at.field, at.span.clone(), fault);
            None
        }
    }
}

fn profile(section: &Section<'_, '_>, sink: &mut Sink) -> Option<String> {
    let found = section.text("profile", sink)?;
    let octets = found.value.len();
    if octets > PROFILE_OCTETS_MAX {
        let why = "the CA's directory names its profiles, each with a word";
        let fault = Fault::TooLong { octets, max: PROFILE_OCTETS_MAX, why };
        sink.push(&found.field, found.span, fault);
        return None;
    }
    Some(found.value.to_owned())
}

fn domains(section: &Section<'_, '_>, ca: &CaDirectory, sink: &mut Sink) -> Option<Vec<Domain>> {
    if !section.has("domains") {
        let fault = Fault::MissingKey { key: "domains", example: "domains = [\"example.org\"]" };
        sink.push(&section.field("domains"), section.span.clone(), fault);
        return None;
    }
    let list = section.text_or_texts("domains", sink)?;
    if list.value.is_empty() {
        sink.push(&list.field, list.span, Fault::NoDomains);
        return None;
    }
    if list.value.len() > DOMAINS_MAX {
        let fault = Fault::TooManyDomains { found: list.value.len(), max: DOMAINS_MAX };
        sink.push(&list.field, list.span, fault);
        return None;
    }
    let public_ca = ca.known.map(|known| known.title);
    let mut domains: Vec<Domain> = Vec::new();
    for text in &list.value {
        let parsed = parse_domain(text.value, public_ca).and_then(|domain| {
            if domains.iter().any(|other| other.name() == domain.name()) {
                return Err(Fault::NameTwice { text: domain.to_string() });
            }
            Ok(domain)
        });
        match parsed {
            Ok(domain) => domains.push(domain),
            Err(fault) => {
                let fault = if text.span == list.span { in_brackets(fault) } else { fault };
                sink.push(&text.field, text.span.clone(), fault);
            }
        }
    }
    (domains.len() == list.value.len()).then_some(domains)
}

/// Where one text stood alone, several names need the brackets of a list.
fn in_brackets(fault: Fault) -> Fault {
    if let Fault::NameCharacter { text, found, fixed } = &fault
        && fixed.contains(", ")
    {
        let (text, found) = (text.clone(), found.clone());
        return Fault::NameCharacter { text, found, fixed: format!("[{fixed}]") };
    }
    fault
}

fn refuse_same_set(
    section: &Section<'_, '_>,
    certificate: &Certificate,
    taken: &mut Taken,
    sink: &mut Sink,
) {
    let set: BTreeSet<DnsName> = certificate.domains.iter().map(|d| d.name().clone()).collect();
    let span = section.span_of("domains");
    let here = (certificate.name.to_string(), sink.line(span.start));
    if let Some((first, line)) = taken.sets.insert(set, here) {
        sink.push(&section.field("domains"), span, Fault::SameNames { first, line });
    }
}
