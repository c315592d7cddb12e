//! Files of the log: opening, locking and making durable, each error with its path.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

use super::bounds::{LOCK_TRIES, LOCK_WAIT};
use crate::store::{FULL, READ_ONLY, StoreError};

/// Owner only: the log names every certificate, account and host.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What NFS says of an exclusive lock on a file that is open for reading.
const NOT_OPEN_FOR_WRITING: i32 = rustix::io::Errno::BADF.raw_os_error();

/// The log is shorter than its anchor says.
pub(super) const SHORT: &str = "R0601";
/// A checksum or the hash chain is broken.
pub(super) const BROKEN: &str = "R0602";
/// A commit is larger than the log takes.
pub(super) const TOO_LARGE: &str = "R0603";
/// The log was emptied or deleted while its anchor remains.
pub(super) const EMPTIED: &str = "R0605";
/// The anchor is missing or unreadable.
pub(super) const ANCHOR: &str = "R0606";
/// A newer version wrote this.
pub(super) const NEWER: &str = "R0607";

/// The error of what was tried and where: [`StoreError::NoRoom`] when the file system takes no more,
/// else [`StoreError::Io`]. Not for syncs: see [`unsynced`].
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |cause| match no_room(cause.kind()) {
        Some(code) => StoreError::NoRoom { code, what, path: path.to_owned(), cause },
        None => StoreError::Io { what, path: path.to_owned(), cause },
    }
}

/// The code for a file system that takes no more, when that is the error.
pub(super) fn no_room(kind: io::ErrorKind) -> Option<&'static str> {
    if kind == io::ErrorKind::ReadOnlyFilesystem {
        return Some(READ_ONLY);
    }
    let full = kind == io::ErrorKind::StorageFull || kind == io::ErrorKind::QuotaExceeded;
    full.then_some(FULL)
}

/// The error of a sync. Even "no space" is final here: the pages may count as written since.
pub(super) fn unsynced(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |cause| StoreError::Unsynced { path: path.to_owned(), cause }
}

/// Octets that may still be written where a log is.
///
/// # Errors
/// When the file system cannot be asked, as without such a directory.
pub fn room_left(dir: &Path) -> io::Result<u64> {
    room(dir).map(|(octets, _)| octets)
}

/// Octets that the owner of `dir` may still write there, and whether it is mounted read-only.
pub(super) fn room(dir: &Path) -> io::Result<(u64, bool)> {
    let found = rustix::fs::statvfs(dir)?;
    let read_only = found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    Ok((found.f_bavail.saturating_mul(found.f_frsize), read_only))
}

/// A [`StoreError::Damaged`].
pub(super) fn damaged(code: &'static str, path: &Path, what: impl Into<String>) -> StoreError {
    StoreError::Damaged { code, path: path.to_owned(), what: what.into() }
}

/// Takes the log for this process; released when the file is dropped or the process dies.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("LOCK");
    let mut writable = OpenOptions::new();
    writable.create(true).truncate(false).write(true).mode(FILE_MODE);
    // For reading: a file system is mounted anew only when nothing is open for writing there, and the
    // lock is held while the log waits for its disk.
    let opened = match File::open(&path) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
            writable.open(&path).and_then(|_| File::open(&path))
        }
        opened => opened,
    };
    let mut file = opened.map_err(failed("opening the lock", &path))?;
    let mut locked = lock_file(&file);
    if locked.as_ref().is_err_and(|cause| cause.raw_os_error() == Some(NOT_OPEN_FOR_WRITING)) {
        // NFS makes a record lock of it, which wants a file that is open for writing.
        file = writable.open(&path).map_err(failed("opening the lock", &path))?;
        locked = lock_file(&file);
    }
    match locked {
        Ok(()) => Ok(file),
        Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
            Err(StoreError::Locked { path: dir.to_owned() })
        }
        Err(cause) => Err(failed("locking", &path)(cause)),
    }
}

/// Whether some process has this log open for itself. Asked with a lock that is let go at once; whoever
/// opens the log in that instant tries again.
pub fn is_held(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join("LOCK")) else {
        return false;
    };
    flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK)
}

/// Locks a file until it is dropped; [`io::ErrorKind::WouldBlock`] when somebody else keeps it.
pub(super) fn lock_file(file: &File) -> io::Result<()> {
    for _ in 0..LOCK_TRIES {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(LOCK_WAIT),
            Err(cause) => return Err(cause.into()),
        }
    }
    Err(io::ErrorKind::WouldBlock.into())
}

/// Makes a directory, and those above it, for the owner only.
pub(super) fn make_directory(path: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(path)
        .map_err(failed("making the directory", path))
}

/// Makes the names in a directory durable. Without it a new file may be gone after a power cut,
/// although its content was synced.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    let directory = File::open(path).map_err(failed("opening the directory", path))?;
    directory.sync_all().map_err(unsynced(path))
}

/// A file that must not exist yet.
pub(super) fn create_new(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(failed("creating", path))
}

/// An existing file, for reading and writing in place.
pub(super) fn open_writable(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(failed("opening", path))
}

/// Removes a file, if it is there, and makes that durable.
pub(super) fn remove_durably(path: &Path, directory: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_directory(directory),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed("removing", path)(cause)),
    }
}

/// Of the entries named `prefix` and a number, removes all but the `kept` with the highest numbers;
/// returns the highest, 0 if there is none.
pub(super) fn keep_newest(directory: &Path, prefix: &str, kept: usize) -> Result<u64, StoreError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed("listing", directory))? {
        let name = entry.map_err(failed("listing", directory))?.file_name();
        let rest = name.to_str().and_then(|name| name.strip_prefix(prefix));
        numbers.extend(rest.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    let too_many = numbers.len().saturating_sub(kept);
    for number in numbers.iter().take(too_many) {
        let path = directory.join(format!("{prefix}{number}"));
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(failed("removing", &path))?;
    }
    Ok(numbers.last().copied().unwrap_or(0))
}
