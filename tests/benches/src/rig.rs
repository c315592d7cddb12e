//! The real binary on a temporary host: its configuration, and what its log says.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use renewd_events::id::Seq;
use renewd_events::log::MirrorReader;
use renewd_events::{Envelope, WallMs};
use renewd_tests::host::Host;
use renewd_tests::process::Process;

use crate::error::{BenchError, io};
use crate::history::Lineage;

/// Any value will do: it seals the keys of one run in a folder that is removed after it.
const VAULT_KEY: [u8; 32] = [7; 32];
/// Renewals at once: renewd's largest, as a fleet's first start would set it.
const PARALLEL: u8 = 32;

/// What differs between the benches.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The CA's directory.
    pub(crate) directory_url: &'a str,
    /// The root to trust when talking to it; the system's when absent.
    pub(crate) root_pem: Option<&'a str>,
    /// The responder's port on 127.0.0.1.
    pub(crate) http_port: u16,
    /// The port on 127.0.0.1 where all certificates are served; absent: nowhere.
    pub(crate) https_port: Option<u16>,
    /// The profile of all certificates; absent: the CA's default.
    pub(crate) profile: Option<&'a str>,
    /// The certificates.
    pub(crate) sites: &'a [Lineage],
}

/// A host with this configuration and an empty state directory.
pub(crate) fn host(wanted: &Wanted<'_>) -> Result<Host, BenchError> {
    let host = Host::new()?;
    let key = host.write("vault.key", VAULT_KEY)?;
    std::fs::set_permissions(&key, Permissions::from_mode(0o600))
        .map_err(io("close the vault's key to others"))?;
    let mut toml = format!(
        "version = 1\nstate_dir = {state:?}\n\
         [account]\nca = {ca:?}\nterms_accepted = true\n",
        state = host.state_dir(),
        ca = wanted.directory_url,
    );
    if let Some(pem) = wanted.root_pem {
        toml.push_str(&format!("ca_root_file = {:?}\n", host.write("root.pem", pem)?));
    }
    toml.push_str(&format!(
        "[renew]\nari = false\nmax_parallel = {PARALLEL}\n\
         [http]\nlisten = [\"127.0.0.1:{port}\"]\n[vault]\nkey_file = {key:?}\n",
        port = wanted.http_port,
    ));
    for site in wanted.sites {
        toml.push_str(&certificate(wanted, site));
    }
    host.write_config(&toml)?;
    Ok(host)
}

fn certificate(wanted: &Wanted<'_>, site: &Lineage) -> String {
    let (name, domain) = (&site.name, site.domain.as_str());
    let mut toml = format!("[[certificate]]\nname = {name:?}\ndomains = [{domain:?}]\n");
    if let Some(profile) = wanted.profile {
        toml.push_str(&format!("profile = {profile:?}\n"));
    }
    if let Some(port) = wanted.https_port {
        toml.push_str(&format!("bind = {{ address = \"127.0.0.1\", port = {port} }}\n"));
    }
    toml
}

/// Waits until the engine says that so many events of this name have happened.
pub(crate) fn wait_for(
    renewd: &mut Process,
    event: &str,
    count: usize,
    bound: Duration,
) -> Result<(), BenchError> {
    // A line names its event and goes on with a sentence.
    let needle = format!("\"message\":\"{event}: ");
    let what = format!("{count} times {event}");
    Ok(renewd.wait_until(&what, bound, |renewd| {
        (renewd.stderr().matches(&needle).count() >= count).then_some(())
    })?)
}

/// All events of a host's log so far.
pub(crate) fn events(host: &Host) -> Result<Vec<Envelope>, BenchError> {
    let reader = MirrorReader::open(&host.state_dir().join("log"))?;
    Ok(reader.envelopes(Seq(1))?.collect::<Result<_, _>>()?)
}

/// The present wall time, as the log writes it.
pub(crate) fn now() -> WallMs {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    WallMs(u64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(u64::MAX))
}

/// A short pause between two looks. Only benches of real processes in real time use it.
#[expect(clippy::disallowed_methods, reason = "benches watch real processes in real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}
