//! What must hold in every log, whatever was killed when: for tests, the simulation and `log verify`.

use std::collections::{BTreeMap, BTreeSet};

use renewd_events::authorization::AuthorizationEvent;
use renewd_events::binding::BindingEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, Generation, OrderId, RenewalId, Seq, StreamId};
use renewd_events::order::{OrderEvent, OrderStatus};
use renewd_events::{Envelope, Event};
use serde::Serialize;

use crate::fold::Projection;
use crate::intent::{Act, Part, part};
use crate::renewals::shown;

/// Violations kept: the first ones say what went wrong.
const VIOLATIONS_MAX: usize = 256;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The event that broke it.
    pub seq: Seq,
    /// Its stream.
    #[serde(serialize_with = "shown")]
    pub stream: StreamId,
    /// Which invariant, and how.
    pub what: String,
}

/// An intent without an outcome: no violation, if the process still runs or was killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct OpenIntent {
    /// The intent.
    pub seq: Seq,
    /// Its stream.
    #[serde(serialize_with = "shown")]
    pub stream: StreamId,
    /// What was to be done.
    pub act: Act,
}

/// How far an order is, as far as the invariants need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    Ready,
    Ended,
}

#[derive(Clone, Debug)]
struct OrderLine {
    certificate: CertificateId,
    renewal: Option<RenewalId>,
    stage: Stage,
}

/// Reads events and collects what is broken.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    seq: Seq,
    versions: BTreeMap<StreamId, u32>,
    open: BTreeMap<(StreamId, Act), Seq>,
    orders: BTreeMap<OrderId, OrderLine>,
    present: BTreeMap<CertificateId, OrderId>,
    running: BTreeMap<CertificateId, RenewalId>,
    begun: BTreeSet<RenewalId>,
    ended: BTreeSet<RenewalId>,
    keyed: BTreeSet<RenewalId>,
    chosen: BTreeMap<StreamId, bool>,
    order_of: BTreeMap<StreamId, OrderId>,
    certificate_of: BTreeMap<StreamId, CertificateId>,
    adopted: BTreeMap<CertificateId, Generation>,
    violations: Vec<Violation>,
}

/// What is broken. The log must begin at its first event.
pub fn check<'a>(envelopes: impl IntoIterator<Item = &'a Envelope>) -> Vec<Violation> {
    crate::fold::read(Checker::default(), envelopes).violations
}

impl Checker {
    /// What is broken so far.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Intents without outcome so far.
    pub fn open(&self) -> Vec<OpenIntent> {
        self.open
            .iter()
            .map(|((stream, act), seq)| OpenIntent { seq: *seq, stream: *stream, act: *act })
            .collect()
    }

