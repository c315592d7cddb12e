//! What to do about a listener that needs a restart, and about a restart on its way.

use renewd_events::id::{ListenerId, RestartId};
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::StopReason;
use renewd_events::restart::{Phase, Restart, RestartEvent};
use renewd_events::{Facts, WallMs};

use crate::bounds;
use crate::decision::{Context, Decision, Session, fact, may_do};
use crate::effect::Effect;

/// Plans a restart for a listener that this life cannot open.
pub(super) fn listener(facts: &Facts, id: ListenerId, cx: &Context) -> Decision {
    let mut decision = finish(facts, id, cx);
    let Some(listener) = facts.listeners.get(&id) else {
        return decision;
    };
    let (Some(setback), Some(method)) = (&listener.setback, cx.rules.restart) else {
        return decision;
    };
    let restart = RestartId::derive(&[&id.0, &cx.boot.0.to_le_bytes()]);
    if listener.needs_restart != Some(cx.boot) || facts.restarts.contains_key(&restart) {
        return decision;
    }
    if let Some(again) = too_many_until(facts, cx.now) {
        // A restart that did not help is not repeated at once: `why` shows the listener's own problem.
        decision.wake_at(again, "as many restarts as allowed; the next one may be planned");
        return decision;
    }
    let planned = RestartEvent::RestartPlanned {
        listener: id,
        address: listener.address.clone(),
        problem: setback.problem.clone(),
    };
    let mut before = cx.rules.identity.clone();
    before.boot = cx.boot;
    let deadline = cx.now.after(bounds::RESTART_DEADLINE);
    let requested = RestartEvent::RestartRequested { before, method, deadline };
    decision.records.push(fact(restart, planned, None, None));
    decision.records.push(fact(restart, requested, None, None));
    decision
}

/// When one more restart may be asked for; nothing when it may be now. What lies within the window on
/// either side of now counts: a clock that was set back a little must not forget the restarts before,
/// and those of a clock that ran far ahead must not bar the next ones until it is then again. A restart
/// counts from its deadline: it happened somewhat after it was asked for, and never later.
fn too_many_until(facts: &Facts, now: WallMs) -> Option<WallMs> {
    let mut recent: Vec<WallMs> = facts
        .restarts
        .values()
        .filter(|restart| {
            let in_this_life = restart.requested_at >= Some(facts.engine.booted_at);
            !planted::is(Bug::RestartCountInMemory) || in_this_life
        })
        .filter_map(|restart| restart.deadline)
        .filter(|at| now.since(*at).max(at.since(now)) < bounds::RESTART_WINDOW)
        .collect();
    recent.sort_unstable();
    let last_allowed = recent.len().checked_sub(bounds::RESTARTS_MAX)?;
    recent.get(last_allowed).map(|at| at.after(bounds::RESTART_WINDOW))
}

/// A restart that happened is over once its listener is open, or has failed again.
fn finish(facts: &Facts, id: ListenerId, cx: &Context) -> Decision {
    let Some(listener) = facts.listeners.get(&id) else {
        return Decision::none();
    };
    let opened = listener.opened == Some(cx.boot);
    let failed = listener.needs_restart == Some(cx.boot);
    if !opened && !failed {
        return Decision::none();
    }
    let over = facts
        .restarts
        .iter()
        .filter(|(_, restart)| restart.listener == id && restart.phase == Phase::Observed)
        .map(|(restart, _)| {
            fact(*restart, RestartEvent::RestartFinished { verified: opened }, None, None)
        });
    Decision::record(over.collect())
}

/// When a restart that was asked for should have happened. It was asked for by a clock that has been set
/// back since: now, for it is over within two minutes or not at all.
pub(crate) fn deadline(restart: &Restart, cx: &Context) -> Option<WallMs> {
    let ahead = restart.requested_at.is_some_and(|at| cx.is_ahead(at));
    restart.deadline.map(|deadline| if ahead { cx.now } else { deadline })
}

/// Carries a restart on.
pub(super) fn restart(facts: &Facts, id: RestartId, session: &Session, cx: &Context) -> Decision {
    let Some(restart) = facts.restarts.get(&id) else {
        return Decision::none();
    };
    let mut decision = Decision::none();
    match &restart.phase {
        Phase::Requested(intent)
            if planted::is(Bug::RestartRepeated) && intent.meta().boot < cx.boot =>
        {
            decision.effects.push(Effect::Restart(id, intent.clone()));
        }
        Phase::Requested(intent) if intent.meta().boot < cx.boot => {
            let mut after = cx.rules.identity.clone();
            after.boot = cx.boot;
            let attributed = facts.engine.stopped_for == Some(StopReason::Restart(id));
            let event = RestartEvent::RestartObserved { after, attributed };
            decision.records.push(fact(id, event, None, Some(intent.meta().seq)));
        }
        Phase::Requested(intent) => match deadline(restart, cx) {
            Some(deadline) if deadline <= cx.now => {
                let text = "the process still runs after the deadline of the restart";
                let problem = Problem::new(ProblemClass::Local, "not-restarted", text);
                let event = RestartEvent::RestartNotObserved { problem };
                decision.records.push(fact(id, event, None, Some(intent.meta().seq)));
            }
            deadline => {
                if may_do(intent, session, cx)
                    && session.looks(&Effect::Restart(id, intent.clone()).key()).count == 0
                {
                    decision.effects.push(Effect::Restart(id, intent.clone()));
                }
                if let Some(deadline) = deadline {
                    decision.wake_at(deadline, "the restart should have happened");
                }
            }
        },
        Phase::Observed => decision = finish(facts, restart.listener, cx),
        Phase::Planned | Phase::NotObserved | Phase::Finished { .. } => {}
    }
    decision
}
