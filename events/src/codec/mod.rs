//! Frames: how an [`Envelope`](crate::Envelope) becomes bytes. The header is fixed-width and written by hand, so the
//! chain can be verified without knowing one event type; the body is bincode of one stream's enum.
//!
//! A format, once released, is kept for ever: the golden files of every schema must open. A change to
//! an event is a new variant at the end; a change to what exists is a new schema number and a copy of
//! the old types in a module of its own.

mod frame;

pub use frame::{FRAME_OCTETS_MAX, Frame, HEADER_OCTETS};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::Event;
use crate::id::StreamKind;

/// One event's body. The largest legal one, an order of 100 names of 253 octets, has 26 KiB.
pub const BODY_OCTETS_MAX: usize = 32 * 1024;
/// The schema this version writes.
pub const SCHEMA: u16 = 1;

/// Why bytes are not an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes end too early, or a length does not fit.
    #[error("the frame is cut or its length is wrong")]
    Length,
    /// The frame does not begin as one.
    #[error("these bytes are not a frame: the magic number is missing")]
    Magic,
    /// The checksum does not match: damage.
    #[error("the checksum does not match: the frame is damaged")]
    Checksum,
    /// A number that this version does not know.
    #[error("{what} {number} is not known to this version; a newer renewd wrote it")]
    Newer {
        /// Which number.
        what: &'static str,
        /// Its value.
        number: u32,
    },
    /// The body is not the event that the header says.
    #[error("the body does not decode: {0}")]
    Body(String),
    /// The body is larger than [`BODY_OCTETS_MAX`].
    #[error("the event has {0} octets; {BODY_OCTETS_MAX} are allowed")]
    TooLarge(usize),
}

/// What a body may claim in memory while it is read. The decoder counts not octets but what they become
/// (a length of one octet as eight, an empty text in a list as 24 more), so a bound of
/// [`BODY_OCTETS_MAX`] here would refuse events that were written. No octet becomes more than 32.
const CLAIM_OCTETS_MAX: usize = 32 * BODY_OCTETS_MAX;

fn configuration() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<CLAIM_OCTETS_MAX>()
}

fn encode<T: Serialize>(event: &T) -> Result<Vec<u8>, CodecError> {
    let bytes = bincode::serde::encode_to_vec(event, configuration())
        .map_err(|cause| CodecError::Body(cause.to_string()))?;
    if bytes.len() > BODY_OCTETS_MAX { Err(CodecError::TooLarge(bytes.len())) } else { Ok(bytes) }
}

fn decode<T: DeserializeOwned + Into<Event>>(body: &[u8]) -> Result<Event, CodecError> {
    if body.len() > BODY_OCTETS_MAX {
        return Err(CodecError::TooLarge(body.len()));
    }
    let (event, used): (T, usize) = bincode::serde::decode_from_slice(body, configuration())
        .map_err(|cause| CodecError::Body(cause.to_string()))?;
    if used == body.len() {
        Ok(event.into())
    } else {
        Err(CodecError::Body(format!("{} octets are left over", body.len().saturating_sub(used))))
    }
}

/// The body of an event.
///
/// # Errors
/// [`CodecError::TooLarge`] above [`BODY_OCTETS_MAX`].
pub fn encode_body(event: &Event) -> Result<Vec<u8>, CodecError> {
    match event {
        Event::Engine(event) => encode(event),
        Event::Clock(event) => encode(event),
        Event::Account(event) => encode(event),
        Event::Certificate(event) => encode(event),
        Event::Schedule(event) => encode(event),
        Event::Order(event) => encode(event),
        Event::Authorization(event) => encode(event),
        Event::Binding(event) => encode(event),
        Event::Listener(event) => encode(event),
        Event::Restart(event) => encode(event),
    }
}

/// The event of a body.
///
/// # Errors
/// [`CodecError::Newer`] for a schema of the future, [`CodecError::Body`] for anything that is not
/// exactly one event.
pub fn decode_body(kind: StreamKind, schema: u16, body: &[u8]) -> Result<Event, CodecError> {
    if schema != SCHEMA {
        return Err(CodecError::Newer { what: "schema", number: u32::from(schema) });
    }
    match kind {
        StreamKind::Engine => decode::<crate::process::EngineEvent>(body),
        StreamKind::Clock => decode::<crate::process::ClockEvent>(body),
        StreamKind::Account => decode::<crate::account::AccountEvent>(body),
        StreamKind::Certificate => decode::<crate::certificate::CertificateEvent>(body),
        StreamKind::Schedule => decode::<crate::schedule::ScheduleEvent>(body),
        StreamKind::Order => decode::<crate::order::OrderEvent>(body),
        StreamKind::Authorization => decode::<crate::authorization::AuthorizationEvent>(body),
        StreamKind::Binding => decode::<crate::binding::BindingEvent>(body),
        StreamKind::Listener => decode::<crate::listener::ListenerEvent>(body),
        StreamKind::Restart => decode::<crate::restart::RestartEvent>(body),
    }
}
