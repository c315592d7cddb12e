//! newOrder: asked once; one whose answer is lost is settled by asking for the account's list.

use renewd_events::certificate::Run;
use renewd_events::id::{CertificateId, OrderId};
use renewd_events::order::{NewOrder, Phase};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Durable, Facts, WallMs};
use renewd_replay::codes::Step;

use super::decide::fail;
use super::pace::in_vain_for;
use crate::bounds;
use crate::decision::{Context, Decision, Looks, Session, may_do};
use crate::effect::{CREATE_ORDER, Effect};

/// Asks for the order; one whose answer is lost is settled by asking for the account's list.
pub(super) fn find(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    order_id: OrderId,
    intent: &Durable<NewOrder>,
    session: &Session,
    cx: &Context,
) -> Decision {
    let mut decision = Decision::none();
    if twin_goes_first(facts, id, intent) {
        decision
            .wake_at(cx.now.after(bounds::TWIN_WAIT), "a certificate of the same names is ordered");
        return decision;
    }
    if may_do(intent, session, cx) {
        decision.effects.push(Effect::CreateOrder(order_id, intent.clone()));
        return decision;
    }
    if planted::is(Bug::NeverSettled) && intent.meta().boot != cx.boot {
        return decision;
    }
    let effect = Effect::FindOrder(order_id, intent.clone(), known_urls(facts));
    if let Some(problem) = gives_up(intent, session.looks(&effect.key()), cx) {
        return fail(id, run, Step::NewOrder, problem);
    }
    let at = search_at(order_id, intent, session.looks(&effect.key()), session);
    if at <= cx.now {
        decision.effects.push(effect);
    } else {
        decision.wake_at(at, "the CA is asked whether it has the order");
    }
    decision
}

/// When the list is read next: each time after twice as long since the request, and at the end of the
/// time in which the order may still be made. A read that failed is repeated at its own pace.
fn search_at(id: OrderId, intent: &Durable<NewOrder>, looks: &Looks, session: &Session) -> WallMs {
    let sent = session.looks(&Effect::CreateOrder(id, intent.clone()).key());
    if looks.count == 0 && sent.count > 0 {
        return sent.last.after(bounds::LOST_ANSWER_WAIT);
    }
    if looks.count == 0 || looks.failures > 0 || looks.asked.is_some() {
        return looks.not_before;
    }
    let under_way = if sent.count > 0 { sent.last } else { intent.meta().at };
    let waited = looks.last.since(under_way).max(bounds::LOST_ANSWER_WAIT);
    let (next, end) = (looks.last.after(waited), may_come_until(id, intent, session));
    if looks.last < end { next.min(end) } else { next }
}

/// Until when an order that is not listed may still be made. What the CA itself answered is the end of
/// its work. After silence, and after a page of something before it, it may go on: for as long as it was
/// silent, within bounds. Of a request of an earlier life nothing is known but when it was decided.
pub(super) fn may_come_until(id: OrderId, intent: &Durable<NewOrder>, session: &Session) -> WallMs {
    let asked = intent.meta().at;
    let sent = session.looks(&Effect::CreateOrder(id, intent.clone()).key());
    if sent.count == 0 {
        return asked.after(bounds::LOST_ORDER_WAIT);
    }
    let has_ended = match sent.problem.as_ref().map(|problem| problem.class) {
        Some(ProblemClass::Acme | ProblemClass::Protocol | ProblemClass::Local) => true,
        Some(ProblemClass::Transport | ProblemClass::Http) | None => false,
    };
    if has_ended {
        return sent.last.after(bounds::LOST_ANSWER_WAIT);
    }
    let silent = sent.last.since(asked);
    sent.last.after(silent.clamp(bounds::LOST_ORDER_WAIT, bounds::LOST_ORDER_WAIT_MAX))
}

/// Why the list is not asked for any more. Junk in its place says nothing about the order, and giving
/// up means that the next renewal buys another: so it is asked for hours, unless the answer is about the
/// account, or comes from this host.
fn gives_up<'s>(intent: &Durable<NewOrder>, looks: &'s Looks, cx: &Context) -> Option<&'s Problem> {
    let of_account = |problem: &Problem| {
        ["accountDoesNotExist", "unauthorized", "userActionRequired"]
            .iter()
            .any(|kind| problem.is_acme(kind))
    };
    let long = in_vain_for(bounds::LIST_ASKED_MAX, intent.meta().at, looks, cx);
    looks.hopeless().filter(|it| long || it.class == ProblemClass::Local || of_account(it))
}

/// With what came in place of the last answer, as far as this life knows: a page of a proxy, say.
pub(super) fn answers_lost(session: &Session) -> Problem {
    let text = "the answers to several newOrder requests were lost";
    let sent = session.looks.iter().filter(|(key, _)| key.kind == CREATE_ORDER);
    let last = sent.max_by_key(|(_, looks)| looks.last).and_then(|(_, l)| l.problem.as_ref());
    let Some(last) = last else {
        return Problem::new(ProblemClass::Transport, "answers-lost", text);
    };
    let text = format!("{text}; in place of the last: {}: {}", last.short_kind(), last.detail);
    let mut lost =
        Problem::new(ProblemClass::Transport, "answers-lost", &text).about(&last.subject);
    lost.status = last.status;
    lost.retry_after_ms = last.retry_after_ms;
    lost
}

/// Whether another certificate of exactly the same names and account is being ordered before this one.
/// The account's list, and a CA that gives a pending order again, could not tell their orders apart:
/// both would take the same one, and one of them would finalize the other's.
fn twin_goes_first(facts: &Facts, id: CertificateId, intent: &Durable<NewOrder>) -> bool {
    let wanted = intent.intent();
    let others = facts.runs.iter().filter(|other| **other != id);
    let orders = others.filter_map(|other| facts.order_of(*other));
    let twins = orders.filter(|(_, order)| {
        order.request.as_ref().is_some_and(|request| {
            request.account == wanted.account && request.identifiers == wanted.identifiers
        })
    });
    twins.map(|(_, order)| order).any(|order| match &order.phase {
        // Of two that ask, the one that asked first: its place in the log is the same in every life.
        Phase::Requested(other) => other.meta().seq < intent.meta().seq,
        // Not at the CA, or not any more.
        Phase::Absent | Phase::Unresolved | Phase::Refused(_) | Phase::Dead(_) => false,
        Phase::Pending
        | Phase::Ready
        | Phase::Finalizing(_)
        | Phase::FinalizeRefused(_)
        | Phase::Processing
        | Phase::Valid { .. }
        | Phase::Downloaded(_)
        | Phase::Rejected(_) => true,
    })
}

/// URLs of orders that other renewals know: they are not the lost one.
fn known_urls(facts: &Facts) -> Vec<String> {
    facts.orders.values().filter_map(|order| order.url.clone()).collect()
}
