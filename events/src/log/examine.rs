//! [`examine`]: which of mirror, index, `HEAD` and `CLEAN` agree, and which command cures it.

use std::fmt;
use std::path::Path;

use super::anchor;
use super::files::{self, damaged};
use super::mirror::MirrorReader;
use super::recover;
use super::scratch::{Scratch, is_held};
use super::segment;
use super::verify::{Verified, verify};
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::{Head, StoreError};

/// An index up to this size is copied and looked at beside everything else; of a larger one the next
/// start finds out by itself, and `renewd log repair --dry-run` too.
const INDEX_OCTETS_MAX: u64 = 256 * 1024 * 1024;

/// What a look over a whole log and all its parts found.
#[derive(Debug)]
pub struct Examined {
    /// Mirror and `HEAD`.
    pub verified: Verified,
    /// `CLEAN`.
    pub clean: CleanCheck,
    /// sled.
    pub index: IndexCheck,
    /// Why a start would refuse the log.
    pub refusal: Option<StoreError>,
    /// What to do.
    pub cure: Cure,
}

/// How the mark of an orderly end and the events compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CleanCheck {
    /// There is none: the engine runs, or was killed.
    Absent,
    /// It names the last event.
    Agrees,
    /// It names another one.
    Names(Seq),
    /// An exported file has none.
    NotExpected,
}

/// How the index and the mirror compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexCheck {
    /// Both end with the same event.
    Agrees,
    /// It ends with this event; the next start adds the others.
    Behind(Seq),
    /// It ends with this event, which the mirror lacks.
    Ahead(Seq),
    /// It has another event in this place; the next start makes it again.
    Differs(Seq),
    /// It cannot be read; the next start makes it again.
    Unreadable(String),
    /// It was not looked at.
    NotLooked(&'static str),
}

/// What cures a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cure {
    /// Nothing is wrong.
    Nothing,
    /// The next start mends it.
    Start,
    /// `renewd log repair`.
    Repair,
    /// `renewd log restore`: there is nothing left to repair.
    Restore,
    /// The version that wrote it.
    NewerVersion,
}

impl Cure {
    /// Of a refusal at start.
    pub fn of(error: &StoreError) -> Self {
        match error {
            StoreError::Damaged { code, .. } if *code == files::NEWER => Self::NewerVersion,
            StoreError::Damaged { .. } => Self::Repair,
            StoreError::Frame { .. } => Self::NewerVersion,
            StoreError::Absent { .. } => Self::Restore,
            StoreError::Io { .. }
            | StoreError::NoRoom { .. }
            | StoreError::Unsynced { .. }
            | StoreError::Index { .. }
            | StoreError::Locked { .. }
            | StoreError::Poisoned(_) => Self::Nothing,
        }
    }
}

/// Looks over a log directory, or an exported file, with all its parts. `scratch` is a directory that
/// does not exist: a copy of the index is opened there and removed. Nothing of the log is changed.
///
/// # Errors
/// When there is no log, or its directory cannot be read.
pub fn examine(path: &Path, scratch: &Path) -> Result<Examined, StoreError> {
    let verified = verify(path)?;
    if path.is_file() {
        let cure = if verified.is_whole() { Cure::Nothing } else { Cure::Restore };
        return Ok(Examined {
            verified,
            clean: CleanCheck::NotExpected,
            index: IndexCheck::NotLooked("an export has none"),
            refusal: None,
            cure,
        });
    }
    let mut copy = match not_looked(path) {
        Some(why) => Err(IndexCheck::NotLooked(why)),
        None => Scratch::of(path, scratch)
            .map_err(|_| IndexCheck::NotLooked("there is no room for a copy of it")),
    };
    let index = match &mut copy {
        Ok(copy) => compare(path, copy, verified.head)?,
        Err(why) => why.clone(),
    };
    let refusal = match &mut copy {
        Ok(copy) => refusal(path, copy)?,
        Err(_) => refusal_of_mirror(path),
    };
    let cure = match &refusal {
        Some(error) => match Cure::of(error) {
            Cure::Repair if verified.events == 0 && !has_first(&copy) => Cure::Restore,
            cure @ (Cure::Nothing
            | Cure::Start
            | Cure::Repair
            | Cure::Restore
            | Cure::NewerVersion) => cure,
        },
        None if verified.first_bad.is_some() || mends_index(&index) => Cure::Start,
        None => Cure::Nothing,
    };
    let clean = match anchor::read_clean(path)? {
        None => CleanCheck::Absent,
        Some(clean) if clean.head == verified.head => CleanCheck::Agrees,
        Some(clean) => CleanCheck::Names(clean.head.seq),
    };
    Ok(Examined { verified, clean, index, refusal, cure })
}

