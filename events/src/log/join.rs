//! One log out of what mirror and index have left: the hash chain decides which frame comes next.

use std::collections::BTreeMap;

use super::salvage::Salvage;
use super::scratch::Scratch;
use crate::codec::Frame;
use crate::id::Seq;
use crate::store::{Head, StoreError};

/// Frames kept as evidence that cannot be joined to the log. They are for a person to read; the files
/// they come from are kept anyway.
pub(super) const STRAYS_MAX: usize = 1024;

/// Frames that follow each other from event 1 on, until no source has the next one.
pub(super) struct Join<'a> {
    salvage: Option<Salvage>,
    index: &'a Scratch,
    /// A frame of the mirror that lies beyond a hole.
    held: Option<Frame>,
    /// The last frame given.
    pub(super) head: Head,
    /// How many came from the index.
    pub(super) from_index: u64,
    strays: Strays,
}

/// Readable frames that are not joined.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The first [`STRAYS_MAX`], by place.
    pub(super) frames: BTreeMap<Seq, Frame>,
    /// The highest place among all.
    pub(super) highest: Seq,
    /// Octets of the mirror that belong to no frame.
    pub(super) skipped: u64,
    /// Where something lies that looks like a later format.
    pub(super) newer: Option<String>,
    /// A frame of ours lies behind that: it is damage, then.
    pub(super) behind_newer: bool,
}

impl Strays {
    fn add(&mut self, frame: Frame) {
        self.highest = self.highest.max(frame.seq);
        if self.frames.len() < STRAYS_MAX {
            self.frames.insert(frame.seq, frame);
        }
    }
}

impl<'a> Join<'a> {
    /// Of mirror and index; without `salvage` of the index alone.
    pub(super) fn of(salvage: Option<Salvage>, index: &'a Scratch) -> Self {
        Self {
            salvage,
            index,
            held: None,
            head: Head::default(),
            from_index: 0,
            strays: Strays::default(),
        }
    }

    fn fits(&self, frame: &Frame) -> bool {
        frame.seq == self.head.seq.next() && frame.previous == self.head.hash
    }

    fn has_newer(&self) -> bool {
        self.salvage.as_ref().is_some_and(|salvage| salvage.newer.is_some())
    }

    fn of_index(&mut self) -> Option<Frame> {
        let frame = self.index.get(self.head.seq.next()).filter(|frame| self.fits(frame))?;
        self.from_index = self.from_index.saturating_add(1);
        Some(frame)
    }

    fn of_mirror(&mut self) -> Result<Option<Frame>, StoreError> {
        if let Some(held) = self.held.take() {
            return Ok(Some(held));
        }
        self.salvage.as_mut().and_then(Iterator::next).transpose()
    }

    /// The next frame; `None` when neither has it.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, StoreError> {
        let joined = self.search()?;
        if let Some(frame) = &joined {
            self.head = Head { seq: frame.seq, hash: frame.hash };
            self.strays.behind_newer |= self.has_newer();
        }
        Ok(joined)
    }

    fn search(&mut self) -> Result<Option<Frame>, StoreError> {
        loop {
            let Some(frame) = self.of_mirror()? else {
                return Ok(self.of_index());
            };
            if self.fits(&frame) {
                return Ok(Some(frame));
            }
            // Seen already: the end of a segment written twice, or a copy of one.
            if frame.seq <= self.head.seq {
                continue;
            }
            if let Some(other) = self.of_index() {
                self.held = Some(frame);
                return Ok(Some(other));
            }
            if frame.seq > self.head.seq.next() {
                self.held = Some(frame);
                return Ok(None);
            }
            // In the right place, but of another history.
            self.strays.add(frame);
        }
    }

    /// What is left over, once [`Join::next`] gave nothing.
    pub(super) fn strays(mut self) -> Result<Strays, StoreError> {
        while let Some(frame) = self.of_mirror()? {
            self.strays.behind_newer |= self.has_newer();
            if frame.seq > self.head.seq {
                self.strays.add(frame);
            }
        }
        for frame in self.index.frames(self.head.seq.next()) {
            self.strays.add(frame);
        }
        if let Some(salvage) = &self.salvage {
            self.strays.skipped = salvage.skipped;
            let place = salvage.newer.as_ref();
            self.strays.newer = place.map(|(path, at)| format!("{} at octet {at}", path.display()));
        }
        Ok(self.strays)
    }
}
