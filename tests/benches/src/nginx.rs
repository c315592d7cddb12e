//! nginx with one worker that serves a folder on 127.0.0.1.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use renewd_tests::process::Process;
use tempfile::TempDir;

use crate::error::{BenchError, io};

/// From exec to the first connection: milliseconds.
const READY_TIME_MAX: Duration = Duration::from_secs(10);

/// A running nginx; it ends with the value.
#[derive(Debug)]
pub(crate) struct Nginx {
    _process: Process,
    _folder: TempDir, // last: removed when the process is gone
}

/// Serves `webroot` on this port. In the foreground and in one process, so that nothing outlives us.
pub(crate) fn serve(webroot: &Path, port: u16) -> Result<Nginx, BenchError> {
    let folder = tempfile::tempdir().map_err(io("make a temporary folder"))?;
    let at = folder.path().display();
    let config = format!(
        "daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log stderr;\n\
         events {{ worker_connections 1024; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;\n\
         open_file_cache max=16; default_type text/plain;\n\
         client_body_temp_path {at}/1; proxy_temp_path {at}/2; fastcgi_temp_path {at}/3;\n\
         uwsgi_temp_path {at}/4; scgi_temp_path {at}/5;\n\
         server {{ listen 127.0.0.1:{port}; root {root}; }} }}\n",
        root = webroot.display(),
    );
    let file = folder.path().join("nginx.conf");
    std::fs::write(&file, config).map_err(io("write nginx.conf"))?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(&file).arg("-p").arg(folder.path());
    let mut process = Process::start("nginx", &mut command, folder.path())?;
    process.wait_until("nginx", READY_TIME_MAX, |_| {
        TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
    })?;
    Ok(Nginx { _process: process, _folder: folder })
}
