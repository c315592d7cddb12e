//! Filling a log quickly: batches become frames here, so that a million events take seconds.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use renewd_events::codec::Frame;
use renewd_events::id::{BootNo, StreamId};
use renewd_events::log::SledLog;
use renewd_events::store::{EventStore, Head};
use renewd_events::{ActorName, Envelope, WallMs};

use crate::error::{BenchError, io};
use crate::history::{Batch, History};

/// Frames of one commit: some 2 MiB, below the log's bound of 8 MiB.
const FRAMES_PER_COMMIT: usize = 4096;
/// Certificates of a filled log: a large installation.
const CERTIFICATES: u32 = 1000;
/// Renewals of one certificate: more than ten years of 60-day renewals.
const RENEWALS_MAX: u32 = 1000;

/// How a log was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With the mark of a clean end.
    Clean,
    /// As a killed process leaves it.
    Killed,
}

/// Writes batches to a new log.
#[derive(Debug)]
pub(crate) struct Filler {
    log: SledLog,
    at: WallMs,
    versions: HashMap<StreamId, u32>,
    head: Head,
    waiting: Vec<Frame>,
    events: u32,
    octets: u64,
}

impl Filler {
    /// A new log in `dir`; all its events happen at `at`.
    pub(crate) fn create(dir: &Path, at: WallMs) -> Result<Self, BenchError> {
        Ok(Self {
            log: SledLog::create(dir)?,
            at,
            versions: HashMap::new(),
            head: Head::default(),
            waiting: Vec::new(),
            events: 0,
            octets: 0,
        })
    }

    /// Adds one batch.
    pub(crate) fn push(&mut self, batch: Batch) -> Result<(), BenchError> {
        let batch_len = u16::try_from(batch.len()).unwrap_or(u16::MAX);
        for (batch_index, new) in (0..).zip(batch) {
            let version = self.versions.entry(new.stream).or_insert(0);
            *version = version.saturating_add(1);
            let frame = Frame::encode(&Envelope {
                seq: self.head.seq.next(),
                stream: new.stream,
                version: *version,
                batch_index,
                batch_len,
                at: self.at,
                boot: BootNo(1),
                actor: ActorName::Issuer,
                incarnation: 1,
                renewal: new.renewal,
                cause: new.cause,
                trace: None,
                previous: self.head.hash,
                event: new.event,
            })?;
            self.head = Head { seq: frame.seq, hash: frame.hash };
            self.events = self.events.saturating_add(1);
            self.octets += u64::try_from(frame.bytes.len()).unwrap_or(0);
            self.waiting.push(frame);
        }
        if self.waiting.len() >= FRAMES_PER_COMMIT {
            self.flush()?;
        }
        Ok(())
    }

    /// Makes all durable and leaves the log. Gives events and octets.
    pub(crate) fn end(mut self, end: End) -> Result<(u32, u64), BenchError> {
        self.flush()?;
        if end == End::Clean {
            self.log.close()?;
        }
        Ok((self.events, self.octets))
    }

    fn flush(&mut self) -> Result<(), BenchError> {
        self.log.commit(&self.waiting)?;
        self.waiting.clear();
        Ok(())
    }
}

/// Fills a log with at least so many events of [`CERTIFICATES`] certificates that are renewed again
/// and again. Gives events and octets.
pub(crate) fn fill(dir: &Path, events: u32) -> Result<(u32, u64), BenchError> {
    let at = WallMs(1_760_000_000_000);
    let history = History::at("https://ca.example.org/directory");
    let sites = (0..CERTIFICATES).map(|number| history.lineage(number));
    let sites = sites.collect::<Result<Vec<_>, _>>()?;
    let mut filler = Filler::create(dir, at)?;
    filler.push(history.account())?;
    for site in &sites {
        filler.push(vec![site.declared(), site.bound()])?;
    }
    for number in 1..=RENEWALS_MAX {
        for site in &sites {
            if filler.events >= events {
                return filler.end(End::Clean);
            }
            for batch in site.renewal(number, at) {
                filler.push(batch)?;
            }
        }
    }
    Err(BenchError::Wrong(format!("{events} events are more than {RENEWALS_MAX} renewals each")))
}

/// The files that hold a log's events, in order.
pub(crate) fn segments(dir: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let mirror = dir.join("mirror");
    let mut paths = Vec::new();
    for entry in fs::read_dir(&mirror).map_err(io("list the log's files"))? {
        paths.push(entry.map_err(io("list the log's files"))?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Reads files from beginning to end in large blocks and gives each block to `block`.
pub(crate) fn read_through(
    paths: &[PathBuf],
    mut block: impl FnMut(&[u8]),
) -> Result<(), BenchError> {
    /// As large as the log's own read buffer.
    const BLOCK_OCTETS: usize = 256 * 1024;
    let mut buffer = vec![0; BLOCK_OCTETS];
    for path in paths {
        let at = || io(format!("read {}", path.display()));
        let mut file = File::open(path).map_err(at())?;
        loop {
            let octets = file.read(&mut buffer).map_err(at())?;
            if octets == 0 {
                break;
            }
            block(buffer.get(..octets).unwrap_or_default());
        }
    }
    Ok(())
}
