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
use super::leftover;
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
    /// What an earlier attempt that was cut short had written, with the very same events.
    pub removed: Vec<PathBuf>,
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
        let scratch = fresh::beside(log, leftover::LOOK);
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

/// Repairs a log; nothing when there is nothing to repair. The engine must be stopped. Cut short at any
/// instant it leaves the damaged log in its place, or the repaired one, or none and [`put_in_place`]
/// (which every start does) puts the repaired one there; what lies beside it then, [`leftovers`] names.
///
/// [`put_in_place`]: super::put_in_place
/// [`leftovers`]: super::leftovers
///
/// # Errors
/// As [`look`], and when the new log cannot be written. Until it takes the old one's place nothing of
/// the old one has changed.
pub fn repair(log: &Path, wish: Wish, at: WallMs) -> Result<Option<Repaired>, MendError> {
    let Some(ready) = write(log, wish, at)? else {
        return Ok(None);
    };
    swap(log, &ready.new, &ready.aside)?;
    let Ready { survey, head, aside, .. } = ready;
    let removed = leftover::remove_unswapped(log, survey.kept)?;
    Ok(Some(Repaired { survey, head, aside, removed }))
}

/// A repaired log that is not yet in its place. Both logs are held.
struct Ready {
    _ward: Ward,
    _held: File,
    survey: Survey,
    head: Head,
    new: PathBuf,
    aside: PathBuf,
}

fn write(log: &Path, wish: Wish, at: WallMs) -> Result<Option<Ready>, MendError> {
    let mut ward = Ward::admit(log)?;
    let refused = refusal(&ward.log, &mut ward.index)?;
    if !needs(&mut ward)? {
        return Ok(None);
    }
    let aside = leftover::kept_as(log, at);
    if aside.exists() {
        return Err(MendError::Taken { path: aside });
    }
    let new = fresh::beside(log, leftover::REPAIRING);
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
    let _held = files::lock(&new)?;
    Ok(Some(Ready { _ward: ward, _held, survey, head, new, aside }))
}

/// One step of a swap. Nothing else of it touches the disk, so an end at any instant is an end between
/// two of them.
#[derive(Clone, Copy, Debug)]
enum Step<'a> {
    Rename(&'a Path, &'a Path),
    Exchange(&'a Path, &'a Path),
    /// Makes the names beside the log durable.
    Sync,
}

impl Step<'_> {
    fn take(self, log: &Path) -> Result<(), StoreError> {
        match self {
            Self::Rename(from, to) => std::fs::rename(from, to).map_err(failed("renaming", from)),
            Self::Exchange(one, other) => {
                rustix::fs::renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(
                    |errno| failed("putting the repaired log into the place of", log)(errno.into()),
                )
            }
            Self::Sync => files::sync_directory(fresh::parent(log)),
        }
    }
}

/// In one step: an end leaves the one log or the other in the place. The new one gets the name first
/// under which the old one will be kept, so that what lies under the name of an unfinished attempt is
/// never the old one: the next attempt removes that.
fn exchanging<'a>(log: &'a Path, new: &'a Path, aside: &'a Path) -> [Step<'a>; 3] {
    [Step::Rename(new, aside), Step::Exchange(aside, log), Step::Sync]
}

/// For a file system that cannot exchange names; begins where the exchange failed. An end in between
/// leaves no log at all, and a whole one beside its place.
fn moving<'a>(log: &'a Path, new: &'a Path, aside: &'a Path) -> [Step<'a>; 6] {
    let (back, away, in_place) =
        (Step::Rename(aside, new), Step::Rename(log, aside), Step::Rename(new, log));
    [back, Step::Sync, away, Step::Sync, in_place, Step::Sync]
}

/// Puts the new log into the old one's place.
fn swap(log: &Path, new: &Path, aside: &Path) -> Result<(), StoreError> {
    let [name, exchange, sync] = exchanging(log, new, aside);
    name.take(log)?;
    match exchange.take(log) {
        Ok(()) => sync.take(log),
        Err(StoreError::Io { cause, .. }) if no_exchange(&cause) => {
            moving(log, new, aside).iter().try_for_each(|step| step.take(log))
        }
        Err(error) => {
            // Back under its own name: nothing else has happened.
            Step::Rename(aside, new).take(log)?;
            Err(error)
        }
    }
}

fn no_exchange(cause: &io::Error) -> bool {
    let unable = [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP];
    unable.iter().any(|errno| cause.raw_os_error() == Some(errno.raw_os_error()))
}

#[cfg(test)]
mod tests;
