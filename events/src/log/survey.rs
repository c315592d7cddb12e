//! What can be kept of a damaged log, and what is lost.

use std::path::Path;

use super::anchor::{self, Anchor, Reading};
use super::files::{self, damaged};
use super::fresh::MendError;
use super::join::{Join, Strays};
use super::salvage::Salvage;
use super::scratch::Scratch;
use super::segment;
use crate::codec::Frame;
use crate::event::Envelope;
use crate::id::{BootNo, Seq, StreamId};
use crate::store::{Head, StoreError};

/// What can be proven of a log, by checksums and hash chain.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// The last event that is kept, at the end of its batch.
    pub kept: Head,
    /// How many of the kept events the mirror lacks; the index had them.
    pub from_index: u64,
    /// The last event that is known to have been: named by `HEAD` or `CLEAN`, or still readable beyond a
    /// hole. The same as `kept` when none is known to be lost.
    pub lost_to: Seq,
    /// An anchor says so. Otherwise there may have been more.
    pub end_known: bool,
    /// Events that are readable but cannot be joined, because one before them is lost: evidence of what
    /// was done. The first of them, by place.
    pub strays: Vec<Envelope>,
    /// Octets of the mirror that belong to no event.
    pub skipped: u64,
    /// The last life that wrote kept events.
    pub boot: BootNo,
    /// Version of the engine's stream after the kept events.
    pub(super) engine_version: u32,
}

impl Survey {
    /// The first and the last event that is known to be lost.
    pub fn lost(&self) -> Option<(Seq, Seq)> {
        (self.lost_to > self.kept.seq).then(|| (self.kept.seq.next(), self.lost_to))
    }
}

/// The sources of a survey.
pub(super) struct Sources<'a> {
    pub(super) log: &'a Path,
    pub(super) index: &'a Scratch,
    pub(super) not_newer: bool,
    /// What `HEAD` or `CLEAN` names.
    anchor: Option<Anchor>,
}

impl<'a> Sources<'a> {
    /// Reads the anchors.
    ///
    /// # Errors
    /// When they cannot be read, or a newer version wrote them.
    pub(super) fn of(
        log: &'a Path,
        index: &'a Scratch,
        not_newer: bool,
    ) -> Result<Self, StoreError> {
        let clean = anchor::read_clean(log)?;
        let head = match anchor::read_head(log)? {
            Reading::Found(anchor, _) => Some(anchor),
            Reading::Newer => {
                let what = "a newer renewd wrote HEAD; use that version";
                return Err(damaged(files::NEWER, &anchor::head_path(log), what));
            }
            Reading::Absent | Reading::Unreadable => None,
        };
        let anchor = [head, clean].into_iter().flatten().max_by_key(|anchor| anchor.head.seq);
        let not_newer = not_newer || ours_follows_newer(log)?;
        Ok(Self { log, index, not_newer, anchor })
    }

    /// Goes over all events that can be kept, batch by batch, and says what is lost.
    ///
    /// # Errors
    /// When files cannot be read, nothing can be proven, the parts belong to different logs, or a newer
    /// version wrote some of them; and what `each` says.
    pub(super) fn survey(
        &self,
        each: &mut dyn FnMut(Vec<Frame>) -> Result<(), StoreError>,
    ) -> Result<Survey, MendError> {
        let mirror = Salvage::of(self.log, self.not_newer)?;
        let only_index = self.is_of_another_log()?;
        let mut join = Join::of((!only_index).then_some(mirror), self.index);
        let mut survey = Survey::default();
        let mut batch: Vec<Frame> = Vec::new();
        let mut from_index = 0;
        let mut engine_version = 0;
        while let Some(frame) = join.next()? {
            let envelope = decode(&frame)?;
            if envelope.stream == StreamId::ENGINE {
                engine_version = envelope.version;
            }
            from_index = join.from_index.max(from_index);
            let last = frame.last_of_batch;
            batch.push(frame);
            if last {
                survey.kept = join.head;
                survey.from_index = from_index;
                survey.boot = survey.boot.max(envelope.boot);
                survey.engine_version = engine_version;
                each(std::mem::take(&mut batch))?;
            }
        }
        let strays = join.strays()?;
        self.judge(survey, &batch, strays)
    }

    /// Whether the whole mirror is that of another log, and the index leads to the anchor's event.
    fn is_of_another_log(&self) -> Result<bool, StoreError> {
        let Some(anchor) = &self.anchor else {
            return Ok(false);
        };
        let Some(named) = self.index.get(anchor.head.seq) else {
            return Ok(false);
        };
        if named.hash != anchor.head.hash {
            return Ok(false);
        }
        let Some(first) = self.index.get(Seq(1)) else {
            return Ok(false);
        };
        let in_mirror = Salvage::of(self.log, self.not_newer)?.next().transpose()?;
        Ok(in_mirror.is_some_and(|frame| frame.seq == first.seq && frame.hash != first.hash))
    }

    fn judge(
        &self,
        survey: Survey,
        partial: &[Frame],
        strays: Strays,
    ) -> Result<Survey, MendError> {
        if let Some(place) = strays.newer.filter(|_| !strays.behind_newer && !self.not_newer) {
            return Err(MendError::Newer { place });
        }
        if survey.kept.seq == Seq(0) {
            return Err(MendError::NothingProven { log: self.log.to_owned() });
        }
        let named = self.anchor.map_or(Seq(0), |anchor| anchor.head.seq);
        let mut evidence: Vec<Envelope> = Vec::new();
        // A batch that was not written to its end is no evidence of more than itself.
        let partial_end = partial.last().map_or(Seq(0), |frame| frame.seq);
        for frame in partial.iter().chain(strays.frames.values()) {
            evidence.extend(decode(frame).ok());
        }
        let readable =
            if partial_end > named { strays.highest } else { partial_end.max(strays.highest) };
        Ok(Survey {
            lost_to: named.max(readable).max(survey.kept.seq),
            end_known: self.anchor.is_some(),
            strays: evidence,
            skipped: strays.skipped,
            ..survey
        })
    }

    /// The anchor's event is among the kept ones with another hash: the parts are of different logs.
    pub(super) fn contradicts(&self, frame: &Frame) -> Option<MendError> {
        let anchor = self.anchor.as_ref()?;
        let differs = anchor.head.seq == frame.seq && anchor.head.hash != frame.hash;
        differs.then(|| MendError::TwoLogs { log: segment::directory(self.log), seq: frame.seq })
    }
}

/// Whether an event of ours follows one that looks like a later format. No version writes after a newer
/// one, so that is damage.
fn ours_follows_newer(log: &Path) -> Result<bool, StoreError> {
    let mut salvage = Salvage::of(log, false)?;
    while let Some(frame) = salvage.next() {
        frame?;
        if salvage.newer.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn decode(frame: &Frame) -> Result<Envelope, StoreError> {
    Frame::decode(&frame.bytes).map_err(|cause| StoreError::Frame { seq: frame.seq, cause })
}
