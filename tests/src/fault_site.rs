//! A site whose CA is the one that misbehaves on demand (`renewd-testca`), beside a host with the
//! real `renewd`: real HTTPS, real http-01, real log.
//!
//! The CA writes down every deviation from RFC 8555. A site that is dropped with one in the ledger
//! fails its test, so no test can forget to look.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use renewd_testca::{Options, TestCa};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::error::HarnessError;
use crate::host::Host;
use crate::ports;
use crate::process::Process;
use crate::record::Record;
use crate::site::{Place, VAULT_KEY, Wanted};
use crate::tls::{self, Served};

/// Threads of the CA: it mostly waits for the program under test.
const CA_THREADS: usize = 1;

/// A fault CA with the runtime it lives on. Dropping it with violations in its ledger panics.
#[derive(Debug)]
pub struct FaultCa {
    ca: Option<TestCa>,
    runtime: Runtime,
}

impl FaultCa {
    /// Starts one.
    ///
    /// # Errors
    /// When there is no runtime or no port.
    pub fn start(options: Options) -> Result<Self, HarnessError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(CA_THREADS)
            .enable_all()
            .build()
            .map_err(HarnessError::io("start", "the fault CA's runtime"))?;
        let ca = runtime
            .block_on(TestCa::start(options))
            .map_err(HarnessError::io("start", "the fault CA"))?;
        Ok(Self { ca: Some(ca), runtime })
    }

    /// Ends the CA at its port; what it knew is gone.
    pub fn stop(&mut self) {
        if let Some(ca) = self.ca.take() {
            self.settle(&ca);
            self.runtime.block_on(ca.shutdown());
        }
    }

    /// The deviations that were expected and looked at: what is in the ledger now is forgiven, and
    /// handed over.
    pub fn forgive(&self) -> Vec<String> {
        self.ca.as_ref().map(TestCa::forgive).unwrap_or_default()
    }

    #[expect(clippy::panic, reason = "a client that breaks RFC 8555 fails its test")]
    fn settle(&self, ca: &TestCa) {
        let violations = ca.violations();
        if !violations.is_empty() && !std::thread::panicking() {
            panic!("the client broke RFC 8555:\n  {}", violations.join("\n  "));
        }
    }
}

impl std::ops::Deref for FaultCa {
    type Target = TestCa;

    #[expect(clippy::expect_used, reason = "a test that stopped its CA and asks it is wrong")]
    fn deref(&self) -> &TestCa {
        self.ca.as_ref().expect("the fault CA was stopped")
    }
}

impl Drop for FaultCa {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A fault CA, a host and a configuration that fits both. `renewd` is started by the test.
#[derive(Debug)]
pub struct FaultSite {
    /// The CA.
    pub ca: FaultCa,
    /// The host.
    pub host: Host,
    /// The certificates; after a change call [`FaultSite::configure`].
    pub certificates: Vec<Wanted>,
    http_port: u16,
}

impl FaultSite {
    /// Starts the CA and writes the configuration. The http-01 target of the options is set here.
    ///
    /// # Errors
    /// When there is no port or the binary cannot be had.
    pub fn start(options: Options, certificates: Vec<Wanted>) -> Result<Self, HarnessError> {
        let [http_port] = ports::free()?;
        let http01_target = SocketAddr::from(([127, 0, 0, 1], http_port));
        let ca = FaultCa::start(Options { http01_target, ..options })?;
        let host = Host::new()?;
        host.write("ca.pem", ca.root_pem())?;
        let key = host.write("vault.key", VAULT_KEY)?;
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600))
            .map_err(HarnessError::io("set the mode of", "vault.key"))?;
        let site = Self { ca, host, certificates, http_port };
        site.configure()?;
        Ok(site)
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self) -> Result<(), HarnessError> {
        let mut toml = format!(
            "version = 1\nstate_dir = \"state\"\n\n[account]\nca = \"{}\"\nemail = \"ops@example.org\"\n\
             terms_accepted = true\nca_root_file = \"ca.pem\"\n\n[renew]\nretry_first = \"1s\"\n\n\
             [http]\nlisten = [\"127.0.0.1:{}\"]\n\n[admin]\nlisten = \"\"\n\n[vault]\nkey_file = \
             \"vault.key\"\n",
            self.ca.directory_url(),
            self.http_port,
        );
        for one in &self.certificates {
            let bind = match &one.place {
                Place::Port(port) => {
                    format!("target = \"builtin\"\naddress = \"127.0.0.1\"\nport = {port}")
                }
                Place::Bind(lines) => lines.clone(),
            };
            toml += &format!(
                "\n[[certificate]]\nname = {:?}\ndomains = {:?}\n[[certificate.bind]]\n{bind}\n",
                one.name, one.domains
            );
        }
        self.host.write_config(&toml)
    }

    /// Starts `renewd run`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self) -> Result<Process, HarnessError> {
        self.host.start(&["run"])
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
    /// When `renewd` ends first or [`crate::site::EVENT_TIME_MAX`] goes by.
    pub fn wait_for(
        &self,
        renewd: &mut Process,
        name: &str,
        count: usize,
    ) -> Result<Vec<Record>, HarnessError> {
        self.host.wait_for(renewd, name, count)
    }

    /// What a command prints.
    ///
    /// # Errors
    /// When it cannot be started or does not end.
    pub fn said(&self, arguments: &[&str]) -> Result<String, HarnessError> {
        let ran = self.host.run(arguments)?;
        Ok(ran.stdout + &ran.stderr)
    }

    /// The row of a certificate in `renewd status --json`; null when there is none.
    ///
    /// # Errors
    /// As [`FaultSite::said`].
    pub fn status(&self, name: &str) -> Result<Value, HarnessError> {
        let ran = self.host.run(&["status", "--json"])?;
        let all: Value = serde_json::from_str(&ran.stdout).unwrap_or_default();
        let rows = all.get("data").and_then(Value::as_array);
        let row = rows.into_iter().flatten().find(|row| row.get("name") == Some(&name.into()));
        Ok(row.cloned().unwrap_or_default())
    }

    /// Shakes hands where `wanted` is served; the chain must lead to the CA's default root.
    ///
    /// # Errors
    /// When nobody answers there, or the certificate does not fit.
    pub fn handshake(&self, wanted: &Wanted) -> Result<Served, HarnessError> {
        let address = wanted.address().unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 0)));
        let name = wanted.domains.first().map(String::as_str).unwrap_or_default();
        tls::handshake(address, name, self.ca.issuer_root_pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::https::Endpoint;

    /// A signed URL asked by GET (RFC 8555 §6.3), as a careless client might.
    fn break_a_rule(ca: &FaultCa) {
        let endpoint = Endpoint {
            port: ca.address().port(),
            host: ca.address().ip().to_string(),
            roots_pem: Some(ca.root_pem().to_owned()),
        };
        let directory = endpoint.get("/directory").unwrap();
        let directory: Value = serde_json::from_str(&directory.body).unwrap();
        let url = directory["newOrder"].as_str().unwrap();
        let path = url.splitn(4, '/').last().unwrap();
        endpoint.get(&format!("/{path}")).unwrap();
    }

    #[test]
    #[should_panic(expected = "the client broke RFC 8555")]
    fn a_deviation_in_the_ledger_fails_the_test_that_owns_the_ca() {
        let ca = FaultCa::start(Options::default()).unwrap();
        break_a_rule(&ca);
    }

    #[test]
    fn a_deviation_that_was_looked_at_is_forgiven() {
        let ca = FaultCa::start(Options::default()).unwrap();
        break_a_rule(&ca);
        assert_eq!(ca.forgive().len(), 1);
    }
}
