//! [`MirrorReader`]: the events of a log, or of an exported file, for reading only. It never touches
//! sled or the lock, so it works beside the running engine and with a full disk.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::anchor::{self, Anchor, Reading};
use super::bounds::COMMIT_OCTETS_MAX;
use super::files::{self, damaged, failed, unsynced};
use super::segment::{self, Segment};
use super::walk::Walk;
use crate::codec::Frame;
use crate::event::Envelope;
use crate::id::Seq;
use crate::store::{Frames, Head, StoreError};

/// Reads a log directory or one `.rlog` file.
#[derive(Clone, Debug)]
pub struct MirrorReader {
    path: PathBuf,
    is_file: bool,
}

impl MirrorReader {
    /// Reads this log directory, or this exported file.
    ///
    /// # Errors
    /// [`StoreError::Absent`] when there is neither.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let is_file = path.is_file();
        if is_file || segment::directory(path).is_dir() || anchor::head_path(path).is_file() {
            return Ok(Self { path: path.to_owned(), is_file });
        }
        Err(StoreError::Absent { path: path.to_owned() })
    }

    /// The last event: of a directory the last acknowledged one, of a file the last one in it.
    ///
    /// # Errors
    /// When a file, or a directory without a readable `HEAD`, cannot be read to its end.
    pub fn head(&self) -> Result<Head, StoreError> {
        if let Some(anchor) = self.anchor()? {
            return Ok(anchor.head);
        }
        let mut head = Head::default();
        for frame in self.scan(Seq(1))? {
            let frame = frame?;
            head = Head { seq: frame.seq, hash: frame.hash };
        }
        Ok(head)
    }

    /// The frames from `from` on, only whole batches, with checksums, density and chain checked.
    /// Of a directory it ends after the last whole batch: what follows is being written. A file, a
    /// log that is shorter than its anchor says or has another event in that place, and one without an
    /// anchor end with an error instead.
    ///
    /// # Errors
    /// When the mirror cannot be listed.
    pub fn scan(&self, from: Seq) -> Result<Frames<'static>, StoreError> {
        // The anchor first: what it names is then surely in the segments listed after it.
        let anchor = self.anchor()?;
        let segments = self.segments()?;
        Ok(Box::new(Batches {
            path: self.path.clone(),
            walk: Walk::from(segments, from),
            from,
            anchor: anchor.map_or(Head::default(), |anchor| anchor.head),
            may_grow: anchor.is_some(),
            last: Seq(0),
            partial: VecDeque::new(),
            partial_octets: 0,
            whole: VecDeque::new(),
            over: false,
        }))
    }

    /// [`Self::scan`], decoded.
    ///
    /// # Errors
    /// When the mirror cannot be listed.
    pub fn envelopes(
        &self,
        from: Seq,
    ) -> Result<impl Iterator<Item = Result<Envelope, StoreError>> + use<>, StoreError> {
        Ok(self.scan(from)?.map(|frame| {
            let frame = frame?;
            Frame::decode(&frame.bytes).map_err(|cause| StoreError::Frame { seq: frame.seq, cause })
        }))
    }

    pub(super) fn segments(&self) -> Result<Vec<Segment>, StoreError> {
        if !self.is_file {
            return segment::list(&self.path);
        }
        let octets = self.path.metadata().map_err(failed("reading", &self.path))?.len();
        Ok(vec![Segment { first: None, path: self.path.clone(), octets }])
    }

    /// What `HEAD` names; none for a file, and when `HEAD` is absent or unreadable.
    pub(super) fn anchor(&self) -> Result<Option<Anchor>, StoreError> {
        if self.is_file {
            return Ok(None);
        }
        match anchor::read_head(&self.path)? {
            Reading::Found(anchor, _) => Ok(Some(anchor)),
            Reading::Absent | Reading::Unreadable => Ok(None),
            Reading::Newer => {
                let what = "a newer renewd wrote HEAD; use that version";
                Err(damaged(files::NEWER, &anchor::head_path(&self.path), what))
            }
        }
    }
}

