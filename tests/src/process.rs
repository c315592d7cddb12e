//! A child process that writes into a file and dies with its owner.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::error::HarnessError;
use crate::{ports, wait};

/// Lines of a log that go into an error or under a failed test.
const EVIDENCE_LINES: usize = 40;

/// A killed process must be gone after this time, and a suspended one stand still. Microseconds, unless
/// it waits for a disk.
const GONE_TIME_MAX: Duration = Duration::from_secs(60);

/// A running child. Its output goes to files, so no pipe can fill and no reader thread is needed.
/// Dropping it kills it; when the test is failing, the end of its log is printed first.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// Starts `command`; its output goes to `folder/NAME.out` and `folder/NAME.err`, which are
    /// appended to, so that a restarted program's log goes on.
    ///
    /// # Errors
    /// When the program cannot be started or the files cannot be made.
    pub fn start(name: &str, command: &mut Command, folder: &Path) -> Result<Self, HarnessError> {
        let stdout = folder.join(format!("{name}.out"));
        let stderr = folder.join(format!("{name}.err"));
        command.stdin(Stdio::null()).stdout(appended(&stdout)?).stderr(appended(&stderr)?);
        let spawned = {
            let _alone = ports::alone();
            command.spawn()
        };
        let child = spawned.map_err(HarnessError::io("start", name))?;
        Ok(Self { name: name.to_owned(), child, stdout, stderr })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// All it has written to stdout so far (also before a restart in the same folder).
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Where its stdout goes.
    pub(crate) fn stdout_file(&self) -> &Path {
        &self.stdout
    }

    /// All it has written to stderr so far (also before a restart in the same folder).
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until a line of stdout or stderr contains `needle`, and returns that line.
    ///
    /// # Errors
    /// [`HarnessError::Ended`] when it ends first, [`HarnessError::TooLate`] after `bound`.
    pub fn wait_for_line(&mut self, needle: &str, bound: Duration) -> Result<String, HarnessError> {
        self.wait_until(&format!("a line with {needle:?}"), bound, |process| {
            let all = process.stdout() + &process.stderr();
            all.lines().find(|line| line.contains(needle)).map(str::to_owned)
        })
    }

    /// Looks at this process until `look` finds something.
    ///
    /// # Errors
    /// [`HarnessError::Ended`] when it ends first, [`HarnessError::TooLate`] after `bound`.
    pub fn wait_until<T>(
        &mut self,
        what: &str,
        bound: Duration,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, HarnessError> {
        let found = wait::until(bound, || {
            let ended = self.ended(); // asked first: what it wrote before its end still counts
            match (look(self), ended) {
                (Some(found), _) => Some(Ok(found)),
                (None, Some(status)) => Some(Err(status)),
                (None, None) => None,
            }
        });
        match found {
            Some(Ok(found)) => Ok(found),
            Some(Err(status)) => Err(HarnessError::Ended {
                program: self.name.clone(),
                status: status.to_string(),
                what: what.to_owned(),
                evidence: self.evidence(),
            }),
            None => Err(HarnessError::TooLate {
                what: what.to_owned(),
                bound,
                evidence: self.evidence(),
            }),
        }
    }

    /// The exit status if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        // An error here means "no child of ours": it is gone, with an unknown status.
        self.child.try_wait().unwrap_or(Some(ExitStatus::from_raw(0)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`HarnessError::TooLate`] after `bound`.
    pub fn wait_for_end(&mut self, bound: Duration) -> Result<ExitStatus, HarnessError> {
        wait::until(bound, || self.ended()).ok_or_else(|| HarnessError::TooLate {
            what: format!("the end of {}", self.name),
            bound,
            evidence: self.evidence(),
        })
    }

    /// SIGTERM: asks it to end.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn sigterm(&self) -> Result<(), HarnessError> {
        self.send("stop", Signal::TERM)
    }

    /// SIGSTOP, and waits until all of its threads stand still, with its sockets open, as on a suspended
    /// host: a write that was under way is over afterwards.
    ///
    /// # Errors
    /// When there is no such process any more, or it does not stop.
    pub fn suspend(&self) -> Result<(), HarnessError> {
        self.send("suspend", Signal::STOP)?;
        wait::until(GONE_TIME_MAX, || self.stands_still().then_some(())).ok_or_else(|| {
            HarnessError::TooLate {
                what: format!("the suspension of {}", self.name),
                bound: GONE_TIME_MAX,
                evidence: self.evidence(),
            }
        })
    }

    /// Each thread is stopped (`T` in proc_pid_stat(5)).
    fn stands_still(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.id())) else {
            return false;
        };
        let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat"));
        let mut stats = threads.flatten().filter_map(|thread| stat(thread).ok());
        stats.all(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')))
    }

    /// SIGCONT: it goes on.
    ///
    /// # Errors
    /// When there is no such process any more.
    pub fn resume(&self) -> Result<(), HarnessError> {
        self.send("resume", Signal::CONT)
    }

    fn send(&self, what: &'static str, signal: Signal) -> Result<(), HarnessError> {
        let sent = match i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            Some(pid) => rustix::process::kill_process(pid, signal),
            None => Err(rustix::io::Errno::SRCH),
        };
        sent.map_err(|errno| HarnessError::io(what, &*self.name)(errno.into()))
    }

    /// SIGKILL, and waits until the process is gone: its sockets and locks are free afterwards.
    ///
    /// # Errors
    /// When the process is still there after a minute.
    pub fn sigkill(&mut self) -> Result<(), HarnessError> {
        if self.ended().is_none() {
            self.child.kill().map_err(HarnessError::io("kill", &*self.name))?;
        }
        self.wait_for_end(GONE_TIME_MAX).map(drop)
    }

    fn evidence(&self) -> String {
        let all = self.stdout() + &self.stderr();
        let lines: Vec<&str> = all.lines().collect();
        let from = lines.len().saturating_sub(EVIDENCE_LINES);
        let last: Vec<String> = lines.iter().skip(from).map(|line| format!("  | {line}")).collect();
        last.join("\n")
    }
}

