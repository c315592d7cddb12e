//! What lies beside a log when a repair or a restore was cut short: each is known by its name and by
//! what is in it. A whole log is put in its place; no log is ever opened half.
//!
//! | beside `log` | `log` is | it is | what becomes of it |
//! | --- | --- | --- | --- |
//! | `log.look` | there or not | a copy of the index, to look at | the next start or repair removes it |
//! | `log.repairing` | there | a copy that was being written; `log` is as it was | the next repair removes it |
//! | `log.repairing`, whole | not there | the repaired log, which was about to be moved to `log` | the next start or repair moves it |
//! | `log.before-repair-TIME`, whole, ends with the repair of TIME | damaged | the repaired log, which was about to change places with `log` | a repair that keeps the same events removes it |
//! | `log.restoring` | there or not | a log that was being restored | the next restore removes it |
//! | `log.restoring`, whole | not there | the restored log, which was about to be moved to `log` | the next start or repair moves it |
//!
//! Any other `log.before-repair-TIME` is a damaged log that was kept: no leftover.

use std::fmt;
use std::path::{Path, PathBuf};

use super::anchor;
use super::files::{self, failed};
use super::fresh;
use super::mirror::MirrorReader;
use super::scratch::is_held;
use super::verify::{AnchorCheck, verify};
use crate::codec::Frame;
use crate::event::{Envelope, Event};
use crate::id::Seq;
use crate::process::{EngineEvent, Mending};
use crate::store::{Head, StoreError};
use crate::time::WallMs;

/// The copy of the index.
pub(super) const LOOK: &str = "look";
/// The log that a repair writes.
pub(super) const REPAIRING: &str = "repairing";
/// The log that a restore writes.
pub(super) const RESTORING: &str = "restoring";
/// The log that a repair replaced; then the moment.
const KEPT: &str = "before-repair-";

/// What is written beside a log, and by which command.
const WRITTEN: [(&str, Mending); 2] = [(REPAIRING, Mending::Repair), (RESTORING, Mending::Restore)];

/// Something that a command left beside a log when it was cut short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Where.
    pub path: PathBuf,
    /// What it is.
    pub kind: LeftoverKind,
}

/// What a leftover is. The log itself is as it was, but where it is said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftoverKind {
    /// A copy of the index.
    Copy,
    /// A log that was being written by this command.
    Begun(Mending),
    /// A whole log, and there is none in its place: [`put_in_place`].
    Unplaced(Mending),
    /// A whole log under the name of a kept one: the two had not changed places. It holds what `log`
    /// holds up to and with this event, and one that tells of the repair.
    Unswapped(Head),
}

/// A log that was put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Where it was.
    pub from: PathBuf,
    /// Which command wrote it.
    pub by: Mending,
    /// Its last event; it tells what the command did.
    pub head: Seq,
}

/// All leftovers beside `log`. What a running command works on is none.
pub fn leftovers(log: &Path) -> Vec<Leftover> {
    let absent = is_absent(log);
    let mut found = Vec::new();
    let look = fresh::beside(log, LOOK);
    if look.is_dir() && !is_held(log) {
        found.push(Leftover { path: look, kind: LeftoverKind::Copy });
    }
    for (name, by) in WRITTEN {
        let path = fresh::beside(log, name);
        if !path.is_dir() || is_held(&path) {
            continue;
        }
        let whole = absent && told(&path).is_some_and(|last| last.by == by);
        let kind = if whole { LeftoverKind::Unplaced(by) } else { LeftoverKind::Begun(by) };
        found.push(Leftover { path, kind });
    }
    found.extend(unswapped(log));
    found
}

/// There is no log, nor anything else, at this place.
pub fn is_absent(log: &Path) -> bool {
    match std::fs::read_dir(log) {
        Ok(mut entries) => entries.next().is_none(),
        Err(cause) => cause.kind() == std::io::ErrorKind::NotFound,
    }
}

/// The whole log that [`put_in_place`] would put there.
pub fn unplaced(log: &Path) -> Option<Leftover> {
    let is_whole = |leftover: &Leftover| match leftover.kind {
        LeftoverKind::Unplaced(_) => true,
        LeftoverKind::Copy | LeftoverKind::Begun(_) | LeftoverKind::Unswapped(_) => false,
    };
    leftovers(log).into_iter().find(is_whole)
}

/// Ends what a repair or a restore had all but done: where there is no log and a whole one lies beside
/// the place, it is moved there; a copy of the index that nobody looks at any more is removed. Repeatable.
///
/// # Errors
/// When that command still runs, or the disk refuses.
pub fn put_in_place(log: &Path) -> Result<Option<Placed>, StoreError> {
    let look = fresh::beside(log, LOOK);
    // Whoever looks at it holds the log.
    if look.is_dir() && !is_held(log) {
        fresh::clear(&look)?;
    }
    if !is_absent(log) {
        return Ok(None);
    }
    for (name, by) in WRITTEN {
        let path = fresh::beside(log, name);
        if !path.is_dir() {
            continue;
        }
        // Whoever moves it holds it: the command itself, or another start.
        let _held = files::lock(&path)?;
        if let Some(last) = told(&path).filter(|last| last.by == by) {
            std::fs::rename(&path, log).map_err(failed("putting into its place", &path))?;
            files::sync_directory(fresh::parent(log))?;
            return Ok(Some(Placed { from: path, by, head: last.kept.seq.next() }));
        }
    }
    Ok(None)
}

