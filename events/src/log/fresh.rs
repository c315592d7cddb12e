//! Writing a log anew, beside the old one, and putting it into its place.

use std::path::{Path, PathBuf};

use super::files::{self, failed};
use super::scratch::is_held;
use super::sled_log::SledLog;
use super::verify::{AnchorCheck, verify};
use crate::codec::Frame;
use crate::event::Envelope;
use crate::id::{BootNo, Seq, StreamId};
use crate::intent::ActorName;
use crate::problem::{EVIDENCE_OCTETS_MAX, cut};
use crate::process::{EngineEvent, Mending};
use crate::store::{EventStore, Head, StoreError};
use crate::time::WallMs;

/// Octets written with one sync: batches are gathered, or a long log would take one round trip to the
/// disk for each of its events. With a batch of the largest size it stays below the bound of a commit.
const GROUP_OCTETS: usize = 1024 * 1024;

/// Why a log was not written anew. The old one is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MendError {
    /// The log, or the disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No event can be proven.
    #[error(
        "R0605: nothing of the log at {log} can be proven: neither mirror nor index has a readable first \
         event. Restore a backup, or an export with `renewd log restore`; to start over, see `renewd explain \
         R0605`"
    )]
    NothingProven {
        /// Where.
        log: PathBuf,
    },
    /// The parts belong to different logs.
    #[error(
        "R0602: {log} and HEAD are of different logs: event {seq} is not the one that HEAD names, and the \
         index does not lead there either. Put the parts of one log together, or restore a backup or an \
         export with `renewd log restore`"
    )]
    TwoLogs {
        /// The mirror.
        log: PathBuf,
        /// The event that differs.
        seq: Seq,
    },
    /// A later version wrote some of it.
    #[error(
        "R0607: a newer renewd wrote {place}, or these octets are damaged. Use that version; if no newer \
         one ever ran here, say so with --not-newer"
    )]
    Newer {
        /// The file, and where in it.
        place: String,
    },
    /// There is not enough room for a copy.
    #[error(
        "no room: {need} octets are needed beside {log}, {free} are free. Make room; nothing was changed"
    )]
    NoRoom {
        /// The log.
        log: PathBuf,
        /// Octets needed.
        need: u64,
        /// Octets free.
        free: u64,
    },
    /// The place is taken.
    #[error("{path} is there and not empty. Move it away, or name another directory")]
    Taken {
        /// Which.
        path: PathBuf,
    },
    /// What shall be restored is itself damaged.
    #[error("{code}: {path} is damaged, so nothing was restored from it: {what}. {cure}")]
    Source {
        /// A code that `renewd explain` knows.
        code: &'static str,
        /// What was read.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        cure: &'static str,
    },
}

/// What the event says that ends the new log.
pub(super) struct Story {
    pub(super) by: Mending,
    pub(super) at: WallMs,
    pub(super) boot: BootNo,
    pub(super) engine_version: u32,
    pub(super) lost_to: Seq,
    pub(super) end_known: bool,
    pub(super) evidence: String,
}

/// A log that is being written.
pub(super) struct Fresh {
    directory: PathBuf,
    log: SledLog,
    group: Vec<Frame>,
    octets: usize,
}

impl Fresh {
    /// Begins a log in a new directory.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub(super) fn begin(directory: &Path) -> Result<Self, StoreError> {
        let log = SledLog::create(directory)?;
        Ok(Self { directory: directory.to_owned(), log, group: Vec::new(), octets: 0 })
    }

    /// Adds a whole batch.
    ///
    /// # Errors
    /// When it cannot be written, or does not follow.
    pub(super) fn add(&mut self, batch: Vec<Frame>) -> Result<(), StoreError> {
        let octets: usize = batch.iter().map(|frame| frame.bytes.len()).sum();
        if self.octets.saturating_add(octets) > GROUP_OCTETS {
            self.write()?;
        }
        self.octets = self.octets.saturating_add(octets);
        self.group.extend(batch);
        Ok(())
    }

    fn write(&mut self) -> Result<(), StoreError> {
        self.log.commit(&self.group)?;
        self.group.clear();
        self.octets = 0;
        Ok(())
    }

    /// Adds the event that tells the story, closes the log, and reads all of it once more.
    ///
    /// # Errors
    /// When it cannot be written, or is not read back as it was written.
    pub(super) fn finish(mut self, story: Story) -> Result<Head, StoreError> {
        self.write()?;
        let told = told(self.log.head(), story)?;
        let head = Head { seq: told.seq, hash: told.hash };
        self.log.commit(&[told])?;
        self.log.close()?;
        drop(self.log);
        let read = verify(&self.directory)?;
        if read.head == head && read.anchor == AnchorCheck::Matches && read.first_bad.is_none() {
            return Ok(head);
        }
        let what = "what was written just now does not read back: look at the disk";
        Err(files::damaged(files::BROKEN, &self.directory, what))
    }
}

fn told(kept: Head, story: Story) -> Result<Frame, StoreError> {
    let event = EngineEvent::LogMended {
        by: story.by,
        kept: kept.seq,
        lost_to: story.lost_to.max(kept.seq),
        end_known: story.end_known,
        evidence: cut(&story.evidence, EVIDENCE_OCTETS_MAX),
    };
    let seq = kept.seq.next();
    Frame::encode(&Envelope {
        seq,
        stream: StreamId::ENGINE,
        version: story.engine_version.saturating_add(1),
        batch_index: 0,
        batch_len: 1,
        at: story.at,
        boot: story.boot,
        actor: ActorName::Engine,
        incarnation: 1,
        renewal: None,
        cause: None,
        trace: None,
        previous: kept.hash,
        event: event.into(),
    })
    .map_err(|cause| StoreError::Frame { seq, cause })
}

/// The directory `name` beside `directory`.
pub(super) fn beside(directory: &Path, name: &str) -> PathBuf {
    let own = directory.file_name().unwrap_or_default().to_string_lossy();
    directory.with_file_name(format!("{own}.{name}"))
}

/// The directory that a log lies in.
pub(super) fn parent(log: &Path) -> &Path {
    let parent = log.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Removes what an attempt that was cut short left behind.
///
/// # Errors
/// When it is there and cannot be removed, or the attempt goes on.
pub(super) fn clear(directory: &Path) -> Result<(), StoreError> {
    if is_held(directory) {
        return Err(StoreError::Locked { path: directory.to_owned() });
    }
    match std::fs::remove_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(failed("removing", directory)(cause)),
    }
}

/// Makes sure that so many octets are free beside the log.
///
/// # Errors
/// [`MendError::NoRoom`].
pub(super) fn room(log: &Path, need: u64) -> Result<(), MendError> {
    let parent = parent(log);
    let told = rustix::fs::statvfs(parent)
        .map_err(|cause| failed("asking for room", parent)(cause.into()));
    let told = told?;
    let free = told.f_bavail.saturating_mul(told.f_frsize);
    if free >= need {
        return Ok(());
    }
    Err(MendError::NoRoom { log: log.to_owned(), need, free })
}

/// Octets of all files in a directory and those in it.
///
/// # Errors
/// When it cannot be read.
pub(super) fn octets(directory: &Path) -> Result<u64, StoreError> {
    let mut sum = 0_u64;
    for entry in std::fs::read_dir(directory).map_err(failed("listing", directory))? {
        let entry = entry.map_err(failed("listing", directory))?;
        let path = entry.path();
        let about = entry.metadata().map_err(failed("reading", &path))?;
        sum = sum.saturating_add(if about.is_dir() { octets(&path)? } else { about.len() });
    }
    Ok(sum)
}
