//! Mirror segments: their names, and appending to the last one.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::bounds::SEGMENT_OCTETS;
use super::files::{self, failed, unsynced};
use crate::id::Seq;
use crate::store::StoreError;

/// One file of the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its first event, by its name; `None` for an exported file, whose name says nothing.
    pub(super) first: Option<Seq>,
    /// Where it is.
    pub(super) path: PathBuf,
    /// How long it was when it was looked at.
    pub(super) octets: u64,
}

pub(super) fn directory(log: &Path) -> PathBuf {
    log.join("mirror")
}

pub(super) fn path(log: &Path, first: Seq) -> PathBuf {
    directory(log).join(format!("events-{:08}.rlog", first.0))
}

/// The segments of a log, in order; empty when there is no mirror.
///
/// # Errors
/// When the directory cannot be read.
pub(super) fn list(log: &Path) -> Result<Vec<Segment>, StoreError> {
    let directory = directory(log);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed("listing", &directory)(cause)),
    };
    let mut segments = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("listing", &directory))?;
        let Some(first) = entry.file_name().to_str().and_then(first_of) else {
            continue;
        };
        let path = entry.path();
        let octets = entry.metadata().map_err(failed("reading", &path))?.len();
        segments.push(Segment { first: Some(first), path, octets });
    }
    segments.sort_by_key(|segment| segment.first);
    Ok(segments)
}

fn first_of(name: &str) -> Option<Seq> {
    let digits = name.strip_prefix("events-")?.strip_suffix(".rlog")?;
    digits.parse().ok().map(Seq)
}

/// Makes an empty segment whose name survives a power cut: file, then directory, and only then may
/// anything be written into it.
///
/// # Errors
/// When it exists or cannot be made.
pub(super) fn create(log: &Path, first: Seq) -> Result<File, StoreError> {
    let path = path(log, first);
    let file = files::create_new(&path)?;
    file.sync_all().map_err(unsynced(&path))?;
    files::sync_directory(&directory(log))?;
    Ok(file)
}

/// The last segment, open for appending.
#[derive(Debug)]
pub(super) struct Appender {
    log: PathBuf,
    file: File,
    path: PathBuf,
    first: Seq,
    end: u64,
    /// Where the next segment begins: [`SEGMENT_OCTETS`], less in tests.
    pub(super) full_at: u64,
}

impl Appender {
    /// Opens the segment that begins with `first`; the next byte goes to `end`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(log: &Path, first: Seq, end: u64) -> Result<Self, StoreError> {
        let path = path(log, first);
        Ok(Self {
            log: log.to_owned(),
            file: files::open_writable(&path)?,
            path,
            first,
            end,
            full_at: SEGMENT_OCTETS,
        })
    }

    /// Appends bytes whose first event is `first`; durable when it returns.
    ///
    /// # Errors
    /// When they are not known to be durable.
    pub(super) fn append(&mut self, first: Seq, bytes: &[u8]) -> Result<(), StoreError> {
        if self.end >= self.full_at {
            self.file = create(&self.log, first)?;
            self.path = path(&self.log, first);
            self.first = first;
            self.end = 0;
        }
        self.file.write_all_at(bytes, self.end).map_err(failed("appending to", &self.path))?;
        self.file.sync_data().map_err(unsynced(&self.path))?;
        let octets = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.end = self.end.saturating_add(octets);
        Ok(())
    }

    /// Makes durable what a killed process may have left in the page cache only.
    ///
    /// # Errors
    /// When the sync fails.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.file.sync_all().map_err(unsynced(&self.path))?;
        files::sync_directory(&directory(&self.log))
    }

    /// The first event of the segment, and its length.
    pub(super) fn position(&self) -> (Seq, u64) {
        (self.first, self.end)
    }
}
