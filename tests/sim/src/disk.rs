//! The disk of the world: it outlives the process, and ends where fate says.

use std::sync::Arc;
use std::time::Duration;

use renewd_events::Envelope;
use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::planted::{self, Bug};
use renewd_events::store::{EventStore, FULL, Frames, Head, StoreError};

use crate::fate::{Fault, Harm, Place};
use crate::invariant::Invariant;
use crate::medium::Medium;
use crate::world::World;

/// Octets of an event (the codec's own bound).
const EVENT_OCTETS_MAX: usize = 32 * 1024;

/// What lies on the disk.
#[derive(Debug, Default)]
pub struct Platter {
    /// The frames that survive the end of the process.
    pub frames: Vec<Frame>,
    /// The last frame that was acknowledged.
    pub acknowledged: Seq,
    /// How many frames the last commit but one had brought: what a disk that lies about syncing keeps.
    pub(crate) kept: usize,
    pub(crate) medium: Medium,
}

impl Platter {
    /// The machine lost its power.
    pub(crate) fn lose_unsynced(&mut self) {
        if planted::is(Bug::MissingSync) {
            self.frames.truncate(self.kept);
        }
    }
}

/// The disk, as the journal sees it.
#[derive(Debug)]
pub struct Disk {
    world: Arc<World>,
}

impl Disk {
    /// The disk of this world.
    pub fn new(world: Arc<World>) -> Self {
        Self { world }
    }

    /// After a failed sync a read proves nothing, and a second sync that succeeds even less.
    fn written_after_a_failed_sync(&self) {
        if self.world.platter().medium.sync_failed {
            let what = "the log is written again by the process whose sync failed";
            self.world.broken(Invariant::SyncFinal, what);
        }
    }
}

impl EventStore for Disk {
    fn head(&self) -> Head {
        let platter = self.world.platter();
        platter
            .frames
            .last()
            .map_or_else(Head::default, |frame| Head { seq: frame.seq, hash: frame.hash })
    }

    /// Batch by batch: an end between two of one commit leaves the first, as a torn write would.
    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        let dead = || StoreError::Poisoned("the process has ended".to_owned());
        if self.world.is_dead() {
            return Err(dead());
        }
        self.written_after_a_failed_sync();
        if self.world.disk_is_full() {
            return Err(full());
        }
        {
            let mut platter = self.world.platter();
            platter.kept = platter.frames.len();
        }
        for batch in frames.split_inclusive(|frame| frame.last_of_batch) {
            let drawn = self.world.fate(Place::Commit);
            let harm = drawn.map(|harm| harm.fault);
            if let Some(Harm { fault: Fault::NoSpace, seconds }) = drawn {
                // What is said to have failed may all the same be on the disk.
                if seconds % 2 == 1 {
                    self.world.platter().frames.extend_from_slice(batch);
                    let last = batch.last().map_or(Seq(0), |frame| frame.seq);
                    self.world.state().written = last;
                }
                self.world.fill_disk(Duration::from_secs(seconds));
                return Err(full());
            }
            if let Some(Harm { fault: Fault::Unsynced, seconds }) = drawn {
                let mut platter = self.world.platter();
                if seconds % 2 == 1 {
                    platter.frames.extend_from_slice(batch);
                }
                platter.medium.sync_failed = true;
                return Err(unsynced());
            }
            if let Some(Harm { fault: Fault::Torn, seconds }) = drawn {
                self.world.platter().tear(batch, seconds);
                self.world.end_life();
                return Err(dead());
            }
            if harm == Some(Fault::CrashBefore) {
                self.world.end_life();
                return Err(dead());
            }
            if batch.iter().any(|frame| frame.bytes.len() > EVENT_OCTETS_MAX) {
                self.world.broken(Invariant::EventSize, "a frame is larger than 32 KiB");
            }
            self.world.platter().frames.extend_from_slice(batch);
            if let Some(harm) = drawn {
                // What was just written down lies ahead then.
                self.world.clock_is_set(harm);
            }
            if harm == Some(Fault::CrashAfter) {
                self.world.end_life();
                return Err(dead());
            }
        }
        let mut platter = self.world.platter();
        platter.acknowledged = platter.frames.last().map_or(Seq(0), |frame| frame.seq);
        Ok(())
    }

    fn reopen(&mut self) -> Result<Head, StoreError> {
        self.written_after_a_failed_sync();
        if self.world.disk_is_full() {
            return Err(full());
        }
        let mut platter = self.world.platter();
        platter.acknowledged = platter.frames.last().map_or(Seq(0), |frame| frame.seq);
        drop(platter);
        Ok(self.head())
    }

    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        let frames = self.world.platter().frames.clone();
        Ok(Box::new(frames.into_iter().filter(move |frame| frame.seq >= from).map(Ok)))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        let mut platter = self.world.platter();
        if platter.medium.sync_failed {
            return Err(unsynced());
        }
        platter.kept = platter.frames.len();
        Ok(())
    }
}

fn full() -> StoreError {
    StoreError::NoRoom {
        code: FULL,
        what: "writing",
        path: "the simulated disk".into(),
        cause: std::io::ErrorKind::StorageFull.into(),
    }
}

fn unsynced() -> StoreError {
    StoreError::Unsynced {
        path: "the simulated disk".into(),
        cause: std::io::Error::other("input/output error"),
    }
}

/// The frames, decoded; stops at the first that cannot be read, which the audit reports.
pub fn decoded(frames: &[Frame]) -> impl Iterator<Item = Envelope> + '_ {
    frames.iter().map_while(|frame| Frame::decode(&frame.bytes).ok())
}
