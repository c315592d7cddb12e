//! [`repair`]: a damaged log becomes one that runs. All that can be proven is written anew beside the
//! old one, an event says what is lost, and the two change places. The old one is kept as it was.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use super::examine::{Cure, refusal};
use super::files::{self, failed};
use super::fresh::{self, Fresh, MendError, Story};
use super::scratch::Scratch;
use super::survey::{Sources, Survey};
use crate::codec::Frame;
use crate::event::Envelope;
use crate::process::Mending;
use crate::store::{Head, StoreError};
use crate::time::WallMs;

/// Room beyond what the log takes now: the new log, its index, and a copy of the old index to look at.
const ROOM_FACTOR: u64 = 3;
/// An empty log takes some: sled alone makes half a MiB.
const ROOM_MIN: u64 = 8 * 1024 * 1024;

/// How a damaged log is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// No newer version ever wrote this log: what looks so is damage.
    pub not_newer: bool,
}

/// A log that was repaired.
#[derive(Clone, Debug)]
pub struct Repaired {
    /// What was found.
    pub survey: Survey,
    /// The last event now; it says what is lost.
    pub head: Head,
    /// Where the damaged log is kept.
    pub aside: PathBuf,
}

/// The log, held, with a copy of its index.
struct Ward {
    log: PathBuf,
    _lock: File,
    index: Scratch,
}

impl Ward {
    fn admit(log: &Path) -> Result<Self, MendError> {
        if !log.is_dir() {
            return Err(StoreError::Absent { path: log.to_owned() }.into());
        }
        let lock = files::lock(log)?;
        let scratch = fresh::beside(log, "look");
        fresh::clear(&scratch)?;
        let need = fresh::octets(log)?.saturating_mul(ROOM_FACTOR).saturating_add(ROOM_MIN);
        fresh::room(log, need)?;
        let index = Scratch::of(log, &scratch)?;
        Ok(Self { log: log.to_owned(), _lock: lock, index })
    }

    fn survey(
        &self,
        wish: Wish,
        each: &mut dyn FnMut(Vec<Frame>) -> Result<(), StoreError>,
    ) -> Result<Survey, MendError> {
        let sources = Sources::of(&self.log, &self.index, wish.not_newer)?;
        let mut two = None;
        let survey = sources.survey(&mut |batch| {
            two = two.take().or_else(|| batch.iter().find_map(|frame| sources.contradicts(frame)));
            each(batch)
        })?;
        match two {
            Some(error) => Err(error),
            None => Ok(survey),
        }
    }
}

/// What [`repair`] would do; `each` sees every event that would be kept. Nothing when the log opens as
/// it is, or when the next start mends it.
///
/// # Errors
/// When the log is held by a running engine, or cannot be repaired; each error says what to do.
pub fn look(
    log: &Path,
    wish: Wish,
    each: &mut dyn FnMut(&Envelope),
) -> Result<Option<Survey>, MendError> {
    let mut ward = Ward::admit(log)?;
    if !needs(&mut ward)? {
        return Ok(None);
    }
    let survey = ward.survey(wish, &mut |batch| {
        for frame in batch {
            let seq = frame.seq;
            let envelope =
                Frame::decode(&frame.bytes).map_err(|cause| StoreError::Frame { seq, cause })?;
            each(&envelope);
        }
        Ok(())
    });
    survey.map(Some)
}

fn needs(ward: &mut Ward) -> Result<bool, MendError> {
    let refused = refusal(&ward.log, &mut ward.index)?;
    Ok(match refused.as_ref().map(Cure::of) {
        None | Some(Cure::Nothing | Cure::Start) => false,
        Some(Cure::Repair | Cure::Restore | Cure::NewerVersion) => true,
    })
}

/// Repairs a log; nothing when there is nothing to repair. The engine must be stopped.
///
/// # Errors
/// As [`look`], and when the new log cannot be written. Until it takes the old one's place nothing of
/// the old one has changed.
pub fn repair(log: &Path, wish: Wish, at: WallMs) -> Result<Option<Repaired>, MendError> {
    let mut ward = Ward::admit(log)?;
    let refused = refusal(&ward.log, &mut ward.index)?;
    if !needs(&mut ward)? {
        return Ok(None);
    }
    let aside = fresh::beside(log, &format!("before-repair-{}", stamp(at)));
    if aside.exists() {
        return Err(MendError::Taken { path: aside });
    }
    let new = fresh::beside(log, "repairing");
    fresh::clear(&new)?;
    let mut writer = Fresh::begin(&new)?;
    let survey = ward.survey(wish, &mut |batch| writer.add(batch))?;
    let story = Story {
        by: Mending::Repair,
        at,
        boot: survey.boot,
        engine_version: survey.engine_version,
        lost_to: survey.lost_to,
        end_known: survey.end_known,
        evidence: refused.map(|error| error.to_string()).unwrap_or_default(),
    };
    let head = writer.finish(story)?;
    swap(log, &new, &aside)?;
    Ok(Some(Repaired { survey, head, aside }))
}

/// Puts the new log into the old one's place in one step: a crash leaves the one or the other there. The
/// new one gets the name first under which the old one will be kept, so that what lies under the name of
/// an unfinished attempt is never the old one: the next attempt removes that.
fn swap(log: &Path, new: &Path, aside: &Path) -> Result<(), StoreError> {
    let keep = |cause: io::Error| failed("keeping the damaged log as", aside)(cause);
    let place = |cause: io::Error| failed("putting the repaired log into the place of", log)(cause);
    std::fs::rename(new, aside).map_err(keep)?;
    match rustix::fs::renameat_with(CWD, aside, CWD, log, RenameFlags::EXCHANGE) {
        Ok(()) => {}
        // A file system that cannot exchange names: a crash in between leaves no log at all, which a
        // start refuses while there are keys (R0605).
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            std::fs::rename(aside, new).map_err(keep)?;
            std::fs::rename(log, aside).map_err(keep)?;
            std::fs::rename(new, log).map_err(place)?;
        }
        Err(cause) => {
            // Back under its own name: nothing else has happened.
            std::fs::rename(aside, new).map_err(keep)?;
            return Err(place(cause.into()));
        }
    }
    let parent = log.parent().filter(|parent| !parent.as_os_str().is_empty());
    files::sync_directory(parent.unwrap_or(Path::new(".")))
}

/// A moment that fits into a file's name, such as `20260131T120000Z`.
fn stamp(at: WallMs) -> String {
    let text = at.rfc3339();
    let seconds = text.split('.').next().unwrap_or_default();
    let digits: String = seconds.chars().filter(|c| *c != '-' && *c != ':').collect();
    format!("{digits}Z")
}
