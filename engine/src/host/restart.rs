//! Becoming a new process: the same program and arguments, perhaps from a newer file.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// What the kernel adds to the path of a program whose file was replaced or removed (proc(5)).
const DELETED: &[u8] = b" (deleted)";

/// Replaces this process by a new one: same pid, same arguments, same environment. Sockets and files
/// are closed on exec. Call it last in `main`, when the log is closed and the runtime is gone.
/// It returns only when it failed.
pub fn exec_again() -> io::Error {
    match program() {
        Ok(path) => {
            let mut command = Command::new(path);
            super::as_started(|| command.args(std::env::args_os().skip(1)).exec())
        }
        Err(error) => error,
    }
}

/// The program's file; an upgraded one under the same name when ours was replaced.
fn program() -> io::Result<PathBuf> {
    let running = std::env::current_exe()?;
    Ok(without_mark(running))
}

fn without_mark(path: PathBuf) -> PathBuf {
    match path.as_os_str().as_bytes().strip_suffix(DELETED) {
        Some(name) if !path.exists() => PathBuf::from(OsString::from_vec(name.to_vec())),
        Some(_) | None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_program_is_started_from_its_new_file() {
        let at = |text: &str| without_mark(PathBuf::from(text));
        assert_eq!(at("/usr/bin/x (deleted)"), PathBuf::from("/usr/bin/x"));
        assert_eq!(at("/usr/bin/x"), PathBuf::from("/usr/bin/x"));
    }
}
