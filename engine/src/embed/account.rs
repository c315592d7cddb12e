//! The account at the CA, as a program says it.

use std::path::PathBuf;

use super::error::EmbedError;
use crate::acme::Roots;
use crate::config::{CaDirectory, parse_ca, parse_email};
use crate::settings::AccountSettings;

/// Which CA, and who answers for it.
#[derive(Clone, Debug)]
#[must_use]
pub struct Account {
    ca: String,
    email: Option<String>,
    terms_accepted: bool,
    roots: Roots,
}

impl Account {
    /// At Let's Encrypt.
    pub fn lets_encrypt() -> Self {
        Self::at("letsencrypt")
    }

    /// At Let's Encrypt's staging CA: browsers refuse its certificates, its limits are wide.
    pub fn lets_encrypt_staging() -> Self {
        Self::at("letsencrypt-staging")
    }

    /// At the CA with this directory: an `https://` URL (RFC 8555 §7.1.1), or a short name as in the
    /// configuration file.
    pub fn at(directory: impl Into<String>) -> Self {
        Self { ca: directory.into(), email: None, terms_accepted: false, roots: Roots::Native }
    }

    /// Whom the CA may write to. It stays out of the log.
    pub fn email(mut self, address: impl Into<String>) -> Self {
        self.email = Some(address.into());
        self
    }

    /// The operator has read and accepted the CA's terms. A program must not say so by itself.
    pub fn terms_accepted_by_operator(mut self) -> Self {
        self.terms_accepted = true;
        self
    }

    /// Trust only the roots of this PEM file when talking to the CA, for a private CA. The system's
    /// roots otherwise.
    pub fn root_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.roots = Roots::File(path.into());
        self
    }

    /// The checked account and its CA.
    pub(super) fn checked(self) -> Result<(AccountSettings, CaDirectory), EmbedError> {
        let ca = parse_ca(&self.ca).map_err(|fault| EmbedError::setting("account.ca", fault))?;
        if !self.terms_accepted {
            return Err(EmbedError::Terms { directory: ca.url });
        }
        let email = self.email.as_deref().map(parse_email).transpose();
        let email = email.map_err(|fault| EmbedError::setting("account.email", fault))?;
        let account = AccountSettings {
            directory_url: ca.url.clone(),
            contacts: email.iter().map(crate::config::Email::contact).collect(),
            terms_accepted: true,
            roots: self.roots,
        };
        Ok((account, ca))
    }
}
