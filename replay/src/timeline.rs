//! One renewal, as it happened: intents joined with their outcomes, waits and crashes drawn. A
//! [`Reader`] takes events in order and keeps only what belongs to it.

mod marks;
mod svg;
mod text;

use std::collections::BTreeMap;

use renewd_events::authorization::AuthorizationEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{BootNo, CertificateId, RenewalId, Seq, StreamId};
use renewd_events::order::OrderEvent;
use renewd_events::process::{EngineEvent, Previous};
use renewd_events::{ActorName, Envelope, Event, WallMs};
use serde::Serialize;

use crate::escape;
use crate::fold::Projection;
use crate::intent::{Act, Part, part};
use crate::renewals::shown;
use crate::sentence::{cause, names, sentence};

use marks::{code, ending, is_inferred};

pub use svg::svg;
pub use text::text;

/// The schema of this JSON.
pub const SCHEMA: &str = "renewd.timeline/1";
/// A pause longer than this is drawn, milliseconds.
const WAIT_MIN_MS: u64 = 1000;
/// Rows of one timeline. A renewal of 100 names has about 700 events; a log may hold anything.
const ROWS_MAX: usize = 5000;

/// How a row is joined with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "bracket")]
pub enum Bracket {
    /// Not at all.
    None,
    /// An intent whose outcome is in a later row.
    Opens,
    /// An intent without an outcome so far.
    Open,
    /// An outcome.
    Closes {
        /// Its intent.
        intent: Seq,
        /// How long it took.
        took_ms: u64,
    },
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventRow {
    /// Its place in the log.
    pub seq: Seq,
    /// When.
    #[serde(serialize_with = "shown")]
    pub at: WallMs,
    /// After the first event.
    pub offset_ms: u64,
    /// Who appended it.
    pub actor: ActorName,
    /// Its stream.
    #[serde(serialize_with = "shown")]
    pub stream: StreamId,
    /// In which life of the process.
    pub boot: BootNo,
    /// Its name.
    pub event: &'static str,
    /// It in words, made inert; a name or address in front where the words need one.
    pub sentence: String,
    /// How it is joined.
    #[serde(flatten)]
    pub bracket: Bracket,
    /// It was found out by asking, not seen.
    pub inferred: bool,
    /// The cause, where it tells of a failure.
    pub code: Option<String>,
}

/// One row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "row")]
pub enum Row {
    /// Something happened.
    Event(EventRow),
    /// Nothing happened for a while.
    Wait {
        /// How long.
        ms: u64,
    },
    /// Nobody was there.
    Gap {
        /// The last sign of the life before.
        #[serde(serialize_with = "shown")]
        from: WallMs,
        /// When the next life began.
        #[serde(serialize_with = "shown")]
        to: WallMs,
        /// For how long.
        down_ms: u64,
        /// Which life began.
        boot: BootNo,
        /// How the one before ended.
        #[serde(serialize_with = "shown")]
        previous: Previous,
        /// Where its first event is.
        seq: Seq,
    },
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// Not yet.
    Running,
    /// With a new issue that is served.
    Succeeded,
    /// With a new issue that is not everywhere served.
    Unserved,
    /// Without one.
    Failed,
}

/// One renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Timeline {
    /// Its id.
    #[serde(serialize_with = "shown")]
    pub renewal: RenewalId,
    /// The trace that telemetry has of it, hexadecimal.
    pub trace: String,
    /// The certificate's configured name.
    pub certificate: String,
    /// The names ordered.
    pub names: String,
    /// Why it began.
    pub cause: &'static str,
    /// Its number in the lineage.
    pub number: u32,
    /// Which try.
    pub attempt: u32,
    /// When it began.
    #[serde(serialize_with = "shown")]
    pub started: WallMs,
    /// How long it took; of one under way, until its last event or the moment of [`Timeline::seen`].
    pub took_ms: u64,
    /// How it ended.
    pub ending: Ending,
    /// What happened.
    pub rows: Vec<Row>,
    /// Events that belong to it.
    pub events: u32,
    /// Lives of the process that ended within it without a clean end.
    pub crashes: u32,
}

impl Timeline {
    /// One under way goes on while nothing happens: it has taken until `now`.
    #[must_use]
    pub fn seen(mut self, now: WallMs) -> Self {
        if self.ending == Ending::Running {
            self.took_ms = now.0.saturating_sub(self.started.0).max(self.took_ms);
        }
        self
    }
}

/// Reads one renewal out of the log. It may be given the whole log, or the part from the renewal's
/// first event to its last.
#[derive(Clone, Debug)]
pub struct Reader {
    renewal: RenewalId,
    certificates: BTreeMap<CertificateId, String>,
    labels: BTreeMap<StreamId, String>,
    open: BTreeMap<(StreamId, Act), (Seq, WallMs, usize)>,
    timeline: Option<Timeline>,
    last: Option<WallMs>,
    shown_last: Option<WallMs>,
}

impl Reader {
    /// For this renewal. `certificate` is its name, for a log part that does not begin at the
    /// declaration; it may be empty.
    pub fn new(renewal: RenewalId, certificate: &str) -> Self {
        let mut certificates = BTreeMap::new();
        if !certificate.is_empty() {
            certificates.insert(CertificateId::default(), certificate.to_owned());
        }
        Self {
            renewal,
            certificates,
            labels: BTreeMap::new(),
            open: BTreeMap::new(),
            timeline: None,
            last: None,
            shown_last: None,
        }
    }

