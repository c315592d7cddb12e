//! What to do about a certificate: begin a renewal, carry it on, or end it.

use renewd_events::certificate::{
    Certificate, CertificateEvent, Declaration, Issue, KeyRequest, KeyStep, Leaf, NOT_CONFIGURED,
    Run,
};
use renewd_events::event::NewEvent;
use renewd_events::id::{CertificateId, DnsName, Generation, KeyRef, OrderId};
use renewd_events::order::{NewOrder, OrderEvent, Phase};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::{Cause, Schedule};
use renewd_events::{Facts, WallMs};
use renewd_replay::codes::{Step, classify};

use renewd_replay::status::challenge_port_held;

use super::order;
use super::pace::asks_the_time;
use crate::bounds;
use crate::decision::{Context, Decision, Session, fact};
use crate::effect::{Effect, OrderStage};

/// Why a renewal that is due does not begin.
const HELD: &str = "another program holds the port for challenges";
/// Why a renewal that is due by our clock alone does not begin.
const CLOCK_AHEAD: &str = "this host's clock is far ahead of the CA's (R0907): set it";
/// The kind of problem of a certificate that was over, by our clock, when it came.
pub(crate) const EXPIRED_ON_ARRIVAL: &str = "expired";

/// What to do about a certificate.
pub(super) fn decide(
    facts: &Facts,
    id: CertificateId,
    session: &Session,
    cx: &Context,
) -> Decision {
    let Some(certificate) = facts.certificates.get(&id) else {
        return Decision::none();
    };
    let Some(declared) = &certificate.declared else {
        return Decision::none();
    };
    if certificate.anomaly.is_some() {
        return Decision::none();
    }
    match &certificate.run {
        Some(run) => carry_on(facts, id, certificate, run, session, cx),
        None if certificate.orphaned.is_some() => Decision::none(),
        None => begin(facts, id, certificate, declared, session, cx),
    }
}

/// Begins a renewal when one is due.
fn begin(
    facts: &Facts,
    id: CertificateId,
    certificate: &Certificate,
    declared: &Declaration,
    session: &Session,
    cx: &Context,
) -> Decision {
    let mut decision = Decision::none();
    let Some(schedule) = facts.schedules.get(&id) else {
        return decision;
    };
    let Some((cause, attempt)) = due(schedule, certificate, cx) else {
        if let Some(planned) = &schedule.planned {
            decision.wake_at(planned.at, "the renewal is due");
        }
        return decision;
    };
    if is_due_by_our_clock_alone(schedule, certificate, cause, session, cx) {
        decision.wake_at(cx.now.after(bounds::CLOCK_AHEAD_LOOK), CLOCK_AHEAD);
        return decision;
    }
    let usable = facts
        .accounts
        .get(&declared.account)
        .is_some_and(renewd_events::account::Account::may_order);
    if !usable {
        // The Registrar's next fact about the account brings us here again.
        return decision;
    }
    if challenge_port_held(facts).is_some() {
        // A try would be spent for nothing. When the port is free we are nudged.
        decision.wake_at(cx.now.after(bounds::LOOK_IDLE), HELD);
        return decision;
    }
    if facts.runs.len() >= cx.rules.parallel_max && !planted::is(Bug::ParallelIgnored) {
        decision.waits_for_turn = true;
        return decision;
    }
    start(id, certificate, declared, facts, cause, attempt)
}

/// Why a renewal begins now, if it does.
fn due(schedule: &Schedule, certificate: &Certificate, cx: &Context) -> Option<(Cause, u32)> {
    let attempt = certificate.failures.saturating_add(1);
    if schedule.requested.is_some() && !planted::is(Bug::WishForgotten) {
        return Some((Cause::Operator, attempt));
    }
    let planned = schedule.planned?;
    // A plan made under a clock that has been set back since is not waited for: the Clock makes it anew, but
    // only this part is woken by such a jump.
    let of_the_future = planned.cause == Cause::Retry && cx.is_ahead(planned.decided);
    (planned.at <= cx.now || of_the_future).then_some((planned.cause, planned.attempt))
}

/// Due by its dates, and only since this host's clock runs far ahead of the CA's: setting a clock costs
/// nothing, an order does. For a day, and for half of the life of what is there: it may be the CA's that is
/// wrong, and no clock alone stops a renewal.
fn is_due_by_our_clock_alone(
    schedule: &Schedule,
    certificate: &Certificate,
    cause: Cause,
    session: &Session,
    cx: &Context,
) -> bool {
    let by_dates = matches!(cause, Cause::LifeLeft | Cause::DaysLeft | Cause::AriWindow);
    let due = schedule.planned.is_none_or(|planned| planned.at <= session.by_ca(cx.now));
    if !by_dates || due {
        return false;
    }
    let fresh = session.ahead.is_some_and(|it| it.seen_for < bounds::WRONG_CLOCK_RETRY);
    let renewed = certificate.renewed_at.filter(|at| !cx.is_ahead(*at));
    let young = renewed.zip(certificate.current.as_ref()).is_some_and(|(renewed, issue)| {
        let life = issue.leaf.life();
        cx.now < renewed.after(life / 2)
    });
    fresh || young
}

