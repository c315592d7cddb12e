//! How a file gets on disk so that a crash at any instant leaves the old one or the new one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

/// Mode of a file with a secret.
pub(crate) const SECRET_MODE: u32 = 0o600;
/// Mode of a file for everybody.
pub(crate) const PUBLIC_MODE: u32 = 0o644;
/// Mode of a directory for our eyes only.
const SECRET_DIRECTORY_MODE: u32 = 0o700;
/// What lets files of a directory belong to the directory's group (S_ISGID).
const SET_GROUP: u32 = 0o2000;
/// Ends the name of a file that is being written.
const TEMPORARY: &str = ".tmp";

/// A write that did not become durable. What was there before is still there.
#[derive(Debug, thiserror::Error)]
#[error("cannot {act} {path}: {cause}", path = .path.display())]
pub struct WriteError {
    /// What was tried.
    pub act: &'static str,
    /// Where.
    pub path: PathBuf,
    /// What the system said.
    pub cause: io::Error,
}

/// Names the act and the place in an I/O error.
pub(crate) fn at(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> WriteError {
    move |cause| WriteError { act, path: path.to_owned(), cause }
}

/// Some random bytes in hexadecimal, for names that nobody can guess.
pub(crate) fn random_name() -> io::Result<String> {
    let mut bytes = [0_u8; 8];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(format!("{:016x}", u64::from_le_bytes(bytes)))
}

/// Puts `bytes` at `path`, durable when this returns: a new file beside it, with `mode` from its
/// first instant or narrower, then fsync, rename, and fsync of the directory.
///
/// # Errors
/// The first step that failed. A failed fsync is final: the caller writes again from memory.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(at("write", path)(io::ErrorKind::InvalidInput.into()));
    };
    let random = random_name().map_err(at("name a new file beside", path))?;
    let temporary = parent.join(format!(".{}.{random}{TEMPORARY}", name.to_string_lossy()));
    let written = create(&temporary, bytes, mode)
        .and_then(|()| fs::rename(&temporary, path).map_err(at("rename a new file to", path)));
    if let Err(error) = written {
        // Best effort: `sweep` takes what stays behind.
        drop(fs::remove_file(&temporary));
        return Err(error);
    }
    sync_directory(parent)
}

/// Makes a new file, durable apart from its name in the directory.
///
/// # Errors
/// When it exists, or the disk refuses.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<(), WriteError> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(SECRET_MODE)
        .open(path)
        .map_err(at("create", path))?;
    file.write_all(bytes).map_err(at("write", path))?;
    if mode != SECRET_MODE {
        file.set_permissions(Permissions::from_mode(mode)).map_err(at("set the mode of", path))?;
    }
    file.sync_all().map_err(at("fsync", path))
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn sync_directory(path: &Path) -> Result<(), WriteError> {
    #[cfg(test)]
    seen::note(path);
    File::open(path).and_then(|directory| directory.sync_all()).map_err(at("fsync", path))
}

/// Makes a directory with its parents, or finds it, and makes its name durable, and theirs. The name of
/// each is durable before anything is made in it; so of those that are found only the innermost may
/// still need it, after a life that was killed in between. A directory that is made gets this mode,
/// whatever the umask is; one that is found keeps its own.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn directory(path: &Path, mode: u32) -> Result<(), WriteError> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        return match parent.map_or(Ok(()), sync_directory) {
            // Where we may not even look, the name is not of our making.
            Err(error) if error.cause.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        };
    }
    if let Some(parent) = parent {
        directory(parent, mode)?;
    }
    let parent = parent.unwrap_or(Path::new("."));
    match name_directory(parent, path, mode) {
        // Another may have been faster.
        Err(cause) if !path.is_dir() => Err(at("create", path)(cause)),
        Ok(()) | Err(_) => sync_directory(parent),
    }
}

/// Makes a directory under another name first: one that is killed before its mode was widened must not
/// stand there closed, and be found and left as it is by every later life.
fn name_directory(parent: &Path, path: &Path, mode: u32) -> io::Result<()> {
    let new = parent.join(format!(".{}{TEMPORARY}", random_name()?));
    let named = bare_directory(&new, mode).and_then(|()| fs::rename(&new, path));
    if named.is_err() {
        // It may not be there at all.
        drop(fs::remove_dir(&new));
    }
    named
}

/// Makes one directory of this mode, which the umask does not narrow.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn bare_directory(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().mode(SECRET_DIRECTORY_MODE).create(path)?;
    // A folder whose files belong to its group hands that on; a sandbox may forbid to say so again.
    let inherited = fs::metadata(path)?.permissions().mode() & SET_GROUP;
    let set = |mode| fs::set_permissions(path, Permissions::from_mode(mode));
    set(mode | inherited).or_else(|_| set(mode))
}

/// Makes a directory for our eyes only, with its parents, or finds it and narrows its mode. One that is
/// as it should be is not written to: it may lie on a read-only file system.
///
/// # Errors
/// When the disk refuses.
pub(crate) fn private_directory(path: &Path) -> Result<(), WriteError> {
    directory(path, SECRET_DIRECTORY_MODE)?;
    let found = fs::metadata(path).map(|found| found.permissions().mode() & 0o7777);
    if found.is_ok_and(|mode| mode == SECRET_DIRECTORY_MODE) {
        return Ok(());
    }
    fs::set_permissions(path, Permissions::from_mode(SECRET_DIRECTORY_MODE))
        .map_err(at("set the mode of", path))
}

/// Removes files that a crash left half written. A missing directory has none.
pub(crate) fn sweep(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(TEMPORARY) {
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// What was made durable by this thread, for tests: whether a name outlives a power cut cannot be seen
/// from a file system that did not meet one.
#[cfg(test)]
pub(crate) mod seen {
    use std::cell::RefCell;
    use std::path::{Path, PathBuf};

    thread_local! {
        static SYNCED: RefCell<Vec<PathBuf>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(directory: &Path) {
        SYNCED.with_borrow_mut(|synced| synced.push(directory.to_owned()));
    }

    /// The directories since the last call, in order.
    pub(crate) fn synced() -> Vec<PathBuf> {
        SYNCED.take()
    }
}
