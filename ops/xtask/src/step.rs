//! One program run by xtask, with a failure that says what to do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::say;

/// `Err` is addressed to a person: what failed, where, and what to do.
pub(crate) type Outcome = Result<(), Failure>;

/// What failed.
#[derive(Debug)]
pub(crate) struct Failure {
    text: String,
    /// The command was not said as it can be: nothing was done.
    pub(crate) misused: bool,
}

impl Failure {
    /// Exit code 2: the command line is wrong.
    pub(crate) fn misused(text: String) -> Self {
        Self { text, misused: true }
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self { text, misused: false }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// The workspace's folder: xtask runs from wherever it was called.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).unwrap_or(own).to_owned()
}

/// The cargo that runs us.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs `command` with its output on the terminal; `cure` says what to do when it fails.
pub(crate) fn run(what: &str, command: &mut Command, cure: &str) -> Outcome {
    let from = Instant::now();
    last(what, command, cure)?;
    say::progress(&format!("{what}: good after {} s", from.elapsed().as_secs()));
    Ok(())
}

/// As [`run`], but the program has the last word when all is good.
pub(crate) fn last(what: &str, command: &mut Command, cure: &str) -> Outcome {
    say::progress(what);
    let status =
        command.status().map_err(|cause| format!("{what}: cannot start: {cause}\n  do: {cure}"))?;
    match status.code() {
        Some(0) => Ok(()),
        // Our own programs say so when they do not understand their words, and what they know.
        Some(2) => Err(Failure::misused(format!("{what}: see above"))),
        Some(_) | None => Err(format!("{what}: {status}\n  do: {cure}").into()),
    }
}

/// Runs `command` and returns whether it went well, with all it wrote.
pub(crate) fn output(command: &mut Command) -> Result<(bool, String), String> {
    let output = command.output().map_err(|cause| format!("cannot start {command:?}: {cause}"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}
