//! The fold of the log beside the running engine, when a life ends. A world of many lives has one long
//! log: what was folded once is not folded again.

use renewd_events::Facts;
use renewd_events::codec::Frame;
use renewd_events::id::Hash;

use crate::invariant::Invariant;
use crate::world::{World, lock};

/// The fold of so many frames from the beginning of the log, the last of which has this hash.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    frames: usize,
    head: Hash,
    facts: Facts,
}

/// The running engine's state must be the fold of what is on the disk, as far as it got.
pub(crate) fn live(world: &World, facts: &Facts) {
    let mut folded = lock(&world.folded);
    let platter = world.platter();
    // What was folded after an earlier life is still the beginning of the log, or all is folded anew.
    let before = folded.frames.checked_sub(1).and_then(|last| platter.frames.get(last));
    if before.is_none_or(|last| last.hash != folded.head || last.seq > facts.seq) {
        *folded = Folded::default();
    }
    let new = platter.frames.iter().skip(folded.frames);
    for frame in new.take_while(|frame| frame.seq <= facts.seq) {
        if let Ok(envelope) = Frame::decode(&frame.bytes) {
            folded.facts.apply(&envelope);
        }
        folded.frames += 1;
        folded.head = frame.hash;
    }
    drop(platter);
    if folded.facts != *facts {
        let what = format!("at event {} the fold of the log is another state", facts.seq);
        world.broken(Invariant::ReplayEqualsLive, what);
    }
}