fn start(
    id: CertificateId,
    certificate: &Certificate,
    declared: &Declaration,
    facts: &Facts,
    cause: Cause,
    attempt: u32,
) -> Decision {
    let number = certificate.renewals.saturating_add(1);
    let renewal = Certificate::renewal_id(id, number);
    let offers_ari = facts
        .accounts
        .get(&declared.account)
        .and_then(|account| account.directory.as_ref())
        .is_some_and(|directory| directory.renewal_info);
    // RFC 9773 §5: only a certificate that this CA may know, and only when a name stays the same.
    let replaces = certificate
        .current
        .as_ref()
        .filter(|issue| {
            offers_ari
                && !certificate.ca_changed()
                && declared
                    .identifiers
                    .iter()
                    .any(|name| issue.leaf.names.iter().any(|old| old == name.as_str()))
        })
        .and_then(|issue| issue.leaf.ari_id.clone());
    let key = KeyRequest {
        key_ref: KeyRef(format!("cert-{id}-{number}")),
        identifiers: declared.identifiers.clone(),
    };
    let started = CertificateEvent::RenewalStarted { number, cause, attempt, replaces };
    // No order is bought before its key is durable: a vault that cannot be written would cost one with
    // every try.
    Decision::record(vec![
        fact(id, started, Some(renewal), None),
        fact(id, CertificateEvent::CertificateKeyRequested(key), Some(renewal), None),
    ])
}

/// The first order of a renewal, for the names that its CSR is for: others may be configured since.
fn first_order(id: CertificateId, run: &Run, declared: &Declaration) -> NewEvent {
    let order = NewOrder {
        certificate: id,
        account: declared.account,
        identifiers: run.identifiers.clone(),
        profile: declared.profile.clone(),
        replaces: run.replaces.clone(),
    };
    let order_id = Certificate::order_id(run.renewal, 1);
    fact(order_id, OrderEvent::OrderRequested(order), Some(run.renewal), None)
}

fn carry_on(
    facts: &Facts,
    id: CertificateId,
    certificate: &Certificate,
    run: &Run,
    session: &Session,
    cx: &Context,
) -> Decision {
    if let Some(generation) = run.adopted {
        let adopted = certificate.renewed_at.unwrap_or(run.started);
        return served(facts, id, run, (generation, adopted), cx);
    }
    if planted::is(Bug::RenewalBegunAnew) && run.started < facts.engine.booted_at {
        let problem = Problem::new(ProblemClass::Local, "interrupted", "the process has ended");
        return fail(id, run, Step::Order, &problem);
    }
    let mut decision = Decision::none();
    if let KeyStep::Requested(intent) = &run.key {
        let effect = Effect::EnsureKey(intent.clone());
        decision.when_due(effect, session, cx, "the vault could not make the key");
    }
    if let KeyStep::Failed(problem) = &run.key {
        return fail(id, run, Step::Key, problem);
    }
    let Some((order_id, order)) = facts.order_of(id) else {
        if certificate.orphaned.is_some() {
            return fail(id, run, Step::Order, &not_configured());
        }
        if let (KeyStep::Created { .. }, Some(declared)) = (&run.key, &certificate.declared) {
            return Decision::record(vec![first_order(id, run, declared)]);
        }
        return decision;
    };
    if order.anomaly.is_some() {
        return decision;
    }
    if let Phase::Downloaded(leaf) = &order.phase {
        let names = order.request.as_ref().map(|request| request.identifiers.as_slice());
        let over = is_over(leaf, certificate, session, cx);
        let look = order.request.as_ref().map(|request| {
            let url = order.url.clone().unwrap_or_default();
            Effect::LookAtOrder(order_id, request.account, url, OrderStage::Settling)
        });
        if let Some(asks) = look.filter(|_| over).and_then(|it| asks_the_time(&it, session, cx)) {
            return asks;
        }
        return adopt(id, certificate, run, order_id, leaf, names.unwrap_or_default(), over);
    }
    decision.and(order::decide(facts, id, run, order_id, order, session, cx));
    decision
}

