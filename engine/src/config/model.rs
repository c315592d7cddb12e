//! What a checked configuration is. These types are made by [`Config::load`] and its parts only:
//! nothing downstream asks again whether they are right.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use renewd_events::id::{CertificateName, DnsName};
use rustls_pki_types::CertificateDer;

use super::ca::KnownCa;

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// Log, vault and snapshots live here.
    pub state_dir: PathBuf,
    /// The account at the CA.
    pub account: Account,
    /// The certificates, in the order of the file; no two have the same name or the same names.
    pub certificates: Vec<Certificate>,
    /// When to renew, for certificates without their own policy, and how many at once.
    pub renew: Renew,
    /// The challenge responder and redirects.
    pub http: Http,
    /// What happens when a listener needs a restart.
    pub restart: Restart,
    /// The status page.
    pub admin: Admin,
    /// Where the vault's key is.
    pub vault: VaultKeySource,
    /// Logs and traces.
    pub telemetry: Telemetry,
}

/// The account at the CA.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Account {
    /// The CA.
    pub ca: CaDirectory,
    /// Contact (RFC 8555 §7.3), if one was given.
    pub email: Option<Email>,
    /// Whether a person accepted the CA's terms. Without it nothing is ordered.
    pub terms_accepted: bool,
    /// The roots to trust instead of the platform's, for a private CA.
    pub ca_root: Option<CaRoot>,
}

/// A CA's ACME directory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaDirectory {
    /// Always `https://`.
    pub url: String,
    /// The list's entry, if it is a known public CA; `None` means private.
    pub known: Option<&'static KnownCa>,
}

impl CaDirectory {
    /// What a person calls it: its title, or the URL.
    pub fn title(&self) -> &str {
        self.known.map_or(self.url.as_str(), |ca| ca.title)
    }
}

/// An e-mail address, without `mailto:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email(pub(super) String);

impl Email {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As ACME wants it (RFC 8555 §7.3).
    pub fn contact(&self) -> String {
        format!("mailto:{}", self.0)
    }
}

/// Roots of a private CA, read and parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaRoot {
    /// Where they were read.
    pub file: PathBuf,
    /// At least one, each a well-formed X.509 certificate.
    pub certificates: Vec<CertificateDer<'static>>,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Certificate {
    /// Its identity in the log.
    pub name: CertificateName,
    /// 1 to 100 names, no two the same, in the order of the file.
    pub domains: Vec<Domain>,
    /// The CA's profile, if not its default.
    pub profile: Option<String>,
    /// When to renew: its own, else that of `[renew]`.
    pub renew: RenewPolicy,
    /// Where it is served; empty: it is only kept.
    pub bindings: Vec<Bind>,
}

/// A name in both forms: the one on the wire and the one people read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    pub(super) name: DnsName,
    pub(super) unicode: String,
}

impl Domain {
    /// A-labels, lower case.
    pub fn name(&self) -> &DnsName {
        &self.name
    }

    /// U-labels: the same as the name unless it is international.
    pub fn unicode(&self) -> &str {
        &self.unicode
    }
}

/// `bücher.example (xn--bcher-kva.example)`, or only the name.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unicode == self.name.as_str() {
            return write!(f, "{}", self.name);
        }
        write!(f, "{} ({})", self.unicode, self.name)
    }
}

/// One place where a certificate is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// The HTTPS listener of renewd itself.
    Builtin(BuiltinBind),
    /// Files that another program reads.
    Files(FilesBind),
}

/// A share of the listener of renewd itself. Several certificates on one address are told apart by
/// SNI.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltinBind {
    /// On which addresses.
    pub addresses: Addresses,
    /// 1 to 65535.
    pub port: u16,
}

impl BuiltinBind {
    /// The sockets to open: for "all", one of each family.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        let ips = match &self.addresses {
            Addresses::All => vec![Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()],
            Addresses::These(ips) => ips.clone(),
        };
        ips.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect()
    }
}

/// Addresses of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Every address of both families.
    All,
    /// Only these; at least one, no two the same.
    These(Vec<IpAddr>),
}

/// Key and chain as files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FilesBind {
    /// The generations and the current link live here; used by no other bind.
    pub directory: PathBuf,
    /// How the other program is told.
    pub reload: Option<Reload>,
    /// Where the handshake check connects afterwards; `None`: only the files are checked.
    pub verify: Option<SocketAddr>,
}

/// A command, run without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reload {
    /// Program.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// It is killed when it takes longer.
    pub timeout: Duration,
}

/// `[renew]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Renew {
    /// When to renew.
    pub policy: RenewPolicy,
    /// At least this often a certificate is looked at.
    pub check_every: Duration,
    /// The wait after a first failure, 1 s to 1 d; later waits are longer, up to a day.
    pub retry_first: Duration,
    /// Renewals at the same time, 1 to 64.
    pub max_parallel: u8,
}

/// When a certificate is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RenewPolicy {
    /// Whether the CA is asked (RFC 9773); its answer wins.
    pub ari: bool,
    /// When the CA says nothing.
    pub at_life_left: LifeLeft,
}

/// How much of a certificate's life is left when it is renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifeLeft {
    /// A share of its lifetime: 0 < numerator < denominator <= 100.
    Share {
        /// 1 of "1/3".
        numerator: u32,
        /// 3 of "1/3".
        denominator: u32,
    },
    /// A length of time: an hour to 398 days.
    Fixed(Duration),
}

/// `[http]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Http {
    /// Sockets of the challenge responder; at least one, no two the same.
    pub listen: Vec<SocketAddr>,
    /// Whether other requests are redirected to HTTPS.
    pub force_ssl: bool,
    /// Strict-Transport-Security (RFC 6797), when enabled.
    pub hsts: Option<Hsts>,
}

/// The header Strict-Transport-Security.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Hsts {
    /// How long a browser remembers.
    pub max_age: Duration,
    /// `includeSubDomains`
    pub include_subdomains: bool,
    /// `preload`: only with a year and all subdomains.
    pub preload: bool,
}

/// `[restart]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restart {
    /// Whether at all.
    pub when: RestartWhen,
    /// How.
    pub method: RestartMethod,
}

/// When the process may be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartWhen {
    /// Not by renewd.
    Never,
    /// When a listener cannot be added to the running process.
    ListenerAdded,
}

/// How the process is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartMethod {
    /// It replaces itself.
    Exec,
    /// It ends, and its supervisor starts it again.
    Exit,
}

/// `[admin]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admin {
    /// Where the status page listens; `None`: nowhere. Loopback unless a person allowed more.
    pub listen: Option<SocketAddr>,
}

/// Where the key that seals the vault is; never the key itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaultKeySource {
    /// A file of mode 0600.
    File(PathBuf),
    /// A systemd credential of this name (`LoadCredential=`).
    Credential(String),
    /// An environment variable of this name.
    Env(String),
}

/// `[telemetry]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Telemetry {
    /// Where traces go; `None`: nowhere.
    pub otlp_endpoint: Option<String>,
    /// The log on stderr.
    pub log: Log,
}

/// The log on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Log {
    /// Its form.
    pub format: LogFormat,
    /// From which importance on.
    pub level: LogLevel,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Importance of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Only errors.
    Error,
    /// And warnings.
    Warn,
    /// And every event.
    Info,
    /// And what led to it.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As tracing writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}
