//! A restart is planned for a listener that needs one, happens once, is seen, and is never one of too
//! many.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::event::NewEvent;
use renewd_events::id::{BootNo, ListenerId, RestartId};
use renewd_events::listener::ListenerEvent;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::{EngineEvent, StopReason};
use renewd_events::restart::{Method, Phase, RestartEvent};

use super::decide::{listener, restart};
use crate::bounds;
use crate::decision::{Context, Decision, Looks, Session};
use crate::effect::Effect;
use crate::folded_tests::{Folded, NOW, context};

const LISTENER: ListenerId = ListenerId([3; 16]);

fn cx(now: WallMs, boot: u32) -> Context {
    let mut cx = context(now, BootNo(boot));
    cx.rules.restart = Some(Method::Exec);
    cx
}

fn names(records: &[NewEvent]) -> Vec<&'static str> {
    records.iter().map(|new| new.event.name()).collect()
}

fn refused(log: &mut Folded, needs_restart: bool) {
    let problem = Problem::new(ProblemClass::Local, "permission", "");
    let address = "0.0.0.0:443".to_owned();
    log.say(
        LISTENER,
        ListenerEvent::ListenerFailed { address, problem, holder: None, needs_restart },
    );
}

/// Writes down what was decided, in the life of the log.
fn record(log: &mut Folded, decision: Decision) {
    decision.records.into_iter().for_each(|new| log.add(new));
}

fn planned() -> (Folded, RestartId) {
    let mut log = Folded::new();
    refused(&mut log, true);
    let decision = listener(&log.facts, LISTENER, &cx(NOW, 1));
    assert_eq!(names(&decision.records), ["RestartPlanned", "RestartRequested"]);
    record(&mut log, decision);
    let id = log.facts.restarts.keys().next().copied().unwrap();
    (log, id)
}

#[test]
fn a_restart_is_planned_once_in_a_life_and_only_where_it_helps() {
    let (log, _) = planned();
    assert!(listener(&log.facts, LISTENER, &cx(NOW, 1)).records.is_empty());
    let mut log = Folded::new();
    refused(&mut log, false);
    assert!(listener(&log.facts, LISTENER, &cx(NOW, 1)).records.is_empty());
    refused(&mut log, true);
    assert!(
        listener(&log.facts, LISTENER, &context(NOW, BootNo(1))).records.is_empty(),
        "no method"
    );
    assert!(listener(&log.facts, LISTENER, &cx(NOW, 2)).records.is_empty(), "of another life");
}

#[test]
fn no_more_restarts_within_the_window_than_allowed() {
    let (mut log, _) = planned();
    for boot in 2..=3 {
        log.boot = BootNo(boot);
        refused(&mut log, true);
        let decision = listener(&log.facts, LISTENER, &cx(NOW, boot));
        let allowed = usize::try_from(boot).unwrap() <= bounds::RESTARTS_MAX;
        assert_eq!(names(&decision.records).contains(&"RestartPlanned"), allowed, "{boot}");
        record(&mut log, decision);
    }
    let over = |wait| names(&listener(&log.facts, LISTENER, &cx(NOW.after(wait), 3)).records);
    // They may have happened up to their deadline.
    let end = bounds::RESTART_DEADLINE + bounds::RESTART_WINDOW;
    assert!(over(end - Duration::from_millis(1)).is_empty());
    assert_eq!(over(end), ["RestartPlanned", "RestartRequested"]);
}

/// As many restarts as allowed, the last of them at `NOW`, an hour apart, and the listener still needs
/// one in this life.
fn exhausted() -> (Folded, u32) {
    let mut log = Folded::new();
    let boots = u32::try_from(bounds::RESTARTS_MAX).unwrap();
    for boot in 1..=boots {
        log.boot = BootNo(boot);
        log.at = WallMs(NOW.0 - u64::from(boots - boot) * 3_600_000);
        refused(&mut log, true);
        let decision = listener(&log.facts, LISTENER, &cx(log.at, boot));
        assert!(names(&decision.records).contains(&"RestartRequested"));
        record(&mut log, decision);
    }
    log.boot = BootNo(boots + 1);
    refused(&mut log, true);
    (log, boots + 1)
}

#[test]
fn what_the_window_forbids_is_looked_at_again_when_the_window_ends() {
    let (log, boot) = exhausted();
    let decision = listener(&log.facts, LISTENER, &cx(NOW, boot));
    assert!(!names(&decision.records).contains(&"RestartPlanned"));
    // The first of them leaves the window first.
    let between = Duration::from_secs(3600 * u64::from(boot - 2));
    let end = NOW.after(bounds::RESTART_DEADLINE + bounds::RESTART_WINDOW - between);
    assert_eq!(decision.wake.map(|(at, _)| at), Some(end));
    let then = listener(&log.facts, LISTENER, &cx(end, boot));
    assert!(names(&then.records).contains(&"RestartPlanned"));
    assert_eq!(then.wake, None);
}

