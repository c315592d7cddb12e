//! Errors as evidence: what `instant-acme` and the transport say, together with what the call saw on
//! the wire, as a [`Problem`] of the log.

use bytes::Bytes;
use instant_acme::Error;
use renewd_events::problem::{
    EVIDENCE_OCTETS_MAX, Problem, ProblemClass, SUBPROBLEMS_MAX, Subproblem, cut,
};
use serde::Deserialize;

use super::call::{self, Call};
use super::fault::{Fault, told};

/// The types that RFC 8555 §6.7 defines begin so.
const ACME_ERROR: &str = "urn:ietf:params:acme:error:";
/// A URL that a person is shown; longer ones cannot be typed.
const ADDRESS_OCTETS_MAX: usize = 300;
/// What RFC 7807 §4.2 calls a problem without a type.
const NO_TYPE: &str = "about:blank";

/// A problem document (RFC 7807), read tolerantly: every field may be missing.
#[derive(Debug, Default, Deserialize)]
struct Document {
    r#type: Option<String>,
    title: Option<String>,
    detail: Option<String>,
    status: Option<u16>,
    instance: Option<String>,
    #[serde(default)]
    subproblems: Vec<DocumentPart>,
}

/// One subproblem (RFC 8555 §6.7.1).
#[derive(Debug, Default, Deserialize)]
struct DocumentPart {
    r#type: Option<String>,
    detail: Option<String>,
    identifier: Option<Identifier>,
}

#[derive(Debug, Deserialize)]
struct Identifier {
    value: Option<String>,
}

/// An error of `instant-acme`, with the record of the call it ended.
pub(super) fn of(error: &Error) -> Problem {
    let call = call::seen();
    let read = || of_document(&call.body).filter(|_| call.status >= 400);
    let problem = match error {
        Error::Api(problem) => read().unwrap_or_else(|| of_library(problem)),
        Error::Json(cause) => read().unwrap_or_else(|| of_json(&cause.to_string(), &call)),
        Error::Other(cause) => match cause.downcast_ref::<Fault>() {
            Some(fault) => return of_fault(fault),
            None => protocol("unexpected", &told(cause.as_ref())),
        },
        Error::Str(what) => protocol("missing", &format!("the CA's answer is not enough: {what}")),
        Error::Unsupported(what) => {
            protocol("unsupported", &format!("the CA does not offer {what}"))
        }
        Error::Timeout(_) => Problem::new(ProblemClass::Transport, "timeout", &error.to_string()),
        Error::Http(_) | Error::InvalidUri(_) => protocol("url", &error.to_string()),
        Error::Crypto | Error::KeyRejected => account_key(&error.to_string()),
        _ => protocol("unexpected", &error.to_string()),
    };
    with_call(problem, &call)
}

/// An error of the transport, with the record of the call it ended.
pub(super) fn of_fault(fault: &Fault) -> Problem {
    let call = call::seen();
    let problem = Problem::new(fault.class(), fault.kind(), &fault.to_string());
    with_call(problem, &call)
}

/// An error status with a problem document, answered to a request of our own.
pub(super) fn of_answer(body: &Bytes) -> Problem {
    let call = call::seen();
    let problem = of_document(body).unwrap_or_else(|| of_json("no problem document", &call));
    with_call(problem, &call)
}

/// A broken answer.
pub(super) fn protocol(kind: &str, detail: &str) -> Problem {
    Problem::new(ProblemClass::Protocol, kind, detail)
}

/// A broken answer to the last request of this call.
pub(super) fn broken(kind: &str, detail: &str) -> Problem {
    with_call(protocol(kind, detail), &call::seen())
}

/// Our own key cannot sign. It is never shown.
pub(super) fn account_key(cause: &str) -> Problem {
    let detail = format!("the account key cannot sign: {cause}; it must be a P-256 key in PKCS#8");
    Problem::new(ProblemClass::Local, "account-key", &detail)
}