fn has_first(copy: &Result<Scratch, IndexCheck>) -> bool {
    copy.as_ref().is_ok_and(|copy| copy.get(Seq(1)).is_some())
}

fn mends_index(index: &IndexCheck) -> bool {
    match index {
        IndexCheck::Differs(_) | IndexCheck::Unreadable(_) => true,
        IndexCheck::Agrees
        | IndexCheck::Behind(_)
        | IndexCheck::Ahead(_)
        | IndexCheck::NotLooked(_) => false,
    }
}

fn not_looked(log: &Path) -> Option<&'static str> {
    let octets = log.join("sled").join("db").metadata().map_or(0, |about| about.len());
    if is_held(log) {
        Some("the engine is running")
    } else if octets > INDEX_OCTETS_MAX {
        Some("it is large; `renewd log repair --dry-run` looks")
    } else {
        None
    }
}

fn compare(log: &Path, copy: &mut Scratch, mirror: Head) -> Result<IndexCheck, StoreError> {
    let Some(last) = copy.last() else {
        return Ok(match &copy.trouble {
            Some(what) => IndexCheck::Unreadable(what.clone()),
            None if mirror.seq == Seq(0) => IndexCheck::Agrees,
            None => IndexCheck::Behind(Seq(0)),
        });
    };
    if last.seq > mirror.seq {
        return Ok(IndexCheck::Ahead(last.seq));
    }
    let there = frame_at(log, last.seq)?;
    Ok(match there {
        Some(frame) if frame.hash != last.hash => IndexCheck::Differs(last.seq),
        Some(_) if last.seq == mirror.seq => IndexCheck::Agrees,
        Some(_) | None => IndexCheck::Behind(last.seq),
    })
}

fn frame_at(log: &Path, seq: Seq) -> Result<Option<Frame>, StoreError> {
    let first = MirrorReader::open(log)?.scan(seq)?.next();
    Ok(first.and_then(Result::ok).filter(|frame| frame.seq == seq))
}

/// Why a start refuses the log: all of the mirror is read, then its end and the anchors are compared,
/// then the index.
///
/// # Errors
/// When it cannot be looked at.
pub(super) fn refusal(log: &Path, copy: &mut Scratch) -> Result<Option<StoreError>, StoreError> {
    if let Some(error) = refusal_of_mirror(log) {
        return Ok(Some(error));
    }
    let end = recover::check(log)?.anchor.head.seq;
    let ahead = copy.last().filter(|last| last.seq > end);
    Ok(ahead.map(|last| {
        let what = format!(
            "the index has event {}, the mirror ends with {end}: the mirror was shortened or replaced",
            last.seq
        );
        damaged(files::SHORT, &segment::directory(log), what)
    }))
}

fn refusal_of_mirror(log: &Path) -> Option<StoreError> {
    let read = MirrorReader::open(log)
        .and_then(|reader| reader.envelopes(Seq(1)))
        .map(|mut envelopes| envelopes.find_map(Result::err));
    let checked = recover::check(log).err();
    match read {
        Ok(read) => checked.or(read),
        Err(error) => checked.or(Some(error)),
    }
}

impl fmt::Display for CleanCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("none: the engine runs, or did not end in order"),
            Self::Agrees => f.write_str("names the last event"),
            Self::Names(seq) => write!(f, "names event {seq}, which is not the last one"),
            Self::NotExpected => f.write_str("none (an export has none)"),
        }
    }
}

impl fmt::Display for IndexCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agrees => f.write_str("agrees with the mirror"),
            Self::Behind(seq) => write!(f, "ends with event {seq}; the next start adds the others"),
            Self::Ahead(seq) => write!(f, "ends with event {seq}, which the mirror lacks"),
            Self::Differs(seq) => {
                write!(f, "has another event {seq}; the next start makes it again from the mirror")
            }
            Self::Unreadable(what) => {
                write!(f, "not readable ({what}); the next start makes it again from the mirror")
            }
            Self::NotLooked(why) => write!(f, "not looked at: {why}"),
        }
    }
}

impl fmt::Display for Cure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing to do",
            Self::Start => "nothing to do: the next `renewd run` mends it, and says so",
            Self::Repair => "stop the engine, then `renewd log repair` shows what would be lost",
            Self::Restore => {
                "nothing is left to repair: `renewd log restore` from an export or a backup"
            }
            Self::NewerVersion => {
                "run the version that wrote it; if none newer ever ran: `renewd log repair --not-newer`"
            }
        })
    }
}
