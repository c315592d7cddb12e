//! What the medium under the disk does: a write that power cuts short, a bit that turns, a sync that
//! fails; and what the next open makes of it.
//!
//! The octets are read with the log's own codec, and a batch counts only with its last frame, as in
//! `renewd_events::log`. It shows what such an open means to the actors, and that no cut and no turned
//! bit gives another event. How the log finds them in its own files, and mends them from index and
//! mirror, is shown by `cargo xtask damage` and `kill` on real ones.

use renewd_events::codec::Frame;
use renewd_events::planted::{self, Bug};

use crate::disk::Platter;
use crate::fate::Fault;
use crate::invariant::Invariant;
use crate::world::World;

/// What happened to the platter beside its frames.
#[derive(Debug, Default)]
pub(crate) struct Medium {
    /// Octets behind the last frame: the begin of a batch.
    torn: Vec<u8>,
    /// A frame that a bit turned in, as it was: the index still holds it.
    spoilt: Option<(usize, Frame)>,
    /// A sync failed in this life: what is on the disk is not known to it.
    pub(crate) sync_failed: bool,
}

impl Platter {
    /// The power goes within the write of a batch: some of its octets are there, never all.
    pub(crate) fn tear(&mut self, batch: &[Frame], at: u64) {
        let octets: Vec<u8> = batch.iter().flat_map(|frame| frame.bytes.iter().copied()).collect();
        let kept = below(at, octets.len());
        self.medium.torn = octets.get(..kept).unwrap_or_default().to_vec();
    }

    /// One bit turns in one of the frames.
    pub(crate) fn rot(&mut self, at: u64) {
        let index = below(at, self.frames.len());
        let Some(frame) = self.frames.get_mut(index) else {
            return;
        };
        self.medium.spoilt.get_or_insert_with(|| (index, frame.clone()));
        let octet = below(at / 8, frame.bytes.len());
        if let Some(octet) = frame.bytes.get_mut(octet) {
            *octet ^= 1 << (at % 8);
        }
    }
}

impl World {
    /// A bit turns while the process is down.
    pub(crate) fn rots(&self, fault: Fault, at: u64) {
        if fault == Fault::Rot {
            self.platter().rot(at);
        }
    }

    /// A life opens the disk: a torn end is cut, a turned bit refused and mended from the index.
    pub(crate) fn open_disk(&self) {
        let mut platter = self.platter();
        platter.medium.sync_failed = false;
        let torn = std::mem::take(&mut platter.medium.torn);
        let (mut whole, mut rest) = (Vec::new(), torn.as_slice());
        while let Ok(Some(length)) = Frame::length_at(rest)
            && let Some(octets) = rest.get(..length)
            && let Ok(frame) = Frame::read(octets)
        {
            rest = rest.get(length..).unwrap_or_default();
            whole.push(frame);
        }
        let ends = whole.iter().rposition(|frame| frame.last_of_batch);
        if !planted::is(Bug::TornBatchTaken) {
            whole.truncate(ends.map_or(0, |last| last.saturating_add(1)));
        }
        platter.frames.append(&mut whole);
        let Some((index, frame)) = platter.medium.spoilt.take() else {
            return;
        };
        let read = platter.frames.get(index).map(|spoilt| Frame::decode(&spoilt.bytes));
        if let Some(place) = platter.frames.get_mut(index) {
            *place = frame;
        }
        drop(platter);
        if let Some(Ok(envelope)) = read {
            let what = format!("event {} was read, and a bit of it had turned", envelope.seq);
            self.broken(Invariant::RotRefused, what);
        }
    }
}

/// A place below `bound`; 0 for none.
fn below(at: u64, bound: usize) -> usize {
    let bound = u64::try_from(bound).unwrap_or(u64::MAX);
    usize::try_from(at.checked_rem(bound).unwrap_or(0)).unwrap_or(0)
}
