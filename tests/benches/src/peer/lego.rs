//! lego's command line: one process gets one certificate; what it keeps is in one folder.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use super::find;
use crate::error::{BenchError, io};

/// A folder with the root to trust when talking to the CA.
pub(crate) fn folder(root_pem: &str) -> Result<TempDir, BenchError> {
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    std::fs::write(folder.path().join("root.pem"), root_pem).map_err(io("write root.pem"))?;
    Ok(folder)
}

/// `lego run` for one name in such a folder; `challenge` says how http-01 is answered.
pub(crate) fn command(
    folder: &Path,
    directory_url: &str,
    name: &str,
    challenge: &[String],
) -> Result<Command, BenchError> {
    let mut command = Command::new(find("lego")?);
    command
        .args(["--server", directory_url, "--accept-tos"])
        .args(["--email", "ops@example.org", "--path", "lego"])
        .args(["--domains", name, "--key-type", "ec256"])
        .arg("--http")
        .args(challenge)
        .arg("run")
        .env("LEGO_CA_CERTIFICATES", folder.join("root.pem"))
        .current_dir(folder);
    Ok(command)
}

/// It listens by itself, on this port of 127.0.0.1.
pub(crate) fn standalone(port: u16) -> [String; 2] {
    ["--http.port".to_owned(), format!("127.0.0.1:{port}")]
}
