//! DNS names as people write them, turned into names as a CA takes them.

use std::net::{IpAddr, SocketAddr};

use renewd_events::id::{BadName, DNS_NAME_OCTETS_MAX, DnsName};

use super::error::shown;
use super::fault::Fault;
use super::model::Domain;

/// Endings that exist in private networks only: RFC 6761, RFC 6762, RFC 7686, RFC 8375, RFC 9476
/// and those that ICANN will not delegate.
const PRIVATE_ENDINGS: &[&str] = &[
    "localhost",
    "local",
    "test",
    "example",
    "invalid",
    "onion",
    "alt",
    "internal",
    "home.arpa",
    "home",
    "corp",
    "mail",
    "lan",
    "localdomain",
    "intranet",
    "private",
];

/// One name. `public_ca` names the CA when it is a public one: private names are refused then.
///
/// # Errors
/// The first rule that the name breaks, with the corrected name where that can be told.
pub(crate) fn parse_domain(text: &str, public_ca: Option<&str>) -> Result<Domain, Fault> {
    refuse_other_things(text)?;
    let lower = text.to_lowercase();
    let ascii = to_ascii(&lower, text)?;
    if let Some(rest) = ascii.strip_prefix("*.") {
        let example = format!("\"{}\", \"www.{}\"", shown(rest), shown(rest));
        return Err(Fault::NameWildcard { text: shown(text), example });
    }
    if ascii.len() > DNS_NAME_OCTETS_MAX {
        let (octets, max) = (ascii.len(), DNS_NAME_OCTETS_MAX);
        return Err(Fault::NameTooLong { text: shown(text), octets, max });
    }
    let private = |name: &str| PRIVATE_ENDINGS.iter().any(|end| is_below(name, end));
    if let Some(ca) = public_ca.filter(|_| private(&ascii)) {
        return Err(Fault::NamePrivate { text: shown(text), ca: ca.to_owned() });
    }
    let name = DnsName::parse(&ascii).map_err(|cause| explain(cause, text))?;
    let (unicode, readable) = idna::domain_to_unicode(&ascii);
    let unicode = if readable.is_ok() { unicode } else { ascii };
    Ok(Domain { name, unicode })
}

/// What people paste instead of a name.
fn refuse_other_things(text: &str) -> Result<(), Fault> {
    let text_shown = || shown(text);
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let fixed = quoted(host_of(host));
    if text.contains("://") {
        return Err(Fault::NameIsUrl { text: text_shown(), fixed });
    }
    let bare = text.trim_matches(['[', ']']);
    if bare.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        return Err(Fault::NameIsIp { text: text_shown() });
    }
    if let Some(found) = text.chars().find(|c| !may_stand_in_a_name(*c)) {
        let parts: Vec<String> = text
            .split(|c| !may_stand_in_a_name(c))
            .filter(|part| !part.is_empty())
            .map(quoted)
            .collect();
        let whole = parts.iter().all(|part| part.contains('.'));
        let fixed = if whole { parts.join(", ") } else { String::new() };
        let found = if found == ' ' { "a space".to_owned() } else { ticked(found) };
        return Err(Fault::NameCharacter { text: text_shown(), found, fixed });
    }
    if text.contains(['/', ':']) {
        return Err(Fault::NameWithPortOrPath { text: text_shown(), fixed });
    }
    if text.len() > 1 && text.ends_with('.') {
        let fixed = quoted(host_of(text).trim_end_matches('.'));
        return Err(Fault::NameTrailingDot { text: text_shown(), fixed });
    }
    Ok(())
}

/// The host in `user@host:port/path?query`.
fn host_of(text: &str) -> &str {
    let authority = text.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    host.split(':').next().unwrap_or_default()
}

fn quoted(name: &str) -> String {
    let name = name.to_lowercase();
    if name.is_empty() { name } else { format!("\"{name}\"") }
}

/// `/` and `:` are judged apart, with a better message; letters beyond ASCII by IDNA.
fn may_stand_in_a_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-.*/:".contains(c) || (!c.is_ascii() && !c.is_whitespace())
}

