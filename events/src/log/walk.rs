//! Reading segments one frame after the other, with checksum, density and hash chain checked.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use super::bounds::READ_BUFFER_OCTETS;
use super::files;
use super::segment::Segment;
use crate::codec::{CodecError, Frame};
use crate::id::{Hash, Seq};
use crate::store::StoreError;

/// Magic number, length and checksum: what tells how long a frame is.
const PREFIX_OCTETS: u64 = 12;

/// What kind of fault ends a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// The file ends within a frame.
    Cut,
    /// Checksum, chain or density is broken.
    Broken,
    /// A file is missing.
    Gap,
    /// A newer version wrote it.
    Newer,
    /// The file cannot be read.
    Io,
}

/// Where a walk ended before the end.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    /// The event that should be here.
    pub(super) seq: Seq,
    /// In which file.
    pub(super) file: PathBuf,
    /// At which offset its frame begins.
    pub(super) offset: u64,
    /// Which kind.
    pub(super) kind: FaultKind,
    /// For people.
    pub(super) what: String,
}

impl Fault {
    /// Whether an unacknowledged write that was cut by a crash, or is under way, looks like this.
    pub(super) fn may_be_torn(&self) -> bool {
        match self.kind {
            FaultKind::Cut | FaultKind::Broken => true,
            FaultKind::Gap | FaultKind::Newer | FaultKind::Io => false,
        }
    }

    pub(super) fn error(&self) -> StoreError {
        let what = format!("event {} at offset {}: {}", self.seq, self.offset, self.what);
        match self.kind {
            FaultKind::Io => StoreError::Io {
                what: "reading",
                path: self.file.clone(),
                cause: std::io::Error::other(what),
            },
            FaultKind::Cut => files::damaged(files::SHORT, &self.file, what),
            FaultKind::Broken | FaultKind::Gap => files::damaged(files::BROKEN, &self.file, what),
            FaultKind::Newer => files::damaged(files::NEWER, &self.file, what),
        }
    }
}

/// The segment that is being read.
#[derive(Debug)]
struct Current {
    reader: BufReader<File>,
    segment: Segment,
    offset: u64,
}

/// Frames of some segments that follow each other. Ends after the first fault.
#[derive(Debug)]
pub(super) struct Walk {
    waiting: VecDeque<Segment>,
    current: Option<Current>,
    next: Option<Seq>,
    previous: Option<Hash>,
    over: bool,
}

impl Walk {
    /// Begins with the segment that holds `from`. A log begins with event 1; an exported file begins
    /// wherever it does.
    pub(super) fn from(segments: Vec<Segment>, from: Seq) -> Self {
        let starts = |segment: &Segment| segment.first.is_some_and(|first| first <= from);
        let start = segments.iter().rposition(starts);
        let of_log = segments.iter().any(|segment| segment.first.is_some());
        Self {
            waiting: segments.into_iter().skip(start.unwrap_or(0)).collect(),
            current: None,
            next: (of_log && start.is_none_or(|start| start == 0)).then_some(Seq(1)),
            previous: None,
            over: false,
        }
    }

    /// The segment of the last frame, and where that frame ends.
    pub(super) fn position(&self) -> Option<(&Segment, u64)> {
        self.current.as_ref().map(|current| (&current.segment, current.offset))
    }

    /// Whether no segment follows the present one.
    pub(super) fn in_last_segment(&self) -> bool {
        self.waiting.is_empty()
    }

    fn fault(&self, kind: FaultKind, what: impl Into<String>) -> Fault {
        let (file, offset) = match (&self.current, self.waiting.front()) {
            (Some(current), _) => (current.segment.path.clone(), current.offset),
            (None, Some(segment)) => (segment.path.clone(), 0),
            (None, None) => (PathBuf::new(), 0),
        };
        Fault { seq: self.next.unwrap_or(Seq(1)), file, offset, kind, what: what.into() }
    }

