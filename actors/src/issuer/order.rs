//! What to do about the order of a renewal, by its phase.

use std::time::Duration;

use renewd_events::authorization;
use renewd_events::certificate::{Certificate, KeyStep, Run};
use renewd_events::event::NewEvent;
use renewd_events::id::{CertificateId, Hash, OrderId};
use renewd_events::order::{NewOrder, Order, OrderEvent, Phase};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Facts, WallMs};
use renewd_replay::codes::Step;

use super::decide::{fail, may_order_again};
use crate::bounds;
use crate::decision::{Context, Decision, Looks, Session, fact, may_do};
use crate::effect::{Effect, OrderStage};

/// What to do about an order.
pub(super) fn decide(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    order_id: OrderId,
    order: &Order,
    session: &Session,
    cx: &Context,
) -> Decision {
    let Some(request) = &order.request else {
        return Decision::none();
    };
    let url = order.url.clone().unwrap_or_default();
    let look = |stage| Effect::LookAtOrder(order_id, request.account, url.clone(), stage);
    let mut decision = Decision::none();
    match &order.phase {
        Phase::Absent | Phase::Downloaded(_) => {}
        Phase::Requested(intent) if may_do(intent, session, cx) => {
            decision
                .effects
                .push(Effect::CreateOrder(order_id, intent.clone()));
        }
        Phase::Requested(intent) => {
            let effect = Effect::FindOrder(order_id, intent.clone(), known_urls(facts));
            decision.when_due(
                effect,
                session,
                cx,
                "the CA is asked whether it has the order",
            );
        }
        Phase::Unresolved if may_order_again(run) => {
            return Decision::record(vec![again(run, request.clone())]);
        }
        Phase::Unresolved => return fail(id, run, Step::NewOrder, &answers_lost()),
        Phase::Refused(problem) => return refused(id, run, request, problem),
        Phase::Pending => pending(
            facts,
            id,
            run,
            order,
            look(OrderStage::Pending),
            session,
            cx,
            &mut decision,
        ),
        Phase::Ready => {
            if let KeyStep::Created { csr, .. } = &run.key {
                let event = OrderEvent::FinalizationRequested { csr: Hash::of(csr) };
                return Decision::record(vec![fact(order_id, event, Some(run.renewal), None)]);
            }
        }
        Phase::Finalizing(intent) => {
            let KeyStep::Created { csr, .. } = &run.key else {
                return decision;
            };
            let settle = look(OrderStage::Settling);
            if may_do(intent, session, cx) || session.looks(&settle.key()).count > 0 {
                let (intent, csr) = (intent.clone(), csr.clone());
                let effect = Effect::Finalize(order_id, request.account, url, intent, csr);
                decision.when_due(effect, session, cx, "the CA did not take the CSR");
            } else {
                decision.when_due(settle, session, cx, "the CA is asked about the order");
            }
        }
        Phase::FinalizeRefused(problem) => return fail(id, run, Step::Finalize, problem),
        Phase::Processing => {
            return processing(id, run, order, look(OrderStage::Processing), session, cx);
        }
        Phase::Valid { .. } => {
            let effect = Effect::Download(order_id, request.account, url.clone());
            decision.when_due(effect, session, cx, "the chain could not be fetched");
        }
        Phase::Rejected(problem) => return fail(id, run, Step::Chain, problem),
        Phase::Dead(problem) => return dead(facts, id, run, problem),
    }
    decision
}

fn answers_lost() -> Problem {
    let text = "the answers to several newOrder requests were lost";
    Problem::new(ProblemClass::Transport, "answers-lost", text)
}

fn processing(
    id: CertificateId,
    run: &Run,
    order: &Order,
    effect: Effect,
    session: &Session,
    cx: &Context,
) -> Decision {
    if let Some(problem) = stalled(order, cx) {
        return fail(id, run, Step::Finalize, &problem);
    }
    let mut decision = Decision::none();
    let looks = session.looks(&effect.key());
    let at = next_look(order.since.after(bounds::LOOK_AFTER_FINALIZE), looks);
    look_at(effect, at, "the CA is issuing", cx, &mut decision);
    decision
}

/// URLs of orders that other renewals know: they are not the lost one.
fn known_urls(facts: &Facts) -> Vec<String> {
    facts
        .orders
        .values()
        .filter_map(|order| order.url.clone())
        .collect()
}

/// One more order within the renewal.
fn again(run: &Run, request: NewOrder) -> NewEvent {
    let next = Certificate::order_id(run.renewal, run.orders.saturating_add(1));
    fact(
        next,
        OrderEvent::OrderRequested(request),
        Some(run.renewal),
        None,
    )
}

