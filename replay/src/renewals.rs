//! History: one row per renewal, oldest first.

use std::collections::BTreeMap;

use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, RenewalId, Seq};
use renewd_events::order::OrderEvent;
use renewd_events::process::{EngineEvent, Previous};
use renewd_events::schedule::Cause;
use renewd_events::{Envelope, Event, WallMs};
use serde::Serialize;

use crate::fold::Projection;
use crate::why::Witnesses;

/// How a renewal ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum Outcome {
    /// It has not ended.
    Running,
    /// A new issue is served.
    Succeeded {
        /// Which issue.
        generation: u32,
    },
    /// A new issue is there, and not everywhere served.
    Unserved {
        /// Which issue.
        generation: u32,
    },
    /// It ended without one.
    Failed {
        /// The cause.
        code: String,
    },
}

/// One renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Renewal {
    /// Its id, hexadecimal in JSON.
    #[serde(serialize_with = "shown")]
    pub id: RenewalId,
    /// The certificate.
    #[serde(serialize_with = "shown")]
    pub certificate_id: CertificateId,
    /// The certificate's configured name then.
    pub certificate: String,
    /// Its number in the lineage, from 1.
    pub number: u32,
    /// Why it began.
    #[serde(serialize_with = "shown")]
    pub cause: Cause,
    /// Which try since the last success, from 1.
    pub attempt: u32,
    /// When it began.
    #[serde(serialize_with = "shown")]
    pub started: WallMs,
    /// When it ended.
    #[serde(serialize_with = "shown_if")]
    pub ended: Option<WallMs>,
    /// How.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Its first event.
    pub first_seq: Seq,
    /// Its last event so far.
    pub last_seq: Seq,
    /// Its events.
    pub events: u32,
    /// Orders it asked for.
    pub orders: u32,
    /// Lives of the process that ended within it without a clean end.
    pub crashes: u32,
}

pub(crate) fn shown<T: std::fmt::Display, S: serde::Serializer>(
    value: &T,
    to: S,
) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

pub(crate) fn shown_if<T: std::fmt::Display, S: serde::Serializer>(
    value: &Option<T>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to.collect_str(value),
        None => to.serialize_none(),
    }
}

/// All renewals that the events tell of.
#[derive(Clone, Debug, Default)]
pub struct Renewals {
    rows: Vec<Renewal>,
    place: BTreeMap<RenewalId, usize>,
    running: BTreeMap<RenewalId, usize>,
    names: BTreeMap<CertificateId, String>,
    witnesses: Witnesses,
}

impl Renewals {
    /// The rows, oldest first.
    pub fn rows(&self) -> &[Renewal] {
        &self.rows
    }

    /// The rows of the certificate with this configured name, oldest first.
    pub fn of<'a>(&'a self, certificate: &'a str) -> impl Iterator<Item = &'a Renewal> {
        self.rows.iter().filter(move |row| row.certificate == certificate)
    }

    /// The renewal that a person means: the newest of a certificate's name, or the only one whose id
    /// begins so (at least 4 digits).
    ///
    /// # Errors
    /// Says whether there is none or more than one.
    pub fn find(&self, wanted: &str) -> Result<&Renewal, NotFound> {
        if let Some(newest) = self.rows.iter().rev().find(|row| row.certificate == wanted) {
            return Ok(newest);
        }
        let prefix = wanted.to_ascii_lowercase();
        let short = prefix.len() < ID_PREFIX_MIN;
        let mut found =
            self.rows.iter().filter(|row| !short && row.id.to_string().starts_with(&prefix));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(NotFound::None(wanted.to_owned())),
            (Some(_), Some(_)) => Err(NotFound::Several(wanted.to_owned())),
        }
    }

    /// What the renewals left as evidence.
    pub fn witnesses(&self) -> &Witnesses {
        &self.witnesses
    }

    fn begin(&mut self, envelope: &Envelope, id: RenewalId, event: &CertificateEvent) {
        let CertificateEvent::RenewalStarted { number, cause, attempt, replaces: _ } = event else {
            return;
        };
        let certificate_id = CertificateId(envelope.stream.id);
        self.place.insert(id, self.rows.len());
        self.running.insert(id, self.rows.len());
        self.rows.push(Renewal {
            id,
            certificate_id,
            certificate: self.names.get(&certificate_id).cloned().unwrap_or_default(),
            number: *number,
            cause: *cause,
            attempt: *attempt,
            started: envelope.at,
            ended: None,
            outcome: Outcome::Running,
            first_seq: envelope.seq,
            last_seq: envelope.seq,
            events: 0,
            orders: 0,
            crashes: 0,
        });
    }
}

/// Digits of an id that a person must give.
const ID_PREFIX_MIN: usize = 4;

/// Why nothing is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// The log tells of no renewal.
    #[error("nothing was renewed yet")]
    Never,
    /// Nothing has this name or id.
    #[error(
        "no renewal of a certificate `{0}` and none whose id begins so; `renewd history` lists them"
    )]
    None(String),
    /// More than one id begins so.
    #[error("more than one renewal has an id that begins with `{0}`: give more of it")]
    Several(String),
}

impl Projection for Renewals {
    fn apply(&mut self, envelope: &Envelope) {
        self.witnesses.apply(envelope);
        if let Event::Certificate(CertificateEvent::CertificateDeclared(declared)) = &envelope.event
        {
            self.names.insert(CertificateId(envelope.stream.id), declared.name.clone());
        }
        if let Event::Engine(EngineEvent::EngineBooted {
            previous: Previous::Crashed | Previous::PowerLost,
            ..
        }) = &envelope.event
        {
            for place in self.running.values() {
                if let Some(row) = self.rows.get_mut(*place) {
                    row.crashes = row.crashes.saturating_add(1);
                }
            }
        }
        let Some(id) = envelope.renewal else { return };
        if let Event::Certificate(event) = &envelope.event {
            self.begin(envelope, id, event);
        }
        let Some(row) = self.place.get(&id).and_then(|place| self.rows.get_mut(*place)) else {
            return;
        };
        row.last_seq = envelope.seq;
        row.events = row.events.saturating_add(1);
        if let Event::Order(OrderEvent::OrderRequested(_)) = &envelope.event {
            row.orders = row.orders.saturating_add(1);
        }
        if let Some(mut outcome) = ending(&envelope.event) {
            let cause = self.witnesses.last_failure(row.certificate_id);
            if let (Outcome::Failed { code }, Some(cause)) = (&mut outcome, cause) {
                *code = cause.to_string();
            }
            row.outcome = outcome;
            row.ended = Some(envelope.at);
            self.running.remove(&id);
        }
    }
}

/// How a renewal ends with this event, if it does.
fn ending(event: &Event) -> Option<Outcome> {
    if let Event::Certificate(CertificateEvent::RenewalSucceeded { generation }) = event {
        Some(Outcome::Succeeded { generation: generation.0 })
    } else if let Event::Certificate(CertificateEvent::RenewalEndedUnserved { generation }) = event
    {
        Some(Outcome::Unserved { generation: generation.0 })
    } else if let Event::Certificate(CertificateEvent::RenewalFailed { code, problem: _ }) = event {
        Some(Outcome::Failed { code: code.clone() })
    } else {
        None
    }
}
