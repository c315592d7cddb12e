//! The checks at open. Nothing is written before the mirror is known to hold at least what the
//! anchor names; then a torn end is cut, and the index follows the mirror.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::anchor::{self, Anchor, Reading};
use super::bounds::{ROLL_FORWARD_FRAMES, TORN_KEPT_MAX};
use super::files::{self, damaged, failed, unsynced};
use super::index::{self, Index, IndexError};
use super::segment::{self, Segment};
use super::walk::{Fault, Walk};
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::{Head, StoreError};

/// What was found, and done, when a log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// The last user closed the log; otherwise it was killed or lost power.
    pub clean: bool,
    /// Events that are on disk but were never acknowledged, and count from now on.
    pub beyond_anchor: u64,
    /// An unacknowledged commit whose write was torn; it was cut off.
    pub torn: Option<Torn>,
    /// Events the index lacked.
    pub rolled_forward: u64,
    /// Where the old index went, when it could not be used and was made again from the mirror.
    pub index_set_aside: Option<PathBuf>,
}

/// The torn end of the mirror.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The event that would have come.
    pub seq: Seq,
    /// How many octets were cut off.
    pub octets: u64,
    /// Where they are kept.
    pub kept: PathBuf,
}

/// Where a whole commit ends.
#[derive(Clone, Debug)]
struct End {
    anchor: Anchor,
    path: PathBuf,
}

/// What is to be done after all checks have passed.
#[derive(Debug)]
pub(super) struct Plan {
    /// The last whole commit.
    pub(super) anchor: Anchor,
    /// The slot of `HEAD` that is the newest.
    pub(super) slot: u64,
    /// The segment to go on with: its first event and its length.
    pub(super) tail: (Seq, u64),
    /// Bytes after the last whole commit, in the last segment.
    torn: bool,
    /// What to report.
    pub(super) opened: Opened,
}

/// Looks at anchor and mirror and changes nothing.
///
/// # Errors
/// [`StoreError::Absent`] and [`StoreError::Damaged`], each with what was found.
pub(super) fn check(log: &Path) -> Result<Plan, StoreError> {
    let segments = segment::list(log)?;
    let clean = anchor::read_clean(log)?;
    let (head, slot) = match anchor::read_head(log)? {
        Reading::Found(anchor, slot) => (anchor, slot),
        Reading::Newer => {
            let what = "a newer renewd wrote HEAD; use that version";
            return Err(damaged(files::NEWER, &anchor::head_path(log), what));
        }
        Reading::Unreadable => {
            let what = "neither slot of HEAD is readable; it names the last acknowledged event";
            return Err(damaged(files::ANCHOR, &anchor::head_path(log), what));
        }
        Reading::Absent => return Err(without_head(log, &segments, clean)),
    };
    let newest = clean.filter(|clean| clean.head.seq > head.head.seq);
    let newest = newest.unwrap_or(head);
    if segments.is_empty() || newest.head.seq > Seq(0) && segments.iter().all(|s| s.octets == 0) {
        let what = format!("the mirror is empty, but {} events were acknowledged", newest.head.seq);
        return Err(damaged(files::EMPTIED, &segment::directory(log), what));
    }
    if segments.first().and_then(|segment| segment.first) != Some(Seq(1)) {
        let what = "the first segment, events-00000001.rlog, is missing";
        return Err(damaged(files::SHORT, &segment::directory(log), what));
    }
    if clean == Some(newest) && ends_as_marked(&newest, &segments)? {
        return Ok(Plan {
            anchor: newest,
            slot,
            tail: (newest.segment, u64::from(newest.end)),
            torn: false,
            opened: Opened { clean: true, ..Opened::default() },
        });
    }
    check_tail(&newest, slot, segments)
}

/// The error of a log without `HEAD`.
fn without_head(log: &Path, segments: &[Segment], clean: Option<Anchor>) -> StoreError {
    let empty = segments.iter().all(|segment| segment.octets == 0);
    if empty && clean.is_none() && !index::directory(log).join("db").exists() {
        return StoreError::Absent { path: log.to_owned() };
    }
    let what = "HEAD is missing, but there are data: whether events were lost cannot be told";
    damaged(files::ANCHOR, &anchor::head_path(log), what)
}

