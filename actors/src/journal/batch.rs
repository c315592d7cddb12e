//! What is handed to the journal, and why it was refused.

use renewd_events::ActorName;
use renewd_events::codec::CodecError;
use renewd_events::event::{NewEvent, TraceContext};
use renewd_events::id::StreamId;

/// Events to append, all or none.
#[derive(Debug)]
pub struct Batch {
    /// Whose.
    pub actor: ActorName,
    /// Which life of the actor.
    pub incarnation: u16,
    /// The streams and the versions they had when this was decided.
    pub expected: Vec<(StreamId, u32)>,
    /// The events.
    pub events: Vec<NewEvent>,
    /// An outside trace context.
    pub trace: Option<TraceContext>,
    /// A person's wish: it begins something new, which the last room of a disk is not for.
    pub wish: bool,
}

impl Batch {
    /// Facts of the engine itself, which no actor decides on.
    pub(crate) fn of_engine(events: Vec<NewEvent>) -> Self {
        let (actor, incarnation) = (ActorName::Engine, 1);
        Self { actor, incarnation, expected: Vec::new(), events, trace: None, wish: false }
    }
}

/// Why nothing was appended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The writer decided on an old state: a late duplicate, or a second owner.
    #[error("{stream} has {actual} events, not {expected}: the decision is stale")]
    Conflict {
        /// Which stream.
        stream: StreamId,
        /// What was expected.
        expected: u32,
        /// What is.
        actual: u32,
    },
    /// A write failed, now or earlier, or the journal is closed. Nothing was acknowledged; a failed
    /// commit that is found whole on the disk afterwards counts all the same, as after a crash.
    #[error("the log cannot be written: {0}")]
    ReadOnly(String),
    /// An event is too large.
    #[error(transparent)]
    Codec(#[from] CodecError),
}
