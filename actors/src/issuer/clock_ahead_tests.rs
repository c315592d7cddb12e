//! This host's clock runs far ahead of the CA's: nothing is bought for that alone, and what is over in
//! truth is renewed all the same.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::certificate::CertificateEvent;
use renewd_events::event::Event;
use renewd_events::id::StreamId;
use renewd_events::order::OrderEvent;
use renewd_events::schedule::{Cause, ScheduleEvent};

use super::decide::decide;
use super::decide_tests::due;
use super::order::EXPIRED_WHEN_MADE;
use crate::bounds;
use crate::decision::{Ahead, Decision, Looks, Session};
use crate::effect::{Effect, OrderStage};
use crate::folded_tests::{Folded, ID, LIFE, NAME, NOW, context, issue, order, request};

const DAY: Duration = Duration::from_secs(86_400);
const YEARS: Duration = Duration::from_secs(3 * 365 * 86_400);

fn ahead(by: Duration, seen_for: Duration) -> Session {
    Session { ahead: Some(Ahead { by, seen_for }), ..Session::default() }
}

fn at(log: &Folded, session: &Session, now: WallMs) -> Decision {
    decide(&log.facts, ID, session, &context(now, log.boot))
}

fn names(decision: &Decision) -> Vec<&'static str> {
    decision.records.iter().map(|new| new.event.name()).collect()
}

/// Issued now, the next renewal planned for this moment.
fn planned(at: WallMs, cause: Cause) -> Folded {
    let mut log = due(&[NAME]);
    let event = ScheduleEvent::RenewalScheduled { at, cause, attempt: 1 };
    log.say(StreamId::schedule(ID), event);
    log
}

#[test]
fn what_is_due_by_such_a_clock_alone_waits_a_day_for_it_to_be_set() {
    let planned_at = NOW.after(60 * DAY);
    let begins = |by, seen_for, cause, days: u32| {
        let decision = at(&planned(planned_at, cause), &ahead(by, seen_for), NOW.after(DAY * days));
        assert!(!decision.records.is_empty() || decision.wake.is_some(), "{decision:?}");
        !decision.records.is_empty()
    };
    let (none, day, ms) = (Duration::ZERO, bounds::WRONG_CLOCK_RETRY, Duration::from_millis(1));
    for (days, half) in [(44, false), (45, true)] {
        let log = planned(NOW.after(20 * DAY), Cause::LifeLeft);
        let decision = at(&log, &ahead(60 * DAY, day), NOW.after(days * DAY));
        assert_eq!(!decision.records.is_empty(), half, "half of its life is over, or not");
    }
    for cause in [Cause::LifeLeft, Cause::DaysLeft, Cause::AriWindow] {
        assert!(!begins(40 * DAY, none, cause, 61), "by our clock alone");
        assert!(!begins(40 * DAY, day - ms, cause, 61));
        assert!(begins(40 * DAY, day, cause, 61), "the CA's clock may be the wrong one");
        assert!(begins(40 * DAY, none, cause, 100), "due by both");
        assert!(begins(bounds::CLOCK_AHEAD_MIN - ms, none, cause, 60), "not far");
        assert!(begins(none, none, cause, 60));
    }
    for cause in
        [Cause::FirstIssue, Cause::NamesChanged, Cause::CaChanged, Cause::Lost, Cause::Retry]
    {
        assert!(begins(YEARS, none, cause, 61), "{cause:?} is not due by dates");
    }
}

#[test]
fn an_order_lives_by_the_clock_of_the_ca_where_that_is_known() {
    let kind = |session: &Session, expires: WallMs| {
        let mut log = Folded::ordered(ID);
        log.created(1, Some(expires));
        let decision = at(&log, session, NOW);
        match decision.records.first().map(|new| &new.event) {
            Some(Event::Certificate(CertificateEvent::RenewalFailed { problem, .. })) => {
                Some(problem.kind.clone())
            }
            _ => None,
        }
    };
    // The CA's now is three years ago, and the order lives for a week from there.
    let expires = NOW.before(YEARS).after(7 * DAY);
    assert_eq!(kind(&ahead(YEARS, 30 * DAY), expires), None);
    assert_eq!(kind(&Session::default(), expires), None, "it is looked at first");
    let mut no_date = Session::default();
    let url = "https://ca.test/order/1".to_owned();
    let look = Effect::LookAtOrder(order(ID, 1), request(ID).account, url, OrderStage::Pending);
    no_date.looks.insert(look.key(), Looks { count: 1, last: NOW, ..Looks::default() });
    assert_eq!(kind(&no_date, expires).as_deref(), Some(EXPIRED_WHEN_MADE));
    let right = ahead(Duration::ZERO, Duration::ZERO);
    assert_eq!(
        kind(&right, expires).as_deref(),
        Some("expired"),
        "the CA's mistake, not our clock"
    );
    assert_eq!(kind(&ahead(YEARS, DAY), NOW.before(YEARS)).as_deref(), Some("expired"));
}

#[test]
fn a_certificate_that_is_over_by_such_a_clock_is_taken_when_it_outlives_the_present_one() {
    let adopted = |session: &Session, log: &mut Folded, ends: WallMs| {
        let mut leaf = issue(1).leaf;
        (leaf.not_before, leaf.not_after) = (ends.before(LIFE), ends);
        log.created(1, None);
        log.say(order(ID, 1), OrderEvent::ChainDownloaded(leaf));
        names(&at(log, session, NOW)).first().copied() == Some("GenerationAdopted")
    };
    let of_ca = NOW.before(YEARS);
    let far = ahead(YEARS, DAY);
    let fresh = || Folded::ordered(ID);
    assert!(adopted(&far, &mut fresh(), of_ca.after(LIFE)));
    assert!(!adopted(&far, &mut fresh(), of_ca), "over by the CA's clock too");
    let mut log = fresh();
    assert!(!adopted(&Session::default(), &mut log, of_ca.after(LIFE)));
    let first = at(&log, &Session::default(), NOW);
    let [look @ Effect::LookAtOrder(..)] = first.effects.as_slice() else { panic!("{first:?}") };
    let mut no_date = Session::default();
    no_date.looks.insert(look.key(), Looks { count: 1, last: NOW, ..Looks::default() });
    assert_eq!(names(&at(&log, &no_date, NOW)), ["ChainRejected"]);
    // The present one lives longer than what came: then the CA's clock is the wrong one.
    let beside = |ends: WallMs| {
        let mut log = fresh();
        let mut present = issue(1);
        present.leaf.not_after = ends;
        log.facts.certificates.get_mut(&ID).unwrap().current = Some(present);
        log
    };
    assert!(adopted(&far, &mut beside(of_ca.after(DAY)), of_ca.after(LIFE)));
    assert!(!adopted(&far, &mut beside(NOW.after(DAY)), of_ca.after(LIFE)));
}