/// After a clean end: whether the mirror ends exactly with the marked event. What lies before it is
/// checked whenever it is read.
fn ends_as_marked(anchor: &Anchor, segments: &[Segment]) -> Result<bool, StoreError> {
    let Some(last) = segments.last() else {
        return Ok(false);
    };
    if last.first != Some(anchor.segment) || last.octets != u64::from(anchor.end) {
        return Ok(false);
    }
    if anchor.head.seq == Seq(0) {
        return Ok(true);
    }
    let mut bytes = vec![0; usize::from(anchor.last_octets)];
    let start = u64::from(anchor.end).saturating_sub(u64::from(anchor.last_octets));
    File::open(&last.path)
        .and_then(|file| file.read_exact_at(&mut bytes, start))
        .map_err(failed("reading", &last.path))?;
    Ok(Frame::read(&bytes).is_ok_and(|frame| frame.hash == anchor.head.hash))
}

/// Reads the segments from the anchor's on.
fn check_tail(anchor: &Anchor, slot: u64, segments: Vec<Segment>) -> Result<Plan, StoreError> {
    let mut walk = Walk::from(segments, anchor.segment);
    let mut whole: Option<End> = None;
    let mut partial = false;
    let mut fault: Option<Fault> = None;
    while let Some(step) = walk.next() {
        let frame = match step {
            Ok(frame) => frame,
            Err(found) => {
                fault = Some(found);
                break;
            }
        };
        let Some((segment, end)) = walk.position() else {
            break;
        };
        if frame.seq == anchor.head.seq && frame.hash != anchor.head.hash {
            let what = format!("event {} is not the one that HEAD names", frame.seq);
            return Err(damaged(files::BROKEN, &segment.path, what));
        }
        partial = !frame.last_of_batch;
        if frame.last_of_batch {
            whole =
                Some(End { anchor: anchor_of(&frame, segment, end), path: segment.path.clone() });
        }
    }
    let reached = whole.as_ref().map_or(Seq(0), |end| end.anchor.head.seq);
    if reached < anchor.head.seq {
        return Err(too_short(anchor, &walk, fault.as_ref()));
    }
    if let Some(fault) = &fault
        && !(walk.in_last_segment() && fault.may_be_torn())
    {
        return Err(fault.error());
    }
    let position = walk.position().map(|(segment, end)| (segment.clone(), end));
    Ok(Plan { torn: fault.is_some() || partial, ..plan(anchor, slot, whole, position) })
}

fn anchor_of(frame: &Frame, segment: &Segment, end: u64) -> Anchor {
    Anchor {
        head: Head { seq: frame.seq, hash: frame.hash },
        segment: segment.first.unwrap_or(Seq(1)),
        // Bounded by SEGMENT_OCTETS and COMMIT_OCTETS_MAX, FRAME_OCTETS_MAX (asserted in bounds).
        end: u32::try_from(end).unwrap_or(u32::MAX),
        last_octets: u16::try_from(frame.bytes.len()).unwrap_or(u16::MAX),
    }
}

fn too_short(anchor: &Anchor, walk: &Walk, fault: Option<&Fault>) -> StoreError {
    if let Some(fault) = fault {
        return fault.error();
    }
    let path = walk.position().map(|(segment, _)| segment.path.clone());
    let what = format!("it ends before event {}, the last acknowledged one", anchor.head.seq);
    damaged(files::SHORT, &path.unwrap_or_default(), what)
}

/// Where to go on after the last whole commit.
fn plan(anchor: &Anchor, slot: u64, whole: Option<End>, position: Option<(Segment, u64)>) -> Plan {
    let (last, path) = match whole {
        Some(end) => (end.anchor, Some(end.path)),
        None => (*anchor, None),
    };
    // A segment that was made and never written to, or not wholly, follows the last whole commit.
    let tail = match position {
        Some((segment, _)) if path.as_ref() != Some(&segment.path) => {
            (segment.first.unwrap_or(Seq(1)), 0)
        }
        Some(_) | None => (last.segment, u64::from(last.end)),
    };
    Plan {
        anchor: last,
        slot,
        tail,
        torn: false,
        opened: Opened {
            beyond_anchor: last.head.seq.0.saturating_sub(anchor.head.seq.0),
            ..Opened::default()
        },
    }
}

