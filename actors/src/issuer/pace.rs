//! How often an order is looked at, and when it is given up.

use std::time::Duration;

use renewd_events::order::Order;
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::{Facts, WallMs};
use renewd_replay::status::slow::issuing_max;

use crate::bounds;
use crate::decision::{Context, Decision, Looks, Session};
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

/// A look first, while this life has not heard what time it is at the CA: before that nothing is over that
/// the CA gave. One that tells no time was asked, and our clock is what there is.
pub(super) fn asks_the_time(look: &Effect, session: &Session, cx: &Context) -> Option<Decision> {
    let looks = session.looks(&look.key());
    if session.ahead.is_some() || looks.answered() || looks.hopeless().is_some() {
        return None;
    }
    let mut decision = Decision::none();
    decision.when_due(look.clone(), session, cx, "the CA is asked what time it is there");
    Some(decision)
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
    if looks.count > bounds::LOOKS_MAX {
        wait = bounds::LOOK_IDLE;
    }
    looks.last.after(wait).max(looks.not_before)
}

/// Why an order is given up that the CA does not validate. Only what this life has seen counts: time in
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
        let text =
            format!("the CA left the order unfinished for {} minutes", waited.as_secs() / 60);
        Problem::new(ProblemClass::Acme, "stalled", &text)
    })
}

/// Why an order is given up that the CA has the request of and does not issue. How long it was waited
/// for is counted as by [`in_vain_for`].
pub(super) fn not_issued(
    order: &Order,
    served_until: Option<WallMs>,
    looks: &Looks,
    cx: &Context,
) -> Option<Problem> {
    if let Some(problem) = looks.hopeless() {
        return Some(problem.clone());
    }
    let max = issuing_max(order.since, served_until);
    let looked = looks.answers > 1 && looks.failures == 0;
    (looked && lasted(max, order.since, looks.watched, cx)).then(|| {
        let hours = max.as_secs() / 3600;
        let text =
            format!("the CA took the certificate request and did not issue in {hours} hours");
        Problem::new(ProblemClass::Acme, "stalled", &text)
    })
}

/// Whether the same was asked in vain for so long: in this life, or since a moment of the log and long
/// enough in this life to tell that it still is in vain. A clock that jumped ahead, or a host that was
/// off, has not asked; one that is started every night has.
pub(super) fn in_vain_for(max: Duration, since: WallMs, looks: &Looks, cx: &Context) -> bool {
    looks.failures > 0 && lasted(max, since, looks.waited, cx)
}

/// `here`: how much of it this life has seen.
fn lasted(max: Duration, since: WallMs, here: Duration, cx: &Context) -> bool {
    let long_ago = cx.now.since(since) >= max && here >= bounds::ORDER_STALLED;
    long_ago || here >= max
}

/// Why the wait that the CA asks for leads nowhere: by then it has forgotten the order. Whoever waits for
/// it learns days later what can be known now; the next order waits for the same Retry-After.
pub(crate) fn outlasts_order(order: &Order, act: &Effect, session: &Session) -> Option<Problem> {
    let looks = session.looks(&act.key());
    let problem = looks.problem.as_ref().filter(|_| looks.asked.is_some())?;
    let end = order.expires.unwrap_or_else(|| order.since.after(bounds::ORDER_LIFE_UNSAID));
    if session.by_ca(looks.not_before) < end {
        return None;
    }
    let text = format!(
        "the CA asks to wait until {}, and the order ends at {end}; another one is made when the wait is \
         over. It said: {}",
        looks.not_before, problem.detail
    );
    let detail = renewd_events::problem::cut(&text, renewd_events::problem::EVIDENCE_OCTETS_MAX);
    Some(Problem { detail, ..problem.clone() })
}
