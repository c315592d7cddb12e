//! [`SledLog`]: the log of the running engine.

mod sized;

use std::fmt;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::anchor::{self, Anchor, AnchorFile, Reading};
use super::bounds::{COMMIT_OCTETS_MAX, REOPEN_OCTETS_MIN};
use super::files::{self, damaged, failed};
use super::index;
use super::mirror::MirrorReader;
use super::recover::{self, Opened};
use super::scan::Scan;
use super::segment;
use super::writing::Writing;
use crate::codec::Frame;
use crate::event::Envelope;
use crate::id::Seq;
use crate::store::{EventStore, Frames, Head, StoreError};

/// The log of one directory, held by this process alone until it is dropped.
pub struct SledLog {
    dir: PathBuf,
    /// Held for its lock only, over [`EventStore::reopen`] too: no second process slips in.
    _lock: File,
    /// Absent after a commit or the opening failed: while it waits for the disk, the log keeps no file open that it
    /// could write, so that the file system can be checked and mounted anew.
    writing: Option<Writing>,
    /// The last acknowledged event.
    anchor: Anchor,
    /// Why nothing may be written any more.
    refused: Option<String>,
    /// What opening it for writing met: the first commit fails with it.
    unopened: Option<StoreError>,
    /// Whether [`EventStore::reopen`] may take that back.
    may_reopen: bool,
}

impl fmt::Debug for SledLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledLog")
            .field("dir", &self.dir)
            .field("head", &self.anchor.head)
            .field("refused", &self.refused)
            .finish_non_exhaustive()
    }
}

impl SledLog {
    /// Makes a log without events and opens it. Only a person's wish may lead here: a log that is
    /// missing or empty where one was expected is damage.
    ///
    /// # Errors
    /// When there is a log already, or remains of one; or when the directory cannot be written.
    pub fn create(dir: &Path) -> Result<Self, StoreError> {
        files::make_directory(dir)?;
        if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            files::sync_directory(parent)?;
        }
        let lock = files::lock(dir)?;
        if anchor::read_head(dir)? != Reading::Absent {
            return Err(StoreError::Io {
                what: "creating the log",
                path: dir.to_owned(),
                cause: io::ErrorKind::AlreadyExists.into(),
            });
        }
        match recover::check(dir) {
            Err(StoreError::Absent { .. }) => {}
            Err(error) => return Err(error),
            Ok(_) => return Err(damaged(files::ANCHOR, dir, "HEAD came up meanwhile")),
        }
        files::make_directory(&segment::directory(dir))?;
        // Remains of a creation that was cut short: the check above saw that they hold nothing.
        if segment::list(dir)?.is_empty() {
            segment::create(dir, Seq(1))?;
        }
        files::sync_directory(dir)?;
        // Last: its presence is what makes this a log.
        AnchorFile::create(dir)?;
        Self::open_locked(dir, lock).map(|(log, _)| log)
    }

    /// Opens a log and says what was found. It is never opened with fewer events than were
    /// acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Absent`], [`StoreError::Locked`], or [`StoreError::Damaged`] with its code.
    pub fn open(dir: &Path) -> Result<(Self, Opened), StoreError> {
        if !dir.is_dir() {
            return Err(StoreError::Absent { path: dir.to_owned() });
        }
        let lock = files::lock(dir)?;
        Self::open_locked(dir, lock)
    }

    /// Takes a log that the disk does not let be opened for writing, as [`SledLog::open`] just said with
    /// `unopened`: with the same checks of mirror and anchor, and without a write. Its first commit fails
    /// with that error, as if it had been met then, and [`EventStore::reopen`] goes on.
    ///
    /// # Errors
    /// As of [`SledLog::open`]; `unopened` itself when it does not pass by itself.
    pub fn wait(dir: &Path, unopened: StoreError) -> Result<Self, StoreError> {
        if !unopened.may_pass() {
            return Err(unopened);
        }
        let lock = files::lock(dir)?;
        let anchor = recover::check(dir)?.anchor;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
            writing: None,
            anchor,
            refused: Some(unopened.to_string()),
            unopened: Some(unopened),
            may_reopen: true,
        })
    }

    /// Looks whether [`SledLog::open`] would refuse this log, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Absent`], or [`StoreError::Damaged`] with its code.
    pub fn check(dir: &Path) -> Result<(), StoreError> {
        recover::check(dir).map(drop)
    }

    fn open_locked(dir: &Path, lock: File) -> Result<(Self, Opened), StoreError> {
        let (writing, anchor, opened) = Writing::open(dir)?;
        let log = Self {
            dir: dir.to_owned(),
            _lock: lock,
            writing: Some(writing),
            anchor,
            refused: None,
            unopened: None,
            may_reopen: false,
        };
        Ok((log, opened))
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// One frame, from the index.
    ///
    /// # Errors
    /// When the index cannot be read.
    pub fn frame(&self, seq: Seq) -> Result<Option<Frame>, StoreError> {
        match &self.writing {
            Some(writing) => {
                writing.index.get(seq).map_err(|error| error.error(&index::directory(&self.dir)))
            }
            None => self.replay(seq)?.next().transpose(),
        }
    }

    /// The frames from `from` on, read from the mirror in file order: several times faster than
    /// [`EventStore::scan`] for a whole log.
    ///
    /// # Errors
    /// When the mirror cannot be opened.
    pub fn replay(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        MirrorReader::open(&self.dir)?.scan(from)
    }

    /// [`Self::replay`], decoded.
    ///
    /// # Errors
    /// When the mirror cannot be opened.
    pub fn replay_envelopes(
        &self,
        from: Seq,
    ) -> Result<impl Iterator<Item = Result<Envelope, StoreError>> + use<>, StoreError> {
        MirrorReader::open(&self.dir)?.envelopes(from)
    }

    fn try_commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        check_follows(self.anchor.head, frames, &self.dir)?;
        let parts: Vec<&[u8]> = frames.iter().map(|frame| frame.bytes.as_slice()).collect();
        let bytes = parts.concat();
        if bytes.len() > COMMIT_OCTETS_MAX {
            let what =
                format!("a commit of {} octets; {COMMIT_OCTETS_MAX} are allowed", bytes.len());
            return Err(damaged(files::TOO_LARGE, &self.dir, what));
        }
        let Some(writing) = &mut self.writing else {
            return Err(StoreError::Poisoned("it is not open for writing".to_owned()));
        };
        if let Some(anchor) = writing.commit(frames, &bytes, &self.dir)? {
            self.anchor = anchor;
        }
        Ok(())
    }

    /// Closes what was open for writing. sled may panic when it meets the full disk once more.
    fn let_go(&mut self) {
        let writing = self.writing.take();
        drop(catch_unwind(AssertUnwindSafe(move || drop(writing))));
    }

    /// Refuses while the disk is known to take nothing: recovery is not begun in vain.
    fn check_room(&self) -> Result<(), StoreError> {
        let what = "looking for room";
        let (octets, read_only) = files::room(&self.dir).map_err(failed(what, &self.dir))?;
        let kind = match (read_only, octets < REOPEN_OCTETS_MIN) {
            (true, _) => io::ErrorKind::ReadOnlyFilesystem,
            (false, true) => io::ErrorKind::StorageFull,
            (false, false) => return Ok(()),
        };
        Err(failed(what, &self.dir)(kind.into()))
    }

    fn refuse_writes(&self) -> Result<(), StoreError> {
        match &self.refused {
            Some(why) => Err(StoreError::Poisoned(why.clone())),
            None => Ok(()),
        }
    }
}

