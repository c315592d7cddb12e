//! The engine as a process of its own: `renewd --config FILE run`, the same binary.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::error::DemoError;

/// A clean stop drains the actors for at most 5 s; twice that is a process that hangs.
const STOP_MAX: Duration = Duration::from_secs(10);
/// Between two looks whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The end of the log lines that goes into an error.
const SAID_OCTETS_MAX: u64 = 2_000;

/// A running engine. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    lines: PathBuf,
}

impl Worker {
    /// Starts `renewd run` on a configuration; its log lines are appended to `lines`.
    pub(super) fn start(config: &Path, lines: &Path) -> Result<Self, DemoError> {
        let program = std::env::current_exe().map_err(DemoError::io("find", "renewd itself"))?;
        let open = || {
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(lines)
                .map_err(DemoError::io("write", lines.display()))
        };
        let child = Command::new(&program)
            .arg("--config")
            .arg(config)
            .arg("run")
            .stdin(Stdio::null())
            .stdout(open()?)
            .stderr(open()?)
            // Ctrl-C is for the demo alone: it decides how the engine ends.
            .process_group(0)
            .spawn()
            .map_err(DemoError::io("start", program.display()))?;
        Ok(Self { child, lines: lines.to_owned() })
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        // An error means that there is no such child: impossible before the first `Some`.
        self.child.try_wait().ok().flatten()
    }

    /// SIGKILL, and gone when this returns.
    pub(super) fn kill(&mut self) -> Result<(), DemoError> {
        let failed = |pid| DemoError::io("kill", format!("process {pid}"));
        self.child.kill().map_err(failed(self.child.id()))?;
        self.child.wait().map_err(failed(self.child.id()))?;
        Ok(())
    }

    /// SIGTERM, and its clean end awaited.
    pub(super) async fn stop(mut self) -> Result<(), DemoError> {
        const WHAT: &str = "its clean end";
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            kill_process(pid, Signal::TERM)
                .map_err(|cause| DemoError::io("stop", "the engine's process")(cause.into()))?;
        }
        let deadline = Instant::now() + STOP_MAX;
        loop {
            match self.ended() {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.has_ended(status, WHAT)),
                None if Instant::now() >= deadline => {
                    return Err(DemoError::TooLate {
                        what: WHAT,
                        seconds: STOP_MAX.as_secs(),
                        said: self.said(),
                    });
                }
                None => sleep(LOOK_EVERY).await,
            }
        }
    }

    /// The error of a process that ended too early.
    pub(super) fn has_ended(&self, status: ExitStatus, what: &'static str) -> DemoError {
        DemoError::Ended { status: status.to_string(), what, said: self.said() }
    }

    /// The end of its log lines, as evidence.
    pub(super) fn said(&self) -> String {
        match tail(&self.lines) {
            Ok(text) if text.trim().is_empty() => "It said nothing.".to_owned(),
            Ok(text) => format!("Its last lines:\n{}", text.trim_end()),
            Err(cause) => format!("Its lines cannot be read: {cause}"),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may be gone already, which is just as well.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let octets = file.metadata()?.len();
    file.seek(SeekFrom::Start(octets.saturating_sub(SAID_OCTETS_MAX)))?;
    let mut bytes = Vec::new();
    file.take(SAID_OCTETS_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
