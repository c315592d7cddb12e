//! What to do about the order of a renewal, by its phase.

use renewd_events::authorization;
use renewd_events::certificate::{Certificate, KeyStep, Run};
use renewd_events::event::NewEvent;
use renewd_events::id::{AccountId, CertificateId, Hash, OrderId};
use renewd_events::order::{NewOrder, Order, OrderEvent, Phase};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Facts, WallMs};
use renewd_replay::codes::{Step, step_of};

use super::decide::{fail, is_orphaned, may_order_again, not_configured};
use super::download::download;
use super::pace::{asks_the_time, given_up, look_at, next_look, not_issued, outlasts_order};
use super::questions::questions;
use super::request::{answers_lost, find};
use crate::bounds;
use crate::decision::{Context, Decision, Session, fact, may_do};
use crate::effect::{Effect, OrderStage};
use crate::waiting;

/// The kind of problem of an order that was over, by our clock, when the CA made it.
pub(crate) const EXPIRED_WHEN_MADE: &str = "expired-when-made";

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
    // The Validator asked in vain until asking made no sense.
    if let Some((asked, problem)) = order.given_up() {
        return fail(id, run, step_of(asked), problem);
    }
    let decision = next(facts, id, run, order_id, order, session, cx);
    waiting::told(decision, (order_id, order, run.renewal), &questions(order_id, order), session)
}

/// The next thing to do.
fn next(
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
        Phase::Requested(intent) => return find(facts, id, run, order_id, intent, session, cx),
        Phase::Unresolved if is_orphaned(facts, id) => {
            return fail(id, run, Step::NewOrder, &not_configured());
        }
        Phase::Unresolved => {
            let due = cx.due(order.since, bounds::LOST_ANSWER_WAIT);
            if due > cx.now {
                decision.wake_at(due, "one more order");
                return decision;
            }
            if !may_order_again(facts, id, run) {
                return fail(id, run, Step::NewOrder, &answers_lost(session));
            }
            let mut request = request.clone();
            // The last try is without `replaces`: it is optional (RFC 9773 §5), and a CA that stumbles
            // over it with a 5xx says the same as a lost answer, every time.
            if run.orders.saturating_add(1) >= bounds::ORDERS_PER_RENEWAL_MAX {
                request.replaces = None;
            }
            return Decision::record(vec![again(run, request)]);
        }
        Phase::Refused(problem) => return refused(facts, id, run, request, problem),
        Phase::Pending => {
            return pending(facts, id, run, order, look(OrderStage::Pending), session, cx);
        }
        Phase::Ready => {
            if let KeyStep::Created { csr, .. } = &run.key {
                let event = OrderEvent::FinalizationRequested { csr: Hash::of(csr) };
                return Decision::record(vec![fact(order_id, event, Some(run.renewal), None)]);
            }
        }
        Phase::Finalizing(intent) => {
            let settle = look(OrderStage::Settling);
            return finalizing(
                id,
                run,
                (order_id, order, request.account, url),
                intent,
                settle,
                session,
                cx,
            );
        }
        Phase::FinalizeRefused(problem) => return fail(id, run, Step::Finalize, problem),
        Phase::Processing => {
            return processing(facts, id, run, order, look(OrderStage::Processing), session, cx);
        }
        Phase::Valid { .. } => {
            let effect = Effect::Download(order_id, request.account, url.clone());
            return download(facts, id, run, (order, request), effect, session, cx);
        }
        Phase::Rejected(problem) => return fail(id, run, Step::Chain, problem),
        Phase::Dead(problem) => return dead(facts, id, run, order, problem, cx),
    }
    decision
}

