//! What is wanted, checked before anything starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::account::Account;
use super::certificate::Certificate;
use super::error::EmbedError;
use super::running::Renewd;
use crate::settings::Settings;
use crate::start::VAULT;
use crate::telemetry::TracesEndpoint;
use crate::vault::{KeySource, make_key_file};

/// The vault's key inside the state directory, unless the program names another place.
const KEY_FILE: &str = "vault.key";

/// Says what is wanted; [`Builder::start`] checks it and starts.
///
/// ```no_run
/// use renewd::{Account, Certificate, Renewd};
///
/// # async fn host() -> Result<(), renewd::EmbedError> {
/// let renewd = Renewd::builder()
///     .state_dir("/var/lib/myapp/renewd")
///     .account(Account::lets_encrypt().email("ops@example.org").terms_accepted_by_operator())
///     .certificate(Certificate::new(["example.org"]))
///     .start()
///     .await?;
/// # renewd.shutdown().await
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    state_dir: Option<PathBuf>,
    account: Option<Account>,
    certificates: Vec<Certificate>,
    http01_listen: Vec<SocketAddr>,
    vault_key: Option<KeySource>,
    parallel: Option<usize>,
    traces: Option<String>,
}

impl Builder {
    /// Where log, vault and chains live. One engine at a time; it must outlive the process.
    pub fn state_dir(mut self, path: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(path.into());
        self
    }

    /// The account at the CA.
    pub fn account(mut self, account: Account) -> Self {
        self.account = Some(account);
        self
    }

    /// One more certificate.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Answer challenges on this address too: for programs without a port-80 server of their own. The
    /// others use [`Renewd::http01_or`] or [`Renewd::http01_response`].
    pub fn http01_listen(mut self, address: SocketAddr) -> Self {
        self.http01_listen.push(address);
        self
    }

    /// Where the key that seals the vault is. Otherwise it is the file `vault.key` in the state
    /// directory, made with mode 0600 at the first start.
    pub fn vault_key(mut self, source: KeySource) -> Self {
        self.vault_key = Some(source);
        self
    }

    /// Renewals under way at once; 8 otherwise, at least 1.
    pub fn max_parallel(mut self, renewals: usize) -> Self {
        self.parallel = Some(renewals.max(1));
        self
    }

    /// Send one trace per renewal to this OTLP collector, e.g. `http://127.0.0.1:4318`. Nothing is
    /// exported otherwise; a dead collector delays nothing. The endpoint variables of OpenTelemetry are
    /// not read: they are the host's.
    pub fn traces_to(mut self, endpoint: impl Into<String>) -> Self {
        self.traces = Some(endpoint.into());
        self
    }

    /// Replays the log, then runs. It is ready when this returns: certificates of an earlier life are
    /// served, pending challenges answered, and renewals go on where they were.
    ///
    /// Inside a tokio runtime that has I/O and time.
    ///
    /// # Errors
    /// See [`EmbedError`]; nothing was asked of a CA then.
    pub async fn start(self) -> Result<Renewd, EmbedError> {
        let made_by_us = self.vault_key.is_none();
        let settings = self.settings()?;
        let state_dir = &settings.state_dir;
        std::fs::create_dir_all(state_dir)
            .map_err(|cause| EmbedError::StateDir { state_dir: state_dir.clone(), cause })?;
        if made_by_us {
            ensure_key(state_dir)?;
        }
        Renewd::start(settings).await
    }

    fn settings(self) -> Result<Settings, EmbedError> {
        let state_dir = self.state_dir.ok_or(EmbedError::NoStateDir)?;
        let (account, ca) = self.account.ok_or(EmbedError::NoAccount)?.checked()?;
        let public_ca = ca.known.map(|known| known.title);
        let mut names = BTreeSet::new();
        let mut certificates = Vec::with_capacity(self.certificates.len());
        for certificate in self.certificates {
            let certificate = certificate.checked(public_ca)?;
            if !names.insert(certificate.name.clone()) {
                return Err(EmbedError::CertificateTwice(certificate.name.to_string()));
            }
            certificates.push(certificate);
        }
        let key = self.vault_key.unwrap_or_else(|| KeySource::File(state_dir.join(KEY_FILE)));
        let traces = self.traces.as_deref().map(TracesEndpoint::parse);
        let mut settings = Settings::new(state_dir, account, key);
        settings.traces = traces.transpose()?;
        settings.certificates = certificates;
        settings.http_listen = self.http01_listen;
        if let Some(parallel) = self.parallel {
            settings.parallel = parallel;
        }
        Ok(settings)
    }
}

/// Makes the vault's key at the first start. Where there is a vault already, a missing key is for a
/// person to find: a new one would open nothing.
fn ensure_key(state_dir: &Path) -> Result<(), EmbedError> {
    let path = state_dir.join(KEY_FILE);
    if path.exists() || state_dir.join(VAULT).exists() {
        return Ok(());
    }
    Ok(make_key_file(&path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        Account::lets_encrypt().email("ops@example.com").terms_accepted_by_operator()
    }

    fn refused(builder: Builder) -> String {
        builder.settings().unwrap_err().to_string()
    }

    #[test]
    fn a_whole_wish_becomes_settings() {
        let settings = Builder::default()
            .state_dir("/var/lib/x")
            .account(account())
            .certificate(Certificate::new(["Bücher.example.com", "www.example.com"]))
            .certificate(Certificate::new(["www.example.com"]).named("www"))
            .settings()
            .unwrap();
        let names: Vec<&str> = settings.certificates.iter().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["xn--bcher-kva.example.com", "www"]);
        assert_eq!(settings.account.contacts, ["mailto:ops@example.com"]);
        assert_eq!(settings.vault, KeySource::File("/var/lib/x/vault.key".into()));
    }

    #[test]
    fn what_is_missing_or_wrong_is_named_with_its_cure() {
        let with = |certificate| {
            Builder::default().state_dir("/x").account(account()).certificate(certificate)
        };
        let cases = [
            (Builder::default(), "state_dir"),
            (Builder::default().state_dir("/x"), "Account::lets_encrypt"),
            (
                Builder::default().state_dir("/x").account(Account::lets_encrypt()),
                "terms_accepted_by_operator",
            ),
            (Builder::default().state_dir("/x").account(account().email("ops")), "account.email"),
            (
                Builder::default().state_dir("/x").account(Account::at("http://ca.example/")),
                "account.ca",
            ),
            (with(Certificate::new(["*.example.com"])), "http-01"),
            (with(Certificate::new(["https://example.com/"])), "example.com"),
            (with(Certificate::new(["192.0.2.1"])), "192.0.2.1"),
            (with(Certificate::new(Vec::<String>::new())), "domains"),
            (with(Certificate::new(["a.example.com", "A.example.com"])), "a.example.com"),
            (with(Certificate::new(["host.internal"])), "Let's Encrypt"),
            (
                with(Certificate::new(["a.example.com"])).traces_to("grpc://127.0.0.1:4317"),
                "http://HOST:4318",
            ),
            (
                with(Certificate::new(["a.example.com"]))
                    .certificate(Certificate::new(["a.example.com"])),
                "Certificate::named",
            ),
        ];
        for (builder, word) in cases {
            let text = refused(builder);
            assert!(text.to_lowercase().contains(&word.to_lowercase()), "{word}: {text}");
        }
    }
}
