//! What the events say of each other over a whole log: the audit's second reader.

use std::collections::BTreeMap;
use std::time::Duration;

use renewd_events::authorization::AuthorizationEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::codec::Frame;
use renewd_events::id::{CertificateId, OrderId, RenewalId, StreamId};
use renewd_events::order::OrderEvent;
use renewd_events::problem::ProblemClass;
use renewd_events::schedule::ScheduleEvent;
use renewd_events::{Envelope, Event, Facts};
use renewd_replay::check::Checker;

use crate::invariant::Invariant;
use crate::secrets;
use crate::spans::{Spans, Stamp};
use crate::world::World;

/// A token is answered for as long as its order can live, and a day.
const TOKEN_MAX: Duration = Duration::from_secs(8 * 86_400);
/// An intent, or a person's wish, that is open for longer at the end of the healing is forgotten.
const OPEN_MAX: Duration = Duration::from_secs(26 * 3600);

/// What is remembered from event to event.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// Place and length of the batch before.
    batch: (u16, u16),
    /// Orders by URL, as the log knows them.
    urls: BTreeMap<String, OrderId>,
    renewals: BTreeMap<OrderId, RenewalId>,
    /// The renewals that are over, and what those failed at that did.
    ended: BTreeMap<RenewalId, Option<ProblemClass>>,
    /// Names by authorization: their order, and whether the CA is satisfied.
    names: BTreeMap<StreamId, (OrderId, bool)>,
    /// Tokens that are answered, and since when.
    answered: BTreeMap<StreamId, Stamp>,
    /// When a person last wished for a renewal.
    wishes: BTreeMap<CertificateId, Stamp>,
    spans: Spans,
}

impl Story {
    /// Before the first event.
    pub(crate) fn new(spans: Spans) -> Self {
        Self { spans, ..Self::default() }
    }

    /// The next event; `facts` hold it already.
    pub(crate) fn read(
        &mut self,
        world: &World,
        frame: &Frame,
        envelope: &Envelope,
        facts: &Facts,
    ) {
        let seq = envelope.seq;
        let broken =
            |invariant, what: &str| world.broken(invariant, format!("event {seq}: {what}"));
        if let Some(form) = secrets::found(&frame.bytes) {
            broken(Invariant::NoSecret, &format!("a private key {form}"));
        }
        if !self.follows_in_batch(envelope) {
            broken(Invariant::BatchWhole, "a part of a batch is missing before it");
        }
        match &envelope.event {
            Event::Certificate(event) => {
                for (invariant, what) in self.certificate(envelope, event, facts) {
                    broken(invariant, &what);
                }
            }
            Event::Order(OrderEvent::OrderCreated { url, .. }) => {
                self.urls.insert(url.clone(), OrderId(envelope.stream.id));
            }
            Event::Order(OrderEvent::OrderRequested(_)) => {
                let order = OrderId(envelope.stream.id);
                self.renewals.extend(envelope.renewal.map(|renewal| (order, renewal)));
                if let Some(what) = self.unexplained(world, order) {
                    broken(Invariant::OpenOrderUsed, &what);
                }
            }
            Event::Order(OrderEvent::OrderBecameReady { .. }) => {
                // The CA says it of the order before anybody looked at the last name (RFC 8555 §7.1.6).
                let order = OrderId(envelope.stream.id);
                for (_, valid) in self.names.values_mut().filter(|(of, _)| *of == order) {
                    *valid = true;
                }
            }
            Event::Schedule(ScheduleEvent::RenewalRequested { .. }) => {
                let id = CertificateId(envelope.stream.id);
                self.wishes.insert(id, Stamp::of(envelope));
            }
            Event::Authorization(event) => {
                if self.authorization(envelope, event) {
                    broken(Invariant::TokenWithdrawn, "a token was answered for over eight days");
                }
            }
            Event::Order(_)
            | Event::Engine(_)
            | Event::Clock(_)
            | Event::Account(_)
            | Event::Schedule(_)
            | Event::Binding(_)
            | Event::Listener(_)
            | Event::Restart(_) => {}
        }
    }

    /// Batches are whole, and one follows the other.
    fn follows_in_batch(&mut self, envelope: &Envelope) -> bool {
        let (index, length) = (envelope.batch_index, envelope.batch_len);
        let (before, of) = std::mem::replace(&mut self.batch, (index, length));
        let over = before.saturating_add(1) >= of;
        if over { index == 0 } else { length == of && index == before.saturating_add(1) }
    }

