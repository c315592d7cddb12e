//! What an engine is told, whoever tells it: the configuration file or the embedding program.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use renewd_events::binding::Target;
use renewd_events::certificate::LifeLeft;
use renewd_events::id::{AccountId, CertificateName, DnsName, Hash};
use renewd_events::restart::Method;

use crate::acme::Roots;
use crate::challenge::Redirect;
use crate::config::{self, Config};
use crate::telemetry::TracesEndpoint;
use crate::vault::KeySource;

/// First retry of a failed renewal.
pub const RETRY_FIRST: Duration = Duration::from_secs(60);
/// Slowest retry of a failed renewal: once a day, for ever.
pub const RETRY_MAX: Duration = Duration::from_secs(24 * 3600);
/// Renewals under way at once, unless the configuration says otherwise.
pub const PARALLEL: usize = 8;

/// The HTTPS port as the world sees it.
const HTTPS_PORT: u16 = 443;

/// What an engine is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Log, vault and chains live here.
    pub state_dir: PathBuf,
    /// The one account.
    pub account: AccountSettings,
    /// The certificates.
    pub certificates: Vec<CertificateSettings>,
    /// The challenge responder's addresses.
    pub http_listen: Vec<SocketAddr>,
    /// Send HTTP visitors of our names to HTTPS (the challenge path is never redirected).
    pub force_ssl: bool,
    /// The value of the `Strict-Transport-Security` header, once a certificate is served.
    pub hsts: Option<String>,
    /// Renewals under way at once.
    pub parallel: usize,
    /// First retry of a failed renewal.
    pub retry_first: Duration,
    /// How to restart when a listener cannot be added live.
    pub restart: Option<Method>,
    /// Whether listeners can be added live.
    pub add_live: bool,
    /// The key that seals the vault.
    pub vault: KeySource,
    /// Where traces go; nowhere without.
    pub traces: Option<TracesEndpoint>,
}

/// The account.
#[derive(Clone, Debug)]
pub struct AccountSettings {
    /// The CA's directory.
    pub directory_url: String,
    /// Contact URLs, e.g. `mailto:ops@example.org`.
    pub contacts: Vec<String>,
    /// A person accepted the CA's terms.
    pub terms_accepted: bool,
    /// Whom to trust when talking to the CA.
    pub roots: Roots,
}

impl AccountSettings {
    /// The account's id: one per directory.
    pub fn id(&self) -> AccountId {
        AccountId::derive(&[self.directory_url.as_bytes()])
    }

    /// SHA-256 of the contact list; the addresses stay out of the log.
    pub fn contacts_hash(&self) -> Hash {
        let parts: Vec<&[u8]> = self.contacts.iter().map(String::as_bytes).collect();
        Hash(renewd_events::id::sha256(&parts))
    }
}

/// One certificate.
#[derive(Clone, Debug)]
pub struct CertificateSettings {
    /// Its name in the configuration.
    pub name: CertificateName,
    /// The names in it.
    pub identifiers: Vec<DnsName>,
    /// The profile asked for.
    pub profile: Option<String>,
    /// Follow the CA's suggested window (RFC 9773).
    pub ari: bool,
    /// When to renew otherwise.
    pub life_left: LifeLeft,
    /// Where it is served.
    pub bindings: Vec<BindingSettings>,
}

/// One place where a certificate is served.
#[derive(Clone, Debug)]
pub struct BindingSettings {
    /// Where.
    pub target: Target,
    /// The command after new files, with its bound.
    pub reload: Option<(Vec<String>, Duration)>,
}

impl Settings {
    /// Settings for this directory and account, with the defaults of everything else.
    pub fn new(state_dir: PathBuf, account: AccountSettings, vault: KeySource) -> Self {
        Self {
            state_dir,
            account,
            certificates: Vec::new(),
            http_listen: Vec::new(),
            force_ssl: false,
            hsts: None,
            parallel: PARALLEL,
            retry_first: RETRY_FIRST,
            restart: None,
            add_live: true,
            vault,
            traces: None,
        }
    }

