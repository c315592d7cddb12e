//! What a log must do, whatever it is made of.

use std::path::PathBuf;

use crate::codec::{CodecError, Frame};
use crate::id::{Hash, Seq};

/// The last event of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Its place; 0 for an empty log.
    pub seq: Seq,
    /// The hash of its frame; zero for an empty log.
    pub hash: Hash,
}

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

/// The frames of a log, in order.
pub type Frames<'a> = Box<dyn Iterator<Item = Result<Frame, StoreError>> + 'a>;

/// A log of frames.
pub trait EventStore: Send {
    /// The last event.
    fn head(&self) -> Head;

    /// Appends these frames; they are durable when it returns, all of them or none.
    ///
    /// # Errors
    /// After any error the store refuses further commits: what is on disk is then unknown.
    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError>;

    /// The frames from `from` on. Density and hash chain are checked on the way.
    ///
    /// # Errors
    /// Says where the log cannot be read.
    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError>;

    /// Marks a clean end, so that the next open need not look for damage.
    ///
    /// # Errors
    /// When the mark cannot be made durable.
    fn close(&mut self) -> Result<(), StoreError>;
}
