//! Telling another program to read its files again: a command, without a shell.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use renewd_events::id::{BindingId, Generation, Seq};
use renewd_events::problem::{Problem, ProblemClass};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

use crate::host;

/// Where a command without a slash is looked for, whatever our own PATH is.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// From TERM to KILL, and from KILL to giving up on the exit status.
const END_TIME_MAX: Duration = Duration::from_secs(5);
/// For output that is still in the pipe when the command has ended. A service it started may hold
/// the pipe for ever.
const DRAIN_TIME_MAX: Duration = Duration::from_millis(200);
/// Of the output, its end: there the error is. With the sentence around it it fits into a problem.
const OUTPUT_OCTETS_MAX: usize = 768;

/// A reload command. It runs again after a crash, so it must be repeatable; `systemctl reload` is. It has
/// the umask that renewd was started with, not renewd's own narrow one.
#[derive(Clone, PartialEq, Eq)]
pub struct ReloadCommand {
    /// Program and arguments. The program is an absolute path or a name in the system's directories.
    pub argv: Vec<String>,
    /// For the whole run; then its process group is ended.
    pub timeout: Duration,
    /// The certificate's configured name, for `RENEWD_CERTIFICATE`.
    pub certificate: String,
    /// Where the files are, for `RENEWD_DIRECTORY`.
    pub directory: PathBuf,
}

impl fmt::Debug for ReloadCommand {
    /// Arguments may hold what the operator wants kept to himself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReloadCommand")
            .field("program", &self.program())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What is told to the command about why it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Occasion {
    pub(super) binding: BindingId,
    pub(super) generation: Generation,
    pub(super) seq: Seq,
}

impl ReloadCommand {
    fn program(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }

    /// Runs it to its end.
    pub(super) async fn run(&self, occasion: Occasion) -> Result<(), Problem> {
        let failed = |kind: &str, text: &str| {
            Problem::new(ProblemClass::Local, kind, text).about(self.program())
        };
        let (mut child, receiver) = self.spawn(occasion).map_err(|cause| {
            let text = format!(
                "the reload command {} did not start: {cause}. Give an absolute path, or a program in {PATH}",
                self.program()
            );
            failed("reloadNotStarted", &text)
        })?;
        let group = Group::of(&child);
        let output = Arc::new(Mutex::new(Vec::new()));
        let mut reading = tokio::spawn(keep_end(receiver, Arc::clone(&output)));
        let ended = tokio::time::timeout(self.timeout, child.wait()).await;
        match ended {
            // What it left running, a service perhaps, is meant to stay.
            Ok(_) => group.leave(),
            Err(_) => group.end(&mut child).await,
        }
        if tokio::time::timeout(DRAIN_TIME_MAX, &mut reading).await.is_err() {
            reading.abort();
        }
        let output = output.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let output = String::from_utf8_lossy(&output);
        let program = self.program();
        match ended {
            Ok(Ok(status)) if ExitStatus::success(&status) => Ok(()),
            Ok(Ok(status)) => {
                let text = format!("the reload command {program} ended with {status}: {output}");
                Err(failed("reloadFailed", &text))
            }
            Ok(Err(cause)) => Err(failed("reloadFailed", &cause.to_string())),
            Err(_) => {
                let text = format!(
                    "the reload command {program} did not end within {} ms and was ended: {output}",
                    self.timeout.as_millis()
                );
                Err(failed("reloadTimeout", &text))
            }
        }
    }

    fn spawn(&self, occasion: Occasion) -> io::Result<(Child, pipe::Receiver)> {
        let (reader, writer) = io::pipe()?;
        let (program, arguments) =
            self.argv.split_first().ok_or_else(|| io::Error::other("it has no words"))?;
        if program.contains('/') && !program.starts_with('/') {
            return Err(io::Error::other("it is a relative path"));
        }
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("RENEWD_BINDING", occasion.binding.to_string())
            .env("RENEWD_GENERATION", occasion.generation.to_string())
            .env("RENEWD_EVENT_SEQ", occasion.seq.to_string())
            .env("RENEWD_CERTIFICATE", &self.certificate)
            .env("RENEWD_DIRECTORY", &self.directory)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .kill_on_drop(true);
        let child = host::as_started(|| command.spawn())?;
        Ok((child, pipe::Receiver::from_owned_fd(reader.into())?))
    }
}

/// The command and all that it started. Dropped while it still runs, for instance because the effect
/// around it was cut, it is killed as a whole.
struct Group(Option<Pid>);

impl Group {
    /// The child began its own group, so the group has its number.
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // A group that is gone already is what is wanted.
            let _gone = kill_process_group(group, signal);
        }
    }

    fn leave(mut self) {
        self.0 = None;
    }

    /// TERM to all, then KILL to whoever is left: a child may outlive the command that started it.
    async fn end(self, child: &mut Child) {
        self.signal(Signal::TERM);
        drop(tokio::time::timeout(END_TIME_MAX, child.wait()).await);
        self.signal(Signal::KILL);
        drop(tokio::time::timeout(END_TIME_MAX, child.wait()).await);
        self.leave();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Reads to the end, so that the command never waits for us, and keeps the last octets.
async fn keep_end(mut receiver: pipe::Receiver, kept: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0_u8; 4096];
    while let Ok(count @ 1..) = receiver.read(&mut buffer).await {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(buffer.get(..count).unwrap_or_default());
        let over = kept.len().saturating_sub(OUTPUT_OCTETS_MAX);
        kept.drain(..over);
    }
}
