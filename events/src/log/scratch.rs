//! The index, looked at without touching it: sled rewrites its file while it opens it, so a copy is
//! opened, and removed afterwards.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::files::{self, failed};
use super::index::{self, Index, IndexError};
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::StoreError;

/// A copy of a log's index; removed when it is dropped.
pub(super) struct Scratch {
    directory: PathBuf,
    index: Option<Index>,
    /// Why there is nothing to look at.
    pub(super) trouble: Option<String>,
}

impl Scratch {
    /// Copies the index of `log` into the new directory `directory` and opens it there.
    ///
    /// # Errors
    /// When the directory exists or cannot be made. An index that cannot be copied or opened is no
    /// error, but [`Scratch::trouble`].
    pub(super) fn of(log: &Path, directory: &Path) -> Result<Self, StoreError> {
        DirBuilder::new()
            .mode(0o700)
            .create(directory)
            .map_err(failed("making the directory", directory))?;
        let mut scratch = Self { directory: directory.to_owned(), index: None, trouble: None };
        let from = index::directory(log);
        if !from.join("db").is_file() {
            scratch.trouble = Some("there is none".to_owned());
            return Ok(scratch);
        }
        let opened = copy_flat(&from, &index::directory(directory))
            .map_err(IndexError::Hopeless)
            .and_then(|()| Index::open(directory));
        match opened {
            Ok(index) => scratch.index = Some(index),
            Err(IndexError::Damaged(what)) => scratch.trouble = Some(what),
            Err(IndexError::Hopeless(cause)) => scratch.trouble = Some(cause.to_string()),
        }
        Ok(scratch)
    }

    /// The frame of this place, if the index has a readable one.
    pub(super) fn get(&self, seq: Seq) -> Option<Frame> {
        self.index.as_ref()?.get(seq).ok().flatten().filter(|frame| frame.seq == seq)
    }

    /// The last frame; nothing when it, or the index, cannot be read.
    pub(super) fn last(&mut self) -> Option<Frame> {
        match self.index.as_ref()?.last() {
            Ok(last) => last,
            Err(IndexError::Damaged(what)) => {
                self.trouble = Some(what);
                None
            }
            Err(IndexError::Hopeless(cause)) => {
                self.trouble = Some(cause.to_string());
                None
            }
        }
    }

    /// The readable frames from `from` on, up to the first that is not.
    pub(super) fn frames(&self, from: Seq) -> impl Iterator<Item = Frame> + '_ {
        let frames = self.index.as_ref().map(|index| index.frames(from));
        frames.into_iter().flatten().map_while(Result::ok)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // sled's threads end first; a copy that stays is in nobody's way, and is removed by the next.
        self.index = None;
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

/// Copies the files of a directory, and those of the directories in it (sled has `blobs`).
fn copy_flat(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !entry.file_type()?.is_dir() {
            std::fs::copy(entry.path(), target)?;
            continue;
        }
        std::fs::create_dir(&target)?;
        for inner in std::fs::read_dir(entry.path())? {
            let inner = inner?;
            if inner.file_type()?.is_file() {
                std::fs::copy(inner.path(), target.join(inner.file_name()))?;
            }
        }
    }
    Ok(())
}

/// Whether somebody holds the log now. Changes nothing, not even a missing lock file.
pub(super) fn is_held(log: &Path) -> bool {
    File::open(log.join("LOCK")).is_ok_and(|file| {
        files::lock_file(&file).is_err_and(|e| e.kind() == io::ErrorKind::WouldBlock)
    })
}
