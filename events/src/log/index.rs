//! The index: sled, from an event's place to its frame. sled answers damage with panics, with fewer
//! entries, or with an empty tree, and rewrites its file while doing so. Hence every call is
//! guarded, nothing it says is believed before the mirror agrees, and it can be made again.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::bounds::{SLED_CACHE_OCTETS, SLED_KEPT_MAX};
use super::files::{self, failed};
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::StoreError;

/// All keys begin with it, so that other kinds of entries can join the same atomic batch later.
const EVENT_PREFIX: u8 = b'e';

/// Why sled did not do its part.
#[derive(Debug)]
pub(super) enum IndexError {
    /// The disk takes no more or sled is held elsewhere: making it again would not help.
    Hopeless(std::io::Error),
    /// It is damaged.
    Damaged(String),
}

impl IndexError {
    pub(super) fn error(self, directory: &Path) -> StoreError {
        match self {
            Self::Hopeless(cause) => failed("using the index", directory)(cause),
            Self::Damaged(what) => StoreError::Index { path: directory.to_owned(), what },
        }
    }
}

impl From<sled::Error> for IndexError {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(cause)
                if matches!(
                    cause.kind(),
                    std::io::ErrorKind::StorageFull
                        | std::io::ErrorKind::QuotaExceeded
                        | std::io::ErrorKind::ReadOnlyFilesystem
                        | std::io::ErrorKind::PermissionDenied
                        | std::io::ErrorKind::WouldBlock
                ) =>
            {
                Self::Hopeless(cause)
            }
            other @ (sled::Error::CollectionNotFound(_)
            | sled::Error::Unsupported(_)
            | sled::Error::ReportableBug(_)
            | sled::Error::Io(_)
            | sled::Error::Corruption { .. }) => Self::Damaged(other.to_string()),
        }
    }
}

/// Runs a call into sled; a panic becomes an error.
fn guarded<T>(call: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, IndexError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(IndexError::from),
        Err(_) => Err(IndexError::Damaged("sled panicked".to_owned())),
    }
}

pub(super) fn directory(log: &Path) -> PathBuf {
    log.join("sled")
}

fn key(seq: Seq) -> [u8; 9] {
    let mut key = [EVENT_PREFIX; 9];
    for (to, from) in key.iter_mut().skip(1).zip(seq.0.to_be_bytes()) {
        *to = from;
    }
    key
}

/// sled, open.
pub(super) struct Index {
    db: sled::Db,
    /// sled's own file once more: its `flush` does not fsync on Linux (spacejam/sled#1452).
    file: File,
}

impl Index {
    /// Opens the index, or makes an empty one.
    ///
    /// # Errors
    /// When sled cannot or does not want to.
    pub(super) fn open(log: &Path) -> Result<Self, IndexError> {
        let directory = directory(log);
        wait_for_release(&directory.join("db")).map_err(IndexError::Hopeless)?;
        guarded(|| {
            let db = sled::Config::default()
                .path(&directory)
                .cache_capacity(SLED_CACHE_OCTETS)
                .flush_every_ms(None)
                .open()?;
            let file = File::open(directory.join("db"))?;
            Ok(Self { db, file })
        })
    }

    /// The last frame.
    ///
    /// # Errors
    /// When sled fails or what it holds is not a frame.
    pub(super) fn last(&self) -> Result<Option<Frame>, IndexError> {
        match guarded(|| self.db.last())? {
            None => Ok(None),
            Some((_, bytes)) => Frame::read(&bytes)
                .map(Some)
                .map_err(|cause| IndexError::Damaged(cause.to_string())),
        }
    }

    /// One frame.
    ///
    /// # Errors
    /// As [`Self::last`].
    pub(super) fn get(&self, seq: Seq) -> Result<Option<Frame>, IndexError> {
        match guarded(|| self.db.get(key(seq)))? {
            None => Ok(None),
            Some(bytes) => Frame::read(&bytes)
                .map(Some)
                .map_err(|cause| IndexError::Damaged(cause.to_string())),
        }
    }

    /// The frames from `from` on, each with its own checksum checked; ends after the first error.
    pub(super) fn frames(
        &self,
        from: Seq,
    ) -> impl Iterator<Item = Result<Frame, IndexError>> + use<> {
        let mut range = self.db.range(key(from)..);
        std::iter::from_fn(move || match guarded(|| range.next().transpose()) {
            Ok(None) => None,
            Ok(Some((_, bytes))) => {
                Some(Frame::read(&bytes).map_err(|cause| IndexError::Damaged(cause.to_string())))
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// Adds frames: all or none. They are durable after [`Self::sync`].
    ///
    /// # Errors
    /// When sled fails.
    pub(super) fn apply(&self, frames: &[Frame]) -> Result<(), IndexError> {
        // One entry is atomic by itself. A batch of one would cost 55 µs instead of 5: sled writes
        // its log out around every batch.
        if let [frame] = frames {
            return guarded(|| self.db.insert(key(frame.seq), frame.bytes.as_slice())).map(drop);
        }
        let mut batch = sled::Batch::default();
        for frame in frames {
            batch.insert(&key(frame.seq), frame.bytes.as_slice());
        }
        guarded(|| self.db.apply_batch(batch))
    }

    /// Makes everything added so far durable.
    ///
    /// # Errors
    /// When sled or the operating system fails.
    pub(super) fn sync(&self) -> Result<(), IndexError> {
        guarded(|| {
            self.db.flush()?;
            self.file.sync_data()?;
            Ok(())
        })
    }
}

/// Waits until sled's file is free. sled itself would report a held lock like any other trouble, and
/// the index would be taken for damaged.
fn wait_for_release(db: &Path) -> Result<(), std::io::Error> {
    match File::open(db) {
        Ok(file) => files::lock_file(&file),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(cause),
    }
}

/// Moves the index aside as evidence and removes all but the newest [`SLED_KEPT_MAX`] of those.
///
/// # Errors
/// When a directory cannot be moved or removed.
pub(super) fn set_aside(log: &Path) -> Result<Option<PathBuf>, StoreError> {
    let directory = directory(log);
    if !directory.exists() {
        return Ok(None);
    }
    let newest = files::keep_newest(log, "sled.before-", SLED_KEPT_MAX.saturating_sub(1))?;
    let aside = log.join(format!("sled.before-{}", newest.saturating_add(1)));
    std::fs::rename(&directory, &aside).map_err(failed("moving aside", &directory))?;
    files::sync_directory(log)?;
    Ok(Some(aside))
}
