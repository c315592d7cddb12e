//! Finds Pebble and its DNS server, or installs them, or says why neither can be had.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::HarnessError;
use crate::process::Process;

/// The release the tests were written against: profiles, ARI and the orders list are in it.
pub const PEBBLE_VERSION: &str = "v2.10.1";

/// The ACME server.
const PEBBLE: &str = "pebble";
/// The DNS server whose answers a test can set.
const CHALLTESTSRV: &str = "pebble-challtestsrv";

/// Download and build of one of them: half a minute on two idle cores, more beside a cargo build.
const INSTALL_TIME_MAX: Duration = Duration::from_secs(300);

/// Where the two programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Programs {
    /// The ACME server.
    pub pebble: PathBuf,
    /// The DNS server whose answers a test can set.
    pub challtestsrv: PathBuf,
}

/// Found once per process; the lock also keeps parallel tests from installing at the same time.
static FOUND: Mutex<Option<Programs>> = Mutex::new(None);

/// Looks on PATH and in Go's folders, then tries `go install`, then the distribution's package
/// (as root; an older Pebble without profiles, so tests of those fail with it).
///
/// # Errors
/// [`HarnessError::Missing`] with the outcome of every way. There is no way to skip.
pub fn find() -> Result<Programs, HarnessError> {
    let mut found = FOUND.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(programs) = found.as_ref() {
        return Ok(programs.clone());
    }
    let programs =
        Programs { pebble: find_or_install(PEBBLE)?, challtestsrv: find_or_install(CHALLTESTSRV)? };
    *found = Some(programs.clone());
    Ok(programs)
}

fn find_or_install(program: &'static str) -> Result<PathBuf, HarnessError> {
    let module = format!("github.com/letsencrypt/pebble/v2/cmd/{program}@{PEBBLE_VERSION}");
    let ways: [(&str, &[&str]); 2] = [
        ("go", &["install", &module]),
        ("apt-get", &["install", "--yes", "--no-install-recommends", PEBBLE]),
    ];
    let folders = folders();
    let mut tried = format!("  not in any of: {}", shown(&folders));
    if let Some(path) = in_folders(program, &folders) {
        return Ok(path);
    }
    for (installer, arguments) in ways {
        let outcome = install(installer, arguments);
        if let Some(path) = in_folders(program, &folders) {
            return Ok(path);
        }
        let outcome = match outcome {
            Ok(()) => "went well, but the program is still not there".to_owned(),
            Err(cause) => cause.to_string(),
        };
        tried.push_str(&format!("\n  `{installer} {}`: {outcome}", arguments.join(" ")));
    }
    Err(HarnessError::Missing { program, tried })
}

fn install(installer: &str, arguments: &[&str]) -> Result<(), HarnessError> {
    let folder = tempfile::tempdir().map_err(HarnessError::io("make", "a temporary folder"))?;
    let mut command = Command::new(installer);
    command.args(arguments).current_dir(folder.path()).env("DEBIAN_FRONTEND", "noninteractive");
    let mut process = Process::start(installer, &mut command, folder.path())?;
    let status = process.wait_for_end(INSTALL_TIME_MAX)?;
    if status.success() {
        return Ok(());
    }
    let at = format!("{status}: {}", process.stderr().trim());
    Err(HarnessError::io("install", at)(std::io::Error::other("the installer failed")))
}

/// PATH, then where `go install` puts programs (GOBIN, GOPATH/bin, ~/go/bin).
fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default();
    folders.extend(env::var_os("GOBIN").map(PathBuf::from));
    if let Some(roots) = env::var_os("GOPATH") {
        folders.extend(env::split_paths(&roots).map(|root| root.join("bin")));
    }
    folders.extend(env::home_dir().map(|home| home.join("go/bin")));
    folders.retain(|folder| folder.is_absolute());
    folders
}

fn in_folders(program: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    folders.iter().map(|folder| folder.join(program)).find(|path| path.is_file())
}

fn shown(folders: &[PathBuf]) -> String {
    let names: Vec<String> =
        folders.iter().map(|folder| Path::display(folder).to_string()).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_the_program_wins() {
        let (empty, one, two) = (
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
            tempfile::tempdir().unwrap(),
        );
        for folder in [&one, &two] {
            std::fs::write(folder.path().join(PEBBLE), "").unwrap();
        }
        let folders = [&empty, &one, &two].map(|folder| folder.path().to_owned());
        assert_eq!(in_folders(PEBBLE, &folders), Some(one.path().join(PEBBLE)));
        assert_eq!(in_folders(CHALLTESTSRV, &folders), None);
    }

    #[test]
    fn an_installer_that_fails_or_is_missing_is_told_with_its_words() {
        let failed = install("sh", &["-c", "echo no network >&2; exit 1"]).unwrap_err().to_string();
        assert!(failed.contains("no network") && failed.contains("exit status: 1"), "{failed}");
        let missing = install("no-such-installer", &[]).unwrap_err().to_string();
        assert!(missing.contains("no-such-installer"), "{missing}");
    }
}
