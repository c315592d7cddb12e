//! What the demo left behind, read by this program's own commands: `renewd status`, `log verify` …

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use super::error::DemoError;

/// A reading command folds some KiB of log; this is a machine that stands still.
const COMMAND_MAX: Duration = Duration::from_secs(20);

/// Runs `renewd --config FILE COMMAND` and gives what it printed.
pub(super) async fn read(config: &Path, command: &'static str) -> Result<String, DemoError> {
    let program = std::env::current_exe().map_err(DemoError::io("find", "renewd itself"))?;
    let run = Command::new(program)
        .arg("--config")
        .arg(config)
        .args(command.split_whitespace())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ran = tokio::time::timeout(COMMAND_MAX, run)
        .await
        .unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        .map_err(DemoError::io("run", command))?;
    if ran.status.success() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    Err(DemoError::Reading {
        command,
        status: ran.status.to_string(),
        said: String::from_utf8_lossy(&ran.stderr).trim_end().to_owned(),
    })
}
