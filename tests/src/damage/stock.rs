//! The logs that are damaged: real ones, in the states in which a log may be found, with an earlier copy
//! of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use renewd_events::codec::Frame;
use renewd_events::id::{BootNo, Seq, StreamId, StreamKind};
use renewd_events::log::{MirrorReader, SledLog};
use renewd_events::samples::samples;
use renewd_events::store::{EventStore, Head};
use renewd_events::{Envelope, WallMs};
use tempfile::TempDir;

use super::Trouble;

/// Events of each log: some hundred KiB, several segments.
const EVENTS: u64 = 320;
/// Events when the earlier copy was made.
const EARLIER: u64 = 200;
/// Where segments end: about eight of them.
const SEGMENT_OCTETS: u64 = 12_000;
/// Events in one batch at most.
const BATCH_MAX: u64 = 4;

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// In order: `CLEAN` is there.
    Closed,
    /// Without an end; the index is complete.
    Dropped,
    /// As a killed process leaves it: the index lacks what it held in memory.
    Killed,
}

/// One log.
#[derive(Clone, Debug)]
pub struct Base {
    /// How it was left.
    pub left: Left,
    /// Its directory.
    pub log: PathBuf,
    /// A copy of it when it had fewer events.
    pub earlier: PathBuf,
    /// All events that were acknowledged.
    pub frames: Vec<Frame>,
}

/// All logs; they live as long as this.
#[derive(Debug)]
pub struct Stock {
    folder: TempDir,
    /// The logs.
    pub bases: Vec<Base>,
}

impl Stock {
    /// Makes the logs.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn make() -> Result<Self, Trouble> {
        let folder = tempfile::tempdir()?;
        let mut bases = Vec::new();
        for left in [Left::Closed, Left::Dropped, Left::Killed] {
            bases.push(base(&folder.path().join(format!("{left:?}")), left)?);
        }
        Ok(Self { folder, bases })
    }

    /// Where the logs are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn base(dir: &Path, left: Left) -> Result<Base, Trouble> {
    fs::create_dir(dir)?;
    let (log, earlier) = (dir.join("log"), dir.join("earlier"));
    let mut writer = Writer::default();
    let mut store = SledLog::create(&log)?;
    store.close_segments_at(SEGMENT_OCTETS);
    writer.fill(&mut store, EARLIER)?;
    if left == Left::Closed {
        store.close()?;
    }
    drop(store);
    copy(&log, &earlier)?;
    let (mut store, _) = SledLog::open(&log)?;
    store.close_segments_at(SEGMENT_OCTETS);
    writer.fill(&mut store, EVENTS)?;
    let log = match left {
        Left::Closed => {
            store.close()?;
            log
        }
        Left::Dropped => log,
        Left::Killed => {
            let killed = dir.join("killed");
            copy(&log, &killed)?;
            killed
        }
    };
    drop(store);
    let frames = MirrorReader::open(&log)?.scan(Seq(1))?.collect::<Result<Vec<_>, _>>()?;
    Ok(Base { left, log, earlier, frames })
}

/// Makes records of every event there is, one after the other.
#[derive(Default)]
struct Writer {
    versions: BTreeMap<StreamId, u32>,
    count: usize,
}

impl Writer {
    fn fill(&mut self, store: &mut SledLog, events: u64) -> Result<(), Trouble> {
        let samples = samples();
        while store.head().seq.0 < events {
            let len = (store.head().seq.0 % BATCH_MAX).saturating_add(1);
            let len = u16::try_from(len)?;
            let mut head = store.head();
            let mut batch = Vec::new();
            for index in 0..len {
                let sample = samples.get(self.count.checked_rem(samples.len()).unwrap_or(0));
                let sample = sample.ok_or("there are no samples")?;
                self.count = self.count.saturating_add(1);
                let frame = Frame::encode(&self.record(sample, head, index, len))?;
                head = Head { seq: frame.seq, hash: frame.hash };
                batch.push(frame);
            }
            store.commit(&batch)?;
        }
        Ok(())
    }

    fn record(&mut self, sample: &Envelope, head: Head, index: u16, len: u16) -> Envelope {
        let kind = sample.stream.kind;
        let stream = if kind == StreamKind::Engine { StreamId::ENGINE } else { sample.stream };
        let version = self.versions.entry(stream).or_default();
        *version = version.saturating_add(1);
        Envelope {
            seq: head.seq.next(),
            stream,
            version: *version,
            batch_index: index,
            batch_len: len,
            at: WallMs(1_700_000_000_000_u64.saturating_add(head.seq.0)),
            boot: BootNo(3),
            previous: head.hash,
            ..sample.clone()
        }
    }
}

/// Copies a directory.
///
/// # Errors
/// When something cannot be read or written.
pub fn copy(from: &Path, to: &Path) -> Result<(), Trouble> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
