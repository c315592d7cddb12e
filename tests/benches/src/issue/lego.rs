//! lego: one process per certificate, as its command line works.

use std::path::Path;
use std::process::Command;

use renewd_tests::error::HarnessError;
use tempfile::TempDir;

use super::{Ca, Spent, peer};
use crate::error::{BenchError, io};
use crate::nginx;

/// Processes at once in the parallel measure.
const AT_ONCE: usize = 50;

/// One process after the other, each with its own listener for the challenge.
pub(super) fn one_by_one(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let folder = folder(ca)?;
    let listen = format!("127.0.0.1:{}", ca.http_port);
    let challenge = ["--http.port".to_owned(), listen];
    let commands = commands(ca, folder.path(), 0..certificates, &challenge)?;
    peer::spend(ca, folder.path(), commands, 1)
}

/// Many processes at once. Only one of them could have the challenge's port, so they write the tokens
/// to a folder that nginx serves; nginx's time is not counted. The account is made before.
pub(super) fn fifty_at_once(ca: &Ca, certificates: u32) -> Result<Spent, BenchError> {
    let folder = folder(ca)?;
    let webroot = folder.path().join("webroot");
    std::fs::create_dir(&webroot).map_err(io("make the webroot"))?;
    let _nginx = nginx::serve(&webroot, ca.http_port)?;
    let challenge = ["--http.webroot".to_owned(), webroot.display().to_string()];
    let first = commands(ca, folder.path(), certificates..certificates + 1, &challenge)?;
    peer::spend(ca, folder.path(), first, 1)?;
    let commands = commands(ca, folder.path(), 0..certificates, &challenge)?;
    peer::spend(ca, folder.path(), commands, AT_ONCE)
}

fn folder(ca: &Ca) -> Result<TempDir, BenchError> {
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    std::fs::write(folder.path().join("root.pem"), ca.pebble.root_pem())
        .map_err(HarnessError::io("write", "root.pem"))?;
    Ok(folder)
}

fn commands(
    ca: &Ca,
    folder: &Path,
    numbers: std::ops::Range<u32>,
    challenge: &[String],
) -> Result<Vec<(String, Command)>, BenchError> {
    let program = peer::find("lego")?;
    let commands = numbers.map(|number| {
        let mut command = Command::new(&program);
        command
            .args(["--server", &ca.pebble.directory_url(), "--accept-tos"])
            .args(["--email", "ops@example.org", "--path", "lego"])
            .args(["--domains", &peer::domain(number), "--key-type", "ec256"])
            .arg("--http")
            .args(challenge)
            .arg("run")
            .env("LEGO_CA_CERTIFICATES", folder.join("root.pem"))
            .current_dir(folder);
        (format!("lego-{number}"), command)
    });
    Ok(commands.collect())
}
