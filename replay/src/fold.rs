//! How a reader takes events: one at a time, in the order of the log.

use renewd_events::{Envelope, Facts};

/// Something that is made from events by reading them in order. It never fails: what it does not
/// understand it leaves out.
pub trait Projection {
    /// Takes the next event.
    fn apply(&mut self, envelope: &Envelope);
}

impl Projection for Facts {
    fn apply(&mut self, envelope: &Envelope) {
        Facts::apply(self, envelope);
    }
}

/// Reads all events into a projection.
pub fn read<'a, P: Projection>(
    mut projection: P,
    envelopes: impl IntoIterator<Item = &'a Envelope>,
) -> P {
    for envelope in envelopes {
        projection.apply(envelope);
    }
    projection
}
