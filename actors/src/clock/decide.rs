//! What to do about a schedule.

use std::time::Duration;

use renewd_events::binding::Setback;
use renewd_events::certificate::{Certificate, Declaration};
use renewd_events::event::NewEvent;
use renewd_events::id::{CertificateId, StreamId};
use renewd_events::planted::{self, Bug};
use renewd_events::process::ClockEvent;
use renewd_events::schedule::{Cause, Planned, Schedule, ScheduleEvent};
use renewd_events::{Facts, WallMs};

use super::plan::{Plan, plan};
use crate::bounds;
use crate::decision::{Context, Decision, Looks, Session, fact, spread};
use crate::effect::{Effect, Outcome};

/// What to do about a certificate's schedule.
pub(super) fn certificate(
    facts: &Facts,
    id: CertificateId,
    session: &Session,
    cx: &Context,
) -> Decision {
    let Some(certificate) = facts.certificates.get(&id) else {
        return Decision::none();
    };
    if certificate.run.is_some() {
        return Decision::none();
    }
    let fresh = Schedule::default();
    let schedule = facts.schedules.get(&id).unwrap_or(&fresh);
    let mut decision = Decision::none();
    // One place that cannot have it is enough: key and chain are the same everywhere.
    let lost = facts.bindings_of(id).any(|(_, binding)| {
        binding.target.is_some() && binding.setback.as_ref().is_some_and(Setback::is_loss)
    });
    if let Some(plan) = plan(id, certificate, lost, schedule, cx)
        && !same(schedule.planned.as_ref(), plan, cx)
    {
        let Plan { at, cause, attempt } = plan;
        let event = ScheduleEvent::RenewalScheduled { at, cause, attempt };
        return Decision::record(vec![fact(StreamId::schedule(id), event, None, None)]);
    }
    if let Some(declared) = &certificate.declared {
        ari(facts, id, certificate, declared, schedule, session, cx, &mut decision);
    }
    decision
}

/// What is planned already says so. A plan for "now" stays where it is, unless a wall clock that was set
/// back since has put it off.
fn same(planned: Option<&Planned>, plan: Plan, cx: &Context) -> bool {
    let Some(planned) = planned else { return false };
    let now = plan.at == cx.now
        || matches!(
            plan.cause,
            Cause::FirstIssue | Cause::NamesChanged | Cause::CaChanged | Cause::Lost
        );
    let stays = now && planned.at <= plan.at.after(bounds::JUMP_MIN);
    planned.cause == plan.cause
        && planned.attempt == plan.attempt
        && (stays || planned.at == plan.at)
}

fn ari(
    facts: &Facts,
    id: CertificateId,
    certificate: &Certificate,
    declared: &Declaration,
    schedule: &Schedule,
    session: &Session,
    cx: &Context,
    decision: &mut Decision,
) {
    let Some(issue) = certificate.current.as_ref().filter(|_| declared.ari) else {
        return;
    };
    let Some(ari_id) = &issue.leaf.ari_id else {
        return;
    };
    let offered = facts
        .accounts
        .get(&declared.account)
        .filter(|account| account.url().is_some())
        .and_then(|account| account.directory.as_ref())
        .is_some_and(|directory| directory.renewal_info);
    if !offered || issue.leaf.not_after <= cx.now {
        return;
    }
    let effect = Effect::ReadWindow(id, declared.account, ari_id.clone());
    let looks = session.looks(&effect.key());
    let known = schedule.window.as_ref().is_some_and(|window| window.ari_id == *ari_id);
    let life = issue.leaf.life();
    let renewed = certificate.renewed_at.filter(|at| !cx.is_ahead(*at)).unwrap_or_default();
    let first = if facts.engine.booted_at > renewed {
        // An unknown window soon, ten a second over the fleet; a known one within the hour.
        let fleet = u32::try_from(facts.certificates.len()).unwrap_or(u32::MAX);
        let span = if known {
            Duration::from_secs(3600)
        } else {
            (Duration::from_millis(100) * fleet.saturating_sub(1)).max(Duration::from_millis(1))
        };
        cx.due(facts.engine.booted_at, spread(&[&id.0, b"ari"], span))
    } else {
        // Just issued: soon, but not all of a fleet together.
        renewed.after(spread(&[&id.0, b"ari"], (life / 100).min(Duration::from_secs(600))))
    };
    let at = next_look(looks, first);
    if at <= cx.now {
        decision.effects.push(effect);
    } else {
        decision.wake_at(at, "the CA's renewal information is read again");
    }
}

