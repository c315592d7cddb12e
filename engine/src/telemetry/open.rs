//! Renewals under way as traces: events in, ended spans out. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, RenewalId};
use renewd_events::process::EngineEvent;
use renewd_events::{Envelope, Event, WallMs};
use renewd_replay::fold::Projection;
use renewd_replay::trace::{SpanEvent, SpanFacts, Tracer, Value, span_id, trace_id};

/// Traces under way at once. One certificate has one at most, so more than a large installation never
/// needs; what is over it is not exported live (the log has it).
const OPEN_MAX: usize = 1024;
/// Events kept of one renewal of an earlier life. A renewal of 100 names has about 1,300; one that
/// retried for a week stays below this.
const HISTORY_MAX: usize = 8192;
/// The span, and the event of the renewal's span, that says that another life of the process went on.
const RESUME: &str = "renewd.resume";

/// Whether traces can be about it.
pub(super) fn concerns(envelope: &Envelope) -> bool {
    envelope.renewal.is_some()
        || matches!(
            envelope.event,
            Event::Engine(EngineEvent::EngineBooted { .. })
                | Event::Certificate(CertificateEvent::CertificateDeclared(_))
        )
}

/// What a start must know of earlier lives: the events of renewals that have not ended.
#[derive(Debug, Default)]
pub(crate) struct History {
    open: BTreeMap<RenewalId, Vec<Arc<Envelope>>>,
    names: BTreeMap<CertificateId, String>,
}

impl History {
    /// The events of renewals that have not ended.
    pub(super) fn events(&self) -> impl Iterator<Item = &Envelope> {
        self.open.values().flatten().map(AsRef::as_ref)
    }

    /// Takes the next event of the log.
    pub(crate) fn apply(&mut self, envelope: &Envelope) {
        note_name(&mut self.names, envelope);
        match (envelope.renewal, &envelope.event) {
            (Some(renewal), event) if ends(event) => drop(self.open.remove(&renewal)),
            (Some(renewal), event) => {
                if begins(event) {
                    self.open.insert(renewal, Vec::new());
                }
                // What comes after the end is the next renewal's business.
                if let Some(events) = self.open.get_mut(&renewal)
                    && events.len() < HISTORY_MAX
                {
                    events.push(Arc::new(envelope.clone()));
                }
            }
            (None, Event::Engine(EngineEvent::EngineBooted { .. })) if !self.open.is_empty() => {
                let boot = Arc::new(envelope.clone());
                for events in self.open.values_mut() {
                    events.push(Arc::clone(&boot));
                }
            }
            (None, _) => {}
        }
    }
}

/// A renewal begins with it.
pub(super) fn begins(event: &Event) -> bool {
    matches!(event, Event::Certificate(CertificateEvent::RenewalStarted { .. }))
}

/// A renewal ends with it.
pub(super) fn ends(event: &Event) -> bool {
    let Event::Certificate(event) = event else {
        return false;
    };
    match event {
        CertificateEvent::RenewalSucceeded { .. }
        | CertificateEvent::RenewalEndedUnserved { .. }
        | CertificateEvent::RenewalFailed { .. } => true,
        CertificateEvent::CertificateDeclared(_)
        | CertificateEvent::CertificateOrphaned
        | CertificateEvent::RenewalStarted { .. }
        | CertificateEvent::CertificateKeyRequested(_)
        | CertificateEvent::CertificateKeyCreated { .. }
        | CertificateEvent::CertificateKeyFailed { .. }
        | CertificateEvent::GenerationAdopted(_) => false,
    }
}

fn note_name(names: &mut BTreeMap<CertificateId, String>, envelope: &Envelope) {
    if let Event::Certificate(CertificateEvent::CertificateDeclared(declared)) = &envelope.event {
        names.insert(CertificateId(envelope.stream.id), declared.name.clone());
    }
}

/// Renewals under way.
#[derive(Debug, Default)]
pub(super) struct OpenRenewals {
    open: BTreeMap<RenewalId, Open>,
    names: BTreeMap<CertificateId, String>,
    ended: Vec<SpanFacts>,
}

