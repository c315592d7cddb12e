//! What the world answered when it did not do what we asked: bounded, without secrets, stored raw.
//! Escaping happens where it is shown.

use serde::{Deserialize, Serialize};

/// Text from outside in one field. Longer text is cut: evidence must not fill the log.
pub const EVIDENCE_OCTETS_MAX: usize = 1024;
/// Subproblems kept (RFC 8555 §6.7.1); a certificate has up to 100 names, a reader needs a few.
pub const SUBPROBLEMS_MAX: usize = 8;

/// Who failed, as far as it decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ProblemClass {
    /// The CA answered with a problem document (RFC 7807, RFC 8555 §6.7).
    Acme,
    /// An HTTP error without a problem document: a proxy, a maintenance page.
    Http,
    /// No answer: name resolution, connect, TLS, timeout, connection cut.
    Transport,
    /// An answer that breaks the protocol: not JSON, a field missing, too large.
    Protocol,
    /// Our own side: vault, disk, listener, command.
    Local,
}

/// An error of the world, as evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Who failed.
    pub class: ProblemClass,
    /// `urn:ietf:params:acme:error:…` for [`ProblemClass::Acme`], else a word such as `timeout`.
    pub kind: String,
    /// The other side's own words.
    pub detail: String,
    /// HTTP status, 0 where there was none.
    pub status: u16,
    /// The server named a time (RFC 9110 §10.2.3): milliseconds from its answer.
    pub retry_after_ms: Option<u64>,
    /// What was asked: an URL, a file, an address.
    pub subject: String,
    /// One per identifier (RFC 8555 §6.7.1).
    pub subproblems: Vec<Subproblem>,
}

/// A problem of one identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subproblem {
    /// The name it concerns.
    pub identifier: String,
    /// `urn:ietf:params:acme:error:…`.
    pub kind: String,
    /// The CA's words.
    pub detail: String,
}

/// At most `octets` of `text`, cut between characters.
pub fn cut(text: &str, octets: usize) -> String {
    text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= octets).map(|(_, c)| c).collect()
}

impl Problem {
    /// A problem with its text cut to [`EVIDENCE_OCTETS_MAX`].
    pub fn new(class: ProblemClass, kind: &str, detail: &str) -> Self {
        Self {
            class,
            kind: cut(kind, 128),
            detail: cut(detail, EVIDENCE_OCTETS_MAX),
            status: 0,
            retry_after_ms: None,
            subject: String::new(),
            subproblems: Vec::new(),
        }
    }

    /// With what was asked.
    #[must_use]
    pub fn about(mut self, subject: &str) -> Self {
        self.subject = cut(subject, 512);
        self
    }

    /// The last part of an ACME error type, e.g. `rateLimited`; the kind itself for others.
    pub fn short_kind(&self) -> &str {
        self.kind.strip_prefix("urn:ietf:params:acme:error:").unwrap_or(&self.kind)
    }

    /// Whether this is the ACME error `short` (RFC 8555 §6.7), e.g. `badNonce`.
    pub fn is_acme(&self, short: &str) -> bool {
        self.class == ProblemClass::Acme && self.short_kind() == short
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("añb", 2), "a");
        assert_eq!(cut("añb", 3), "añ");
        assert_eq!(cut("añb", 99), "añb");
    }
}
