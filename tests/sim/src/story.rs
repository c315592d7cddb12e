//! What the events say of each other over a whole log: the audit's second reader.

use renewd_events::Envelope;
use renewd_events::codec::Frame;

use crate::invariant::Invariant;
use crate::secrets;
use crate::world::World;

/// What is remembered from event to event.
#[derive(Debug, Default)]
pub(crate) struct Story {}

impl Story {
    /// The next event.
    pub(crate) fn read(&mut self, world: &World, frame: &Frame, envelope: &Envelope) {
        if let Some(form) = secrets::found(&frame.bytes) {
            let what = format!("event {} holds a private key {form}", envelope.seq);
            world.broken(Invariant::NoSecret, what);
        }
    }
}
