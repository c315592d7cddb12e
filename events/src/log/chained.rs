//! A frame for the tests of the log: the smallest event, chained to a head.

use crate::codec::Frame;
use crate::event::Envelope;
use crate::id::{BootNo, StreamId};
use crate::intent::ActorName;
use crate::process::EngineEvent;
use crate::store::Head;
use crate::time::WallMs;

/// The event after this head.
pub(super) fn next(head: Head) -> Frame {
    Frame::encode(&Envelope {
        seq: head.seq.next(),
        stream: StreamId::ENGINE,
        version: 1,
        batch_index: 0,
        batch_len: 1,
        at: WallMs(1),
        boot: BootNo(1),
        actor: ActorName::Engine,
        incarnation: 1,
        renewal: None,
        cause: None,
        trace: None,
        previous: head.hash,
        event: EngineEvent::EngineStopped.into(),
    })
    .unwrap()
}
