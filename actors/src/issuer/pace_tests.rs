//! The pace of looks, and when an order is given up.

use std::time::Duration;

use renewd_events::order::Order;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Facts, WallMs};

use renewd_replay::status::slow::{ISSUING_MAX, ISSUING_MIN};

use super::pace::{given_up, next_look, not_issued};
use crate::bounds;
use crate::decision::Looks;
use crate::folded_tests::{NOW, context};
use renewd_events::id::BootNo;

fn looks(count: u32) -> Looks {
    Looks { count, answers: count, last: NOW, ..Looks::default() }
}

#[test]
fn looks_grow_slower_up_to_their_bound() {
    let first = WallMs(NOW.0 + 5);
    assert_eq!(next_look(first, &looks(0)), first);
    let waits = [250, 400, 640, 1024];
    for (count, wait) in (1..).zip(waits) {
        assert_eq!(next_look(first, &looks(count)).since(NOW), Duration::from_millis(wait));
    }
    for count in [11, 16, 17, bounds::LOOKS_MAX] {
        assert_eq!(next_look(first, &looks(count)).since(NOW), bounds::LOOK_MAX, "{count}");
    }
    let later = looks(bounds::LOOKS_MAX + 1);
    assert_eq!(next_look(first, &later).since(NOW), bounds::LOOK_IDLE, "an hour of looks is over");
    let asked = Looks { not_before: NOW.after(bounds::LOOK_MAX * 2), ..looks(1) };
    assert_eq!(next_look(first, &asked), asked.not_before, "a Retry-After is a floor");
}

#[test]
fn an_order_is_given_up_only_for_what_this_life_has_seen() {
    let stalled = |looks: &Looks, waited: Duration, booted: WallMs| {
        let mut facts = Facts::default();
        facts.engine.booted_at = booted;
        let order = Order { since: NOW, ..Order::default() };
        let looks = Looks { watched: waited, ..looks.clone() };
        given_up(&facts, &order, &looks, &context(NOW.after(waited), BootNo(1)))
    };
    let (long, ms) = (bounds::ORDER_STALLED, Duration::from_millis(1));
    assert_eq!(stalled(&looks(2), long, WallMs(0)), None);
    let problem = stalled(&looks(2), long + ms, WallMs(0)).unwrap();
    assert_eq!(problem.kind, "stalled");
    assert!(problem.detail.contains("60 minutes"), "{}", problem.detail);
    // One look, or one that failed, is not enough.
    assert_eq!(stalled(&looks(1), long + ms, WallMs(0)), None);
    assert_eq!(stalled(&Looks { failures: 1, ..looks(2) }, long + ms, WallMs(0)), None);
    // Time before this life is not the CA's.
    assert_eq!(stalled(&looks(2), long + ms, WallMs(NOW.0 + 1)), None);
    // A wall clock set back: looks have a bound of their own.
    assert_eq!(stalled(&looks(bounds::LOOKS_MAX), ms, WallMs(0)), None);
    assert!(stalled(&looks(bounds::LOOKS_MAX + 1), ms, WallMs(0)).is_some());
    // In an outage nobody saw anything, however long it was and however often was looked.
    let count = bounds::LOOKS_MAX * 2;
    let outage = Looks { count, waited: long * 9, answers: 2, ..looks(2) };
    let order = Order { since: NOW, ..Order::default() };
    let after = context(NOW.after(long * 9), BootNo(1));
    assert_eq!(given_up(&Facts::default(), &order, &outage, &after), None);
    let problem = Problem::new(ProblemClass::Protocol, "noise", "");
    let hopeless =
        Looks { failures: bounds::HOPELESS_AFTER, problem: Some(problem.clone()), ..looks(3) };
    assert_eq!(stalled(&hopeless, ms, WallMs(0)), Some(problem));
}

#[test]
fn a_ca_may_take_hours_to_issue_and_not_for_ever() {
    let after = |waited: Duration, wall: Duration, served_until, looks: &Looks| {
        let order = Order { since: NOW, ..Order::default() };
        let looks = Looks { watched: waited, ..looks.clone() };
        not_issued(&order, served_until, &looks, &context(NOW.after(wall), BootNo(1)))
    };
    let ms = Duration::from_millis(1);
    let said = |max: Duration, served_until| {
        let many = looks(bounds::LOOKS_MAX * 2);
        assert_eq!(after(max - ms, max - ms, served_until, &many), None);
        // A wall clock set back: the pace of the looks counts alone.
        let problem = after(max, Duration::ZERO, served_until, &many).unwrap();
        assert_eq!(problem.kind, "stalled");
        // A host that starts every night has waited too; a clock that jumped ahead has not.
        assert!(after(bounds::ORDER_STALLED, max, served_until, &many).is_some());
        assert_eq!(after(bounds::ORDER_STALLED - ms, max * 9, served_until, &many), None);
        problem.detail
    };
    assert!(said(ISSUING_MAX, None).ends_with("in 36 hours"));
    assert!(said(ISSUING_MIN, Some(NOW)).ends_with("in 6 hours"));
    // What was not looked at, or not answered, is not the CA's.
    for unseen in [looks(1), Looks { failures: 1, ..looks(2) }] {
        assert_eq!(after(ISSUING_MAX, ISSUING_MAX, None, &unseen), None);
    }
}
