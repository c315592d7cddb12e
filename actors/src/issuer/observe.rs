//! What an outcome says about a certificate or its order.

use std::collections::BTreeSet;

use renewd_events::certificate::{CertificateEvent, KeyRequest, KeyStep};
use renewd_events::event::NewEvent;
use renewd_events::id::{CertificateId, Hash, OrderId, RenewalId};
use renewd_events::order::{Found, NewOrder, OrderEvent, OrderStatus, Phase};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Facts};

use super::request::may_come_until;
use crate::decision::{Context, Session, fact};
use crate::effect::{Effect, OrderStage, Outcome};
use crate::ports::{FoundOrder, KeyFacts, OrderLook};

/// What an outcome says. Empty when it gives no verdict.
pub(super) fn observe(
    facts: &Facts,
    effect: &Effect,
    outcome: &Outcome,
    session: &Session,
    cx: &Context,
) -> Vec<NewEvent> {
    match (effect, outcome) {
        (Effect::EnsureKey(intent), Outcome::Key(result)) => key(facts, intent, result),
        (Effect::CreateOrder(id, intent), Outcome::Order(result)) => {
            if !requested(facts, *id, intent) {
                return Vec::new();
            }
            match result {
                Ok(look) => vec![outcome_of(intent, *id, created(look, Found::Answer))],
                Err(problem) if has_not_acted(problem) => {
                    let event = OrderEvent::OrderRefused { problem: problem.clone() };
                    vec![outcome_of(intent, *id, event)]
                }
                Err(_) => Vec::new(),
            }
        }
        (Effect::FindOrder(id, intent, _), Outcome::Found(result)) => {
            found(facts, *id, intent, result, (session, cx))
        }
        (Effect::LookAtOrder(id, _, _, stage), Outcome::Order(result)) => {
            looked(facts, *id, *stage, result, session.looks(&effect.key()).count.saturating_add(1))
        }
        (Effect::Finalize(id, _, _, intent, _), Outcome::Order(result)) => {
            finalized(facts, *id, intent, result)
        }
        (Effect::Download(id, _, _), Outcome::Chain(result)) => {
            let event = match result {
                Ok(leaf) => OrderEvent::ChainDownloaded(leaf.clone()),
                Err(problem) if is_bad_chain(problem) => {
                    OrderEvent::ChainRejected { problem: problem.clone() }
                }
                Err(problem) if is_gone(problem) => {
                    OrderEvent::OrderGone { problem: problem.clone() }
                }
                Err(_) => return Vec::new(),
            };
            on_order(facts, *id, event)
        }
        _ => Vec::new(),
    }
}

fn key(
    facts: &Facts,
    intent: &Durable<KeyRequest>,
    result: &Result<KeyFacts, Problem>,
) -> Vec<NewEvent> {
    let id = CertificateId(intent.meta().stream.id);
    let open = facts
        .certificates
        .get(&id)
        .and_then(|certificate| certificate.run.as_ref())
        .is_some_and(|run| matches!(&run.key, KeyStep::Requested(now) if now == intent));
    let event = match result {
        Ok(key) => CertificateEvent::CertificateKeyCreated {
            key_ref: intent.intent().key_ref.clone(),
            spki: key.spki,
            csr: key.csr.clone(),
        },
        Err(problem) => CertificateEvent::CertificateKeyFailed { problem: problem.clone() },
    };
    if open { vec![outcome_of(intent, id, event)] } else { Vec::new() }
}

fn found(
    facts: &Facts,
    id: OrderId,
    intent: &Durable<NewOrder>,
    result: &Result<FoundOrder, Problem>,
    (session, cx): (&Session, &Context),
) -> Vec<NewEvent> {
    if !requested(facts, id, intent) {
        return Vec::new();
    }
    // The CA may be making it at this moment: only what it does not list after a while is not there.
    let asked = intent.meta().at;
    let young = asked <= cx.now && cx.now < may_come_until(id, intent, session);
    if young && matches!(result, Ok(FoundOrder::NotThere)) {
        return Vec::new();
    }
    let event = match result {
        Ok(FoundOrder::Answered(look)) => created(look, Found::Answer),
        Ok(FoundOrder::Found(look)) => created(look, Found::List),
        Ok(FoundOrder::NotThere) => OrderEvent::OrderRequestUnresolved {
            evidence: "the account's list has no such order".to_owned(),
        },
        Ok(FoundOrder::NoList(said)) => {
            OrderEvent::OrderRequestUnresolved { evidence: renewd_events::problem::cut(said, 512) }
        }
        Err(_) => return Vec::new(),
    };
    vec![outcome_of(intent, id, event)]
}

fn finalized(
    facts: &Facts,
    id: OrderId,
    intent: &Durable<Hash>,
    result: &Result<OrderLook, Problem>,
) -> Vec<NewEvent> {
    let open = facts
        .orders
        .get(&id)
        .is_some_and(|order| matches!(&order.phase, Phase::Finalizing(now) if now == intent));
    let event = match result {
        Ok(look) if look.status == OrderStatus::Valid => valid(look, 0),
        Ok(look) if is_dead(look.status) => invalid(look),
        Ok(look) if look.status == OrderStatus::Ready => return Vec::new(),
        Ok(look) => OrderEvent::FinalizationAccepted { status: look.status },
        Err(problem) if refuses_for_good(problem) => {
            OrderEvent::FinalizationRefused { problem: problem.clone() }
        }
        Err(_) => return Vec::new(),
    };
    if open { vec![outcome_of(intent, id, event)] } else { Vec::new() }
}

