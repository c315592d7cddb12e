//! [`SledLog`]: the log of the running engine.

mod sized;

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::anchor::{self, Anchor, AnchorFile, Reading};
use super::bounds::{COMMIT_OCTETS_MAX, SLED_SYNC_COMMITS};
use super::files::{self, damaged};
use super::index::{self, Index};
use super::mirror::MirrorReader;
use super::recover::{self, Opened};
use super::segment::{self, Appender};
use crate::codec::Frame;
use crate::event::Envelope;
use crate::id::Seq;
use crate::store::{EventStore, Frames, Head, StoreError};

/// The log of one directory, held by this process alone until it is dropped.
pub struct SledLog {
    dir: PathBuf,
    /// Held for its lock only.
    _lock: File,
    index: Index,
    mirror: Appender,
    anchor_file: AnchorFile,
    anchor: Anchor,
    /// Commits since the index was made durable.
    unsynced: u32,
    /// Why nothing may be written any more.
    refused: Option<String>,
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

    /// Looks whether [`SledLog::open`] would refuse this log, and changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Absent`], or [`StoreError::Damaged`] with its code.
    pub fn check(dir: &Path) -> Result<(), StoreError> {
        recover::check(dir).map(drop)
    }

    fn open_locked(dir: &Path, lock: File) -> Result<(Self, Opened), StoreError> {
        let mut plan = recover::check(dir)?;
        let (first, end) = plan.tail;
        let mirror = Appender::open(dir, first, end)?;
        if !plan.opened.clean {
            // A killed process may have left its last write in the page cache. Index and anchor
            // must not become durable before it.
            mirror.sync()?;
        }
        let index = recover::index(dir, &mut plan)?;
        recover::cut(dir, &mut plan)?;
        let mut anchor_file = AnchorFile::open(dir, plan.slot)?;
        anchor_file.write(&plan.anchor)?;
        anchor::remove_clean(dir)?;
        let log = Self {
            dir: dir.to_owned(),
            _lock: lock,
            index,
            mirror,
            anchor_file,
            anchor: plan.anchor,
            unsynced: 0,
            refused: None,
        };
        Ok((log, plan.opened))
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
        self.index.get(seq).map_err(|error| error.error(&index::directory(&self.dir)))
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
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else {
            return Ok(());
        };
        check_follows(self.anchor.head, frames, &self.dir)?;
        let parts: Vec<&[u8]> = frames.iter().map(|frame| frame.bytes.as_slice()).collect();
        let bytes = parts.concat();
        if bytes.len() > COMMIT_OCTETS_MAX {
            let what =
                format!("a commit of {} octets; {COMMIT_OCTETS_MAX} are allowed", bytes.len());
            return Err(damaged(files::TOO_LARGE, &self.dir, what));
        }
        self.mirror.append(first.seq, &bytes)?;
        self.add_to_index(frames)?;
        let (segment, end) = self.mirror.position();
        let anchor = Anchor {
            head: Head { seq: last.seq, hash: last.hash },
            segment,
            end: u32::try_from(end).unwrap_or(u32::MAX),
            last_octets: u16::try_from(last.bytes.len()).unwrap_or(u16::MAX),
        };
        self.anchor_file.write(&anchor)?;
        self.anchor = anchor;
        Ok(())
    }

    fn add_to_index(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        self.unsynced = self.unsynced.saturating_add(1);
        let mut result = self.index.apply(frames);
        if result.is_ok() && self.unsynced >= SLED_SYNC_COMMITS {
            result = self.index.sync();
            self.unsynced = 0;
        }
        result.map_err(|error| error.error(&index::directory(&self.dir)))
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
        self.refuse_writes()?;
        self.try_commit(frames).inspect_err(|error| {
            // A failed fsync is never tried again: the kernel reports it once and then forgets.
            self.refused = Some(error.to_string());
        })
    }

    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        Ok(Box::new(Scan {
            log: self,
            source: Source::Index(Box::new(self.index.frames(from.max(Seq(1))))),
            last: Head { seq: Seq(from.0.saturating_sub(1)), hash: Default::default() },
            chained: from <= Seq(1),
        }))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.refuse_writes()?;
        self.refused = Some("it was closed".to_owned());
        self.index.sync().map_err(|error| error.error(&index::directory(&self.dir)))?;
        anchor::write_clean(&self.dir, &self.anchor)
    }
}

enum Source<'a> {
    Index(Box<dyn Iterator<Item = Result<Frame, index::IndexError>> + 'a>),
    Mirror(Frames<'a>),
    Over,
}

/// Frames from the index; where it fails, is out of order or ends too early, from the mirror.
struct Scan<'a> {
    log: &'a SledLog,
    source: Source<'a>,
    last: Head,
    chained: bool,
}

