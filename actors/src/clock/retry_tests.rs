//! How long a failed renewal waits, by what failed.

use std::time::Duration;

use renewd_events::certificate::{Certificate, LifeLeft};
use renewd_events::problem::ProblemClass::{Acme, Http, Local, Protocol, Transport};
use renewd_events::schedule::{Cause, Schedule};

use super::plan::plan;
use super::plan_tests::{DAY, ID, NOW, certificate, context, failed};
use crate::bounds;
use crate::decision::spread;
use crate::issuer::{EXPIRED_ON_ARRIVAL, EXPIRED_WHEN_MADE};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The wait when the operator's first retry is after `first`.
fn wait(it: &Certificate, first: Duration) -> Duration {
    let mut cx = context();
    cx.rules.retry_first = first;
    let planned = plan(ID, it, false, &Schedule::default(), &cx).unwrap();
    assert_eq!(planned.cause, Cause::Retry);
    planned.at.since(NOW)
}

/// What is left of the present certificate when the renewal fails.
fn with_left(mut it: Certificate, left: Duration) -> Certificate {
    let mut current = certificate(left, LifeLeft::Share(1, 3)).current;
    if left.is_zero() {
        current.as_mut().unwrap().leaf.not_after = NOW.before(DAY);
    }
    it.current = current;
    it
}

/// What another certificate's or another try's wait is drawn from.
fn jitter(times: u32, span: Duration) -> Duration {
    spread(&[&ID.0, &times.to_le_bytes()], span)
}

#[test]
fn a_certificate_that_cannot_be_used_is_not_bought_again_soon() {
    let near = |found: Duration, wanted: Duration| found >= wanted && found <= wanted * 11 / 10;
    for (case, class, kind, times, first, wanted) in [
        ("first", Protocol, "chain", 1, MINUTE, 24 * HOUR),
        ("second", Protocol, "key-mismatch", 2, MINUTE, 72 * HOUR),
        ("third", Protocol, "names-missing", 3, MINUTE, 72 * HOUR),
        ("an operator who asks for haste", Protocol, "chain", 1, SECOND, SECOND),
        ("noise of a proxy", Protocol, "json", 1, MINUTE, MINUTE),
        ("the same word of another", Http, "chain", 1, MINUTE, MINUTE),
        ("of this host", Local, "chain", 1, MINUTE, MINUTE),
    ] {
        let found = wait(&failed(class, kind, None, times), first);
        assert!(near(found, wanted), "{case}: {found:?}");
    }
}

#[test]
fn a_quarter_of_what_is_left_bounds_the_wait_unless_the_next_one_is_as_useless() {
    let rare = || failed(Local, "vault", None, 100);
    assert_eq!(wait(&rare(), MINUTE), DAY);
    assert_eq!(wait(&with_left(rare(), 8 * HOUR), MINUTE), 2 * HOUR);
    assert_eq!(wait(&with_left(rare(), Duration::ZERO), MINUTE), DAY, "nothing is left");
    let useless = with_left(failed(Protocol, "chain", None, 1), 8 * HOUR);
    assert!(wait(&useless, MINUTE) >= DAY);
}

#[test]
fn a_wait_that_the_ca_names_is_a_floor_with_a_little_on_top_and_others_are_spread_by_a_tenth() {
    let limited = "urn:ietf:params:acme:error:rateLimited";
    let asked = 3 * HOUR;
    let named = wait(&failed(Acme, limited, Some(asked), 2), MINUTE);
    assert_eq!(named, asked + jitter(2, asked * 3 / 100));
    assert_ne!(jitter(2, asked * 3 / 100), jitter(2, asked / 300));
    let down = wait(&failed(Transport, "timeout", None, 2), MINUTE);
    assert_eq!(down, 2 * MINUTE + jitter(2, 2 * MINUTE / 10));
    assert_ne!(jitter(2, 2 * MINUTE / 10), Duration::ZERO);
    assert_eq!(wait(&failed(Local, "vault", None, 2), MINUTE), 2 * MINUTE, "nobody to spread for");
}

#[test]
fn a_clock_that_makes_every_certificate_worthless_is_waited_for() {
    let near = |found: Duration, wanted: Duration| found >= wanted && found <= wanted * 11 / 10;
    for (class, kind, clock) in [
        (Acme, EXPIRED_WHEN_MADE, true),
        (Protocol, EXPIRED_ON_ARRIVAL, true),
        (Protocol, EXPIRED_WHEN_MADE, false),
        (Acme, EXPIRED_ON_ARRIVAL, false),
        (Acme, "malformed", false),
        (Protocol, "json", false),
        (Local, EXPIRED_ON_ARRIVAL, false),
    ] {
        let found = wait(&failed(class, kind, None, 1), SECOND);
        let wanted = if clock { bounds::WRONG_CLOCK_RETRY } else { SECOND };
        assert!(near(found, wanted), "{class:?} {kind}: {found:?}");
    }
    for left in [8 * HOUR, 8 * MINUTE] {
        let left = with_left(failed(Acme, EXPIRED_WHEN_MADE, None, 1), left);
        assert!(near(wait(&left, SECOND), bounds::WRONG_CLOCK_RETRY), "left by the wrong clock");
    }
}

#[test]
fn a_failure_of_the_future_is_tried_again_now_and_no_other_is() {
    let at = |failed_at| {
        let mut it = failed(Local, "vault", None, 3);
        it.failure.as_mut().unwrap().at = failed_at;
        plan(ID, &it, false, &Schedule::default(), &context()).unwrap().at
    };
    let horizon = NOW.after(bounds::JUMP_MIN);
    assert_eq!(at(horizon), horizon.after(4 * MINUTE));
    assert_eq!(at(horizon.after(Duration::from_millis(1))), NOW);
    assert_eq!(at(NOW.after(400 * DAY)), NOW, "the clock was set back since");
}

#[test]
fn after_a_failed_challenge_people_get_longer_each_time_up_to_a_day() {
    let refused = "urn:ietf:params:acme:error:dns";
    let waits = [10 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR, DAY, DAY];
    for (times, wanted) in (1..).zip(waits) {
        let found = wait(&failed(Acme, refused, None, times), MINUTE);
        assert!(found >= wanted && found <= wanted * 11 / 10, "{times}: {found:?}");
    }
    let found = wait(&failed(Acme, refused, None, 1), SECOND);
    assert!(found < 2 * SECOND, "an operator who asks for haste: {found:?}");
}
