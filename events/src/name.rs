//! Names that come from people: certificates in the configuration, DNS names, keys in the vault.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::CertificateId;

/// A DNS name in text form (RFC 1035 §2.3.4).
pub const DNS_NAME_OCTETS_MAX: usize = 253;
/// One label of a DNS name (RFC 1035 §2.3.4).
pub const DNS_LABEL_OCTETS_MAX: usize = 63;
/// A certificate's id in the configuration; it becomes a file name, so it stays short.
pub const CERTIFICATE_NAME_OCTETS_MAX: usize = 64;

/// A certificate's id in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CertificateName(String);

/// Why a text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// Longer than the limit of its kind.
    #[error("it has {octets} octets; {max} are allowed")]
    TooLong {
        /// Its length.
        octets: usize,
        /// The limit.
        max: usize,
    },
    /// A character that is not allowed.
    #[error("`{0}` is not allowed in it")]
    Character(char),
    /// A label that is empty, too long, or begins or ends with a hyphen.
    #[error("the label `{0}` is not a DNS label (1 to 63 of a-z, 0-9 and inner hyphens)")]
    Label(String),
    /// Only one label: no public CA issues for it.
    #[error("it has only one label; a public name has at least two")]
    OneLabel,
}

impl CertificateName {
    /// # Errors
    /// Anything but 1 to 64 of `a-z 0-9 . - _ *`.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        if text.len() > CERTIFICATE_NAME_OCTETS_MAX {
            return Err(BadName::TooLong { octets: text.len(), max: CERTIFICATE_NAME_OCTETS_MAX });
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-._".contains(c);
        match text.chars().find(|c| !allowed(*c)) {
            Some(other) => Err(BadName::Character(other)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The lineage that bears this name.
    pub fn id(&self) -> CertificateId {
        CertificateId::derive(&[self.0.as_bytes()])
    }
}

impl fmt::Display for CertificateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A DNS name in A-label form, lower case, without a trailing dot; perhaps with `*.` in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DnsName(String);

impl DnsName {
    /// # Errors
    /// Says which rule of RFC 1035 and RFC 5890 the text breaks. IDNs come in as A-labels.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        if text.is_empty() {
            return Err(BadName::Empty);
        }
        if text.len() > DNS_NAME_OCTETS_MAX {
            return Err(BadName::TooLong { octets: text.len(), max: DNS_NAME_OCTETS_MAX });
        }
        let name = text.strip_prefix("*.").unwrap_or(text);
        let allowed =
            |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        if let Some(other) = name.chars().find(|c| !allowed(*c)) {
            return Err(BadName::Character(other));
        }
        let good = |label: &str| {
            (1..=DNS_LABEL_OCTETS_MAX).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if let Some(label) = name.split('.').find(|label| !good(label)) {
            return Err(BadName::Label(label.to_owned()));
        }
        if !name.contains('.') {
            return Err(BadName::OneLabel);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it begins with `*.`.
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("*.")
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a key in the vault. It says nothing about the key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyRef(pub String);

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
