//! Pebble, a real ACME server, and the DNS server that its validator asks.
//!
//! Both run on free loopback ports, with a configuration made for one test, and die with the value.

mod certificate;
pub mod find;
mod options;
mod said;

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

pub use self::options::{
    AccountBinding, PROFILE_DEFAULT, PROFILE_SHORTLIVED, PROFILE_TEN_MINUTES, PebbleOptions,
    Validation,
};
pub use self::said::Said;
use crate::error::HarnessError;
use crate::https::Endpoint;
use crate::ports::{self, PORT_TRIES};
use crate::process::Process;

/// From exec to the first answer. Pebble makes its keys first: 50 ms alone, seconds beside a build or
/// when its file is read for the first time.
const READY_TIME_MAX: Duration = Duration::from_secs(120);

/// What the Go runtime says when somebody was quicker at a port.
const PORT_TAKEN: &str = "address already in use";

/// A running Pebble with its DNS server.
#[derive(Debug)]
pub struct Pebble {
    pebble: Process,
    dns: Process,
    acme: Endpoint,
    management: Endpoint,
    dns_management: Endpoint,
    dns_port: u16,
    root_pem: String,
    options: PebbleOptions,
    folder: TempDir, // last: removed when both processes are gone
}

impl Pebble {
    /// Starts both and waits until they answer.
    ///
    /// # Errors
    /// When Pebble cannot be had (never skipped), or does not come up in time.
    pub fn start(options: PebbleOptions) -> Result<Self, HarnessError> {
        let mut tries = 1;
        loop {
            match Self::start_once(options.clone()) {
                Err(cause) if tries < PORT_TRIES && cause.to_string().contains(PORT_TAKEN) => {
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// What goes into `renewd`'s configuration as the CA's directory.
    pub fn directory_url(&self) -> String {
        self.acme.url("/dir")
    }

    /// Root of the certificate on Pebble's own listener: what `renewd` must trust to talk to it.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Root of the certificates that Pebble issues: what a visitor must trust.
    ///
    /// # Errors
    /// When the management listener does not answer.
    pub fn issuer_root_pem(&self) -> Result<String, HarnessError> {
        self.management.get_ok("/roots/0")
    }

    /// The ACME listener, for questions of a test's own.
    pub fn acme(&self) -> &Endpoint {
        &self.acme
    }

    /// The management listener: `/roots/N`, `/intermediates/N`, `/cert-status-by-serial/HEX`.
    pub fn management(&self) -> &Endpoint {
        &self.management
    }

    /// Where a resolver under test can ask (UDP and TCP on 127.0.0.1).
    pub fn dns_port(&self) -> u16 {
        self.dns_port
    }

    /// All that Pebble has said, over restarts too.
    pub fn log(&self) -> String {
        self.pebble.stdout()
    }

    /// How often Pebble says these words from now on. It says what it has done before it answers.
    pub fn said(&self, words: &str) -> Said {
        Said::new(self.pebble.stdout_file().to_owned(), words)
    }

    /// Requests so far of one kind, as Pebble names them: `"POST /order-plz"`, `"POST /my-order/"`,
    /// `"POST /authZ/"`, `"POST /chalZ/"`, `"POST /finalize-order/"`, `"POST /certZ/"`,
    /// `"POST /sign-me-up"`, `"POST /my-account/"`, `"POST /list-orderz/"`, `"HEAD /nonce-plz"`,
    /// `"GET /dir"`, `"GET /draft-ietf-acme-ari-03/renewalInfo/"`.
    ///
    /// A request whose nonce was refused counts too (5 % by default): for "how many orders" use
    /// [`Pebble::orders_made`].
    pub fn count(&self, request: &str) -> usize {
        self.requests().get(request).copied().unwrap_or(0)
    }

    /// Every kind of request with its number, as [`Pebble::count`] names them.
    pub fn requests(&self) -> BTreeMap<String, usize> {
        requests_in(&self.log())
    }

    /// Orders that Pebble really made.
    pub fn orders_made(&self) -> usize {
        self.log().lines().filter(|line| line.contains("Added order ")).count()
    }

    /// Sets what ARI answers for a certificate; any text, so that broken answers can be tried.
    ///
    /// # Errors
    /// When Pebble did not issue this certificate, or does not answer.
    pub fn set_renewal_info(&self, certificate: &str, answer: &str) -> Result<(), HarnessError> {
        let body = json!({"certificate": certificate, "ariResponse": answer});
        self.management.post_ok("/set-renewal-info/", &body.to_string()).map(drop)
    }

    /// Sets the ARI window of a certificate (both RFC 3339).
    ///
    /// # Errors
    /// As [`Pebble::set_renewal_info`].
    pub fn set_renewal_window(
        &self,
        certificate: &str,
        start: &str,
        end: &str,
    ) -> Result<(), HarnessError> {
        let answer = json!({"suggestedWindow": {"start": start, "end": end}});
        self.set_renewal_info(certificate, &answer.to_string())
    }

    /// Commands the DNS server: `add-a` `{"host": "x.test.", "addresses": ["192.0.2.1"]}`,
    /// `set-servfail` `{"host": ..}`, `add-caa`, `set-txt`, `clear-a` and so on. Names end in a dot.
    ///
    /// # Errors
    /// When it does not know the command or the body.
    pub fn set_dns(&self, command: &str, body: &Value) -> Result<(), HarnessError> {
        self.dns_management.post_ok(&format!("/{command}"), &body.to_string()).map(drop)
    }

    /// Kills Pebble: the CA is down. The DNS server stays.
    ///
    /// # Errors
    /// When the process cannot be killed.
    pub fn stop(&mut self) -> Result<(), HarnessError> {
        self.pebble.sigkill()
    }

    /// How the validator of the next [`Pebble::start_again`] behaves.
    pub fn set_validation(&mut self, validation: Validation) {
        self.options.validation = validation;
    }

    /// Starts Pebble again at the same address: a CA that has lost its memory and its issuer.
    ///
    /// # Errors
    /// When it does not come up in time.
    pub fn start_again(&mut self) -> Result<(), HarnessError> {
        self.stop()?;
        self.pebble = spawn_pebble(&self.folder, &self.options, self.dns_port)?;
        wait_for_pebble(&mut self.pebble, &self.acme, &self.management)
    }

    fn start_once(options: PebbleOptions) -> Result<Self, HarnessError> {
        let folder = tempfile::tempdir().map_err(HarnessError::io("make", "a temporary folder"))?;
        let listener = certificate::make()?;
        let dns_port = ports::free_for_dns()?;
        let [acme_port, management_port, dns_management_port] = ports::free::<3>()?;
        let config = options.config(acme_port, management_port).to_string();
        for (name, content) in [
            ("pebble.json", &config),
            ("listener.pem", &listener.leaf_pem),
            ("listener.key", &listener.leaf_key_pem),
        ] {
            fs::write(folder.path().join(name), content)
                .map_err(HarnessError::io("write", name))?;
        }
        let dns = start_dns(&folder, dns_port, dns_management_port)?;
        let pebble = spawn_pebble(&folder, &options, dns_port)?;
        let roots = Some(listener.root_pem.clone());
        let mut started = Self {
            pebble,
            dns,
            acme: loopback(acme_port, roots.clone()),
            management: loopback(management_port, roots),
            dns_management: loopback(dns_management_port, None),
            dns_port,
            root_pem: listener.root_pem,
            options,
            folder,
        };
        wait_for_pebble(&mut started.pebble, &started.acme, &started.management)?;
        Ok(started)
    }

    /// What the DNS server has said.
    pub fn dns_log(&self) -> String {
        self.dns.stdout()
    }
}

fn loopback(port: u16, roots_pem: Option<String>) -> Endpoint {
    Endpoint { port, host: Ipv4Addr::LOCALHOST.to_string(), roots_pem }
}

fn spawn_pebble(
    folder: &TempDir,
    options: &PebbleOptions,
    dns_port: u16,
) -> Result<Process, HarnessError> {
    let mut command = Command::new(find::find()?.pebble);
    command
        .args(["-config", "pebble.json", "-dnsserver", &format!("127.0.0.1:{dns_port}")])
        .envs(options.environment())
        .current_dir(folder);
    Process::start("pebble", &mut command, folder.path())
}

/// Both listeners must answer: the management one comes up by itself, a moment before or after.
fn wait_for_pebble(
    pebble: &mut Process,
    acme: &Endpoint,
    management: &Endpoint,
) -> Result<(), HarnessError> {
    let mut last = None;
    let up = pebble.wait_until("Pebble's first answer", READY_TIME_MAX, |_| {
        let answer = management.get_ok("/roots/0").and_then(|_| acme.get_ok("/dir"));
        answer.map_err(|cause| last = Some(cause)).ok().map(drop)
    });
    match (up, last) {
        // Silence of a running Pebble explains nothing; why the last question failed does.
        (Err(HarnessError::TooLate { what, bound, evidence }), Some(cause)) => {
            let evidence = format!("{evidence}\n  last try: {cause}");
            Err(HarnessError::TooLate { what, bound, evidence })
        }
        (up, _) => up,
    }
}

fn start_dns(folder: &TempDir, port: u16, management: u16) -> Result<Process, HarnessError> {
    let mut command = Command::new(find::find()?.challtestsrv);
    command
        .args(["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""])
        .args(["-dnsserver", &format!("127.0.0.1:{port}")])
        .args(["-management", &format!("127.0.0.1:{management}")])
        .args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", ""])
        .current_dir(folder);
    let mut dns = Process::start("dns", &mut command, folder.path())?;
    // It goes on without a port it did not get, and only says so.
    let got_its_ports = dns.wait_until("the DNS server", READY_TIME_MAX, |dns| {
        let open = |port| TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok();
        let up = open(port) && open(management);
        match dns.stdout().contains(PORT_TAKEN) {
            true => Some(false),
            false => up.then_some(true),
        }
    })?;
    if got_its_ports {
        return Ok(dns);
    }
    Err(HarnessError::io("start", "the DNS server")(std::io::Error::other(PORT_TAKEN)))
}

/// `Pebble 2026/11/24 06:52:27 POST /order-plz -> calling handler()`: method and pattern.
fn requests_in(log: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in log.lines() {
        let Some(words) = line.strip_suffix(" -> calling handler()") else {
            continue;
        };
        let mut last = words.rsplit(' ');
        if let (Some(path), Some(method)) = (last.next(), last.next()) {
            *counts.entry(format!("{method} {path}")).or_insert(0) += 1;
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_method_and_pattern_and_other_lines_are_not() {
        let log = "\
Pebble 2026/11/24 06:52:27 Starting Pebble ACME server
Pebble 2026/11/24 06:52:28 POST /order-plz -> calling handler()
Pebble 2026/11/24 06:52:28 Added order \"x\" to the db
Pebble 2026/11/24 06:52:28 HEAD /nonce-plz -> calling handler()
Pebble 2026/11/24 06:52:29 POST /order-plz -> calling handler()
Pebble 2026/11/24 06:52:29 POST /order-plz -> cal";
        let expected = [("HEAD /nonce-plz".to_owned(), 1), ("POST /order-plz".to_owned(), 2)];
        assert_eq!(requests_in(log), BTreeMap::from(expected));
    }
}