/// Some refusals name a part of the request that can be left out (RFC 9773 §5, profiles draft).
fn refused(id: CertificateId, run: &Run, request: &NewOrder, problem: &Problem) -> Decision {
    let without_replaces = request.replaces.is_some()
        && (problem.is_acme("alreadyReplaced")
            || problem.is_acme("malformed")
            || problem.kind == "replaces-not-echoed");
    if without_replaces && may_order_again(run) {
        let request = NewOrder {
            replaces: None,
            ..request.clone()
        };
        return Decision::record(vec![again(run, request)]);
    }
    fail(id, run, Step::NewOrder, problem)
}

fn pending(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    order: &Order,
    effect: Effect,
    session: &Session,
    cx: &Context,
    decision: &mut Decision,
) {
    if order.expires.is_some_and(|expires| expires <= cx.now) {
        let problem = Problem::new(
            ProblemClass::Acme,
            "expired",
            "the order expired unfinished",
        );
        decision.and(fail(id, run, Step::Validation, &problem));
        return;
    }
    let mut accepted = WallMs(0);
    let mut seen = 0usize;
    for (_, authorization) in facts.authorizations_of(id) {
        if Some(authorization.order) != run.order {
            continue;
        }
        seen = seen.saturating_add(1);
        match &authorization.phase {
            authorization::Phase::Ready
            | authorization::Phase::Valid
            | authorization::Phase::Invalid(_) => accepted = accepted.max(authorization.since),
            authorization::Phase::ReadinessRefused(problem) => {
                decision.and(fail(id, run, Step::Validation, problem));
                return;
            }
            // The Validator is at work; its facts bring us here again.
            authorization::Phase::Seen
            | authorization::Phase::Chosen
            | authorization::Phase::Published
            | authorization::Phase::ReadinessRequested(_) => return,
        }
    }
    if seen < order.authorizations.len() {
        return;
    }
    if let Some(problem) = stalled(order, cx) {
        decision.and(fail(id, run, Step::Validation, &problem));
        return;
    }
    let looks = session.looks(&effect.key());
    let mut at = next_look(accepted.after(bounds::LOOK_FIRST), looks);
    if let Some(visited) = session.visited.filter(|visited| *visited > looks.last) {
        at = at
            .min(visited.max(accepted).after(bounds::LOOK_AFTER_VISIT))
            .max(looks.not_before);
    }
    look_at(effect, at, "the CA validates", cx, decision);
}

fn look_at(effect: Effect, at: WallMs, why: &'static str, cx: &Context, decision: &mut Decision) {
    if at <= cx.now {
        decision.effects.push(effect)
    } else {
        decision.wake_at(at, why)
    }
}

/// The first look at `first`, later ones ever more slowly; a Retry-After is a floor (RFC 8555 §7.5.1).
fn next_look(first: WallMs, looks: Looks) -> WallMs {
    if looks.count == 0 {
        return first;
    }
    let mut wait = bounds::LOOK_FIRST / 4;
    for _ in 1..looks.count.min(16) {
        wait = (wait * bounds::LOOK_GROWTH_PERCENT / 100).min(bounds::LOOK_MAX);
    }
    looks.last.after(wait).max(looks.not_before)
}

fn stalled(order: &Order, cx: &Context) -> Option<Problem> {
    let waited = cx.now.since(order.since);
    (waited > bounds::ORDER_STALLED).then(|| {
        let text = format!("the CA left the order {} unfinished", minutes(waited));
        Problem::new(ProblemClass::Acme, "stalled", &text)
    })
}

fn minutes(time: Duration) -> String {
    format!("{} minutes", time.as_secs() / 60)
}

/// The order is dead: the challenge's own error is the useful one, so the Validator looks first.
fn dead(facts: &Facts, id: CertificateId, run: &Run, problem: &Problem) -> Decision {
    let mut verdict = None;
    for (_, authorization) in facts.authorizations_of(id) {
        if Some(authorization.order) != run.order {
            continue;
        }
        match &authorization.phase {
            authorization::Phase::Invalid(problem) => verdict = Some(problem),
            authorization::Phase::Ready | authorization::Phase::ReadinessRequested(_) => {
                // Still to be looked at, unless that is over too (the Validator closes them all).
                return Decision::none();
            }
            authorization::Phase::Seen
            | authorization::Phase::Chosen
            | authorization::Phase::Published
            | authorization::Phase::ReadinessRefused(_)
            | authorization::Phase::Valid => {}
        }
    }
    let step = if run.adopted.is_none() && verdict.is_some() {
        Step::Validation
    } else {
        Step::Order
    };
    fail(id, run, step, verdict.unwrap_or(problem))
}