    /// An order that the log knows and that is open at the CA is not left for another of the same names,
    /// unless its renewal ended with something that the CA or the way to it did: what went wrong on
    /// this host is no reason.
    fn unexplained(&self, world: &World, order: OrderId) -> Option<String> {
        let state = world.state();
        let open = state.ca.open_before.get(&order)?;
        let known = open.iter().filter_map(|url| Some((url, self.urls.get(url)?)));
        let mut left = known.filter(|(_, known)| {
            let renewal = self.renewals.get(known);
            let end = renewal.and_then(|renewal| self.ended.get(renewal));
            let explained =
                end.copied().flatten().is_some_and(|class| class != ProblemClass::Local);
            !explained
        });
        let (url, _) = left.next()?;
        Some(format!("an order while {url} of the same names is open at the CA"))
    }

    fn certificate(
        &mut self,
        envelope: &Envelope,
        event: &CertificateEvent,
        facts: &Facts,
    ) -> Vec<(Invariant, String)> {
        let id = CertificateId(envelope.stream.id);
        let mut broken = Vec::new();
        let (end, generation) = match event {
            CertificateEvent::RenewalFailed { problem, .. } => (Some(problem.class), None),
            CertificateEvent::RenewalSucceeded { generation } => (None, Some(*generation)),
            CertificateEvent::RenewalEndedUnserved { generation } => {
                let served = facts.bindings_of(id).all(|(_, binding)| {
                    binding.served.as_ref().is_some_and(|it| it.generation >= *generation)
                });
                if served {
                    let what = "the renewal ends unserved, and every place serves it".to_owned();
                    broken.push((Invariant::EndsAsItIs, what));
                }
                (None, Some(*generation))
            }
            CertificateEvent::CertificateDeclared(_)
            | CertificateEvent::CertificateOrphaned
            | CertificateEvent::RenewalStarted { .. }
            | CertificateEvent::CertificateKeyRequested(_)
            | CertificateEvent::CertificateKeyCreated { .. }
            | CertificateEvent::CertificateKeyFailed { .. }
            | CertificateEvent::GenerationAdopted(_) => return broken,
        };
        let issue = facts.certificates.get(&id).and_then(|it| it.current.as_ref());
        let issue = issue.filter(|issue| Some(issue.generation) == generation);
        if let Some(order) = issue.map(|issue| issue.order)
            && self.names.values().any(|(of, valid)| *of == order && !valid)
        {
            let what = "the renewal ends with a certificate, and a name was never valid";
            broken.push((Invariant::EndsAsItIs, what.to_owned()));
        }
        self.ended.extend(envelope.renewal.map(|renewal| (renewal, end)));
        broken
    }

    /// True when a token was answered for too long.
    fn authorization(&mut self, envelope: &Envelope, event: &AuthorizationEvent) -> bool {
        match event {
            AuthorizationEvent::AuthorizationSeen { order, valid, .. } => {
                self.names.insert(envelope.stream, (*order, *valid));
            }
            AuthorizationEvent::AuthorizationBecameValid { .. } => {
                if let Some((_, valid)) = self.names.get_mut(&envelope.stream) {
                    *valid = true;
                }
            }
            AuthorizationEvent::ChallengeChosen(_) => {
                self.answered.insert(envelope.stream, Stamp::of(envelope));
            }
            AuthorizationEvent::ChallengeWithdrawn => {
                let since = self.answered.remove(&envelope.stream);
                let now = Stamp::of(envelope);
                return since.is_some_and(|since| self.spans.at_least(since, now) > TOKEN_MAX);
            }
            AuthorizationEvent::Published { .. }
            | AuthorizationEvent::ReadinessRequested { .. }
            | AuthorizationEvent::ReadinessAccepted { .. }
            | AuthorizationEvent::ReadinessRefused { .. }
            | AuthorizationEvent::AuthorizationBecameInvalid { .. } => {}
        }
        false
    }

    /// What is left open when a run has healed.
    pub(crate) fn end(
        &self,
        world: &World,
        facts: &Facts,
        checker: &Checker,
        envelopes: &[Envelope],
    ) {
        let now = world.wall();
        let old = |since: Stamp, max| self.spans.until(since, now) > max;
        if self.answered.values().any(|since| old(*since, TOKEN_MAX)) {
            world
                .broken(Invariant::TokenWithdrawn, "a token has been answered for over eight days");
        }
        for (id, _) in facts.schedules.iter().filter(|(_, it)| it.requested.is_some()) {
            if self.wishes.get(id).is_some_and(|since| old(*since, OPEN_MAX)) {
                world.broken(Invariant::WishHeard, "a person's wish for a renewal was forgotten");
            }
        }
        for intent in checker.open() {
            let index = usize::try_from(intent.seq.0.saturating_sub(1)).unwrap_or(usize::MAX);
            let Some(envelope) = envelopes.get(index) else {
                continue;
            };
            let over = envelope.renewal.is_some_and(|renewal| self.ended.contains_key(&renewal));
            if old(Stamp::of(envelope), OPEN_MAX) && !over {
                let what =
                    format!("event {}: an intent ({:?}) is left open", intent.seq, intent.act);
                world.broken(Invariant::IntentSettled, what);
            }
        }
    }
}
