//! An order after the wall clock was set back by thirty days: what the log says happened lies ahead,
//! and nothing waits until the clock is there again, nor is anything done without a pause.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::authorization::AuthorizationEvent;
use renewd_events::id::Hash;
use renewd_events::order::{OrderEvent, OrderStatus};
use renewd_events::problem::{Problem, ProblemClass};

use super::decide::decide;
use crate::bounds;
use crate::decision::{Decision, Looks, Session};
use crate::effect::{Effect, OrderStage};
use crate::folded_tests::{Folded, ID, NOW, context, order, request};

/// What the clock showed before.
fn ahead() -> WallMs {
    NOW.after(Duration::from_secs(30 * 86_400))
}

fn decided(log: &Folded, session: &Session, now: WallMs) -> Decision {
    decide(&log.facts, ID, session, &context(now, log.boot))
}

fn look(stage: OrderStage) -> Effect {
    Effect::LookAtOrder(
        order(ID, 1),
        request(ID).account,
        "https://ca.test/order/1".to_owned(),
        stage,
    )
}

/// One look has ended a moment ago.
fn looked(stage: OrderStage) -> Session {
    let mut session = Session::default();
    session.looks.insert(look(stage).key(), Looks { count: 1, last: NOW, ..Looks::default() });
    session
}

/// An order that was made by the clock of before.
fn made() -> Folded {
    let mut log = Folded::ordered(ID);
    log.at = ahead();
    log.created(1, None);
    log
}

/// It is looked at now, and then at this pace.
fn goes_on(log: &Folded, stage: OrderStage, pace: Duration) {
    let first = decided(log, &Session::default(), NOW);
    assert_eq!(first.effects.first().map(Effect::key), Some(look(stage).key()), "{first:?}");
    let then = decided(log, &looked(stage), NOW);
    assert!(then.effects.is_empty(), "{then:?}");
    assert_eq!(then.wake.map(|(at, _)| at), Some(NOW.after(pace)));
}

#[test]
fn an_order_that_waits_for_its_names() {
    goes_on(&made(), OrderStage::Pending, bounds::LOOK_IDLE);
}

#[test]
fn an_order_whose_challenge_was_accepted() {
    let mut log = made();
    let name = log.chosen(0);
    log.say(name, AuthorizationEvent::ReadinessAccepted { inferred: false });
    goes_on(&log, OrderStage::Pending, bounds::LOOK_FIRST / 4);
}

#[test]
fn an_order_whose_finalization_was_accepted() {
    let mut log = made();
    log.say(order(ID, 1), OrderEvent::OrderBecameReady { looks: 1 });
    log.say(order(ID, 1), OrderEvent::FinalizationRequested { csr: Hash::default() });
    let status = OrderStatus::Processing;
    log.say(order(ID, 1), OrderEvent::FinalizationAccepted { status });
    goes_on(&log, OrderStage::Processing, bounds::LOOK_FIRST / 4);
}

#[test]
fn an_order_that_nobody_can_tell_of() {
    let mut log = Folded::ordered(ID);
    log.at = ahead();
    log.say(order(ID, 1), OrderEvent::OrderRequestUnresolved { evidence: String::new() });
    let mut decision = decided(&log, &Session::default(), NOW);
    log.at = NOW;
    assert_eq!(log.record(std::mem::take(&mut decision.records)), ["OrderRequested"]);
}

#[test]
fn a_dead_order_whose_names_have_no_verdict() {
    let mut log = made();
    let name = log.chosen(0);
    log.say(name, AuthorizationEvent::ReadinessAccepted { inferred: false });
    let problem = Problem::new(ProblemClass::Acme, "malformed", "");
    log.say(order(ID, 1), OrderEvent::OrderBecameInvalid { problem });
    let records = decided(&log, &Session::default(), NOW).records;
    assert_eq!(log.record(records), ["RenewalFailed"]);
}