/// The frames must continue the log and end a batch: what is written can be read again.
fn check_follows(head: Head, frames: &[Frame], dir: &Path) -> Result<(), StoreError> {
    let mut at = head;
    for frame in frames {
        if frame.seq != at.seq.next() || frame.previous != at.hash {
            let what = format!("a new event {} does not follow event {}", frame.seq, at.seq);
            return Err(damaged(files::BROKEN, dir, what));
        }
        at = Head { seq: frame.seq, hash: frame.hash };
    }
    if frames.last().is_some_and(|frame| !frame.last_of_batch) {
        let what = format!("the new events end within a batch, at {}", at.seq);
        return Err(damaged(files::BROKEN, dir, what));
    }
    Ok(())
}

impl EventStore for SledLog {
    fn head(&self) -> Head {
        self.anchor.head
    }

    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        if let Some(error) = self.unopened.take() {
            return Err(error);
        }
        self.refuse_writes()?;
        self.try_commit(frames).inspect_err(|error| {
            // A failed fsync is never tried again: the kernel reports it once and then forgets.
            self.refused = Some(error.to_string());
            self.may_reopen = error.may_pass();
            self.let_go();
        })
    }

    fn reopen(&mut self) -> Result<Head, StoreError> {
        if !self.may_reopen {
            self.refuse_writes()?;
            return Ok(self.anchor.head);
        }
        let opened = self.check_room().and_then(|()| Writing::open(&self.dir));
        let (writing, anchor, _) = opened.inspect_err(|error| {
            self.refused = Some(error.to_string());
            self.may_reopen = error.may_pass();
        })?;
        if anchor.head.seq < self.anchor.head.seq {
            self.may_reopen = false;
            let what =
                format!("it ends before event {}, an acknowledged one", self.anchor.head.seq);
            return Err(damaged(files::SHORT, &self.dir, what));
        }
        self.writing = Some(writing);
        self.anchor = anchor;
        self.refused = None;
        self.may_reopen = false;
        Ok(anchor.head)
    }

    fn is_settled(&self) -> bool {
        self.writing.as_ref().is_none_or(Writing::is_settled)
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        let settled = self.writing.as_mut().map_or(Ok(()), Writing::settle);
        settled.inspect_err(|error| {
            self.refused = Some(error.to_string());
            self.may_reopen = error.may_pass();
            self.let_go();
        })
    }

    fn room(&self) -> Option<u64> {
        files::room_left(&self.dir).ok()
    }

    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        let index = self.writing.as_ref().map(|writing| &writing.index);
        Ok(Box::new(Scan::new(self, index, from)))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.refuse_writes()?;
        self.refused = Some("it was closed".to_owned());
        let Some(writing) = &mut self.writing else {
            return Err(StoreError::Poisoned("it is not open for writing".to_owned()));
        };
        writing.settle()?;
        writing.index.sync().map_err(|error| error.error(&index::directory(&self.dir)))?;
        anchor::write_clean(&self.dir, &self.anchor)
    }
}

#[cfg(test)]
mod tests;