/// Sends the stored CSR, or asks first whether that was done.
fn finalizing(
    id: CertificateId,
    run: &Run,
    (order_id, order, account, url): (OrderId, &Order, AccountId, String),
    intent: &Durable<Hash>,
    settle: Effect,
    session: &Session,
    cx: &Context,
) -> Decision {
    let mut decision = Decision::none();
    let KeyStep::Created { csr, .. } = &run.key else {
        return decision;
    };
    if let Some(problem) = session.looks(&settle.key()).hopeless() {
        return fail(id, run, Step::Finalize, problem);
    }
    let mut csr = csr.clone();
    if planted::is(Bug::FreshCsr) && intent.meta().boot != cx.boot {
        csr.push(0);
    }
    let effect = Effect::Finalize(order_id, account, url, intent.clone(), csr);
    // Whatever the CA shows while it is being told settles nothing.
    if session.running.contains(&effect.key()) {
        return decision;
    }
    // "Come back later" is waited for; what more asking does not change is not asked for ever.
    if let Some(problem) = session.looks(&effect.key()).hopeless() {
        return fail(id, run, Step::Finalize, problem);
    }
    if may_do(intent, session, cx) || session.looks(&settle.key()).answered() {
        // The CA was asked, and has not begun.
        if let Some(problem) = outlasts_order(order, &effect, session) {
            return fail(id, run, Step::Finalize, &problem);
        }
        decision.when_due(effect, session, cx, "the CA did not take the CSR");
    } else {
        decision.when_due(settle, session, cx, "the CA is asked about the order");
    }
    decision
}

fn processing(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    order: &Order,
    effect: Effect,
    session: &Session,
    cx: &Context,
) -> Decision {
    let looks = session.looks(&effect.key());
    let served_until = facts.certificates.get(&id).and_then(Certificate::expires);
    if let Some(problem) = not_issued(order, served_until, looks, cx) {
        return fail(id, run, Step::Finalize, &problem);
    }
    let mut decision = Decision::none();
    let at = next_look(cx.due(order.since, bounds::LOOK_AFTER_FINALIZE), looks);
    look_at(effect, at, "the CA is issuing", cx, &mut decision);
    decision
}

/// One more order within the renewal.
fn again(run: &Run, request: NewOrder) -> NewEvent {
    let next = Certificate::order_id(run.renewal, run.orders.saturating_add(1));
    fact(next, OrderEvent::OrderRequested(request), Some(run.renewal), None)
}

/// Some refusals name a part of the request that can be left out (RFC 9773 §5, profiles draft).
fn refused(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    request: &NewOrder,
    problem: &Problem,
) -> Decision {
    let without_replaces = request.replaces.is_some()
        && (problem.is_acme("alreadyReplaced")
            || problem.is_acme("malformed")
            || problem.kind == "replaces-not-echoed");
    if without_replaces && may_order_again(facts, id, run) {
        let request = NewOrder { replaces: None, ..request.clone() };
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
) -> Decision {
    let looks = session.looks(&effect.key());
    if let Some(expires) = order.expires.filter(|expires| *expires <= session.by_ca(cx.now)) {
        if let Some(asks) = asks_the_time(&effect, session, cx) {
            return asks;
        }
        // Dead before it was made, at a CA that tells no time: then it is our clock, and one more order
        // would die the same way.
        let (kind, detail) = match expires <= order.since && session.ahead.is_none() {
            true => (
                EXPIRED_WHEN_MADE,
                "by this host's clock the order expired before the CA made it: set the clock",
            ),
            false => ("expired", "the order expired unfinished"),
        };
        let problem = Problem::new(ProblemClass::Acme, kind, detail);
        return fail(id, run, Step::Validation, &problem);
    }
    if let Some(problem) = looks.hopeless() {
        return fail(id, run, Step::Order, problem);
    }
    if let Some(problem) = given_up(facts, order, looks, cx) {
        return fail(id, run, Step::Validation, &problem);
    }
    if let Some(problem) = unprovable(facts, id, run) {
        return fail(id, run, Step::Validation, problem);
    }
    let mut decision = Decision::none();
    let at = match accepted(facts, id, run, order) {
        Err(problem) => return fail(id, run, Step::Readiness, problem),
        // The Validator is at work, or cannot get on: now and then the order itself is looked at.
        Ok(None) => {
            // What lies ahead is left out, or it would hide the looks of the present.
            let moments = [order.since, facts.engine.booted_at, looks.last];
            let since = moments.into_iter().filter(|moment| !cx.is_ahead(*moment)).max();
            since.unwrap_or_default().after(bounds::LOOK_IDLE)
        }
        Ok(Some(accepted)) => {
            let at = next_look(cx.due(accepted, bounds::LOOK_FIRST), looks);
            match session.visited.filter(|visited| *visited > looks.last) {
                Some(visited) => {
                    let soon = visited.max(accepted).after(bounds::LOOK_AFTER_VISIT);
                    at.min(soon).max(looks.not_before)
                }
                None => at,
            }
        }
    };
    look_at(effect, at, "the CA validates", cx, &mut decision);
    decision
}

/// Why the order never becomes ready: there is a name that is not proven by http-01. The CA is waiting for
/// another proof of it, so its own verdict does not come before the order expires.
fn unprovable<'a>(facts: &'a Facts, id: CertificateId, run: &Run) -> Option<&'a Problem> {
    let all = facts.authorizations_of(id).filter(|(_, it)| Some(it.order) == run.order);
    let mut invalid = all.filter_map(|(_, it)| match &it.phase {
        authorization::Phase::Invalid(problem) => Some(problem),
        authorization::Phase::Seen
        | authorization::Phase::Chosen
        | authorization::Phase::Published
        | authorization::Phase::ReadinessRequested(_)
        | authorization::Phase::ReadinessRefused(_)
        | authorization::Phase::Ready
        | authorization::Phase::Valid => None,
    });
    invalid.find(|problem| problem.kind == authorization::NO_HTTP_01)
}

