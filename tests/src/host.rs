//! A temporary host: one folder with a configuration and a state, and the real `renewd` on it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

use crate::error::HarnessError;
use crate::process::Process;
use crate::record::{self, Record};
use crate::site::EVENT_TIME_MAX;

/// The binary under test, when it is not beside the tests.
pub const BINARY_VAR: &str = "RENEWD_BIN";

/// One command that is not a daemon. The slowest waits for an order that a CA delays by seconds, on a
/// machine that may be slow.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(180);

/// A folder that holds all of one `renewd`: it is removed with the value. It survives the process
/// under test, which is what a crash test needs.
#[derive(Debug)]
pub struct Host {
    folder: TempDir,
    binary: PathBuf,
    environment: Vec<(String, String)>,
    /// The program and arguments in front of the binary, as `setpriv`.
    wrapper: Vec<String>,
    commands: AtomicU32,
}

/// What a command that has ended left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// Exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stdout: data.
    pub stdout: String,
    /// What it wrote to stderr: talk.
    pub stderr: String,
}

impl Host {
    /// An empty host.
    ///
    /// # Errors
    /// When there is no binary to run, or no temporary folder.
    pub fn new() -> Result<Self, HarnessError> {
        let folder = tempfile::tempdir().map_err(HarnessError::io("make", "a temporary folder"))?;
        let state = folder.path().join("state");
        fs::create_dir(&state).map_err(HarnessError::io("make", state.display().to_string()))?;
        let environment = vec![("NO_COLOR".to_owned(), "1".to_owned())];
        let commands = AtomicU32::new(0);
        Ok(Self { folder, binary: binary()?, environment, wrapper: Vec::new(), commands })
    }

    /// The host's folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Keeps the folder beyond this value's life and tells where it is: evidence for a person.
    pub fn keep(&mut self) -> PathBuf {
        self.folder.disable_cleanup(true);
        self.folder.path().to_owned()
    }

    /// Where the configuration should put its state; exists and is empty at first.
    pub fn state_dir(&self) -> PathBuf {
        self.folder().join("state")
    }

    /// The log.
    pub fn log(&self) -> PathBuf {
        self.state_dir().join("log")
    }

    /// All events so far; none while there is no log.
    pub fn events(&self) -> Vec<Record> {
        record::read(&self.log()).unwrap_or_default()
    }

    /// The events of one kind so far.
    pub fn events_named(&self, name: &str) -> Vec<Record> {
        let mut events = self.events();
        events.retain(|event| event.name == name);
        events
    }

    /// Waits until there are `count` events of this kind, and returns them.
    ///
    /// # Errors
    /// When `renewd` ends first or [`EVENT_TIME_MAX`] goes by.
    pub fn wait_for(
        &self,
        renewd: &mut Process,
        name: &str,
        count: usize,
    ) -> Result<Vec<Record>, HarnessError> {
        let what = format!("{count} times {name}");
        renewd.wait_until(&what, EVENT_TIME_MAX, |_| {
            let found = self.events_named(name);
            (found.len() >= count).then_some(found)
        })
    }

    /// The configuration file, given to every command as `--config`.
    pub fn config_path(&self) -> PathBuf {
        self.folder().join("renewd.toml")
    }

    /// Writes the configuration, instead of an earlier one.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, toml: &str) -> Result<(), HarnessError> {
        self.write("renewd.toml", toml).map(drop)
    }

    /// Writes a file into the folder (a root, a key) and returns its path.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf, HarnessError> {
        let path = self.folder().join(name);
        fs::write(&path, content).map_err(HarnessError::io("write", path.display().to_string()))?;
        Ok(path)
    }

    /// Starts another program from now on, for example a script that does harm first.
    pub fn set_binary(&mut self, binary: &Path) {
        binary.clone_into(&mut self.binary);
    }

    /// Sets a variable for every later start, for example a kill point.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.unset_env(name);
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Takes back [`Host::set_env`].
    pub fn unset_env(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// From now on runs a copy of the binary in the host's folder, which a test may change.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn own_binary(&mut self) -> Result<PathBuf, HarnessError> {
        let path = self.folder().join("renewd");
        fs::copy(&self.binary, &path).map_err(HarnessError::io("copy", "the binary"))?;
        self.binary.clone_from(&path);
        Ok(path)
    }

    /// From now on starts the binary through another program, for example `setpriv --reuid 65534`. It
    /// must replace itself by the binary, so that signals reach the right process.
    pub fn start_through(&mut self, wrapper: &[&str]) {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
    }

    /// Starts `renewd ARGUMENTS --config FILE` and leaves it running, for example `run`. Its log is
    /// [`Process::stderr`], and goes on over restarts.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, arguments: &[&str]) -> Result<Process, HarnessError> {
        self.process("renewd", arguments)
    }

    /// Runs `renewd ARGUMENTS --config FILE` to its end.
    ///
    /// # Errors
    /// When it cannot be started or has not ended in time. An exit code is not an error.
    pub fn run(&self, arguments: &[&str]) -> Result<Ran, HarnessError> {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let name = format!("{number}-{}", arguments.first().copied().unwrap_or("renewd"));
        let mut process = self.process(&name, arguments)?;
        let status = process.wait_for_end(COMMAND_TIME_MAX)?;
        Ok(Ran { code: status.code(), stdout: process.stdout(), stderr: process.stderr() })
    }

    fn process(&self, name: &str, arguments: &[&str]) -> Result<Process, HarnessError> {
        let mut command = match self.wrapper.split_first() {
            Some((program, words)) => {
                let mut command = Command::new(program);
                command.args(words).arg(&self.binary);
                command
            }
            None => Command::new(&self.binary),
        };
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config_path())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder());
        Process::start(name, &mut command, self.folder())
    }
}

/// The binary under test: `RENEWD_BIN`, else beside the test (`target/PROFILE/renewd`).
///
/// # Errors
/// [`HarnessError::NotBuilt`] when it is not there. `cargo xtask test` builds it first; a plain
/// `cargo test` runs whatever was built last.
pub fn binary() -> Result<PathBuf, HarnessError> {
    let path = match env::var_os(BINARY_VAR) {
        Some(path) => PathBuf::from(path),
        None => beside_the_test()?,
    };
    match path.is_file() {
        true => Ok(path),
        false => Err(HarnessError::NotBuilt { path, var: BINARY_VAR }),
    }
}

fn beside_the_test() -> Result<PathBuf, HarnessError> {
    let test = env::current_exe().map_err(HarnessError::io("find", "the test's own file"))?;
    let mut folder = test.parent().unwrap_or(Path::new("."));
    // Tests lie in target/PROFILE/deps, benches and examples one deeper or higher.
    if folder.ends_with("deps") || folder.ends_with("examples") {
        folder = folder.parent().unwrap_or(folder);
    }
    Ok(folder.join(format!("renewd{}", env::consts::EXE_SUFFIX)))
}
