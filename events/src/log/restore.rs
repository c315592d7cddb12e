//! [`restore`]: an export, or the copy of a log, becomes a log that runs.

use std::path::Path;

use super::files::{self, failed};
use super::fresh::{self, Fresh, MendError, Story};
use super::leftover;
use super::mirror::MirrorReader;
use super::verify::{AnchorCheck, Verified, verify};
use crate::codec::Frame;
use crate::id::{BootNo, Seq, StreamId};
use crate::process::Mending;
use crate::store::{Head, StoreError};
use crate::time::WallMs;

/// Room for mirror and index of the new log, as a multiple of what is restored.
const ROOM_FACTOR: u64 = 3;
/// An empty log takes some: sled alone makes half a MiB.
const ROOM_MIN: u64 = 8 * 1024 * 1024;

/// A log that was restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The last event that came from the source.
    pub kept: Head,
    /// The last event now; it says that the log was restored.
    pub head: Head,
}

/// Makes a running log out of `source`: an exported file, or a directory with `mirror` in it. `into` is
/// the new log's directory; it must not exist, or be empty. What happened after the last event of the
/// source is not known to the new log, so its engine asks before it buys.
///
/// # Errors
/// When the source is damaged, the place is taken, or the new log cannot be written. A log that was
/// begun stays beside `into`, and the next attempt removes it; a start refuses to begin a new log there,
/// and puts one in place that is whole.
pub fn restore(source: &Path, into: &Path, at: WallMs) -> Result<Restored, MendError> {
    let into = &std::path::absolute(into).map_err(failed("naming", into))?;
    if into.is_file() || std::fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(MendError::Taken { path: into.clone() });
    }
    let found = verify(source)?;
    sound(source, &found)?;
    let parent = into.parent().unwrap_or(Path::new("/"));
    files::make_directory(parent)?;
    let octets = if source.is_file() {
        source.metadata().map_err(failed("reading", source))?.len()
    } else {
        fresh::octets(source)?
    };
    fresh::room(into, octets.saturating_mul(ROOM_FACTOR).saturating_add(ROOM_MIN))?;
    let new = fresh::beside(into, leftover::RESTORING);
    fresh::clear(&new)?;
    let mut writer = Fresh::begin(&new)?;
    let mut story = Story {
        by: Mending::Restore,
        at,
        boot: BootNo(0),
        engine_version: 0,
        lost_to: Seq(0),
        end_known: false,
        evidence: format!("{} events from {}", found.events, name(source)),
    };
    let mut kept = Head::default();
    let mut batch = Vec::new();
    for frame in MirrorReader::open(source)?.scan(Seq(1))? {
        let frame = frame?;
        let seq = frame.seq;
        let envelope =
            Frame::decode(&frame.bytes).map_err(|cause| StoreError::Frame { seq, cause })?;
        story.boot = story.boot.max(envelope.boot);
        if envelope.stream == StreamId::ENGINE {
            story.engine_version = envelope.version;
        }
        kept = Head { seq, hash: frame.hash };
        let last = frame.last_of_batch;
        batch.push(frame);
        if last {
            writer.add(std::mem::take(&mut batch))?;
        }
    }
    let head = writer.finish(story)?;
    let _held = files::lock(&new)?;
    // Of an empty directory a rename makes the new one.
    std::fs::rename(&new, into).map_err(failed("putting the restored log at", into))?;
    files::sync_directory(parent)?;
    Ok(Restored { kept, head })
}

/// Only a source without any fault is restored: a person decides about the other ones.
fn sound(source: &Path, found: &Verified) -> Result<(), MendError> {
    let damaged = |code, what: String, cure| {
        Err(MendError::Source { code, path: source.to_owned(), what, cure })
    };
    let repairable = "Repair that log with `renewd log repair`, or take another backup";
    let other = "Take another export or backup";
    let cure = if source.is_file() { other } else { repairable };
    match (found.anchor, &found.first_bad) {
        (AnchorCheck::Matches | AnchorCheck::LogAhead { .. }, _)
        | (AnchorCheck::NotExpected | AnchorCheck::Lost, None) => {
            if found.events > 0 {
                return Ok(());
            }
            damaged(files::EMPTIED, "it holds no event".to_owned(), other)
        }
        (AnchorCheck::NotExpected | AnchorCheck::Lost, Some(bad)) => {
            damaged(files::BROKEN, bad.to_string(), cure)
        }
        (AnchorCheck::Ahead { .. }, bad) => {
            let what = bad.as_ref().map(ToString::to_string);
            damaged(files::SHORT, what.unwrap_or_else(|| format!("HEAD {}", found.anchor)), cure)
        }
        (AnchorCheck::Differs, _) => damaged(files::BROKEN, format!("HEAD {}", found.anchor), cure),
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
