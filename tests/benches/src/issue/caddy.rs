//! Caddy: a server, so it is watched until it has downloaded and serves all certificates.

use std::process::Command;
use std::time::{Duration, Instant};

use renewd_tests::process::Process;
use renewd_tests::tls;

use super::{Ca, Spent, peer};
use crate::error::{BenchError, io};
use crate::{rig, usage};

/// Until all are served. Its own limiter allows ten orders in ten seconds.
const TIME_MAX: Duration = Duration::from_secs(150);
/// Between two looks: the error of its wall time.
const LOOK_EVERY: Duration = Duration::from_millis(2);

pub(super) fn run(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let program = peer::find("caddy")?;
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    let root = folder.path().join("root.pem");
    std::fs::write(&root, ca.pebble.root_pem()).map_err(io("write root.pem"))?;
    let names: Vec<String> = (0..certificates).map(peer::domain).collect();
    let config = folder.path().join("Caddyfile");
    std::fs::write(&config, caddyfile(ca, &names)).map_err(io("write the Caddyfile"))?;
    let issuer_root = ca.pebble.issuer_root_pem()?;
    let before = ca.requests();
    let mut command = Command::new(program);
    command
        .args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"])
        .env("XDG_DATA_HOME", folder.path())
        .env("XDG_CONFIG_HOME", folder.path())
        .current_dir(folder.path());
    let from = Instant::now();
    let mut caddy = Process::start("caddy", &mut command, folder.path())?;
    // Visitors before that would only keep it busy.
    caddy.wait_until("Caddy's downloads", TIME_MAX, |_| {
        (ca.pebble.count("POST /certZ/") >= names.len()).then_some(())
    })?;
    let address = ([127, 0, 0, 1], ca.https_port).into();
    for name in &names {
        while tls::handshake(address, name, &issuer_root).is_err() {
            if from.elapsed() > TIME_MAX || caddy.ended().is_some() {
                return Err(BenchError::Wrong(format!(
                    "{name} was not served: {}",
                    caddy.stderr()
                )));
            }
            rig::pause(LOOK_EVERY);
        }
    }
    let spent = Spent {
        wall_s: from.elapsed().as_secs_f64(),
        cpu_s: usage::cpu_s(caddy.id())?,
        peak_mib: usage::peak_mib(caddy.id()).unwrap_or(f64::NAN),
        requests: f64::from(ca.requests().saturating_sub(before)),
    };
    caddy.sigkill()?;
    Ok(spent)
}

fn caddyfile(ca: &Ca, names: &[String]) -> String {
    let sites: Vec<String> =
        names.iter().map(|name| format!("https://{name}:{}", ca.https_port)).collect();
    format!(
        "{{\n  admin off\n  http_port {http}\n  https_port {https}\n  default_bind 127.0.0.1\n  \
         email ops@example.org\n  acme_ca {url}\n  acme_ca_root root.pem\n}}\n\
         {sites} {{\n  respond \"served\"\n}}\n",
        http = ca.http_port,
        https = ca.https_port,
        url = ca.pebble.directory_url(),
        sites = sites.join(", "),
    )
}
