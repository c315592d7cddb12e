//! One case: a copy is damaged, opened as the engine opens it, read by all other ways, and repaired.

use std::fs;
use std::path::Path;

use renewd_events::Event;
use renewd_events::WallMs;
use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::log::{MendError, MirrorReader, SledLog, Wish, repair, verify};
use renewd_events::process::EngineEvent;
use renewd_events::store::{EventStore, StoreError};

use super::Trouble;
use super::draw::Draw;
use super::stock::{Base, Stock, copy};
use super::ways;

/// When repairs say that they were made.
const AT: WallMs = WallMs(1_800_000_000_000);

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every acknowledged event is there.
    Whole {
        /// The start changed something, and said so.
        mended: bool,
    },
    /// Refused with a code that has a page; repaired, with so many events lost and named.
    Repaired {
        /// The code.
        code: String,
        /// How many events are lost.
        lost: u64,
    },
    /// Refused with a code that has a page; there is nothing to repair.
    Restore {
        /// The code.
        code: String,
    },
    /// Opened with fewer or other events than were acknowledged.
    Shorter(String),
    /// Anything else that must not be.
    Wrong(String),
}

/// A case and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// Which log was damaged, and how.
    pub damage: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// How an attempt to open ended.
enum Opening {
    Opened { frames: Vec<Frame>, mended: bool },
    Refused(StoreError),
}

/// Makes a case by chance and judges it.
///
/// # Errors
/// When it cannot be prepared.
pub fn judge(stock: &Stock, draw: &mut Draw) -> Result<Judged, Trouble> {
    let base = draw.pick(&stock.bases).ok_or("there is no log")?;
    let folder = tempfile::tempdir_in(stock.folder())?;
    let log = folder.path().join("log");
    copy(&base.log, &log)?;
    let damage = ways::damage(&log, base, draw)?;
    let verdict = verdict(&log, base).unwrap_or_else(|cause| Verdict::Wrong(cause.to_string()));
    Ok(Judged { damage, verdict })
}

/// Opens a log that was made from `base`, and repairs it when it is refused.
///
/// # Errors
/// When files cannot be read.
pub fn verdict(log: &Path, base: &Base) -> Result<Verdict, Trouble> {
    if let Some(shorter) = reader_is_short(log, base) {
        return Ok(Verdict::Shorter(shorter));
    }
    let readable = verify(log).map_or(0, |found| found.events);
    let error = match open(log) {
        Opening::Opened { frames, mended } => {
            return Ok(match differs(&frames, &base.frames) {
                Some(what) => Verdict::Shorter(what),
                None => Verdict::Whole { mended },
            });
        }
        Opening::Refused(error) => error,
    };
    let code = if let StoreError::Damaged { code, .. } = &error {
        (*code).to_owned()
    } else {
        return Ok(Verdict::Wrong(format!("refused without a code: {error}")));
    };
    if !has_cure(&code) {
        return Ok(Verdict::Wrong(format!("{code} has no page with a cure")));
    }
    repaired(log, base, code, readable)
}

/// `MirrorReader`, as commands read beside an engine: an end without an error is an end with everything.
fn reader_is_short(log: &Path, base: &Base) -> Option<String> {
    let frames: Vec<_> = MirrorReader::open(log).ok()?.scan(Seq(1)).ok()?.collect();
    let frames: Result<Vec<Frame>, StoreError> = frames.into_iter().collect();
    differs(&frames.ok()?, &base.frames).map(|what| format!("by MirrorReader: {what}"))
}

/// All of the mirror is read first, then the log is opened: so does `renewd run`.
fn open(log: &Path) -> Opening {
    let read = MirrorReader::open(log)
        .and_then(|reader| reader.envelopes(Seq(1)))
        .and_then(|mut envelopes| envelopes.find_map(Result::err).map_or(Ok(()), Err));
    if let Err(error) = read {
        return Opening::Refused(SledLog::check(log).err().unwrap_or(error));
    }
    let (store, opened) = match SledLog::open(log) {
        Ok(opened) => opened,
        Err(error) => return Opening::Refused(error),
    };
    let mended =
        opened.torn.is_some() || opened.index_set_aside.is_some() || opened.rolled_forward > 0;
    let frames = store.scan(Seq(1)).and_then(Iterator::collect);
    match frames {
        Ok(frames) => Opening::Opened { frames, mended },
        Err(error) => Opening::Refused(error),
    }
}

fn differs(found: &[Frame], expected: &[Frame]) -> Option<String> {
    let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected).count();
    (same < expected.len()).then(|| format!("{same} of {} events", expected.len()))
}

/// `renewd explain CODE` prints the page.
fn has_cure(code: &str) -> bool {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../ops/errors/{code}.md"));
    fs::read_to_string(page).is_ok_and(|text| text.contains("What to do"))
}

fn repaired(log: &Path, base: &Base, code: String, readable: u64) -> Result<Verdict, Trouble> {
    let wish = Wish { not_newer: code == "R0607" };
    let repaired = match repair(log, wish, AT) {
        Ok(Some(repaired)) => repaired,
        Ok(None) => return Ok(Verdict::Wrong(format!("{code}, but repair finds nothing to do"))),
        Err(MendError::NothingProven { .. } | MendError::TwoLogs { .. }) => {
            return Ok(Verdict::Restore { code });
        }
        Err(other) => return Ok(Verdict::Wrong(format!("{code}, and repair refuses: {other}"))),
    };
    let Opening::Opened { frames, .. } = open(log) else {
        return Ok(Verdict::Wrong("what was repaired does not open".to_owned()));
    };
    let Some((last, kept)) = frames.split_last() else {
        return Ok(Verdict::Wrong("what was repaired is empty".to_owned()));
    };
    let count = u64::try_from(kept.len())?;
    let all = u64::try_from(base.frames.len())?;
    let survey = &repaired.survey;
    let true_beginning = base.frames.get(..kept.len()).is_some_and(|frames| frames == kept);
    let mut batch_end = base.frames.iter().take(usize::try_from(readable)?);
    let provable = batch_end.rfind(|frame| frame.last_of_batch).map_or(0, |frame| frame.seq.0);
    let named = told(last)?;
    // Without an anchor nobody knows the end, and the event says so.
    let exact = named == (count, all, true) || (named.0 == count && named.1 <= all && !named.2);
    let wrong = if !true_beginning {
        format!("what repair kept, {count} events, is no beginning of the log")
    } else if count < provable {
        format!("repair kept {count} events, the mirror alone proves {provable}")
    } else if !exact || survey.kept.seq.0 != count || survey.lost_to.0 != named.1 {
        format!("repair kept {count} of {all} events, but says {named:?}")
    } else if !repaired.aside.join("sled").exists() && !repaired.aside.join("mirror").exists() {
        "the damaged log was not kept".to_owned()
    } else {
        return Ok(Verdict::Repaired { code, lost: all.saturating_sub(count) });
    };
    Ok(Verdict::Wrong(wrong))
}

/// What the last event says: kept, lost to, and whether that is the end.
fn told(frame: &Frame) -> Result<(u64, u64, bool), Trouble> {
    if let Event::Engine(EngineEvent::LogMended { kept, lost_to, end_known, .. }) =
        Frame::decode(&frame.bytes)?.event
    {
        Ok((kept.0, lost_to.0, end_known))
    } else {
        Err("a repaired log does not end with LogMended".into())
    }
}
