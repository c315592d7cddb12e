//! What a log must do, whatever it is made of.

use std::path::PathBuf;

use crate::codec::{CodecError, Frame};
use crate::id::{Hash, Seq};
use crate::planted::{self, Bug};

/// The last event of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its place; 0 for an empty log.
    pub seq: Seq,
    /// The hash of its frame; zero for an empty log.
    pub hash: Hash,
}

/// The code of a log on a full disk.
pub const FULL: &str = "R0620";
/// The code of a log on a file system that is mounted read-only.
pub const READ_ONLY: &str = "R0621";
/// The code of a log whose last sync failed.
pub const UNSYNCED: &str = "R0622";
/// The code of a log whose index failed.
pub const INDEX: &str = "R0623";

/// The code of a log that is written, on a disk that is almost full.
pub const LOW: &str = "R0624";

/// Why a log cannot be used. Nothing was changed by the attempt.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system said no.
    #[error("{what} failed for {path}: {cause}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The error.
        cause: std::io::Error,
    },
    /// The disk takes no more: no space is left, the quota is reached, or the file system is
    /// read-only. Nothing that was acknowledged is lost, and the log may be opened again.
    #[error("{code}: {what} failed for {path}: {cause}")]
    NoRoom {
        /// [`FULL`] or [`READ_ONLY`].
        code: &'static str,
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The error.
        cause: std::io::Error,
    },
    /// A sync failed. The kernel reports that once and may then take pages for written that are not:
    /// what this process reads back proves nothing, so it must not go on.
    #[error("{UNSYNCED}: syncing {path} failed, and what is on the disk is not known: {cause}")]
    Unsynced {
        /// What was synced.
        path: PathBuf,
        /// The error.
        cause: std::io::Error,
    },
    /// The index failed. It holds nothing that the mirror does not, and is made again from it.
    #[error("{INDEX}: the index at {path} failed: {what}")]
    Index {
        /// Where.
        path: PathBuf,
        /// What it said.
        what: String,
    },
    /// Another process has the log open.
    #[error("another process holds the log at {path}")]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// The log is damaged or was shortened: it is refused, never half-opened.
    #[error("{code}: the log at {path} is damaged: {what}")]
    Damaged {
        /// A code that `renewd explain` knows.
        code: &'static str,
        /// Where.
        path: PathBuf,
        /// What is wrong, and at which event or offset.
        what: String,
    },
    /// There is no log where one was expected.
    #[error("there is no log at {path}")]
    Absent {
        /// Where.
        path: PathBuf,
    },
    /// A frame is not readable.
    #[error("event {seq}: {cause}")]
    Frame {
        /// Which.
        seq: Seq,
        /// Why.
        cause: CodecError,
    },
    /// A write failed earlier; this process must not write any more.
    #[error("the log is read-only since a write failed: {0}")]
    Poisoned(String),
}

impl StoreError {
    /// Whether [`EventStore::reopen`] may mend it in this process. After such an error everything that
    /// was acknowledged is on the disk; what was not may be there or not, and reopening finds out.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoRoom { .. } | Self::Index { .. } => true,
            // A thread of the index that is still ending holds its file for a moment.
            Self::Io { cause, .. } => cause.kind() == std::io::ErrorKind::WouldBlock,
            Self::Unsynced { .. } => planted::is(Bug::SyncRetried),
            Self::Locked { .. }
            | Self::Damaged { .. }
            | Self::Absent { .. }
            | Self::Frame { .. }
            | Self::Poisoned(_) => false,
        }
    }

    /// What a person can do about a log that cannot be written.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::NoRoom { code, .. } if *code == READ_ONLY => {
                "mount the file system read-write; renewd then goes on by itself"
            }
            Self::NoRoom { .. } => "make room; renewd then goes on by itself",
            Self::Index { .. } => {
                "it is made again from the mirror by itself; if that does not end, look at the disk"
            }
            Self::Io { cause, .. } if cause.kind() == std::io::ErrorKind::WouldBlock => {
                "it is tried again by itself"
            }
            Self::Unsynced { .. } => "look at the disk (kernel log, SMART), then restart renewd",
            Self::Damaged { .. } | Self::Frame { .. } => {
                "nothing was changed; `renewd log verify` says where, `renewd explain` what to do"
            }
            Self::Io { .. } | Self::Locked { .. } | Self::Absent { .. } | Self::Poisoned(_) => {
                "mend the cause, then restart renewd"
            }
        }
    }
}

/// The frames of a log, in order.
pub type Frames<'a> = Box<dyn Iterator<Item = Result<Frame, StoreError>> + 'a>;

/// A log of frames.
pub trait EventStore: Send {
    /// The last event.
    fn head(&self) -> Head;

    /// Appends these frames; they are durable when it returns, all of them or none.
    ///
    /// # Errors
    /// After any error the store refuses further commits: which of the frames are on disk is then
    /// unknown. After one that may pass ([`StoreError::may_pass`]) [`Self::reopen`] finds out.
    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError>;

    /// The frames from `from` on. Density and hash chain are checked on the way.
    ///
    /// # Errors
    /// Says where the log cannot be read.
    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError>;

    /// Goes on after a commit failed with an error that may pass: looks what is on disk, as at a start,
    /// and takes commits again. The head it gives may lie beyond the last acknowledged event by the
    /// commit that failed.
    ///
    /// # Errors
    /// Why it cannot be written yet, if that may pass; or ever, in this process. A store that knows no
    /// such way refuses.
    fn reopen(&mut self) -> Result<Head, StoreError> {
        Err(StoreError::Poisoned("this store cannot be opened again".to_owned()))
    }

    /// Whether nothing is left for [`Self::settle`].
    fn is_settled(&self) -> bool {
        true
    }

    /// Makes durable what commits may leave for a pause: nothing that an acknowledged event needs.
    ///
    /// # Errors
    /// As [`Self::commit`].
    fn settle(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Octets that may still be written where the log is; `None` when that is not known.
    fn room(&self) -> Option<u64> {
        None
    }

    /// Marks a clean end, so that the next open need not look for damage.
    ///
    /// # Errors
    /// When the mark cannot be made durable.
    fn close(&mut self) -> Result<(), StoreError>;
}
