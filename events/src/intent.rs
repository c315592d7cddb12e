//! What `evolve` may know about the record of an event, and the proof that an intent is on disk.

use serde::{Deserialize, Serialize};

use crate::id::{BootNo, RenewalId, Seq, StreamId};
use crate::time::WallMs;

/// Who appended an event. The numbers are on disk: never renumber.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumIter,
    strum::Display,
)]
#[strum(serialize_all = "snake_case")]
#[repr(u8)]
pub enum ActorName {
    /// The supervisor and the configuration.
    Engine = 0,
    /// Accounts.
    Registrar = 1,
    /// Authorizations and challenges.
    Validator = 2,
    /// Certificates and orders.
    Issuer = 3,
    /// Bindings and listeners.
    Binder = 4,
    /// Restarts of the host.
    RestartCoordinator = 5,
    /// Schedules, and every wait.
    Clock = 6,
}

impl ActorName {
    /// The number on disk.
    #[expect(clippy::as_conversions, reason = "the discriminant of a repr(u8) enum")]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The actor with this number on disk.
    pub fn from_number(number: u8) -> Option<Self> {
        use strum::IntoEnumIterator;
        Self::iter().find(|name| name.number() == number)
    }
}

/// The part of an envelope that `evolve` may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meta {
    /// Place in the log.
    pub seq: Seq,
    /// Which stream.
    pub stream: StreamId,
    /// Place in the stream, dense from 1.
    pub version: u32,
    /// Wall time of the record.
    pub at: WallMs,
    /// Which life of the process.
    pub boot: BootNo,
    /// Which life of the actor in this process, from 1.
    pub incarnation: u16,
    /// The renewal it belongs to.
    pub renewal: Option<RenewalId>,
}

impl Meta {
    /// The same record as if an earlier life had made it: its act is never simply done, the world is
    /// asked first. Lives of an actor are counted from 1.
    #[must_use]
    pub(crate) fn of_an_earlier_life(self) -> Self {
        Self { incarnation: 0, ..self }
    }
}

/// Names an effect: one per intent, never per kind of act, so that a second try of the same kind is
/// not mistaken for the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EffectId {
    /// The stream of the intent.
    pub stream: StreamId,
    /// The version of the intent in it.
    pub version: u32,
}

/// An intent that is on disk. Only the fold of a recorded event makes one, so an act before its
/// fsync does not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Durable<I> {
    meta: Meta,
    intent: I,
}

impl<I> Durable<I> {
    pub(crate) fn of(meta: &Meta, intent: I) -> Self {
        Self { meta: *meta, intent }
    }

    /// What is intended.
    pub fn intent(&self) -> &I {
        &self.intent
    }

    /// Its record.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The effect that carries it out.
    pub fn effect_id(&self) -> EffectId {
        EffectId { stream: self.meta.stream, version: self.meta.version }
    }

    /// The same proof for a part of the intent.
    pub fn map<J>(&self, part: impl FnOnce(&I) -> J) -> Durable<J> {
        Durable { meta: self.meta, intent: part(&self.intent) }
    }
}

/// An event that the state did not allow. It is shown to a person; nothing is done on this stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// The event.
    pub event: &'static str,
    /// Where it is.
    pub seq: Seq,
}