impl Scan<'_> {
    fn fits(&self, frame: &Frame) -> bool {
        frame.seq == self.last.seq.next() && (!self.chained || frame.previous == self.last.hash)
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Frame, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Source::Index(frames) = &mut self.source {
            let next = frames.next();
            if next.is_none() && self.last.seq >= self.log.anchor.head.seq {
                self.source = Source::Over;
                return None;
            }
            if let Some(Ok(frame)) = next
                && self.fits(&frame)
            {
                self.last = Head { seq: frame.seq, hash: frame.hash };
                self.chained = true;
                return Some(Ok(frame));
            }
            match self.log.replay(self.last.seq.next()) {
                Ok(frames) => self.source = Source::Mirror(frames),
                Err(error) => {
                    self.source = Source::Over;
                    return Some(Err(error));
                }
            }
        }
        match &mut self.source {
            Source::Mirror(frames) => frames.next(),
            Source::Index(_) | Source::Over => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{BootNo, StreamId};
    use crate::intent::ActorName;
    use crate::log::verify;
    use crate::process::EngineEvent;
    use crate::time::WallMs;

    fn next(head: Head) -> Frame {
        Frame::encode(&Envelope {
            seq: head.seq.next(),
            stream: StreamId::ENGINE,
            version: 1,
            batch_index: 0,
            batch_len: 1,
            at: WallMs(1),
            boot: BootNo(1),
            actor: ActorName::Engine,
            incarnation: 1,
            renewal: None,
            cause: None,
            trace: None,
            previous: head.hash,
            event: EngineEvent::EngineStopped.into(),
        })
        .unwrap()
    }

    fn fill(log: &mut SledLog, events: u64) {
        log.mirror.full_at = 1000;
        for _ in 0..events {
            log.commit(&[next(log.head())]).unwrap();
        }
    }

    fn places(frames: Frames<'_>) -> Vec<u64> {
        frames.map(|frame| frame.unwrap().seq.0).collect()
    }

    #[test]
    fn a_log_of_several_segments_opens_and_reads_from_anywhere() {
        let dir = tempfile::tempdir().unwrap();
        fill(&mut SledLog::create(dir.path()).unwrap(), 30);
        let (mut log, opened) = SledLog::open(dir.path()).unwrap();
        assert_eq!((opened.torn, log.head().seq), (None, Seq(30)));
        fill(&mut log, 10);
        log.close().unwrap();
        drop(log);
        std::fs::remove_dir_all(index::directory(dir.path())).unwrap();
        let (log, opened) = SledLog::open(dir.path()).unwrap();
        assert!(opened.clean);
        let report = verify(dir.path()).unwrap();
        assert!(report.is_whole() && report.segments > 3, "{report:?}");
        for from in 1..=41 {
            let expected: Vec<u64> = (from..=40).collect();
            assert_eq!(places(log.replay(Seq(from)).unwrap()), expected);
            assert_eq!(places(log.scan(Seq(from)).unwrap()), expected);
        }
    }

    #[test]
    fn a_segment_that_a_crash_left_empty_is_gone_on_with() {
        let dir = tempfile::tempdir().unwrap();
        fill(&mut SledLog::create(dir.path()).unwrap(), 5);
        segment::create(dir.path(), Seq(6)).unwrap();
        std::fs::write(segment::path(dir.path(), Seq(6)), b"RNW1 torn").unwrap();
        let (mut log, opened) = SledLog::open(dir.path()).unwrap();
        assert_eq!(opened.torn.unwrap().octets, 9);
        fill(&mut log, 3);
        drop(log);
        let (log, opened) = SledLog::open(dir.path()).unwrap();
        assert_eq!((opened.torn, log.head().seq), (None, Seq(8)));
        assert_eq!(places(log.replay(Seq(1)).unwrap()).len(), 8);
    }

    #[test]
    fn a_missing_segment_is_never_skipped() {
        let dir = tempfile::tempdir().unwrap();
        fill(&mut SledLog::create(dir.path()).unwrap(), 30);
        let segments = segment::list(dir.path()).unwrap();
        let inner = segments.get(1).unwrap();
        std::fs::remove_file(&inner.path).unwrap();
        let reader = MirrorReader::open(dir.path()).unwrap();
        assert!(reader.scan(Seq(1)).unwrap().any(|frame| frame.is_err()));
        let bad = verify(dir.path()).unwrap().first_bad.unwrap();
        assert_eq!(Some(bad.seq), inner.first);
        let last = segments.last().unwrap();
        std::fs::remove_file(&last.path).unwrap();
        let error = SledLog::open(dir.path()).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { code: files::SHORT, .. }));
    }
}