/// Cuts a torn end off the last segment, after copying it.
///
/// # Errors
/// When the copy or the cut is not known to be durable.
pub(super) fn cut(log: &Path, plan: &mut Plan) -> Result<(), StoreError> {
    if !plan.torn {
        return Ok(());
    }
    let (first, end) = plan.tail;
    let path = segment::path(log, first);
    let seq = plan.anchor.head.seq.next();
    let directory = segment::directory(log);
    files::keep_newest(&directory, "torn-", TORN_KEPT_MAX.saturating_sub(1))?;
    let kept = directory.join(format!("torn-{seq}"));
    // The same commit may be torn twice; the older copy says nothing more.
    files::remove_durably(&kept, &directory)?;
    let file = files::open_writable(&path)?;
    let mut reader = &file;
    let copy = files::create_new(&kept)?;
    let octets = reader
        .seek(SeekFrom::Start(end))
        .and_then(|_| io::copy(&mut reader, &mut &copy))
        .map_err(failed("copying the torn end to", &kept))?;
    copy.sync_all().map_err(unsynced(&kept))?;
    files::sync_directory(&directory)?;
    file.set_len(end).map_err(failed("cutting the torn end of", &path))?;
    file.sync_all().map_err(unsynced(&path))?;
    plan.opened.torn = Some(Torn { seq, octets, kept });
    Ok(())
}

/// Opens the index and makes it agree with the mirror as far as the last whole commit.
///
/// # Errors
/// When the mirror is damaged, is behind the index, or the index cannot even be made anew.
pub(super) fn index(log: &Path, plan: &mut Plan) -> Result<Index, StoreError> {
    // After an orderly end it lacks nothing. One that does was emptied by sled, which opens some
    // damaged files without a word and loses what is added to them too.
    let complete = plan.opened.clean && index::directory(log).join("db").exists();
    let mut result = follow(log, plan.anchor.head, complete);
    if let Err(Unfit::Index(IndexError::Damaged(_))) = &result {
        plan.opened.index_set_aside = index::set_aside(log)?;
        result = follow(log, plan.anchor.head, false);
    }
    match result {
        Ok((index, rolled)) => {
            plan.opened.rolled_forward = rolled;
            Ok(index)
        }
        Err(Unfit::Store(error)) => Err(error),
        Err(Unfit::Index(error)) => Err(error.error(&index::directory(log))),
    }
}

enum Unfit {
    Store(StoreError),
    Index(IndexError),
}

impl From<IndexError> for Unfit {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

/// Opens the index and adds what it lacks; one that must be complete is not mended.
fn follow(log: &Path, head: Head, complete: bool) -> Result<(Index, u64), Unfit> {
    let index = Index::open(log)?;
    let last =
        index.last()?.map_or(Head::default(), |frame| Head { seq: frame.seq, hash: frame.hash });
    if last.seq > head.seq {
        let what = format!(
            "the index has event {}, the mirror ends with {}: the mirror was shortened or replaced",
            last.seq, head.seq
        );
        let path = segment::directory(log);
        return Err(Unfit::Store(damaged(files::SHORT, &path, what)));
    }
    if last == head {
        return Ok((index, 0));
    }
    let differs = || IndexError::Damaged(format!("it differs from the mirror at {}", last.seq));
    if last.seq == head.seq || complete {
        return Err(differs().into());
    }
    let segments = segment::list(log).map_err(Unfit::Store)?;
    let mut group = Vec::with_capacity(ROLL_FORWARD_FRAMES);
    let mut rolled = 0_u64;
    for frame in Walk::from(segments, last.seq) {
        let frame = frame.map_err(|fault| Unfit::Store(fault.error()))?;
        let at_head = frame.seq == head.seq;
        if frame.seq == last.seq && frame.hash != last.hash {
            return Err(differs().into());
        }
        if frame.seq > last.seq {
            rolled = rolled.saturating_add(1);
            group.push(frame);
        }
        if group.len() == ROLL_FORWARD_FRAMES {
            index.apply(&group)?;
            group.clear();
        }
        // What may follow is torn and not yet cut off.
        if at_head {
            break;
        }
    }
    index.apply(&group)?;
    index.sync()?;
    Ok((index, rolled))
}