/// Hands out frames once their batch is whole.
#[derive(Debug)]
struct Batches {
    path: PathBuf,
    walk: Walk,
    from: Seq,
    anchor: Head,
    may_grow: bool,
    last: Seq,
    partial: VecDeque<Frame>,
    partial_octets: usize,
    whole: VecDeque<Frame>,
    over: bool,
}

impl Batches {
    /// Reads up to the end of the next batch; `false` at the end.
    fn fill(&mut self) -> Result<bool, StoreError> {
        loop {
            let frame = match self.walk.next() {
                Some(Ok(frame)) => frame,
                Some(Err(fault)) => {
                    let tail = self.walk.in_last_segment() && fault.may_be_torn();
                    return if self.may_grow && tail && fault.seq > self.anchor.seq {
                        Ok(false)
                    } else {
                        Err(fault.error())
                    };
                }
                None => return self.end().map(|()| false),
            };
            if frame.seq == self.anchor.seq && frame.hash != self.anchor.hash {
                let what = format!("event {} is not the one that HEAD names", frame.seq);
                return Err(damaged(files::BROKEN, &self.path, what));
            }
            let last = frame.last_of_batch.then_some(frame.seq);
            self.partial_octets = self.partial_octets.saturating_add(frame.bytes.len());
            if self.partial_octets > COMMIT_OCTETS_MAX {
                let what = format!("the batch of event {} is larger than a commit", frame.seq);
                return Err(damaged(files::BROKEN, &self.path, what));
            }
            self.partial.push_back(frame);
            if let Some(last) = last {
                self.last = last;
                self.partial_octets = 0;
                std::mem::swap(&mut self.partial, &mut self.whole);
                return Ok(true);
            }
        }
    }

    fn end(&self) -> Result<(), StoreError> {
        if self.last < self.anchor.seq && self.from <= self.anchor.seq {
            let what = format!(
                "it ends after event {}, but {} events were acknowledged",
                self.last, self.anchor.seq
            );
            return Err(damaged(files::SHORT, &self.path, what));
        }
        if !self.may_grow && !self.partial.is_empty() {
            let what = format!("the file ends within the batch after event {}", self.last);
            return Err(damaged(files::SHORT, &self.path, what));
        }
        Ok(())
    }
}

impl Iterator for Batches {
    type Item = Result<Frame, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(frame) = self.whole.pop_front() {
                if frame.seq < self.from {
                    continue;
                }
                return Some(Ok(frame));
            }
            if self.over {
                return None;
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => self.over = true,
                Err(error) => {
                    self.over = true;
                    return Some(Err(error));
                }
            }
        }
    }
}

/// Copies all events into one new file and makes it durable. Says which event is the last.
///
/// # Errors
/// When the log cannot be read to its end, or the file exists or cannot be written; a file that was
/// begun is removed again.
pub fn export(reader: &MirrorReader, out_file: &Path) -> Result<Head, StoreError> {
    let file = files::create_new(out_file)?;
    write_all(reader, file, out_file).inspect_err(|_| {
        // The first error is what the caller must know; a file that stays does not verify.
        drop(std::fs::remove_file(out_file));
    })
}

fn write_all(reader: &MirrorReader, file: File, path: &Path) -> Result<Head, StoreError> {
    let mut out = BufWriter::new(file);
    let mut head = Head::default();
    for frame in reader.scan(Seq(1))? {
        let frame = frame?;
        out.write_all(&frame.bytes).map_err(failed("writing", path))?;
        head = Head { seq: frame.seq, hash: frame.hash };
    }
    let file = out.into_inner().map_err(|error| failed("writing", path)(error.into_error()))?;
    file.sync_all().map_err(unsynced(path))?;
    Ok(head)
}