/// A problem inside an order or a challenge that the CA showed with a success.
pub(super) fn of_library(problem: &instant_acme::Problem) -> Problem {
    let parts = problem.subproblems.iter().map(|part| Subproblem {
        identifier: part
            .identifier
            .as_ref()
            .map(|name| name.authorized(false).to_string())
            .unwrap_or_default(),
        kind: part.r#type.clone().unwrap_or_default(),
        detail: part.detail.clone().unwrap_or_default(),
    });
    let mut out = typed(problem.r#type.as_deref(), problem.detail.as_deref().unwrap_or(""));
    out.status = problem.status.unwrap_or(0);
    out.subproblems = bounded(parts);
    out
}

/// A problem document in JSON; absent when it is none.
pub(super) fn of_document(body: &[u8]) -> Option<Problem> {
    let document: Document = serde_json::from_slice(body).ok()?;
    let detail = document.detail.or(document.title).unwrap_or_default();
    let mut out = typed(document.r#type.as_deref(), &detail);
    out.status = document.status.unwrap_or(0);
    out.subproblems = bounded(document.subproblems.into_iter().map(|part| Subproblem {
        identifier: part.identifier.and_then(|name| name.value).unwrap_or_default(),
        kind: part.r#type.unwrap_or_default(),
        detail: part.detail.unwrap_or_default(),
    }));
    Some(out)
}

/// Only a type of the ACME namespace is the CA's own word; gateways speak RFC 7807 too.
fn typed(kind: Option<&str>, detail: &str) -> Problem {
    let kind = kind.filter(|kind| !kind.is_empty()).unwrap_or(NO_TYPE);
    let class = match kind.starts_with(ACME_ERROR) {
        true => ProblemClass::Acme,
        false => ProblemClass::Http,
    };
    let detail = match detail.is_empty() {
        true => "the problem document says no more than its type",
        false => detail,
    };
    Problem::new(class, kind, detail)
}

fn of_json(cause: &str, call: &Call) -> Problem {
    let text = String::from_utf8_lossy(&call.body);
    let beginning = cut(text.trim(), 160);
    protocol(
        "json",
        &format!(
            "the answer is not the JSON that was expected ({cause}); it begins: `{beginning}`"
        ),
    )
}

fn with_call(mut problem: Problem, call: &Call) -> Problem {
    if call.status >= 300 || problem.status == 0 {
        problem.status = call.status;
    }
    problem.retry_after_ms = call.retry_after_ms;
    if problem.is_acme("userActionRequired") {
        problem.detail = with_addresses(&problem.detail, call);
    }
    problem.about(&call.url)
}

/// Where a person must go (RFC 8555 §7.3.3): the `instance` and the terms. They stand first, so that a
/// long text of the CA cannot push them out.
fn with_addresses(detail: &str, call: &Call) -> String {
    let document: Document = serde_json::from_slice(&call.body).unwrap_or_default();
    let mut said = String::new();
    if let Some(instance) = document.instance.filter(|url| !url.is_empty()) {
        said = format!("visit {}; ", cut(&instance, ADDRESS_OCTETS_MAX));
    }
    if let Some(terms) = call.link("terms-of-service") {
        said = format!("{said}terms: {}; ", cut(terms, ADDRESS_OCTETS_MAX));
    }
    cut(&format!("{said}{detail}"), EVIDENCE_OCTETS_MAX)
}

fn bounded(parts: impl Iterator<Item = Subproblem>) -> Vec<Subproblem> {
    parts
        .take(SUBPROBLEMS_MAX)
        .map(|part| Subproblem {
            identifier: cut(&part.identifier, 256),
            kind: cut(&part.kind, 128),
            detail: cut(&part.detail, EVIDENCE_OCTETS_MAX),
        })
        .collect()
}

/// Stands in for a contact address.
const CONTACT: &str = "<contact>";

/// Without the contact addresses that a CA repeats when it refuses them: they are a person's, and the
/// log is for ever and exported.
pub(super) fn mask(mut problem: Problem, contacts: &[String]) -> Problem {
    for contact in contacts {
        let address = contact.strip_prefix("mailto:").unwrap_or(contact);
        for hidden in [contact.as_str(), address] {
            problem.detail = without(&problem.detail, hidden);
            problem.kind = without(&problem.kind, hidden);
            problem.subject = without(&problem.subject, hidden);
            for part in &mut problem.subproblems {
                part.detail = without(&part.detail, hidden);
                part.kind = without(&part.kind, hidden);
                part.identifier = without(&part.identifier, hidden);
            }
        }
    }
    problem
}

/// Replaces every `hidden`, whatever its case.
fn without(text: &str, hidden: &str) -> String {
    if hidden.is_empty() {
        return text.to_owned();
    }
    // ASCII case keeps every offset.
    let (lower, hidden) = (text.to_ascii_lowercase(), hidden.to_ascii_lowercase());
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (at, found) in lower.match_indices(&hidden) {
        out.push_str(text.get(from..at).unwrap_or_default());
        out.push_str(CONTACT);
        from = at.saturating_add(found.len());
    }
    out.push_str(text.get(from..).unwrap_or_default());
    out
}

/// Whether the CA refused the nonce, and so has not acted (RFC 8555 §6.5).
pub(super) fn is_bad_nonce(error: &Error) -> bool {
    if let Error::Api(problem) = error {
        problem.r#type.as_deref() == Some("urn:ietf:params:acme:error:badNonce")
    } else {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_contact_is_not_repeated() {
        let said = r#"{"type":"urn:ietf:params:acme:error:invalidContact","status":400,
            "detail":"contact \"mailto:Ops@example.org\" is refused; OPS@EXAMPLE.ORG bounces","subproblems":[
            {"type":"urn:ietf:params:acme:error:invalidContact","detail":"ops@example.org: no MX"}]}"#;
        let contacts = ["mailto:ops@example.org".to_owned()];
        let masked = mask(of_document(said.as_bytes()).unwrap(), &contacts);
        assert_eq!(masked.detail, "contact \"<contact>\" is refused; <contact> bounces");
        assert_eq!(masked.subproblems[0].detail, "<contact>: no MX");
        let odd = br#"{"type":"about:ops@example.org"}"#;
        assert_eq!(mask(of_document(odd).unwrap(), &contacts).kind, "about:<contact>");
    }

    #[test]
    fn a_problem_document_may_lack_everything() {
        let read = |text: &str| of_document(text.as_bytes()).unwrap();
        let full = read(
            r#"{"type":"urn:ietf:params:acme:error:compound","detail":"two","status":400,"subproblems":[
            {"type":"urn:ietf:params:acme:error:caa","detail":"no","identifier":{"type":"future","value":"a.test"}}]}"#,
        );
        assert!(full.is_acme("compound"));
        assert_eq!(full.subproblems[0].identifier, "a.test");
        assert!(read(r#"{"type":"urn:ietf:params:acme:error:brandNew"}"#).is_acme("brandNew"));
        let empty = read("{}");
        assert_eq!((empty.class, empty.kind.as_str()), (ProblemClass::Http, "about:blank"));
        assert_eq!(read(r#"{"title":"Busy"}"#).detail, "Busy");
        assert_eq!(of_document(b"<html>"), None);
    }
}
