//! Caddy as it is told to serve some names over HTTPS; what it keeps is in one folder.

use std::path::PathBuf;
use std::process::Command;

use renewd_tests::process::Process;
use tempfile::TempDir;

use super::find;
use crate::error::{BenchError, io};

/// What differs between the benches.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    /// The CA's directory.
    pub(crate) directory_url: &'a str,
    /// The root to trust when talking to it.
    pub(crate) root_pem: &'a str,
    /// Its port for http-01, on 127.0.0.1.
    pub(crate) http_port: u16,
    /// Where it serves, and answers tls-alpn-01.
    pub(crate) https_port: u16,
    /// The names to serve.
    pub(crate) names: &'a [String],
    /// More lines of its global options.
    pub(crate) options: &'a str,
}

/// A folder with a configuration, and whatever Caddy will keep.
#[derive(Debug)]
pub(crate) struct Site {
    program: PathBuf,
    folder: TempDir,
}

impl Site {
    /// Writes the configuration.
    pub(crate) fn new(wanted: &Wanted<'_>) -> Result<Self, BenchError> {
        let program = find("caddy")?;
        let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
        std::fs::write(folder.path().join("root.pem"), wanted.root_pem)
            .map_err(io("write root.pem"))?;
        std::fs::write(folder.path().join("Caddyfile"), caddyfile(wanted))
            .map_err(io("write the Caddyfile"))?;
        Ok(Self { program, folder })
    }

    /// Starts it, for the first time or with all that an earlier process has kept.
    pub(crate) fn start(&self) -> Result<Process, BenchError> {
        let folder = self.folder.path();
        let mut command = Command::new(&self.program);
        command
            .args(["run", "--config", "Caddyfile", "--adapter", "caddyfile"])
            .env("XDG_DATA_HOME", folder)
            .env("XDG_CONFIG_HOME", folder)
            .current_dir(folder);
        Ok(Process::start("caddy", &mut command, folder)?)
    }
}

fn caddyfile(wanted: &Wanted<'_>) -> String {
    let (http, https) = (wanted.http_port, wanted.https_port);
    let sites: Vec<String> =
        wanted.names.iter().map(|name| format!("https://{name}:{https}")).collect();
    format!(
        "{{\n  admin off\n  http_port {http}\n  https_port {https}\n  default_bind 127.0.0.1\n  \
         email ops@example.org\n  acme_ca {url}\n  acme_ca_root root.pem\n{options}}}\n\
         {sites} {{\n  respond \"served\"\n}}\n",
        url = wanted.directory_url,
        options = wanted.options,
        sites = sites.join(", "),
    )
}
