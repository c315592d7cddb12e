//! All events as one type, and the record that wraps them.

use serde::Serialize;

use crate::account::AccountEvent;
use crate::authorization::AuthorizationEvent;
use crate::binding::BindingEvent;
use crate::certificate::CertificateEvent;
use crate::id::{BootNo, Hash, RenewalId, Seq, StreamId, StreamKind};
use crate::intent::{ActorName, Meta};
use crate::listener::ListenerEvent;
use crate::order::OrderEvent;
use crate::process::{ClockEvent, EngineEvent};
use crate::restart::RestartEvent;
use crate::schedule::ScheduleEvent;
use crate::time::WallMs;

/// One fact, of any stream. Externally it is `{"OrderCreated": {…}}`, whatever the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Event {
    /// Of the installation.
    Engine(EngineEvent),
    /// Of the clock.
    Clock(ClockEvent),
    /// Of an account.
    Account(AccountEvent),
    /// Of a certificate.
    Certificate(CertificateEvent),
    /// Of a schedule.
    Schedule(ScheduleEvent),
    /// Of an order.
    Order(OrderEvent),
    /// Of an authorization.
    Authorization(AuthorizationEvent),
    /// Of a binding.
    Binding(BindingEvent),
    /// Of a listener.
    Listener(ListenerEvent),
    /// Of a restart.
    Restart(RestartEvent),
}

macro_rules! from_inner {
    ($($inner:ident => $kind:ident),*) => {
        $(impl From<$inner> for Event {
            fn from(event: $inner) -> Self {
                Self::$kind(event)
            }
        })*

        impl Event {
            /// The kind of stream it belongs to.
            pub fn kind(&self) -> StreamKind {
                match self { $(Self::$kind(_) => StreamKind::$kind,)* }
            }

            /// Its name, as in `OrderCreated`.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$kind(event) => event.into(),)* }
            }
        }
    };
}
from_inner!(EngineEvent => Engine, ClockEvent => Clock, AccountEvent => Account,
    CertificateEvent => Certificate, ScheduleEvent => Schedule, OrderEvent => Order,
    AuthorizationEvent => Authorization, BindingEvent => Binding, ListenerEvent => Listener,
    RestartEvent => Restart);

/// Where an outside trace context came in (W3C Trace Context). Renewals themselves need none: their
/// ids are derived from the renewal id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TraceContext {
    /// Trace id.
    pub trace: [u8; 16],
    /// Parent span id.
    pub span: [u8; 8],
    /// Flags.
    pub flags: u8,
}

/// An event with everything that is known about its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Place in the log, dense from 1.
    pub seq: Seq,
    /// Which stream.
    pub stream: StreamId,
    /// Place in the stream, dense from 1.
    pub version: u32,
    /// Place in its batch, from 0.
    pub batch_index: u16,
    /// Events in its batch: all of them are there, or none.
    pub batch_len: u16,
    /// Wall time of the record. It may go backwards; nothing is ordered by it.
    pub at: WallMs,
    /// Which life of the process.
    pub boot: BootNo,
    /// Who appended it.
    pub actor: ActorName,
    /// Which life of the actor.
    pub incarnation: u16,
    /// Correlation: the renewal it belongs to.
    pub renewal: Option<RenewalId>,
    /// Causation: the event that led to it.
    pub cause: Option<Seq>,
    /// An outside trace context.
    pub trace: Option<TraceContext>,
    /// SHA-256 of the previous frame.
    pub previous: Hash,
    /// The fact.
    pub event: Event,
}

impl Envelope {
    /// The part that `evolve` may use.
    pub fn meta(&self) -> Meta {
        Meta {
            seq: self.seq,
            stream: self.stream,
            version: self.version,
            at: self.at,
            boot: self.boot,
            incarnation: self.incarnation,
            renewal: self.renewal,
        }
    }
}

/// An event on its way into the log: the writer gives it its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Which stream.
    pub stream: StreamId,
    /// The fact.
    pub event: Event,
    /// The renewal it belongs to.
    pub renewal: Option<RenewalId>,
    /// The event that led to it.
    pub cause: Option<Seq>,
}
