//! `[account]`: which CA, who answers for it, and whom to trust on the way there.

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::ca;
use super::error::shown;
use super::fault::Fault;
use super::mask::is_private_key;
use super::model::{Account, CaDirectory, CaRoot, Email};
use super::raw::{At, Section};
use super::sink::Sink;
use super::values;

/// The CA when none is named.
const DEFAULT_CA: &str = "letsencrypt";
/// A bundle of roots has some hundred kilobytes; more is another file.
const ROOT_OCTETS_MAX: u64 = 1024 * 1024;
/// A directory's URL; it goes into an event.
const CA_URL_OCTETS_MAX: usize = 1024;
/// Path limit of RFC 5321 §4.5.3.1.3, without the angle brackets.
const EMAIL_OCTETS_MAX: usize = 254;
/// Local part, RFC 5321 §4.5.3.1.1.
const EMAIL_LOCAL_OCTETS_MAX: usize = 64;

pub(super) fn parse(section: &Section<'_, '_>, sink: &mut Sink) -> Account {
    let default = At { value: DEFAULT_CA, span: section.span.clone(), field: String::new() };
    let written = section.text("ca", sink).unwrap_or(default);
    let ca = directory(written.value).unwrap_or_else(|fault| {
        sink.push(&written.field, written.span.clone(), fault);
        CaDirectory { url: String::new(), known: None }
    });
    let email = section.text("email", sink).filter(|found| !found.value.is_empty());
    let email = email.and_then(|found| match parse_email(found.value) {
        Ok(email) => Some(email),
        Err(fault) => {
            sink.push(&found.field, found.span, fault);
            None
        }
    });
    let terms_accepted = section.flag("terms_accepted", sink).unwrap_or(false);
    if !terms_accepted {
        let (ca, written) = (ca.title().to_owned(), section.has("terms_accepted"));
        let (field, span) = (section.field("terms_accepted"), section.span_of("terms_accepted"));
        sink.warn(&field, span, Fault::TermsNotAccepted { ca, written });
    }
    Account { ca, email, terms_accepted, ca_root: ca_root(section, sink) }
}

/// A short name of the list, or the https URL of a directory.
pub(crate) fn directory(text: &str) -> Result<CaDirectory, Fault> {
    let bad = |reason| Fault::CaUrl { text: shown(text), reason };
    if let Some(known) = ca::by_short(text) {
        return known_directory(known);
    }
    if text.starts_with("http://") {
        return Err(bad("it is not encrypted; ACME runs over https only (RFC 8555 §6.1)"));
    }
    if !text.starts_with("https://") {
        return Err(unknown(text));
    }
    if text.len() > CA_URL_OCTETS_MAX {
        return Err(bad("it is longer than 1024 octets"));
    }
    let uri: http::Uri = text.parse().map_err(|_| bad("it is not a URL"))?;
    if uri.host().unwrap_or_default().is_empty() {
        return Err(bad("it names no host"));
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad("it holds a user name or a password"));
    }
    match ca::by_directory(text) {
        Some(known) => known_directory(known),
        None => Ok(CaDirectory { url: text.to_owned(), known: None }),
    }
}

fn known_directory(known: &'static ca::KnownCa) -> Result<CaDirectory, Fault> {
    if known.needs_eab {
        return Err(Fault::CaNeedsEab { ca: known.title });
    }
    Ok(CaDirectory { url: known.directory.to_owned(), known: Some(known) })
}

/// Those that an account can be made at without a key of their web site.
fn usable() -> impl Iterator<Item = &'static ca::KnownCa> {
    ca::KNOWN.iter().filter(|ca| !ca.needs_eab)
}

fn unknown(text: &str) -> Fault {
    let similar = |ca: &ca::KnownCa| strsim::jaro_winkler(text, ca.short);
    let nearest = usable().max_by(|a, b| similar(a).total_cmp(&similar(b)));
    let shorts: Vec<&str> = usable().map(|ca| ca.short).collect();
    let all = format!(
        "known are {}; any other CA by the https:// address of its directory",
        shorts.join(", ")
    );
    let hint = match nearest.filter(|ca| similar(ca) >= super::raw::SIMILAR) {
        Some(ca) => format!("did you mean \"{}\"? {all}", ca.short),
        None => all,
    };
    Fault::UnknownCa { text: shown(text), hint }
}

/// One address, as far as it can be judged without sending mail.
pub(crate) fn parse_email(text: &str) -> Result<Email, Fault> {
    let bad = |reason| Err(Fault::Email { text: shown(text), reason });
    if text.starts_with("mailto:") {
        return bad("leave out `mailto:`");
    }
    if text.len() > EMAIL_OCTETS_MAX {
        return bad("it is longer than 254 octets (RFC 5321)");
    }
    if !text.is_ascii() {
        return bad("CAs accept ASCII only");
    }
    if text
        .chars()
        .any(|c| c.is_ascii_whitespace() || c.is_ascii_control() || ",;<>()\"?%".contains(c))
    {
        return bad("it holds a space, a comma or another sign that does not belong there");
    }
    let Some((local, domain)) = text.split_once('@') else {
        return bad("the @ is missing");
    };
    if domain.contains('@') {
        return bad("it has more than one @");
    }
    if local.is_empty() || local.len() > EMAIL_LOCAL_OCTETS_MAX {
        return bad("1 to 64 characters stand before the @");
    }
    if super::names::parse_domain(domain, None).is_err() {
        return bad("what stands behind the @ is not a domain");
    }
    Ok(Email(text.to_owned()))
}

fn ca_root(section: &Section<'_, '_>, sink: &mut Sink) -> Option<CaRoot> {
    let found = values::path(section, "ca_root_file", sink)?;
    let written = section.text("ca_root_file", sink).map(|text| shown(text.value));
    match read_root(&found.value) {
        Ok(certificates) => Some(CaRoot { file: found.value, certificates }),
        Err(reason) => {
            let fault = Fault::CaRoot { file: written.unwrap_or_default(), reason };
            sink.push(&found.field, found.span, fault);
            None
        }
    }
}

fn read_root(path: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, String> {
    use std::io::Read;
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(|cause| cause.to_string())?.is_file() {
        return Err("it is not a plain file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|cause| cause.to_string())?;
    let mut pem = Vec::new();
    file.take(ROOT_OCTETS_MAX + 1).read_to_end(&mut pem).map_err(|cause| cause.to_string())?;
    if u64::try_from(pem.len()).unwrap_or(u64::MAX) > ROOT_OCTETS_MAX {
        return Err("it has more than 1 MiB".to_owned());
    }
    if std::str::from_utf8(&pem).is_ok_and(is_private_key) {
        return Err("it holds a private key, which has no place there".to_owned());
    }
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|cause| format!("its PEM is broken: {cause}"))?;
    if certificates.is_empty() {
        return Err("it holds no -----BEGIN CERTIFICATE-----".to_owned());
    }
    for (nth, certificate) in certificates.iter().enumerate() {
        x509_parser::parse_x509_certificate(certificate)
            .map_err(|cause| format!("its certificate {} is not X.509: {cause}", nth + 1))?;
    }
    Ok(certificates)
}