    /// What was read; nothing when the renewal was not there.
    pub fn finish(mut self) -> Option<Timeline> {
        let open: Vec<usize> = self.open.values().map(|(_, _, row)| *row).collect();
        let timeline = self.timeline.as_mut()?;
        for place in open {
            if let Some(Row::Event(row)) = timeline.rows.get_mut(place) {
                row.bracket = Bracket::Open;
            }
        }
        self.timeline
    }

    fn begin(&mut self, envelope: &Envelope) {
        let Event::Certificate(CertificateEvent::RenewalStarted {
            number,
            cause: why,
            attempt,
            ..
        }) = &envelope.event
        else {
            return;
        };
        let given = self.certificates.get(&CertificateId::default());
        let name = self.certificates.get(&CertificateId(envelope.stream.id)).or(given);
        self.timeline = Some(Timeline {
            renewal: self.renewal,
            trace: hex(&crate::trace::trace_id(self.renewal)),
            certificate: name.map(|name| escape::text(name)).unwrap_or_default(),
            names: String::new(),
            cause: cause(*why),
            number: *number,
            attempt: *attempt,
            started: envelope.at,
            took_ms: 0,
            ending: Ending::Running,
            rows: Vec::new(),
            events: 0,
            crashes: 0,
        });
    }

    fn learn(&mut self, envelope: &Envelope) {
        if let Event::Certificate(CertificateEvent::CertificateDeclared(declared)) = &envelope.event
        {
            self.certificates.insert(CertificateId(envelope.stream.id), declared.name.clone());
        }
        if let Event::Authorization(AuthorizationEvent::AuthorizationSeen { identifier, .. }) =
            &envelope.event
        {
            self.labels.insert(envelope.stream, escape::field(identifier, 60));
        }
    }

    /// The life before ended; nobody was there until now.
    fn gap(&mut self, envelope: &Envelope, previous: Previous) {
        let Some(timeline) = self.timeline.as_mut() else {
            return;
        };
        if timeline.ending != Ending::Running || timeline.rows.len() >= ROWS_MAX {
            return;
        }
        if previous == Previous::Crashed || previous == Previous::PowerLost {
            timeline.crashes = timeline.crashes.saturating_add(1);
        }
        let from = self.last.unwrap_or(envelope.at);
        timeline.rows.push(Row::Gap {
            from,
            to: envelope.at,
            down_ms: envelope.at.0.saturating_sub(from.0),
            boot: envelope.boot,
            previous,
            seq: envelope.seq,
        });
        self.shown_last = Some(envelope.at);
    }

    fn event(&mut self, envelope: &Envelope) {
        let label = self.labels.get(&envelope.stream).cloned();
        let bracket = self.bracket(envelope);
        let Some(timeline) = self.timeline.as_mut() else {
            return;
        };
        timeline.events = timeline.events.saturating_add(1);
        timeline.took_ms = envelope.at.0.saturating_sub(timeline.started.0);
        if let Event::Order(OrderEvent::OrderRequested(order)) = &envelope.event {
            timeline.names = names(&order.identifiers);
        }
        if timeline.rows.len() >= ROWS_MAX {
            return;
        }
        if let Some(before) = self.shown_last
            && let ms @ WAIT_MIN_MS.. = envelope.at.0.saturating_sub(before.0)
        {
            timeline.rows.push(Row::Wait { ms });
        }
        if let Part::Intent(act) = part(&envelope.event) {
            let place = timeline.rows.len();
            self.open.insert((envelope.stream, act), (envelope.seq, envelope.at, place));
        }
        let said = sentence(&envelope.event);
        timeline.rows.push(Row::Event(EventRow {
            seq: envelope.seq,
            at: envelope.at,
            offset_ms: timeline.took_ms,
            actor: envelope.actor,
            stream: envelope.stream,
            boot: envelope.boot,
            event: envelope.event.name(),
            sentence: match label {
                Some(label) if !said.starts_with(&label) => format!("{label}: {said}"),
                Some(_) | None => said,
            },
            bracket,
            inferred: is_inferred(&envelope.event),
            code: code(&envelope.event),
        }));
        self.shown_last = Some(envelope.at);
        ending(timeline, &envelope.event);
    }

    fn bracket(&mut self, envelope: &Envelope) -> Bracket {
        match part(&envelope.event) {
            Part::Intent(_) => Bracket::Opens,
            Part::Outcome(act) | Part::Settles(act) => {
                match self.open.remove(&(envelope.stream, act)) {
                    Some((intent, since, _)) => {
                        Bracket::Closes { intent, took_ms: envelope.at.0.saturating_sub(since.0) }
                    }
                    None => Bracket::None,
                }
            }
            Part::None => Bracket::None,
        }
    }
}

impl Projection for Reader {
    fn apply(&mut self, envelope: &Envelope) {
        self.learn(envelope);
        if let Event::Engine(EngineEvent::EngineBooted { previous, .. }) = &envelope.event {
            self.gap(envelope, *previous);
        } else if envelope.renewal == Some(self.renewal) {
            if self.timeline.is_none() {
                self.begin(envelope);
            }
            self.event(envelope);
        }
        self.last = Some(envelope.at);
    }
}

/// Lower-case hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads one renewal.
pub fn timeline<'a>(
    envelopes: impl IntoIterator<Item = &'a Envelope>,
    renewal: RenewalId,
    certificate: &str,
) -> Option<Timeline> {
    crate::fold::read(Reader::new(renewal, certificate), envelopes).finish()
}

/// As JSON: the same rows as the text.
pub fn json(timeline: &Timeline) -> serde_json::Value {
    serde_json::json!({ "schema": SCHEMA, "data": timeline })
}

#[cfg(test)]
mod tests;