    /// The names that may be redirected to HTTPS.
    pub fn redirect(&self) -> Redirect {
        let names = self.certificates.iter().flat_map(|certificate| &certificate.identifiers);
        let names = if self.force_ssl { names.cloned().collect() } else { Default::default() };
        Redirect { names, port: HTTPS_PORT }
    }
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        let account = AccountSettings {
            directory_url: config.account.ca.url.clone(),
            contacts: config.account.email.iter().map(config::Email::contact).collect(),
            terms_accepted: config.account.terms_accepted,
            roots: match &config.account.ca_root {
                Some(root) => Roots::File(root.file.clone()),
                None => Roots::Native,
            },
        };
        let vault = match &config.vault {
            config::VaultKeySource::File(path) => KeySource::File(path.clone()),
            config::VaultKeySource::Credential(name) => KeySource::Credential(name.clone()),
            config::VaultKeySource::Env(name) => KeySource::Environment(name.clone()),
        };
        let restart = match (config.restart.when, config.restart.method) {
            (config::RestartWhen::Never, _) => None,
            (config::RestartWhen::ListenerAdded, config::RestartMethod::Exec) => Some(Method::Exec),
            (config::RestartWhen::ListenerAdded, config::RestartMethod::Exit) => Some(Method::Exit),
        };
        let certificates = config.certificates.iter();
        Self {
            certificates: certificates.map(|c| certificate(c, config.renew.check_every)).collect(),
            http_listen: config.http.listen.clone(),
            force_ssl: config.http.force_ssl,
            hsts: config.http.hsts.as_ref().map(hsts),
            parallel: usize::from(config.renew.max_parallel),
            retry_first: config.renew.retry_first,
            restart,
            traces: traces(config),
            ..Self::new(config.state_dir.clone(), account, vault)
        }
    }
}

/// The configuration's collector, else the environment's.
fn traces(config: &Config) -> Option<TracesEndpoint> {
    let found = match &config.telemetry.otlp_endpoint {
        Some(written) => TracesEndpoint::parse(written).map(Some),
        None => TracesEndpoint::from_variables(|name| std::env::var(name).ok()),
    };
    found.unwrap_or_else(|cause| {
        tracing::warn!(%cause, "no traces are exported");
        None
    })
}

fn hsts(hsts: &config::Hsts) -> String {
    let mut value = format!("max-age={}", hsts.max_age.as_secs());
    if hsts.include_subdomains {
        value.push_str("; includeSubDomains");
    }
    if hsts.preload {
        value.push_str("; preload");
    }
    value
}

fn certificate(from: &config::Certificate, check_every: Duration) -> CertificateSettings {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let part = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    let life_left = match from.renew.at_life_left {
        config::LifeLeft::Share { numerator, denominator } => {
            LifeLeft::Share(part(numerator), part(denominator))
        }
        config::LifeLeft::Fixed(left) => {
            LifeLeft::Time { left_ms: ms(left), check_every_ms: ms(check_every) }
        }
    };
    CertificateSettings {
        name: from.name.clone(),
        identifiers: from.domains.iter().map(|domain| domain.name().clone()).collect(),
        profile: from.profile.clone(),
        ari: from.renew.ari,
        life_left,
        bindings: from.bindings.iter().flat_map(bindings).collect(),
    }
}

fn bindings(from: &config::Bind) -> Vec<BindingSettings> {
    match from {
        config::Bind::Builtin(builtin) => {
            let addresses = match &builtin.addresses {
                config::Addresses::All => vec![format!("all:{}", builtin.port)],
                config::Addresses::These(_) => {
                    builtin.sockets().iter().map(ToString::to_string).collect()
                }
            };
            let place =
                |address| BindingSettings { target: Target::Builtin { address }, reload: None };
            addresses.into_iter().map(place).collect()
        }
        config::Bind::Files(files) => vec![BindingSettings {
            target: Target::Files {
                directory: files.directory.to_string_lossy().into_owned(),
                reload: files.reload.is_some(),
                verify: files.verify.map(|address| address.to_string()),
            },
            reload: files.reload.as_ref().map(|reload| {
                let argv = std::iter::once(&reload.program).chain(&reload.arguments);
                (argv.cloned().collect(), reload.timeout)
            }),
        }],
    }
}
