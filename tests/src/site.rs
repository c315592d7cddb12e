//! A whole site: a Pebble, a host, and a `renewd.toml` that fits both.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::HarnessError;
use crate::host::Host;
use crate::passage::Passage;
use crate::pebble::{PROFILE_DEFAULT, Pebble, PebbleOptions};
use crate::ports;
use crate::process::Process;
use crate::record::Record;
use crate::tls::{self, Served};

/// One event of a run. A hundred names take some seconds on two cores beside other tests; the wait ends
/// with the event, so the rest is for a machine that is slow or stands still for a while.
pub const EVENT_TIME_MAX: Duration = Duration::from_secs(240);

/// The key that seals the vault of a test, in base64: no secret.
pub(crate) const VAULT_KEY: &str = "cmVuZXdkIHRlc3Qga2V5LCBub3QgYSBzZWNyZXQgISE=\n";

/// A certificate that a test wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its configured name.
    pub name: String,
    /// The names in it.
    pub domains: Vec<String>,
    /// The profile asked for.
    pub profile: String,
    /// Where it is served.
    pub place: Place,
}

/// Where a certificate is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `renewd`'s own listener on this port of 127.0.0.1.
    Port(u16),
    /// The lines of a `[[certificate.bind]]`.
    Bind(String),
}

impl Wanted {
    /// A certificate for `domains` on a free port of its own.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new(name: &str, domains: &[&str]) -> Result<Self, HarnessError> {
        let [port] = ports::free()?;
        Ok(Self {
            name: name.to_owned(),
            domains: domains.iter().map(|&domain| domain.to_owned()).collect(),
            profile: PROFILE_DEFAULT.to_owned(),
            place: Place::Port(port),
        })
    }

    /// The same with another profile.
    #[must_use]
    pub fn with_profile(mut self, profile: &str) -> Self {
        profile.clone_into(&mut self.profile);
        self
    }

    /// The same somewhere else.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// Where it is served by `renewd` itself.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Port(port) => Some(SocketAddr::from(([127, 0, 0, 1], port))),
            Place::Bind(_) => None,
        }
    }

    /// Its part of the configuration.
    fn toml(&self) -> String {
        let bind = match &self.place {
            Place::Port(port) => {
                format!("target = \"builtin\"\naddress = \"127.0.0.1\"\nport = {port}")
            }
            Place::Bind(lines) => lines.clone(),
        };
        format!(
            "\n[[certificate]]\nname = {:?}\ndomains = {:?}\nprofile = {:?}\n[[certificate.bind]]\n{bind}\n",
            self.name, self.domains, self.profile
        )
    }
}

/// What a test may change before [`Site::start`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The CA.
    pub pebble: PebbleOptions,
    /// The certificates.
    pub certificates: Vec<Wanted>,
    /// Whether the terms are accepted.
    pub terms_accepted: bool,
    /// Where `renewd` answers challenges: the port that the CA's validator asks, unless something
    /// stands between them.
    pub responder_port: u16,
}

impl Plan {
    /// These certificates from a Pebble as it comes.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new(certificates: Vec<Wanted>) -> Result<Self, HarnessError> {
        let [http] = ports::free()?;
        Ok(Self {
            pebble: PebbleOptions::for_responder(http),
            certificates,
            terms_accepted: true,
            responder_port: http,
        })
    }

    /// These certificates from a Pebble that does the same every time.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn repeatable(certificates: Vec<Wanted>) -> Result<Self, HarnessError> {
        let mut plan = Self::new(certificates)?;
        plan.pebble = PebbleOptions::repeatable(plan.pebble.http_port);
        Ok(plan)
    }
}

/// A CA, a host and the passage between them. `renewd` itself is started by the test.
#[derive(Debug)]
pub struct Site {
    /// The plan; after a change call [`Site::configure`].
    pub plan: Plan,
    /// The CA.
    pub pebble: Pebble,
    /// The way to it.
    pub passage: Passage,
    /// The host.
    pub host: Host,
}

impl Site {
    /// Starts Pebble and writes the configuration.
    ///
    /// # Errors
    /// When Pebble or the binary cannot be had.
    pub fn start(plan: Plan) -> Result<Self, HarnessError> {
        let host = Host::new()?;
        let pebble = Pebble::start(plan.pebble.clone())?;
        let [port] = ports::free()?;
        let passage = Passage::open(port, pebble.acme().port)?;
        host.write("ca.pem", pebble.root_pem())?;
        let site = Self { plan, pebble, passage, host };
        site.write_vault_key(VAULT_KEY)?;
        site.configure()?;
        Ok(site)
    }

    /// Writes the configuration of the plan.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self) -> Result<(), HarnessError> {
        self.host.write_config(&self.toml())
    }

    /// The configuration of the plan.
    pub fn toml(&self) -> String {
        let mut toml = format!(
            "version = 1\nstate_dir = \"state\"\n\n[account]\nca = \"https://127.0.0.1:{}/dir\"\nemail = \
             \"ops@example.org\"\nterms_accepted = {}\nca_root_file = \"ca.pem\"\n\n[renew]\nretry_first = \
             \"1s\"\n\n[http]\nlisten = [\"127.0.0.1:{}\"]\n\n[admin]\nlisten = \"\"\n\n[vault]\nkey_file = \
             \"vault.key\"\n",
            self.passage.port(),
            self.plan.terms_accepted,
            self.plan.responder_port,
        );
        toml.extend(self.plan.certificates.iter().map(Wanted::toml));
        toml
    }

    /// Writes the vault's key, for its owner only.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_vault_key(&self, text: &str) -> Result<(), HarnessError> {
        let path = self.host.write("vault.key", text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))
            .map_err(HarnessError::io("set the mode of", "vault.key"))
    }

    /// Starts `renewd run`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self) -> Result<Process, HarnessError> {
        self.host.start(&["run"])
    }

    /// The log's directory.
    pub fn log(&self) -> PathBuf {
        self.host.log()
    }

    /// All events so far; none while there is no log.
    pub fn events(&self) -> Vec<Record> {
        self.host.events()
    }

    /// The events of one kind so far.
    pub fn events_named(&self, name: &str) -> Vec<Record> {
        self.host.events_named(name)
    }

    /// Waits until there are `count` events of this kind, and returns them.
    ///
    /// # Errors
    /// When `renewd` ends first or [`EVENT_TIME_MAX`] goes by.
    pub fn wait_for(
        &self,
        renewd: &mut Process,
        name: &str,
        count: usize,
    ) -> Result<Vec<Record>, HarnessError> {
        self.host.wait_for(renewd, name, count)
    }

    /// Shakes hands where `wanted` is served, asking for `name`; the chain must lead to Pebble's
    /// present root.
    ///
    /// # Errors
    /// When nobody answers there, or the certificate does not fit.
    pub fn handshake(&self, wanted: &Wanted, name: &str) -> Result<Served, HarnessError> {
        let address = wanted.address().ok_or_else(|| {
            HarnessError::io("shake hands with", &*wanted.name)(std::io::Error::other(
                "it is not served by renewd itself",
            ))
        })?;
        tls::handshake(address, name, &self.pebble.issuer_root_pem()?)
    }

    /// Asks the responder for `path`, as a CA's validator does.
    ///
    /// # Errors
    /// When nobody answers.
    pub fn ask_responder(&self, path: &str) -> Result<crate::https::Answer, HarnessError> {
        let responder = crate::https::Endpoint {
            port: self.plan.responder_port,
            host: "127.0.0.1".to_owned(),
            roots_pem: None,
        };
        responder.get(path)
    }
}