impl Drop for Process {
    #[expect(clippy::print_stderr, reason = "a failed test shows the log of what it ran")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("last lines of {}:\n{}", self.name, self.evidence());
        }
        if let Err(cause) = self.sigkill() {
            eprintln!("{cause}");
        }
    }
}

fn appended(path: &Path) -> Result<File, HarnessError> {
    let at = path.display().to_string();
    File::options().create(true).append(true).open(path).map_err(HarnessError::io("open", at))
}

/// A log is read while its program writes: a half character or a missing file is no error.
fn text(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Process) {
        let folder = tempfile::tempdir().unwrap();
        let process =
            Process::start("shell", Command::new("sh").args(["-c", script]), folder.path());
        (folder, process.unwrap())
    }

    #[test]
    fn a_line_is_found_while_the_process_runs_and_the_kill_is_sure() {
        let (_folder, mut process) = shell("echo here it is >&2; exec sleep 600");
        let line = process.wait_for_line("here", GONE_TIME_MAX).unwrap();
        assert_eq!(line, "here it is");
        assert_eq!(process.ended(), None);
        process.sigkill().unwrap();
        assert_eq!(process.ended().unwrap().signal(), Some(9));
    }

    #[test]
    fn a_process_that_ends_before_its_line_is_an_error_with_its_log() {
        let (_folder, mut process) = shell("echo no luck today; exit 3");
        let cause = process.wait_for_line("ready", GONE_TIME_MAX).unwrap_err();
        let text = cause.to_string();
        assert!(matches!(cause, HarnessError::Ended { .. }), "{text}");
        assert!(text.contains("no luck today") && text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn a_process_that_stays_silent_is_given_up_at_the_bound() {
        let (_folder, mut process) = shell("exec sleep 600");
        let cause = process.wait_for_line("ready", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(cause, HarnessError::TooLate { .. }), "{cause}");
    }

    #[test]
    fn sigterm_reaches_it() {
        let (_folder, mut process) = shell("exec sleep 600");
        process.sigterm().unwrap();
        let status = process.wait_for_end(GONE_TIME_MAX).unwrap();
        assert_eq!(status.signal(), Some(15));
    }
}
