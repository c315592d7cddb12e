//! One certificate, as a program says it.

use std::path::PathBuf;

use renewd_events::binding::Target;
use renewd_events::certificate::LifeLeft;
use renewd_events::id::{CertificateName, DnsName};

use super::error::EmbedError;
use crate::config::{Fault, parse_domain, shown};
use crate::settings::{BindingSettings, CertificateSettings};

/// Names in one certificate: the limit of Let's Encrypt, and the smallest of the known CAs.
const NAMES_MAX: usize = 100;
/// Without a suggestion of the CA: when a third of the life is left, as the configuration file.
const LIFE_LEFT: LifeLeft = LifeLeft::Share(1, 3);

/// A certificate for some names, renewed by http-01. It is served by
/// [`Renewd::cert_resolver`](super::Renewd::cert_resolver); files are an addition.
#[derive(Clone, Debug)]
#[must_use]
pub struct Certificate {
    name: Option<String>,
    domains: Vec<String>,
    profile: Option<String>,
    ari: bool,
    directories: Vec<PathBuf>,
}

impl Certificate {
    /// For these DNS names, the first of which names the certificate. International names may be
    /// written as people read them. 1 to 100 names, no wildcard: http-01 cannot prove one.
    pub fn new<N: Into<String>>(domains: impl IntoIterator<Item = N>) -> Self {
        Self {
            name: None,
            domains: domains.into_iter().map(Into::into).collect(),
            profile: None,
            ari: true,
            directories: Vec::new(),
        }
    }

    /// Under this name instead: 1 to 64 of `a-z 0-9 . - _`. Its history in the log hangs on the name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Ask for this profile of the CA.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Do not ask the CA when it suggests to renew (RFC 9773): renew when a third of the life is left.
    pub fn without_ari(mut self) -> Self {
        self.ari = false;
        self
    }

    /// Also keep key and chain as files below this directory, switched as one, for other programs.
    pub fn files(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directories.push(directory.into());
        self
    }

    /// The checked certificate. `public_ca` names the CA when it is a public one.
    pub(super) fn checked(
        self,
        public_ca: Option<&str>,
    ) -> Result<CertificateSettings, EmbedError> {
        let identifiers = names(&self.domains, public_ca)?;
        let text = match (&self.name, identifiers.first()) {
            (Some(name), _) => name.as_str(),
            (None, Some(first)) => first.as_str(),
            (None, None) => "",
        };
        let name = CertificateName::parse(text).map_err(|cause| {
            let (text, reason) = (shown(text), cause.to_string());
            EmbedError::setting("certificate.name", Fault::CertificateName { text, reason })
        })?;
        let files = self.directories.iter().map(|directory| Target::Files {
            directory: directory.to_string_lossy().into_owned(),
            reload: false,
            verify: None,
        });
        let bindings = std::iter::once(Target::Library)
            .chain(files)
            .map(|target| BindingSettings { target, reload: None })
            .collect();
        Ok(CertificateSettings {
            name,
            identifiers,
            profile: self.profile,
            ari: self.ari,
            life_left: LIFE_LEFT,
            bindings,
        })
    }
}

fn names(domains: &[String], public_ca: Option<&str>) -> Result<Vec<DnsName>, EmbedError> {
    let bad = |fault| EmbedError::setting("certificate.domains", fault);
    if domains.is_empty() {
        return Err(bad(Fault::NoDomains));
    }
    if domains.len() > NAMES_MAX {
        let (found, max) = (domains.len(), NAMES_MAX);
        return Err(bad(Fault::TooManyDomains { found, max }));
    }
    let mut names: Vec<DnsName> = Vec::with_capacity(domains.len());
    for text in domains {
        let domain = parse_domain(text, public_ca).map_err(bad)?;
        if names.contains(domain.name()) {
            return Err(bad(Fault::NameTwice { text: shown(text) }));
        }
        names.push(domain.name().clone());
    }
    Ok(names)
}