/// The CA answered with an error of its own, or nothing was sent: it has not acted. Everything else,
/// a 5xx among it, says nothing about that.
fn has_not_acted(problem: &Problem) -> bool {
    match problem.class {
        ProblemClass::Acme => {
            problem.status < 500 || problem.is_acme("rateLimited") || busy(problem)
        }
        ProblemClass::Local => true,
        ProblemClass::Transport if planted::is(Bug::UnknownIsRefused) => true,
        ProblemClass::Transport => ["name", "connect", "tls"].contains(&problem.kind.as_str()),
        ProblemClass::Http => problem.status == 429 || busy(problem),
        ProblemClass::Protocol => problem.kind == "replaces-not-echoed",
    }
}

/// The CA will not take this from us, now or later. "Come back later", a connection that was not made
/// and an error of this host leave the order as it is: the same is asked again when it is due.
pub(crate) fn refuses_for_good(problem: &Problem) -> bool {
    let later = problem.is_acme("rateLimited") || problem.status == 429;
    problem.class == ProblemClass::Acme && problem.status < 500 && !later
}

/// What came is no chain of certificates; other protocol errors are a proxy's noise.
fn is_bad_chain(problem: &Problem) -> bool {
    problem.class == ProblemClass::Protocol
        && ["chain", "private-key-in-chain"].contains(&problem.kind.as_str())
}

/// A server that sheds load says so before it acts, and names a time (RFC 9110 §15.6.4).
fn busy(problem: &Problem) -> bool {
    problem.status == 503 && problem.retry_after_ms.is_some()
}

/// The CA says so itself; a page in its place is a proxy's, and is asked about again.
fn is_gone(problem: &Problem) -> bool {
    let unknown = problem.class == ProblemClass::Acme && problem.status == 404;
    unknown || problem.is_acme("accountDoesNotExist")
}

fn is_dead(status: OrderStatus) -> bool {
    match status {
        OrderStatus::Invalid => true,
        OrderStatus::Pending
        | OrderStatus::Ready
        | OrderStatus::Processing
        | OrderStatus::Valid => false,
    }
}

fn created(look: &OrderLook, found: Found) -> OrderEvent {
    // A name that is told of twice is proven once.
    let mut seen = BTreeSet::new();
    let once = look.authorizations.iter().filter(|url| seen.insert(*url));
    OrderEvent::OrderCreated {
        url: look.url.clone(),
        authorizations: once.cloned().collect(),
        status: look.status,
        expires: look.expires,
        found,
    }
}

fn valid(look: &OrderLook, looks: u32) -> OrderEvent {
    OrderEvent::CertificateReady { url: look.certificate.clone().unwrap_or_default(), looks }
}

fn invalid(look: &OrderLook) -> OrderEvent {
    let unsaid = || Problem::new(ProblemClass::Acme, "invalid", "the CA gave no reason");
    OrderEvent::OrderBecameInvalid { problem: look.problem.clone().unwrap_or_else(unsaid) }
}

fn requested(facts: &Facts, id: OrderId, intent: &Durable<NewOrder>) -> bool {
    facts
        .orders
        .get(&id)
        .is_some_and(|order| matches!(&order.phase, Phase::Requested(now) if now == intent))
}

fn outcome_of<I>(
    intent: &Durable<I>,
    stream: impl Into<renewd_events::id::StreamId>,
    event: impl Into<renewd_events::Event>,
) -> NewEvent {
    fact(stream, event, intent.meta().renewal, Some(intent.meta().seq))
}

fn renewal_of(facts: &Facts, id: OrderId) -> Option<RenewalId> {
    let certificate = facts.orders.get(&id)?.request.as_ref()?.certificate;
    Some(facts.certificates.get(&certificate)?.run.as_ref()?.renewal)
}

fn on_order(facts: &Facts, id: OrderId, event: OrderEvent) -> Vec<NewEvent> {
    match renewal_of(facts, id) {
        Some(renewal) => vec![fact(id, event, Some(renewal), None)],
        None => Vec::new(),
    }
}

/// Only what moves the order is a fact; a look that shows no change is counted, not recorded.
fn looked(
    facts: &Facts,
    id: OrderId,
    stage: OrderStage,
    result: &Result<OrderLook, Problem>,
    looks: u32,
) -> Vec<NewEvent> {
    let Some(order) = facts.orders.get(&id) else {
        return Vec::new();
    };
    let event = match result {
        Err(problem) if is_gone(problem) => OrderEvent::OrderGone { problem: problem.clone() },
        Err(_) => return Vec::new(),
        Ok(look) => match (look.status, stage) {
            (OrderStatus::Invalid, _) => invalid(look),
            (OrderStatus::Ready, OrderStage::Pending) => OrderEvent::OrderBecameReady { looks },
            (OrderStatus::Valid, _) => valid(look, looks),
            // Said once: an answer that comes late says nothing new.
            (OrderStatus::Processing, OrderStage::Pending | OrderStage::Settling)
                if order.phase != Phase::Processing =>
            {
                OrderEvent::FinalizationAccepted { status: OrderStatus::Processing }
            }
            (OrderStatus::Pending | OrderStatus::Ready | OrderStatus::Processing, _) => {
                return Vec::new();
            }
        },
    };
    let waiting = matches!(order.phase, Phase::Pending | Phase::Processing | Phase::Finalizing(_));
    if waiting { on_order(facts, id, event) } else { Vec::new() }
}
