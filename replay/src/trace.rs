//! One renewal as spans for OpenTelemetry, without an exporter. All ids are derived from the log, so a
//! restarted process continues the same trace, and last month's can be exported today.

use std::collections::BTreeMap;

use renewd_events::authorization::AuthorizationEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{RenewalId, Seq, StreamId, StreamKind, sha256};
use renewd_events::order::OrderEvent;
use renewd_events::{Envelope, Event, WallMs};

use crate::codes::classify;
use crate::escape;
use crate::fold::Projection;
use crate::intent::{Act, Part, part};
use crate::sentence::sentence;

/// Spans of one trace. A renewal of 100 names has about 410.
pub const SPANS_MAX: usize = 1024;
/// Events of one span; a collector drops more anyway (the specification's default is 128).
pub const SPAN_EVENTS_MAX: usize = 128;

/// A value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text, inert and cut.
    Text(String),
    /// A number.
    Number(i64),
    /// Yes or no.
    Truth(bool),
}

/// Something within a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanEvent {
    /// When.
    pub at: WallMs,
    /// Its name: the event's, as in `ChallengeChosen`.
    pub name: &'static str,
    /// It in words.
    pub text: String,
    /// Its place in the log.
    pub seq: Seq,
}

/// One span, complete enough for an exporter. Kind is INTERNAL for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanFacts {
    /// SHA-256 of the renewal id, first 16 bytes.
    pub trace_id: [u8; 16],
    /// SHA-256 of stream and seq of its first event, first 8 bytes; never zero.
    pub span_id: [u8; 8],
    /// The span it belongs to; none for the renewal itself.
    pub parent: Option<[u8; 8]>,
    /// One of a few names.
    pub name: &'static str,
    /// When it began.
    pub start: WallMs,
    /// When it ended; absent while it has not.
    pub end: Option<WallMs>,
    /// What is known about it.
    pub attributes: Vec<(&'static str, Value)>,
    /// What happened within it.
    pub events: Vec<SpanEvent>,
    /// The cause, when it failed.
    pub error: Option<String>,
}

/// The trace of a renewal.
pub fn trace_id(renewal: RenewalId) -> [u8; 16] {
    let hash = renewd_events::id::sha256_plain(&renewal.0);
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(hash) {
        *to = from;
    }
    if out == [0; 16] { [1; 16] } else { out }
}

/// The span that begins with this event.
pub fn span_id(stream: StreamId, seq: Seq) -> [u8; 8] {
    let hash = sha256(&[&[stream.kind.number()], &stream.id, &seq.0.to_le_bytes()]);
    let mut out = [0; 8];
    for (to, from) in out.iter_mut().zip(hash) {
        *to = from;
    }
    if out == [0; 8] { [1; 8] } else { out }
}

/// The spans of one renewal: the renewal, its authorizations, and every act. Other renewals' events
/// are left out, so the whole log may be given.
pub fn spans<'a>(
    envelopes: impl IntoIterator<Item = &'a Envelope>,
    renewal: RenewalId,
) -> Vec<SpanFacts> {
    crate::fold::read(Tracer::new(renewal), envelopes).finish()
}

/// Reads one renewal's events into spans. [`Tracer::take_ended`] hands spans out as they end.
#[derive(Clone, Debug)]
pub struct Tracer {
    renewal: RenewalId,
    root: Option<SpanFacts>,
    authorizations: BTreeMap<StreamId, SpanFacts>,
    acts: BTreeMap<(StreamId, Act), SpanFacts>,
    download: BTreeMap<StreamId, SpanFacts>,
    ended: Vec<SpanFacts>,
    count: usize,
    over: bool,
}

impl Tracer {
    /// For this renewal.
    pub fn new(renewal: RenewalId) -> Self {
        Self {
            renewal,
            root: None,
            authorizations: BTreeMap::new(),
            acts: BTreeMap::new(),
            download: BTreeMap::new(),
            ended: Vec::new(),
            count: 0,
            over: false,
        }
    }

    /// The spans that have ended since the last call. Each span is handed out once.
    pub fn take_ended(&mut self) -> Vec<SpanFacts> {
        std::mem::take(&mut self.ended)
    }

