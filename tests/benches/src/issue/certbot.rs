//! certbot in its standalone mode: one process per certificate.

use std::process::Command;

use super::{Ca, Spent, spend};
use crate::error::{BenchError, io};
use crate::peer;

pub(super) fn one_by_one(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let program = peer::find("certbot")?;
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    let root = folder.path().join("root.pem");
    std::fs::write(&root, ca.pebble.root_pem()).map_err(io("write root.pem"))?;
    let commands = (0..certificates).map(|number| {
        let mut command = Command::new(&program);
        command
            .args(["certonly", "--standalone", "--non-interactive", "--agree-tos"])
            .args(["--email", "ops@example.org", "--key-type", "ecdsa"])
            .args(["--server", &ca.pebble.directory_url()])
            .args(["--http-01-address", "127.0.0.1"])
            .args(["--http-01-port", &ca.http_port.to_string()])
            .args(["--config-dir", "config", "--work-dir", "work", "--logs-dir", "logs"])
            .args(["--domain", &peer::domain(number)])
            .env("REQUESTS_CA_BUNDLE", &root)
            .current_dir(folder.path());
        (format!("certbot-{number}"), command)
    });
    spend::spend(ca, folder.path(), commands.collect(), 1)
}