    /// Opens the next segment; `false` when there is none.
    fn open_next(&mut self) -> Result<bool, Fault> {
        let Some(segment) = self.waiting.pop_front() else {
            return Ok(false);
        };
        let file = File::open(&segment.path);
        let first = segment.first;
        let file = match file {
            Ok(file) => file,
            Err(cause) => {
                self.waiting.push_front(segment);
                self.current = None;
                return Err(self.fault(FaultKind::Io, cause.to_string()));
            }
        };
        self.current = Some(Current {
            reader: BufReader::with_capacity(READ_BUFFER_OCTETS, file),
            segment,
            offset: 0,
        });
        match (self.next, first) {
            (Some(next), Some(first)) if next != first => {
                let what = format!("this file begins with event {first}: one before it is missing");
                Err(self.fault(FaultKind::Gap, what))
            }
            (Some(_), _) => Ok(true),
            (None, first) => {
                self.next = first;
                Ok(true)
            }
        }
    }

    /// The bytes of the next frame of the present segment; `None` at its end.
    fn bytes(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let Some(current) = &mut self.current else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let mut read = |octets: u64, bytes: &mut Vec<u8>| {
            Read::take(&mut current.reader, octets).read_to_end(bytes)
        };
        if let Err(cause) = read(PREFIX_OCTETS, &mut bytes) {
            return Err(self.fault(FaultKind::Io, cause.to_string()));
        }
        if bytes.is_empty() {
            return Ok(None);
        }
        let total = match Frame::length_at(&bytes) {
            Ok(Some(total)) => total,
            Ok(None) => return Err(self.fault(FaultKind::Cut, "the file ends within a frame")),
            Err(CodecError::Magic) if is_newer(&bytes) => {
                return Err(self.fault(
                    FaultKind::Newer,
                    "a newer renewd wrote this frame, or its first bytes are damaged",
                ));
            }
            Err(cause) => return Err(self.fault(FaultKind::Broken, cause.to_string())),
        };
        let rest = total.saturating_sub(bytes.len());
        bytes.reserve_exact(rest);
        let rest = u64::try_from(rest).unwrap_or(u64::MAX);
        if let Err(cause) = read(rest, &mut bytes) {
            return Err(self.fault(FaultKind::Io, cause.to_string()));
        }
        if bytes.len() < total {
            return Err(self.fault(FaultKind::Cut, "the file ends within a frame"));
        }
        Ok(Some(bytes))
    }

    fn check(&mut self, bytes: &[u8]) -> Result<Frame, Fault> {
        let frame =
            Frame::read(bytes).map_err(|cause| self.fault(FaultKind::Broken, cause.to_string()))?;
        // An exported file begins with any event, but there is none before the first.
        if frame.seq == Seq(0) || self.next.is_some_and(|next| frame.seq != next) {
            let what = format!("event {} stands in its place", frame.seq);
            return Err(self.fault(FaultKind::Broken, what));
        }
        let known = if frame.seq == Seq(1) { Some(Hash::default()) } else { self.previous };
        if let Some(previous) = known
            && frame.previous != previous
        {
            let what = "the hash chain is broken: it does not follow the event before it";
            return Err(self.fault(FaultKind::Broken, what));
        }
        self.next = Some(frame.seq.next());
        self.previous = Some(frame.hash);
        if let Some(current) = &mut self.current {
            let octets = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            current.offset = current.offset.saturating_add(octets);
        }
        Ok(frame)
    }

    fn step(&mut self) -> Result<Option<Frame>, Fault> {
        loop {
            if let Some(bytes) = self.bytes()? {
                return self.check(&bytes).map(Some);
            }
            if !self.open_next()? {
                return Ok(None);
            }
        }
    }
}

fn is_newer(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(b"RNW")
        .and_then(|rest| rest.first())
        .is_some_and(|digit| (b'2'..=b'9').contains(digit))
}

impl Iterator for Walk {
    type Item = Result<Frame, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let step = self.step().transpose();
        self.over = !matches!(step, Some(Ok(_)));
        step
    }
}