    /// The renewal has ended.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// All spans that were not handed out, those without an end too, by their start.
    pub fn finish(self) -> Vec<SpanFacts> {
        let mut all = self.ended;
        all.extend(self.root);
        all.extend(self.authorizations.into_values());
        all.extend(self.acts.into_values());
        all.extend(self.download.into_values());
        all.sort_by_key(|span| (span.start, span.span_id));
        all
    }

    fn new_span(&mut self, envelope: &Envelope, name: &'static str) -> Option<SpanFacts> {
        if self.count >= SPANS_MAX {
            return None;
        }
        self.count = self.count.saturating_add(1);
        let number = |value: u64| Value::Number(i64::try_from(value).unwrap_or(i64::MAX));
        let actor: &str = envelope.actor.into();
        let parent = match part(&envelope.event) {
            Part::Intent(_) if envelope.stream.kind == StreamKind::Authorization => {
                self.authorizations.get(&envelope.stream)
            }
            Part::Intent(_) | Part::Outcome(_) | Part::Settles(_) | Part::None => None,
        };
        Some(SpanFacts {
            trace_id: trace_id(self.renewal),
            span_id: span_id(envelope.stream, envelope.seq),
            parent: parent.or(self.root.as_ref()).map(|span| span.span_id),
            name,
            start: envelope.at,
            end: None,
            attributes: vec![
                ("renewd.renewal.id", Value::Text(self.renewal.to_string())),
                ("renewd.event.seq", number(envelope.seq.0)),
                ("renewd.actor", Value::Text(actor.to_owned())),
                ("renewd.boot", number(envelope.boot.0.into())),
            ],
            events: Vec::new(),
            error: None,
        })
    }

    fn begin(&mut self, envelope: &Envelope) {
        let Event::Certificate(CertificateEvent::RenewalStarted { number, cause, attempt, .. }) =
            &envelope.event
        else {
            return;
        };
        if let Some(mut span) = self.new_span(envelope, "renewal") {
            span.attributes.push(("renewd.renewal.number", Value::Number((*number).into())));
            span.attributes.push(("renewd.renewal.cause", Value::Text(cause.to_string())));
            span.attributes.push(("acme.attempt", Value::Number((*attempt).into())));
            self.root = Some(span);
        }
    }

    /// Acts become spans from intent to outcome.
    fn act(&mut self, envelope: &Envelope) {
        match part(&envelope.event) {
            Part::Intent(act) => {
                if let Some(mut span) = self.new_span(envelope, name(act)) {
                    describe(&mut span, &envelope.event);
                    self.acts.insert((envelope.stream, act), span);
                }
            }
            Part::Outcome(act) | Part::Settles(act) => {
                if let Some(mut span) = self.acts.remove(&(envelope.stream, act)) {
                    describe(&mut span, &envelope.event);
                    span.error = error(&envelope.event);
                    self.end(span, envelope);
                }
            }
            Part::None => {}
        }
    }

    fn end(&mut self, mut span: SpanFacts, envelope: &Envelope) {
        span.end = Some(envelope.at);
        if let Some(error) = &span.error {
            span.attributes.push(("error.type", Value::Text(error.clone())));
        }
        self.ended.push(span);
    }

    fn authorization(&mut self, envelope: &Envelope, event: &AuthorizationEvent) {
        if let AuthorizationEvent::AuthorizationSeen { identifier, url, valid, .. } = event
            && let Some(mut span) = self.new_span(envelope, "authorization")
        {
            let text = |raw: &str| Value::Text(escape::field(raw, 256));
            span.attributes.push(("acme.identifier", text(identifier)));
            span.attributes.push(("url.full", text(url)));
            span.attributes.push(("acme.challenge.type", Value::Text("http-01".to_owned())));
            span.attributes.push(("acme.authorization.reused", Value::Truth(*valid)));
            if *valid {
                self.end(span, envelope);
            } else {
                self.authorizations.insert(envelope.stream, span);
            }
            return;
        }
        let over = matches!(
            event,
            AuthorizationEvent::AuthorizationBecameValid { .. }
                | AuthorizationEvent::AuthorizationBecameInvalid { .. }
                | AuthorizationEvent::ReadinessRefused { .. }
        );
        if let Some(span) = self.authorizations.get_mut(&envelope.stream) {
            note(span, envelope);
            span.error = error(&envelope.event);
        }
        if over && let Some(span) = self.authorizations.remove(&envelope.stream) {
            self.end(span, envelope);
        }
    }