/// The new issue is adopted; the renewal ends when every binding serves it, or after a bound.
fn served(
    facts: &Facts,
    id: CertificateId,
    run: &Run,
    (generation, adopted): (Generation, WallMs),
    cx: &Context,
) -> Decision {
    let all = facts.bindings_of(id).all(|(_, binding)| {
        binding.served.as_ref().is_some_and(|served| served.generation >= generation)
    });
    let life = facts
        .certificates
        .get(&id)
        .and_then(|c| c.current.as_ref())
        .map_or(bounds::SERVED_WAIT_MAX, |issue| issue.leaf.life() / 4);
    // After the clock was set back, from then or from the start of this life: the Binder needs a moment to
    // look. A jump that just was is not in the log yet, and brings us here again when it is.
    let since = match cx.is_ahead(adopted) {
        false => adopted,
        true => {
            let present = [Some(facts.engine.booted_at), facts.clock.jumped_at];
            let present = present.into_iter().flatten().filter(|it| !cx.is_ahead(*it)).max();
            present.unwrap_or(cx.now)
        }
    };
    let mut give_up = since.after(bounds::SERVED_WAIT_MAX.min(life));
    if planted::is(Bug::NeverUnserved) {
        give_up = WallMs(u64::MAX);
    }
    let all = all && !planted::is(Bug::SaidUnserved);
    if !all && give_up > cx.now {
        // The Binder's facts bring us here again.
        let mut decision = Decision::none();
        decision.wake_at(give_up, "the renewal ends, served or not");
        return decision;
    }
    if !all {
        let event = CertificateEvent::RenewalEndedUnserved { generation };
        return Decision::record(vec![fact(id, event, Some(run.renewal), None)]);
    }
    let event = CertificateEvent::RenewalSucceeded { generation };
    Decision::record(vec![fact(id, event, Some(run.renewal), None)])
}

/// Ends the renewal with a cause.
pub(super) fn fail(id: CertificateId, run: &Run, step: Step, problem: &Problem) -> Decision {
    let event = CertificateEvent::RenewalFailed {
        code: classify(step, problem).to_owned(),
        problem: problem.clone(),
    };
    Decision::record(vec![fact(id, event, Some(run.renewal), None)])
}

/// Whether a certificate is over when it comes. By our clock, unless that runs far ahead of the CA's: then
/// by the CA's, but never to the loss of one that lives longer, for the CA's may be the wrong one.
fn is_over(leaf: &Leaf, certificate: &Certificate, session: &Session, cx: &Context) -> bool {
    let present = certificate.expires();
    let better = present.is_none_or(|present| leaf.not_after > present);
    let now = if better { session.by_ca(cx.now) } else { cx.now };
    leaf.not_after <= now
}

/// Checks what was downloaded against what was asked for, and adopts or rejects it.
fn adopt(
    id: CertificateId,
    certificate: &Certificate,
    run: &Run,
    order: OrderId,
    leaf: &Leaf,
    asked: &[DnsName],
    over: bool,
) -> Decision {
    let KeyStep::Created { key_ref, spki, .. } = &run.key else {
        return Decision::none();
    };
    // What was asked for counts; names that were configured meanwhile are the next renewal's.
    let held = |name: &DnsName| leaf.names.iter().any(|held| held == name.as_str());
    let names = asked.iter().all(held);
    let wrong = if leaf.spki != *spki {
        Some(("key-mismatch", "the certificate holds another public key than the one sent"))
    } else if !names {
        Some(("names-missing", "the certificate lacks names that were asked for"))
    } else if leaf.not_after <= leaf.not_before {
        Some(("no-lifetime", "the certificate ends before it begins"))
    } else if over {
        Some((EXPIRED_ON_ARRIVAL, "the certificate is expired on arrival: set this host's clock"))
    } else {
        None
    };
    let renewal = Some(run.renewal);
    if let Some((kind, detail)) = wrong {
        let problem = Problem::new(ProblemClass::Protocol, kind, detail);
        let rejected = OrderEvent::ChainRejected { problem };
        return Decision::record(vec![fact(order, rejected, renewal, None)]);
    }
    let generation =
        certificate.current.as_ref().map_or(Generation(1), |issue| issue.generation.next());
    let issue =
        Issue { generation, order, key_ref: key_ref.clone(), spki: *spki, leaf: leaf.clone() };
    Decision::record(vec![fact(id, CertificateEvent::GenerationAdopted(issue), renewal, None)])
}

/// Whether a renewal may ask for one more order. Of a certificate that nobody wants any more only what is
/// at the CA already is carried on.
pub(super) fn may_order_again(facts: &Facts, id: CertificateId, run: &Run) -> bool {
    run.orders < bounds::ORDERS_PER_RENEWAL_MAX && !is_orphaned(facts, id)
}

/// Whether the configuration no longer names it.
pub(super) fn is_orphaned(facts: &Facts, id: CertificateId) -> bool {
    facts.certificates.get(&id).is_some_and(|certificate| certificate.orphaned.is_some())
}

/// Why nothing more is ordered for it.
pub(super) fn not_configured() -> Problem {
    let text = "the configuration no longer names this certificate, so no order is placed for it";
    Problem::new(ProblemClass::Local, NOT_CONFIGURED, text)
}