/// The name under which a repair of this moment keeps the damaged log.
pub(super) fn kept_as(log: &Path, at: WallMs) -> PathBuf {
    fresh::beside(log, &format!("{KEPT}{}", stamp(at)))
}

/// Removes the logs of attempts that were cut short before the swap, when they hold the events up to
/// `kept`: the same hash means the same events, and the log has them now. Gives what was removed.
///
/// # Errors
/// When one cannot be removed.
pub(super) fn remove_unswapped(log: &Path, kept: Head) -> Result<Vec<PathBuf>, StoreError> {
    let mut removed = Vec::new();
    for Leftover { path, kind } in unswapped(log) {
        if kind == LeftoverKind::Unswapped(kept) {
            fresh::clear(&path)?;
            removed.push(path);
        }
    }
    Ok(removed)
}

/// The kept logs that are none.
fn unswapped(log: &Path) -> Vec<Leftover> {
    let kept = fresh::beside(log, KEPT);
    let prefix = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let entries = std::fs::read_dir(fresh::parent(log)).into_iter().flatten().flatten();
    let mut found: Vec<Leftover> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix))
        .map(|entry| fresh::parent(log).join(entry.file_name()))
        .filter(|path| !is_held(path))
        .filter_map(|path| {
            let last = told(&path)?;
            let kind = LeftoverKind::Unswapped(last.kept);
            (path == kept_as(log, last.at)).then_some(Leftover { path, kind })
        })
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// The last event of a whole log that a repair or a restore wrote.
struct Told {
    by: Mending,
    at: WallMs,
    kept: Head,
}

/// Nothing of a log that was not written to its end: `CLEAN` is written last, and names the event that
/// tells of the command. All of it is then read, as the command itself would have done.
fn told(directory: &Path) -> Option<Told> {
    let clean = anchor::read_clean(directory).ok().flatten()?.head;
    let mut last = MirrorReader::open(directory).ok()?.scan(clean.seq).ok()?;
    let frame = last.next()?.ok().filter(|frame| frame.hash == clean.hash)?;
    let envelope = Frame::decode(&frame.bytes).ok()?;
    let by = mended(&envelope)?;
    let read = verify(directory).ok()?;
    let whole =
        read.head == clean && read.anchor == AnchorCheck::Matches && read.first_bad.is_none();
    let kept = Head { seq: Seq(clean.seq.0.saturating_sub(1)), hash: frame.previous };
    whole.then_some(Told { by, at: envelope.at, kept })
}

fn mended(envelope: &Envelope) -> Option<Mending> {
    if let Event::Engine(EngineEvent::LogMended { by, .. }) = &envelope.event {
        return Some(*by);
    }
    None
}

/// A moment that fits into a file's name, such as `20260131T120000Z`.
fn stamp(at: WallMs) -> String {
    let text = at.rfc3339();
    let seconds = text.split('.').next().unwrap_or_default();
    let digits: String = seconds.chars().filter(|c| *c != '-' && *c != ':').collect();
    format!("{digits}Z")
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.kind {
            LeftoverKind::Copy => write!(
                f,
                "{path} is a copy of the index that `renewd log repair` was looking at when it was cut \
                 short; the next start or repair removes it"
            ),
            LeftoverKind::Begun(Mending::Repair) => write!(
                f,
                "{path} is what `renewd log repair` had written when it was cut short; the log was not \
                 touched, and the next repair removes this"
            ),
            LeftoverKind::Begun(Mending::Restore) => write!(
                f,
                "{path} is what `renewd log restore` had written when it was cut short; the next restore \
                 removes it and begins anew"
            ),
            LeftoverKind::Unplaced(Mending::Repair) => write!(
                f,
                "{path} is the repaired log, whole; `renewd log repair` was cut short just before it moved \
                 it into its place, and `renewd run` or `renewd log repair --yes` moves it there"
            ),
            LeftoverKind::Unplaced(Mending::Restore) => write!(
                f,
                "{path} is the restored log, whole; `renewd log restore` was cut short just before it moved \
                 it into its place, and `renewd run` or `renewd log repair --yes` moves it there"
            ),
            LeftoverKind::Unswapped(kept) => write!(
                f,
                "{path} is not the damaged log but the repaired one: `renewd log repair` was cut short just \
                 before the two changed places. It keeps events 1 to {}; a repair that keeps the same \
                 removes it",
                kept.seq
            ),
        }
    }
}
