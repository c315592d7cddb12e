//! Reading a log that is open for writing: from the index, and from the mirror where the index fails.

use super::index::{self, Index};
use super::sled_log::SledLog;
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::{EventStore, Frames, Head, StoreError};

enum Source<'a> {
    Index(Box<dyn Iterator<Item = Result<Frame, index::IndexError>> + 'a>),
    Mirror(Frames<'a>),
    Over,
}

/// Frames from the index; where it fails, is out of order or ends too early, from the mirror.
pub(super) struct Scan<'a> {
    log: &'a SledLog,
    source: Source<'a>,
    last: Head,
    chained: bool,
}

impl<'a> Scan<'a> {
    /// From `from` on. Without an index, from the mirror.
    pub(super) fn new(log: &'a SledLog, index: Option<&Index>, from: Seq) -> Self {
        let from = from.max(Seq(1));
        let source = match index {
            Some(index) => Source::Index(Box::new(index.frames(from))),
            None => Source::Index(Box::new(std::iter::empty())),
        };
        let last = Head { seq: Seq(from.0.saturating_sub(1)), hash: Default::default() };
        Self { log, source, last, chained: from == Seq(1) }
    }

    fn fits(&self, frame: &Frame) -> bool {
        frame.seq == self.last.seq.next() && (!self.chained || frame.previous == self.last.hash)
    }
}

impl Iterator for Scan<'_> {
    type Item = Result<Frame, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Source::Index(frames) = &mut self.source {
            let next = frames.next();
            if next.is_none() && self.last.seq >= self.log.head().seq {
                self.source = Source::Over;
                return None;
            }
            if let Some(Ok(frame)) = next
                && self.fits(&frame)
            {
                self.last = Head { seq: frame.seq, hash: frame.hash };
                self.chained = true;
                return Some(Ok(frame));
            }
            match self.log.replay(self.last.seq.next()) {
                Ok(frames) => self.source = Source::Mirror(frames),
                Err(error) => {
                    self.source = Source::Over;
                    return Some(Err(error));
                }
            }
        }
        match &mut self.source {
            Source::Mirror(frames) => frames.next(),
            Source::Index(_) | Source::Over => None,
        }
    }
}
