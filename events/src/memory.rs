//! A log in memory: for tests and the simulation.

use crate::codec::Frame;
use crate::id::Seq;
use crate::store::{EventStore, Frames, Head, StoreError};

/// Frames in a vector.
#[derive(Debug, Default)]
pub struct MemoryStore {
    frames: Vec<Frame>,
}

impl EventStore for MemoryStore {
    fn head(&self) -> Head {
        self.frames
            .last()
            .map_or_else(Head::default, |frame| Head { seq: frame.seq, hash: frame.hash })
    }

    fn commit(&mut self, frames: &[Frame]) -> Result<(), StoreError> {
        self.frames.extend_from_slice(frames);
        Ok(())
    }

    fn scan(&self, from: Seq) -> Result<Frames<'_>, StoreError> {
        Ok(Box::new(self.frames.iter().filter(move |frame| frame.seq >= from).cloned().map(Ok)))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