    fn broken(&mut self, envelope: &Envelope, what: impl Into<String>) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(Violation {
                seq: envelope.seq,
                stream: envelope.stream,
                what: what.into(),
            });
        }
    }

    fn dense(&mut self, envelope: &Envelope) {
        let due = self.seq.next();
        if envelope.seq != due {
            self.broken(envelope, format!("event {} follows event {}", envelope.seq, self.seq));
        }
        self.seq = envelope.seq;
        let before = self.versions.insert(envelope.stream, envelope.version).unwrap_or(0);
        if envelope.version != before.saturating_add(1) {
            let what = format!("version {} of the stream follows {before}", envelope.version);
            self.broken(envelope, what);
        }
        if envelope.stream.kind != envelope.event.kind() {
            self.broken(envelope, "the event is of another kind than its stream");
        }
    }

    fn intents(&mut self, envelope: &Envelope) {
        match part(&envelope.event) {
            Part::Intent(act) => {
                let before = self.open.insert((envelope.stream, act), envelope.seq);
                if let Some(seq) = before {
                    let what =
                        format!("a second intent ({act:?}) while that of event {seq} is open");
                    self.broken(envelope, what);
                }
            }
            Part::Outcome(act) => {
                if self.open.remove(&(envelope.stream, act)).is_none() {
                    self.broken(envelope, format!("an outcome ({act:?}) without an open intent"));
                }
            }
            Part::Settles(act) => {
                self.open.remove(&(envelope.stream, act));
            }
            Part::None => {}
        }
    }

    fn certificate(&mut self, envelope: &Envelope, event: &CertificateEvent) {
        let id = CertificateId(envelope.stream.id);
        match event {
            CertificateEvent::RenewalStarted { .. } => {
                let Some(renewal) = envelope.renewal else {
                    self.broken(envelope, "a renewal without an id");
                    return;
                };
                let new = self.begun.insert(renewal);
                if !new {
                    self.broken(envelope, "the renewal began before");
                }
                let before = self.running.insert(id, renewal);
                if before.is_some() {
                    self.broken(envelope, "the renewal before has not ended");
                }
            }
            CertificateEvent::CertificateKeyCreated { .. } => {
                self.keyed.extend(envelope.renewal);
            }
            CertificateEvent::GenerationAdopted(issue) => {
                let before = self.adopted.insert(id, issue.generation);
                if before.is_some_and(|before| issue.generation <= before) {
                    self.broken(envelope, "an issue that is not newer than the one before");
                }
            }
            CertificateEvent::RenewalSucceeded { .. }
            | CertificateEvent::RenewalEndedUnserved { .. }
            | CertificateEvent::RenewalFailed { .. } => {
                let running = self.running.remove(&id);
                let same = running.is_some() && running == envelope.renewal;
                if !same {
                    self.broken(envelope, "the end of a renewal that is not under way");
                }
                if let Some(renewal) = envelope.renewal {
                    let first = self.ended.insert(renewal);
                    if !first {
                        self.broken(envelope, "a second end of the renewal");
                    }
                }
                self.present.remove(&id);
            }
            CertificateEvent::CertificateDeclared(_)
            | CertificateEvent::CertificateOrphaned
            | CertificateEvent::CertificateKeyRequested(_)
            | CertificateEvent::CertificateKeyFailed { .. } => {}
        }
    }

    fn requested(&mut self, envelope: &Envelope, id: OrderId, certificate: CertificateId) {
        let before = self.present.insert(certificate, id);
        let live = before
            .and_then(|before| self.orders.get(&before))
            .is_some_and(|before| before.stage != Stage::Ended);
        if live {
            self.broken(
                envelope,
                "a second order while the first is neither refused, lost nor dead",
            );
        }
        let running = self.running.get(&certificate).copied();
        if !(running.is_some() && running == envelope.renewal) {
            self.broken(envelope, "an order outside of a renewal");
        }
        let line = OrderLine { certificate, renewal: envelope.renewal, stage: Stage::Open };
        self.orders.insert(id, line);
    }

    fn order(&mut self, envelope: &Envelope, event: &OrderEvent) {
        let id = OrderId(envelope.stream.id);
        if let OrderEvent::OrderRequested(request) = event {
            self.requested(envelope, id, request.certificate);
            return;
        }
        let renewal = self.orders.get(&id).and_then(|line| line.renewal);
        if let OrderEvent::FinalizationRequested { .. } = event {
            let keyed = renewal.is_some_and(|renewal| self.keyed.contains(&renewal));
            if !keyed {
                self.broken(envelope, "finalize before the key is durable");
            }
        }
        if let Some(stage) = stage(event)
            && let Some(line) = self.orders.get_mut(&id)
        {
            line.stage = stage;
        }
    }

    fn authorization(&mut self, envelope: &Envelope, event: &AuthorizationEvent) {
        match event {
            AuthorizationEvent::AuthorizationSeen { order, .. } => {
                self.order_of.insert(envelope.stream, *order);
            }
            AuthorizationEvent::ChallengeChosen(_) => {
                self.chosen.insert(envelope.stream, true);
            }
            AuthorizationEvent::ReadinessRequested { .. } => {
                let answered = self.chosen.get(&envelope.stream) == Some(&true);
                if !answered {
                    self.broken(envelope, "the CA is told to look before the token is answered");
                }
            }
            AuthorizationEvent::ChallengeWithdrawn => {
                self.chosen.insert(envelope.stream, false);
                let order = self.order_of.get(&envelope.stream);
                let needed = order.is_some_and(|order| self.is_needed(*order));
                if needed {
                    self.broken(envelope, "the token is withdrawn while its order is pending");
                }
            }
            AuthorizationEvent::Published { .. }
            | AuthorizationEvent::ReadinessAccepted { .. }
            | AuthorizationEvent::ReadinessRefused { .. }
            | AuthorizationEvent::AuthorizationBecameValid { .. }
            | AuthorizationEvent::AuthorizationBecameInvalid { .. } => {}
        }
    }

    /// The order is pending, and its renewal still works with it.
    fn is_needed(&self, id: OrderId) -> bool {
        self.orders.get(&id).is_some_and(|line| {
            line.stage == Stage::Open && self.present.get(&line.certificate) == Some(&id)
        })
    }

    fn binding(&mut self, envelope: &Envelope, event: &BindingEvent) {
        match event {
            BindingEvent::BindingDeclared { certificate, target: _ } => {
                self.certificate_of.insert(envelope.stream, *certificate);
            }
            BindingEvent::DeploymentRequested(deployment) => {
                let adopted = self
                    .certificate_of
                    .get(&envelope.stream)
                    .and_then(|certificate| self.adopted.get(certificate))
                    .is_some_and(|adopted| *adopted >= deployment.generation);
                if !adopted {
                    self.broken(envelope, "an issue is put in place before it is adopted");
                }
            }
            BindingEvent::BindingRemoved
            | BindingEvent::Deployed { .. }
            | BindingEvent::DeploymentFailed { .. }
            | BindingEvent::ReloadRequested { .. }
            | BindingEvent::ReloadFinished { .. }
            | BindingEvent::ServedVerified { .. }
            | BindingEvent::ServedMismatch { .. } => {}
        }
    }
}

