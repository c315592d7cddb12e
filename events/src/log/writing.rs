//! The files of a log while it is written: mirror, index and anchor, in the order of a commit.

use std::path::Path;

use super::anchor::{self, Anchor, AnchorFile};
use super::bounds::{ANCHOR_SYNC_COMMITS, SLED_SYNC_COMMITS};
use super::index::{self, Index};
use super::recover::{self, Opened};
use super::segment::Appender;
use crate::codec::Frame;
use crate::store::{Head, StoreError};

/// The files of a log that is written.
pub(super) struct Writing {
    pub(super) index: Index,
    pub(super) mirror: Appender,
    anchor_file: AnchorFile,
    /// Commits since the anchor was made durable.
    unanchored: u32,
    /// Commits since the index was made durable.
    unsynced: u32,
}

impl Writing {
    /// The checks of every start, then the files.
    ///
    /// # Errors
    /// Damage that was found, or what of the disk failed.
    pub(super) fn open(dir: &Path) -> Result<(Self, Anchor, Opened), StoreError> {
        let mut plan = recover::check(dir)?;
        let (first, end) = plan.tail;
        let mirror = Appender::open(dir, first, end)?;
        if !plan.opened.clean {
            // A killed process may have left its last write in the page cache. Index and anchor
            // must not become durable before it.
            mirror.sync()?;
        }
        let index = recover::index(dir, &mut plan)?;
        recover::cut(dir, &mut plan)?;
        let mut anchor_file = AnchorFile::open(dir, plan.slot)?;
        anchor_file.write(&plan.anchor)?;
        anchor_file.sync()?;
        anchor::remove_clean(dir)?;
        let writing = Self { index, mirror, anchor_file, unanchored: 0, unsynced: 0 };
        Ok((writing, plan.anchor, plan.opened))
    }

    /// Makes frames durable that are known to follow the head; gives the new anchor.
    ///
    /// # Errors
    /// When they are not known to be durable. This value must then not be used any more.
    pub(super) fn commit(
        &mut self,
        frames: &[Frame],
        bytes: &[u8],
        dir: &Path,
    ) -> Result<Option<Anchor>, StoreError> {
        let (Some(first), Some(last)) = (frames.first(), frames.last()) else {
            return Ok(None);
        };
        self.mirror.append(first.seq, bytes)?;
        self.add_to_index(frames, dir)?;
        let (segment, end) = self.mirror.position();
        let anchor = Anchor {
            head: Head { seq: last.seq, hash: last.hash },
            segment,
            end: u32::try_from(end).unwrap_or(u32::MAX),
            last_octets: u16::try_from(last.bytes.len()).unwrap_or(u16::MAX),
        };
        self.anchor_file.write(&anchor)?;
        self.unanchored = self.unanchored.saturating_add(1);
        if self.unanchored >= ANCHOR_SYNC_COMMITS {
            self.settle()?;
        }
        Ok(Some(anchor))
    }

    /// The anchor is as durable as the mirror.
    pub(super) fn is_settled(&self) -> bool {
        self.unanchored == 0
    }

    /// Makes the anchor durable.
    ///
    /// # Errors
    /// When it is not known to be.
    pub(super) fn settle(&mut self) -> Result<(), StoreError> {
        if !self.is_settled() {
            self.anchor_file.sync()?;
            self.unanchored = 0;
        }
        Ok(())
    }

    fn add_to_index(&mut self, frames: &[Frame], dir: &Path) -> Result<(), StoreError> {
        self.unsynced = self.unsynced.saturating_add(1);
        let mut result = self.index.apply(frames);
        if result.is_ok() && self.unsynced >= SLED_SYNC_COMMITS {
            result = self.index.sync();
            self.unsynced = 0;
        }
        result.map_err(|error| error.error(&index::directory(dir)))
    }
}