#[test]
fn a_clock_set_back_neither_forgets_the_restarts_nor_bars_the_next_for_ever() {
    let (log, boot) = exhausted();
    let planned = |back: Duration| {
        let now = WallMs(NOW.0 - u64::try_from(back.as_millis()).unwrap());
        let decision = listener(&log.facts, LISTENER, &cx(now, boot));
        let wake = decision.wake.map(|(at, _)| at);
        assert!(wake.is_none_or(|at| at > now && at.since(now) < 2 * bounds::RESTART_WINDOW));
        let planned = names(&decision.records).contains(&"RestartPlanned");
        assert_ne!(planned, wake.is_some(), "one or the other");
        planned
    };
    for (back, wanted) in [
        (Duration::from_secs(1800), false),
        (bounds::RESTART_WINDOW - bounds::RESTART_DEADLINE - Duration::from_millis(1), false),
        (bounds::RESTART_WINDOW, true),
        (365 * bounds::RESTART_WINDOW, true),
    ] {
        assert_eq!(planned(back), wanted, "{back:?}");
    }
}

#[test]
fn a_restart_is_begun_once_and_given_up_at_its_deadline() {
    let (log, id) = planned();
    let decide = |session: &Session, now| restart(&log.facts, id, session, &cx(now, 1));
    let end = NOW.after(bounds::RESTART_DEADLINE);
    let first = decide(&Session::default(), NOW);
    let [effect @ Effect::Restart(..)] = first.effects.as_slice() else { panic!("{first:?}") };
    assert_eq!(first.wake.map(|(at, _)| at), Some(end));
    let mut session = Session::default();
    session.looks.insert(effect.key(), Looks { count: 1, ..Looks::default() });
    assert!(decide(&session, NOW).effects.is_empty(), "it was begun");
    let mut unsure = Session::default();
    let phase = log.facts.restarts.get(&id).map(|restart| &restart.phase);
    let Some(Phase::Requested(intent)) = phase else { panic!("{phase:?}") };
    unsure.unsure.insert(intent.effect_id());
    assert!(decide(&unsure, NOW).effects.is_empty());
    assert!(decide(&session, WallMs(end.0 - 1)).records.is_empty());
    assert_eq!(names(&decide(&session, end).records), ["RestartNotObserved"]);
}

#[test]
fn a_restart_asked_for_by_a_clock_that_was_set_back_is_over() {
    let (log, id) = planned();
    let decided = |now| names(&restart(&log.facts, id, &Session::default(), &cx(now, 1)).records);
    assert!(decided(NOW.before(bounds::JUMP_MIN)).is_empty());
    let back = NOW.before(Duration::from_secs(30 * 86_400));
    assert_eq!(decided(back), ["RestartNotObserved"]);
}

#[test]
fn the_next_life_sees_the_restart_and_says_whose_it_was() {
    for (reason, wanted) in [(None, false), (Some(()), true)] {
        let (mut log, id) = planned();
        if reason.is_some() {
            let reason = StopReason::Restart(id);
            log.say(renewd_events::id::StreamId::ENGINE, EngineEvent::EngineStopping { reason });
        }
        log.boot = BootNo(2);
        let booted = EngineEvent::EngineBooted {
            identity: cx(NOW, 2).rules.identity,
            version: String::new(),
            previous: renewd_events::process::Previous::default(),
            tail: log.facts.seq,
        };
        log.say(renewd_events::id::StreamId::ENGINE, booted);
        let decision = restart(&log.facts, id, &Session::default(), &cx(NOW, 2));
        assert!(decision.effects.is_empty(), "it is not repeated");
        let event = decision.records.first().map(|new| &new.event);
        let Some(renewd_events::Event::Restart(RestartEvent::RestartObserved {
            attributed, ..
        })) = event
        else {
            panic!("{event:?}");
        };
        assert_eq!(*attributed, wanted);
    }
}

#[test]
fn a_restart_is_over_when_its_listener_is_open_or_has_failed_again() {
    let observed = || {
        let (mut log, id) = planned();
        log.boot = BootNo(2);
        let decision = restart(&log.facts, id, &Session::default(), &cx(NOW, 2));
        record(&mut log, decision);
        (log, id)
    };
    let end = |log: &Folded, id| {
        let decision = restart(&log.facts, id, &Session::default(), &cx(NOW, 2));
        decision.records.first().map(|new| new.event.clone())
    };
    let over = |verified| Some(RestartEvent::RestartFinished { verified }.into());
    let (log, id) = observed();
    assert_eq!(end(&log, id), None, "the listener is neither");
    let (mut log, id) = observed();
    log.say(LISTENER, ListenerEvent::ListenerOpened { address: String::new() });
    assert_eq!(end(&log, id), over(true));
    let (mut log, id) = observed();
    refused(&mut log, true);
    assert_eq!(end(&log, id), over(false));
    // Not a restart of another listener.
    let other = ListenerId([4; 16]);
    log.say(other, ListenerEvent::ListenerOpened { address: String::new() });
    assert!(listener(&log.facts, other, &cx(NOW, 2)).records.is_empty());
}

#[test]
fn restarts_of_earlier_lives_count_too() {
    let mut log = Folded::new();
    for boot in 1..=3 {
        log.at = NOW.after(Duration::from_secs(u64::from(boot)));
        log.boot(BootNo(boot));
        refused(&mut log, true);
        let decision = listener(&log.facts, LISTENER, &cx(log.at, boot));
        let allowed = usize::try_from(boot).unwrap() <= bounds::RESTARTS_MAX;
        assert_eq!(!decision.records.is_empty(), allowed, "{boot}");
        record(&mut log, decision);
    }
}
