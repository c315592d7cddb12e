//! A refusal, as a problem document (RFC 7807, RFC 8555 §6.7).

use serde_json::{Value, json};

/// Why the CA says no: becomes the body of an error answer, of a failed challenge, of a dead order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// HTTP status of the answer.
    pub(crate) status: u16,
    /// The last part of `urn:ietf:params:acme:error:…`.
    pub(crate) kind: String,
    /// For a person.
    pub(crate) detail: String,
    /// `Retry-After` as written into the header.
    pub(crate) retry_after: Option<String>,
    /// Terms to agree to: a `Link` header (RFC 8555 §7.3.3).
    pub(crate) terms: Option<String>,
    /// Where a person learns what to do: a member of the document.
    pub(crate) instance: Option<String>,
}

impl Problem {
    /// A problem of any registered kind.
    pub(crate) fn new(status: u16, kind: &str, detail: impl Into<String>) -> Self {
        Self {
            status,
            kind: kind.to_owned(),
            detail: detail.into(),
            retry_after: None,
            terms: None,
            instance: None,
        }
    }

    /// The request itself is wrong (400).
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(400, "malformed", detail)
    }

    /// The asker may not do this (403).
    pub(crate) fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(403, "unauthorized", detail)
    }

    /// No such thing here (404; RFC 8555 has no kind of its own for it).
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, "malformed", format!("no such {what}"))
    }

    /// The CA itself failed (500).
    pub(crate) fn internal(detail: impl Into<String>) -> Self {
        Self::new(500, "serverInternal", detail)
    }

    /// The document.
    pub(crate) fn to_json(&self) -> Value {
        let mut document = json!({
            "type": format!("urn:ietf:params:acme:error:{}", self.kind),
            "detail": self.detail,
            "status": self.status,
        });
        if let (Some(instance), Some(object)) = (&self.instance, document.as_object_mut()) {
            object.insert("instance".to_owned(), json!(instance));
        }
        document
    }
}