fn stage(event: &OrderEvent) -> Option<Stage> {
    match event {
        OrderEvent::OrderRefused { .. }
        | OrderEvent::OrderRequestUnresolved { .. }
        | OrderEvent::FinalizationRefused { .. }
        | OrderEvent::ChainRejected { .. }
        | OrderEvent::OrderBecameInvalid { .. }
        | OrderEvent::OrderGone { .. } => Some(Stage::Ended),
        OrderEvent::OrderCreated { status, .. } | OrderEvent::FinalizationAccepted { status } => {
            match status {
                OrderStatus::Pending => Some(Stage::Open),
                OrderStatus::Ready | OrderStatus::Processing | OrderStatus::Valid => {
                    Some(Stage::Ready)
                }
                OrderStatus::Invalid => Some(Stage::Ended),
            }
        }
        OrderEvent::OrderBecameReady { .. }
        | OrderEvent::FinalizationRequested { .. }
        | OrderEvent::CertificateReady { .. }
        | OrderEvent::ChainDownloaded(_) => Some(Stage::Ready),
        OrderEvent::OrderRequested(_)
        | OrderEvent::AnswerMissing { .. }
        | OrderEvent::AnswerCame { .. } => None,
    }
}

impl Projection for Checker {
    fn apply(&mut self, envelope: &Envelope) {
        self.dense(envelope);
        self.intents(envelope);
        match &envelope.event {
            Event::Certificate(event) => self.certificate(envelope, event),
            Event::Order(event) => self.order(envelope, event),
            Event::Authorization(event) => self.authorization(envelope, event),
            Event::Binding(event) => self.binding(envelope, event),
            Event::Engine(_)
            | Event::Clock(_)
            | Event::Account(_)
            | Event::Schedule(_)
            | Event::Listener(_)
            | Event::Restart(_) => {}
        }
    }
}

#[cfg(test)]
mod tests;