    /// The download has no intent of its own (it is a read): it lasts from the moment the certificate
    /// can be fetched until the chain is durable.
    fn order(&mut self, envelope: &Envelope, event: &OrderEvent) {
        if let OrderEvent::CertificateReady { .. } = event {
            if let Some(span) = self.new_span(envelope, "certificate.download") {
                self.download.insert(envelope.stream, span);
            }
        } else if let OrderEvent::ChainDownloaded(_)
        | OrderEvent::ChainRejected { .. }
        | OrderEvent::OrderGone { .. } = event
            && let Some(mut span) = self.download.remove(&envelope.stream)
        {
            span.error = error(&envelope.event);
            self.end(span, envelope);
        }
    }
}

impl Projection for Tracer {
    fn apply(&mut self, envelope: &Envelope) {
        if envelope.renewal != Some(self.renewal) {
            return;
        }
        self.begin(envelope);
        if let Event::Authorization(event) = &envelope.event {
            self.authorization(envelope, event);
        }
        self.act(envelope);
        if let Event::Order(event) = &envelope.event {
            self.order(envelope, event);
        }
        let Some(root) = self.root.as_mut() else {
            return;
        };
        note(root, envelope);
        if let Event::Certificate(
            CertificateEvent::RenewalSucceeded { .. }
            | CertificateEvent::RenewalEndedUnserved { .. }
            | CertificateEvent::RenewalFailed { .. },
        ) = &envelope.event
            && let Some(mut root) = self.root.take()
        {
            root.error = error(&envelope.event);
            self.over = true;
            self.end(root, envelope);
        }
    }
}

fn note(span: &mut SpanFacts, envelope: &Envelope) {
    if span.events.len() < SPAN_EVENTS_MAX {
        span.events.push(SpanEvent {
            at: envelope.at,
            name: envelope.event.name(),
            text: sentence(&envelope.event),
            seq: envelope.seq,
        });
    }
}

fn error(event: &Event) -> Option<String> {
    if let Event::Certificate(CertificateEvent::RenewalFailed { code, problem: _ }) = event {
        return Some(escape::field(code, 16));
    }
    crate::why::problem_of(event).map(|(step, problem)| classify(step, problem).to_owned())
}

/// What an act's events say about it.
fn describe(span: &mut SpanFacts, event: &Event) {
    let text = |raw: &str| Value::Text(escape::field(raw, 256));
    if let Event::Order(OrderEvent::OrderCreated { url, .. }) = event {
        span.attributes.push(("acme.order.url", text(url)));
    }
    if let Event::Order(OrderEvent::OrderRequested(order)) = event {
        let names = i64::try_from(order.identifiers.len()).unwrap_or(i64::MAX);
        span.attributes.push(("acme.order.names", Value::Number(names)));
        if let Some(profile) = &order.profile {
            span.attributes.push(("acme.profile", text(profile)));
        }
    }
    if let Some((_, problem)) = crate::why::problem_of(event)
        && problem.status != 0
    {
        span.attributes.push(("http.response.status_code", Value::Number(problem.status.into())));
    }
}

fn name(act: Act) -> &'static str {
    match act {
        Act::Register => "account.register",
        Act::Agreement => "account.agreement",
        Act::Contacts => "account.contacts",
        Act::Key => "certificate.key",
        Act::NewOrder => "order.create",
        Act::Readiness => "challenge.validate",
        Act::Finalize => "order.finalize",
        Act::Deploy => "certificate.bind",
        Act::Reload => "certificate.reload",
        Act::Restart => "restart",
    }
}

#[cfg(test)]
mod tests;