/// When the CA had been told of the last name; nothing while it has not been told of all.
fn accepted<'a>(
    facts: &'a Facts,
    id: CertificateId,
    run: &Run,
    order: &Order,
) -> Result<Option<WallMs>, &'a Problem> {
    let mut last = WallMs(0);
    let mut seen = 0usize;
    let of_run = |it: &authorization::Authorization| Some(it.order) == run.order;
    for (_, it) in facts.authorizations_of(id).filter(|(_, it)| of_run(it)) {
        seen = seen.saturating_add(1);
        match &it.phase {
            authorization::Phase::Ready
            | authorization::Phase::Valid
            | authorization::Phase::Invalid(_) => last = last.max(it.since),
            authorization::Phase::ReadinessRefused(problem) => return Err(problem),
            authorization::Phase::Seen
            | authorization::Phase::Chosen
            | authorization::Phase::Published
            | authorization::Phase::ReadinessRequested(_) => return Ok(None),
        }
    }
    Ok((seen >= order.authorizations.len()).then_some(last))
}

/// The order is dead: the challenge's own error is the useful one, so the Validator looks first.
fn dead(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    order: &Order,
    problem: &Problem,
    cx: &Context,
) -> Decision {
    let give_up = cx.due(order.since, bounds::VERDICT_WAIT_MAX);
    let mut verdict = None;
    for (_, authorization) in facts.authorizations_of(id) {
        if Some(authorization.order) != run.order {
            continue;
        }
        match &authorization.phase {
            authorization::Phase::Invalid(problem) if problem.kind == authorization::UNDECIDED => {}
            authorization::Phase::Invalid(problem) => verdict = Some(problem),
            authorization::Phase::Ready | authorization::Phase::ReadinessRequested(_) => {
                // Still to be looked at by the Validator, for a while.
                if give_up > cx.now {
                    let mut decision = Decision::none();
                    decision.wake_at(give_up, "the order is dead");
                    return decision;
                }
            }
            authorization::Phase::Seen
            | authorization::Phase::Chosen
            | authorization::Phase::Published
            | authorization::Phase::ReadinessRefused(_)
            | authorization::Phase::Valid => {}
        }
    }
    let step =
        if run.adopted.is_none() && verdict.is_some() { Step::Validation } else { Step::Order };
    fail(id, run, step, verdict.unwrap_or(problem))
}