#[derive(Debug)]
struct Open {
    certificate: CertificateId,
    name: String,
    tracer: Tracer,
    root: [u8; 8],
    last: WallMs,
    resumes: Vec<SpanEvent>,
}

impl OpenRenewals {
    /// Goes on where the log ends. Spans that ended in an earlier life are handed out again: it may
    /// have died before it exported them. Their ids are the same, so a backend that knows them shows
    /// them once.
    pub(super) fn after(history: History) -> Self {
        let mut all = Self { names: history.names, ..Self::default() };
        for (renewal, events) in history.open {
            for envelope in events {
                match envelope.renewal {
                    Some(_) => all.step(&envelope, renewal),
                    None => all.resume(&envelope, Some(renewal)),
                }
            }
        }
        all
    }

    /// Takes the next event.
    pub(super) fn apply(&mut self, envelope: &Envelope) {
        note_name(&mut self.names, envelope);
        match envelope.renewal {
            Some(renewal) => self.step(envelope, renewal),
            None => self.resume(envelope, None),
        }
    }

    /// Spans that have ended since the last call.
    pub(super) fn take_ended(&mut self) -> Vec<SpanFacts> {
        std::mem::take(&mut self.ended)
    }

    fn step(&mut self, envelope: &Envelope, renewal: RenewalId) {
        if begins(&envelope.event) {
            self.begin(envelope, renewal);
        }
        let Some(open) = self.open.get_mut(&renewal) else {
            return;
        };
        open.tracer.apply(envelope);
        open.last = envelope.at;
        let spans = open.tracer.take_ended();
        self.ended.extend(spans.into_iter().map(|span| open.complete(span)));
        if ends(&envelope.event) {
            self.open.remove(&renewal);
        }
    }

    fn begin(&mut self, envelope: &Envelope, renewal: RenewalId) {
        let certificate = CertificateId(envelope.stream.id);
        // One whose end was lost in a full queue.
        self.open.retain(|_, open| open.certificate != certificate);
        if self.open.len() >= OPEN_MAX {
            return;
        }
        let open = Open {
            certificate,
            name: self.names.get(&certificate).cloned().unwrap_or_default(),
            tracer: Tracer::new(renewal),
            root: span_id(envelope.stream, envelope.seq),
            last: envelope.at,
            resumes: Vec::new(),
        };
        self.open.insert(renewal, open);
    }

    /// A new life of the process: it goes on with these renewals.
    fn resume(&mut self, envelope: &Envelope, only: Option<RenewalId>) {
        let Event::Engine(EngineEvent::EngineBooted { previous, .. }) = &envelope.event else {
            return;
        };
        let attributes = || {
            let number = |value: u64| Value::Number(i64::try_from(value).unwrap_or(i64::MAX));
            vec![
                ("renewd.boot", number(envelope.boot.0.into())),
                ("renewd.previous", Value::Text(previous.to_string())),
                ("renewd.event.seq", number(envelope.seq.0)),
            ]
        };
        let wanted = |renewal: &RenewalId| only.is_none_or(|only| only == *renewal);
        for (renewal, open) in self.open.iter_mut().filter(|(id, _)| wanted(id)) {
            let span = SpanFacts {
                trace_id: trace_id(*renewal),
                span_id: span_id(envelope.stream, envelope.seq),
                parent: Some(open.root),
                name: RESUME,
                start: open.last,
                end: Some(envelope.at),
                attributes: attributes(),
                events: Vec::new(),
                error: None,
            };
            open.resumes.push(SpanEvent {
                at: envelope.at,
                name: RESUME,
                text: format!(
                    "life {} of the process goes on; the one before ended: {previous}",
                    envelope.boot
                ),
                seq: envelope.seq,
            });
            self.ended.push(open.complete(span));
        }
    }
}

impl Open {
    /// With what the renewal's own events do not say.
    fn complete(&self, mut span: SpanFacts) -> SpanFacts {
        let name = Value::Text(self.name.clone());
        span.attributes.push(("renewd.certificate", name));
        if span.parent.is_none() {
            span.events.extend(self.resumes.iter().cloned());
            span.events.sort_by_key(|event| event.seq);
        }
        span
    }
}
