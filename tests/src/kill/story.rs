//! What the log says about a round, as far as it is compared with the CA's side.

use std::collections::BTreeMap;

use renewd_events::authorization::AuthorizationEvent;
use renewd_events::certificate::CertificateEvent;
use renewd_events::id::{CertificateId, OrderId, RenewalId, Seq, StreamId};
use renewd_events::order::OrderEvent;
use renewd_events::process::EngineEvent;
use renewd_events::schedule::ScheduleEvent;
use renewd_events::{Envelope, Event, WallMs};

/// The log's side.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    /// Every order that was asked for.
    pub(super) orders: BTreeMap<OrderId, Ordered>,
    /// The issue of which order was adopted, and when.
    pub(super) adopted: BTreeMap<OrderId, Seq>,
    /// The key of each renewal, by the vault's name of it.
    pub(super) keys: BTreeMap<RenewalId, String>,
    /// Every published token.
    pub(super) tokens: BTreeMap<String, Token>,
    /// When each life had its log, its responder and its listeners.
    pub(super) boots: Vec<WallMs>,
    /// Renewals that ended without a certificate.
    pub(super) failures: usize,
    /// Renewals that somebody asked for.
    pub(super) wishes: usize,
    /// The last event of each life but the last.
    pub(super) ends: Vec<&'static str>,
}

/// One order.
#[derive(Clone, Debug)]
pub(super) struct Ordered {
    pub(super) certificate: CertificateId,
    pub(super) renewal: Option<RenewalId>,
    pub(super) requested: Seq,
    /// The CA's name of it: the last part of its URL; `None` while its answer is lost.
    pub(super) at_the_ca: Option<String>,
    /// The event that says that nothing can come of it any more.
    pub(super) ended: Option<Seq>,
    /// That event says that nobody can tell whether the CA has it.
    pub(super) unresolved: bool,
}

/// One token.
#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) order: OrderId,
    pub(super) published: WallMs,
    pub(super) withdrawn: Option<WallMs>,
}

impl Story {
    pub(super) fn of(envelopes: &[Envelope]) -> Self {
        let mut story = Self::default();
        // An authorization's stream: its order, then its token.
        let mut order_of: BTreeMap<StreamId, OrderId> = BTreeMap::new();
        let mut token_of: BTreeMap<StreamId, String> = BTreeMap::new();
        let mut last = None;
        for envelope in envelopes {
            let before = last.replace(envelope.event.name());
            if let Event::Engine(EngineEvent::EngineBooted { .. }) = &envelope.event {
                story.boots.push(envelope.at);
                story.ends.extend(before);
            } else if let Event::Schedule(ScheduleEvent::RenewalRequested { .. }) = &envelope.event
            {
                story.wishes += 1;
            } else if let Event::Order(event) = &envelope.event {
                story.order(envelope, event);
            } else if let Event::Certificate(event) = &envelope.event {
                story.certificate(envelope, event);
            } else if let Event::Authorization(event) = &envelope.event {
                let stream = envelope.stream;
                if let AuthorizationEvent::AuthorizationSeen { order, .. } = event {
                    order_of.insert(stream, *order);
                } else if let AuthorizationEvent::ChallengeChosen(challenge) = event {
                    let Some(order) = order_of.get(&stream).copied() else { continue };
                    let token = Token { order, published: envelope.at, withdrawn: None };
                    token_of.insert(stream, challenge.token.clone());
                    story.tokens.insert(challenge.token.clone(), token);
                } else if let AuthorizationEvent::ChallengeWithdrawn = event {
                    let token = token_of.get(&stream).and_then(|name| story.tokens.get_mut(name));
                    if let Some(token) = token {
                        token.withdrawn = Some(envelope.at);
                    }
                }
            }
        }
        story
    }

    fn order(&mut self, envelope: &Envelope, event: &OrderEvent) {
        let id = OrderId(envelope.stream.id);
        if let OrderEvent::OrderRequested(request) = event {
            let order = Ordered {
                certificate: request.certificate,
                renewal: envelope.renewal,
                requested: envelope.seq,
                at_the_ca: None,
                ended: None,
                unresolved: false,
            };
            self.orders.insert(id, order);
            return;
        }
        let Some(order) = self.orders.get_mut(&id) else { return };
        if let OrderEvent::OrderCreated { url, .. } = event {
            order.at_the_ca = url.rsplit('/').next().map(str::to_owned);
        }
        if let OrderEvent::OrderRequestUnresolved { .. } = event {
            order.unresolved = true;
        }
        if let OrderEvent::OrderRequestUnresolved { .. }
        | OrderEvent::OrderRefused { .. }
        | OrderEvent::OrderBecameInvalid { .. }
        | OrderEvent::OrderGone { .. } = event
        {
            order.ended = Some(envelope.seq);
        }
    }

    fn certificate(&mut self, envelope: &Envelope, event: &CertificateEvent) {
        if let CertificateEvent::GenerationAdopted(issue) = event {
            self.adopted.insert(issue.order, envelope.seq);
        } else if let CertificateEvent::CertificateKeyCreated { key_ref, .. } = event {
            let renewal = envelope.renewal;
            self.keys.extend(renewal.map(|renewal| (renewal, key_ref.0.clone())));
        } else if let CertificateEvent::RenewalFailed { .. } = event {
            self.failures += 1;
        }
    }
}

/// The fingerprint that each certificate adopted last, by its configured name.
pub(super) fn adopted_last(envelopes: &[Envelope]) -> BTreeMap<String, String> {
    let mut names: BTreeMap<StreamId, String> = BTreeMap::new();
    let mut adopted = BTreeMap::new();
    for envelope in envelopes {
        let Event::Certificate(event) = &envelope.event else { continue };
        if let CertificateEvent::CertificateDeclared(declared) = event {
            names.insert(envelope.stream, declared.name.clone());
        } else if let CertificateEvent::GenerationAdopted(issue) = event
            && let Some(name) = names.get(&envelope.stream)
        {
            adopted.insert(name.clone(), issue.leaf.fingerprint.to_string());
        }
    }
    adopted
}
