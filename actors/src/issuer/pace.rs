//! How often an order is looked at, and when it is given up.

use std::time::Duration;

use renewd_events::order::Order;
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Facts, WallMs};

use crate::bounds;
use crate::decision::{Context, Decision, Looks};
use crate::effect::Effect;

/// Looks now, or then.
pub(super) fn look_at(
    effect: Effect,
    at: WallMs,
    why: &'static str,
    cx: &Context,
    decision: &mut Decision,
) {
    if at <= cx.now { decision.effects.push(effect) } else { decision.wake_at(at, why) }
}

/// The first look at `first`, later ones ever more slowly; a Retry-After is a floor (RFC 8555 §7.5.1).
pub(super) fn next_look(first: WallMs, looks: &Looks) -> WallMs {
    if looks.count == 0 {
        return first;
    }
    let mut wait = bounds::LOOK_FIRST / 4;
    if planted::is(Bug::LooksUnbounded) {
        return looks.last.after(wait);
    }
    for _ in 1..looks.count.min(16) {
        wait = (wait * bounds::LOOK_GROWTH_PERCENT / 100).min(bounds::LOOK_MAX);
    }
    looks.last.after(wait).max(looks.not_before)
}

/// Why an order is given up that the CA leaves as it is. Only what this life has seen counts: time in
/// which nobody looked, or the CA did not answer, is not the CA's.
pub(super) fn given_up(
    facts: &Facts,
    order: &Order,
    looks: &Looks,
    cx: &Context,
) -> Option<Problem> {
    if let Some(problem) = looks.hopeless() {
        return Some(problem.clone());
    }
    let waited = cx.now.since(order.since.max(facts.engine.booted_at)).min(looks.watched);
    let looked = looks.answers > 1 && looks.failures == 0;
    // After the wall clock was set back nothing seems to have waited: looks have a bound of their own.
    let stalled = waited > bounds::ORDER_STALLED || looks.answers > bounds::LOOKS_MAX;
    let stalled = stalled && !planted::is(Bug::LooksUnbounded);
    (looked && stalled).then(|| {
        let text = format!("the CA left the order unfinished for {}", minutes(waited));
        Problem::new(ProblemClass::Acme, "stalled", &text)
    })
}

/// Whether the same was asked in vain for so long: in this life, or since a moment of the log and long
/// enough in this life to tell that it still is in vain. A clock that jumped ahead, or a host that was
/// off, has not asked; one that is started every night has.
pub(super) fn in_vain_for(max: Duration, since: WallMs, looks: &Looks, cx: &Context) -> bool {
    let long_ago = cx.now.since(since) >= max && looks.waited >= bounds::ORDER_STALLED;
    looks.failures > 0 && (long_ago || looks.waited >= max)
}

fn minutes(time: Duration) -> String {
    format!("{} minutes", time.as_secs() / 60)
}