/// When it is read again. An answer that could not be recorded is forgotten but for the wait that the
/// CA asked for, which then lies further ahead than what is remembered explains.
fn next_look(looks: &Looks, first: WallMs) -> WallMs {
    let remembered = looks.last.after(looks.asked.unwrap_or_default().max(bounds::LOOK_MAX));
    let at = after_the_last(looks, first);
    if looks.failures == 0 && looks.not_before > remembered { at.max(looks.not_before) } else { at }
}

/// RFC 9773 §4.3.2: at Retry-After, within bounds; what keeps failing is asked for seldom.
fn after_the_last(looks: &Looks, first: WallMs) -> WallMs {
    if looks.count == 0 {
        return first;
    }
    if looks.failures >= bounds::HOPELESS_AFTER {
        return looks.last.after(bounds::ARI_FAILING);
    }
    if looks.failures > 0 {
        return looks.not_before.max(looks.last.after(bounds::ARI_LOOK_MIN));
    }
    if planted::is(Bug::AriRetryAfterIgnored) {
        return looks.last.after(Duration::from_secs(3600));
    }
    let wait = looks.asked.unwrap_or(bounds::ARI_LOOK_DEFAULT);
    looks.last.after(wait.clamp(bounds::ARI_LOOK_MIN, bounds::ARI_LOOK_MAX))
}

/// Once a day, every certificate is looked at: a fact, so that an engine that stopped shows as one.
pub(super) fn daily(facts: &Facts, cx: &Context) -> Decision {
    let at = facts.clock.checked_at.map_or(cx.now, |at| cx.due(at, bounds::DAILY));
    if at > cx.now {
        let mut decision = Decision::none();
        decision.wake_at(at, "the daily check");
        return decision;
    }
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let failing = facts.certificates.values().filter(|c| c.failure.is_some()).count();
    let event = ClockEvent::DailyCheckRan {
        certificates: count(facts.certificates.len()),
        renewing: count(facts.runs.len()),
        failing: count(failing),
    };
    Decision::record(vec![fact(StreamId::CLOCK, event, None, None)])
}

/// What an outcome says. Only news is a fact.
pub(super) fn observe(facts: &Facts, effect: &Effect, outcome: &Outcome) -> Vec<NewEvent> {
    let (Effect::ReadWindow(id, _, ari_id), Outcome::Window(result)) = (effect, outcome) else {
        return Vec::new();
    };
    let schedule = facts.schedules.get(id);
    let event = match result {
        Ok(window) => {
            let known = schedule.and_then(|schedule| schedule.window.as_ref()).is_some_and(|old| {
                old.ari_id == *ari_id && old.start == window.start && old.end == window.end
            });
            let failing = schedule.is_some_and(|schedule| schedule.ari_failing.is_some());
            if known && !failing {
                return Vec::new();
            }
            ScheduleEvent::AriWindowLearned {
                ari_id: ari_id.clone(),
                start: window.start,
                end: window.end,
                explanation_url: window.explanation_url.clone(),
            }
        }
        Err(problem) => {
            if schedule.is_some_and(|schedule| schedule.ari_failing.is_some()) {
                return Vec::new();
            }
            ScheduleEvent::AriLookFailed { ari_id: ari_id.clone(), problem: problem.clone() }
        }
    };
    vec![fact(StreamId::schedule(*id), event, None, None)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_that_the_ca_asked_for_outlives_an_answer_that_could_not_be_recorded() {
        let (first, now) = (WallMs(1_000), WallMs(50_000_000));
        let asked = Duration::from_secs(6 * 3600);
        let heard = now.after(asked);
        let answered = |last| Looks { count: 1, last, asked: Some(asked), ..Looks::default() };
        assert_eq!(next_look(&Looks::default(), first), first);
        assert_eq!(next_look(&Looks { not_before: heard, ..Looks::default() }, first), heard);
        let before = Looks { not_before: heard, ..answered(WallMs(2_000)) };
        assert_eq!(next_look(&before, first), heard);
        // What is remembered is bounded: a wait of years is not kept.
        let years = Duration::from_secs(400 * 86_400);
        let endless = Looks { asked: Some(years), not_before: now.after(years), ..answered(now) };
        assert_eq!(next_look(&endless, first), now.after(bounds::ARI_LOOK_MAX));
    }
}