fn to_ascii(lower: &str, text: &str) -> Result<String, Fault> {
    if lower.is_ascii() && !lower.contains("xn--") {
        return Ok(lower.to_owned());
    }
    let idn = |_| Fault::NameIdn { text: shown(text) };
    let (star, name) = match lower.strip_prefix("*.") {
        Some(rest) => ("*.", rest),
        None => ("", lower),
    };
    // Lengths are judged later, with messages of their own.
    let hyphens = idna::uts46::Hyphens::CheckFirstLast;
    let deny = idna::AsciiDenyList::STD3;
    let dns = idna::uts46::DnsLength::Ignore;
    let ascii =
        idna::uts46::Uts46::new().to_ascii(name.as_bytes(), deny, hyphens, dns).map_err(idn)?;
    Ok(format!("{star}{ascii}"))
}

fn ticked(found: char) -> String {
    format!("`{}`", shown(&found.to_string()))
}

fn part(label: &str) -> String {
    if label.is_empty() {
        "an empty part".to_owned()
    } else {
        format!("the part `{}`", shown(label))
    }
}

fn is_below(name: &str, end: &str) -> bool {
    name.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn explain(cause: BadName, text: &str) -> Fault {
    let (text, whole) = (shown(text), text);
    match cause {
        BadName::Empty => Fault::Empty,
        BadName::TooLong { octets, max } => Fault::NameTooLong { text, octets, max },
        BadName::Character(found) => {
            let found = ticked(found);
            Fault::NameCharacter { text, found, fixed: String::new() }
        }
        BadName::Label(label) => Fault::NameLabel { text, part: part(&label) },
        BadName::OneLabel if whole.is_empty() => Fault::Empty,
        BadName::OneLabel => Fault::NameOneLabel { text },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        match parse_domain(text, Some("Let's Encrypt")) {
            Ok(domain) => format!("ok {}", domain.name()),
            Err(fault) => fault.code(),
        }
    }

    #[test]
    fn what_people_write_becomes_a_name_or_a_code() {
        let long_label = format!("{}.org", "a".repeat(64));
        let long_name = format!("{}org", "abcdefg.".repeat(40));
        let table = [
            ("example.org", "ok example.org"),
            ("WWW.Example.ORG", "ok www.example.org"),
            ("bücher.de", "ok xn--bcher-kva.de"),
            ("BÜCHER.de", "ok xn--bcher-kva.de"),
            ("xn--bcher-kva.de", "ok xn--bcher-kva.de"),
            ("a.b.c.example.org", "ok a.b.c.example.org"),
            ("1and1.com", "ok 1and1.com"),
            ("", "R0166"),
            (".", "R0127"),
            ("https://example.org", "R0103"),
            ("http://u:p@example.org:8080/x?y", "R0103"),
            ("example.org:443", "R0120"),
            ("example.org/path", "R0120"),
            ("example.org.", "R0121"),
            ("example .org", "R0122"),
            ("example_x.org", "R0122"),
            ("ops@example.org", "R0122"),
            ("a.org\u{1b}[31m", "R0122"),
            ("203.0.113.7", "R0123"),
            ("203.0.113.7:443", "R0123"),
            ("2001:db8::7", "R0123"),
            ("[2001:db8::7]", "R0123"),
            ("*.example.org", "R0124"),
            ("*.bücher.de", "R0124"),
            ("w*.example.org", "R0122"),
            ("localhost", "R0125"),
            ("nas.local", "R0125"),
            ("notlocal.org", "ok notlocal.org"),
            ("web", "R0129"),
            ("-a.org", "R0127"),
            ("a..org", "R0127"),
            (long_label.as_str(), "R0127"),
            (long_name.as_str(), "R0126"),
            ("xn--a.org", "R0128"),
            ("a\u{fffd}.org", "R0128"),
        ];
        for (text, expected) in table {
            assert_eq!(code(text), expected, "{text}");
        }
    }

    #[test]
    fn a_private_ca_may_issue_for_private_names() {
        assert!(parse_domain("nas.local", None).is_ok());
    }

    #[test]
    fn an_international_name_is_kept_in_both_forms() {
        let domain = parse_domain("Bücher.de", None).unwrap();
        assert_eq!(domain.to_string(), "bücher.de (xn--bcher-kva.de)");
    }
}
