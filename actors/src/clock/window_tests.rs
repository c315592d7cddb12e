//! The edges of the CA's window and of a policy: what is still followed, and what never at once.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::certificate::{Certificate, LifeLeft};
use renewd_events::schedule::{Cause, Schedule, Window};

use super::plan::{Plan, plan};
use super::plan_tests::{DAY, ID, NOW, asked, certificate, context};
use crate::bounds;

const MS: Duration = Duration::from_millis(1);

fn window(start: WallMs, end: WallMs) -> Schedule {
    let ari_id = "aki.0a".to_owned();
    let window = Window { ari_id, start, end, explanation_url: None };
    Schedule { window: Some(window), ..Schedule::default() }
}

fn planned(it: &Certificate, schedule: &Schedule) -> Plan {
    plan(ID, it, false, schedule, &context()).unwrap()
}

#[test]
fn a_window_is_followed_until_a_tenth_of_the_life_is_left() {
    let it = certificate(90 * DAY, LifeLeft::Share(1, 3));
    let last = NOW.after(81 * DAY);
    let at_last = planned(&it, &window(last, last));
    assert_eq!((at_last.at, at_last.cause), (last, Cause::AriWindow));
    let late = planned(&it, &window(last.after(MS), last.after(MS)));
    assert_eq!(late.cause, Cause::LifeLeft);
}

#[test]
fn a_window_that_has_begun_is_followed_with_a_pause_when_the_renewal_before_was_a_moment_ago() {
    let at = |life: Duration, since: Duration, start: WallMs| {
        let mut it = certificate(life, LifeLeft::Share(1, 3));
        it.asked = Some(asked(&it, Cause::LifeLeft));
        it.renewed_at = Some(NOW);
        it.renewed_before = Some(NOW.before(since));
        // One millisecond long, so that it is known which is drawn.
        let planned = planned(&it, &window(start, start.after(MS)));
        assert_eq!(planned.cause, Cause::AriWindow);
        planned.at
    };
    let life = 80 * DAY;
    let paused = NOW.after(bounds::PAST_WINDOW_PAUSE);
    assert_eq!(at(life, life / 4 - MS, NOW), paused);
    assert_eq!(at(life, DAY, NOW), paused);
    assert_eq!(at(life, life / 4, NOW), NOW, "not a moment ago");
    assert_eq!(at(life, life / 4 + MS, NOW), NOW);
    assert_eq!(at(life, DAY, NOW.after(MS)), NOW.after(MS), "it begins after the renewal");
    let short = 2 * DAY;
    assert_eq!(at(short, MS, NOW), NOW.after(short / 4), "a quarter of a short life is enough");
}

#[test]
fn what_looks_over_since_the_clock_is_wrong_is_renewed_after_a_quarter_of_its_life() {
    let life = 90 * DAY;
    let mut it = certificate(life, LifeLeft::Share(1, 3));
    let leaf = &mut it.current.as_mut().unwrap().leaf;
    leaf.not_before = NOW.before(80 * DAY);
    leaf.not_after = NOW.after(10 * DAY);
    let at = |renewed: Option<WallMs>| {
        let mut it = it.clone();
        it.renewed_at = renewed;
        planned(&it, &Schedule::default()).at
    };
    let due = at(None);
    assert!(due < NOW, "{due}");
    assert_eq!(at(Some(NOW)), NOW.after(life / 4));
    let ahead = NOW.after(bounds::JUMP_MIN);
    assert_eq!(at(Some(ahead)), ahead.after(life / 4));
    assert_eq!(at(Some(ahead.after(MS))), due, "a moment of the future says nothing");
    assert_eq!(at(Some(NOW.before(life))), due, "long ago");
}

#[test]
fn half_of_a_life_below_ten_days_is_left_and_any_share_of_a_longer_one() {
    for (life, share, left) in [
        (10 * DAY, LifeLeft::Share(1, 5), 2 * DAY),
        (10 * DAY - MS, LifeLeft::Share(1, 5), 5 * DAY),
        (90 * DAY, LifeLeft::Share(2, 3), 60 * DAY),
    ] {
        let it = certificate(life, share);
        let (found, latest) = (planned(&it, &Schedule::default()).at, NOW.after(life - left));
        let early = latest.since(found);
        assert!(found <= latest && early < life / 50 + MS, "{life:?} {share:?}: {found}");
    }
}

#[test]
fn no_window_waits_for_a_renewal_of_the_future() {
    let past = window(NOW.before(2 * DAY), NOW.before(DAY));
    let at = |renewed_at, before| {
        let mut it = certificate(90 * DAY, LifeLeft::Share(1, 3));
        it.asked = Some(asked(&it, Cause::AriWindow));
        (it.renewed_at, it.renewed_before) = (Some(renewed_at), before);
        planned(&it, &past).at
    };
    assert!(at(NOW, None) > NOW, "one after the other takes its time");
    for before in [None, Some(NOW), Some(NOW.after(39 * DAY))] {
        assert!(at(NOW.after(40 * DAY), before) < NOW, "{before:?}: the clock was set back since");
    }
    // What follows is counted from a renewal of the present, and waits a day at most.
    let next = at(NOW, Some(NOW.after(40 * DAY)));
    assert!(next > NOW && next <= NOW.after(bounds::PAST_WINDOW_PAUSE), "{next:?}");
}
