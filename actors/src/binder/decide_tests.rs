//! What belongs somewhere is put there once, read again, looked at; a listener is opened once a life.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::event::NewEvent;
use renewd_events::id::RestartId;
use renewd_events::id::{BindingId, BootNo, CertificateId, Generation, Hash, ListenerId};
use renewd_events::listener::ListenerEvent;
use renewd_events::order::OrderEvent;
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::{Method, ProcessIdentity, RestartEvent};

use super::decide::{certificate, listener};
use crate::bounds;
use crate::decision::{Decision, Looks, Session, spread};
use crate::effect::Effect;
use crate::folded_tests::{Folded, ID, NAME, NOW, context, issue, order, renewal};

pub(super) const BINDING: BindingId = BindingId([4; 16]);
pub(super) const ADDRESS: &str = "127.0.0.1:8443";
const MS: Duration = Duration::from_millis(1);

pub(super) fn files(reload: bool) -> Target {
    let verify = Some("127.0.0.1:443".to_owned());
    Target::Files { directory: "/srv/tls".to_owned(), reload, verify }
}

pub(super) fn builtin() -> Target {
    Target::Builtin { address: ADDRESS.to_owned() }
}

fn socket() -> ListenerId {
    ListenerId::derive(&[ADDRESS.as_bytes()])
}

/// A renewal under way that brought its first issue, which belongs there.
pub(super) fn adopted(target: Target) -> Folded {
    let mut log = Folded::ordered(ID);
    log.say(BINDING, BindingEvent::BindingDeclared { certificate: ID, target });
    log.adopt(1);
    log
}

/// The issue of this number is in place, and read again where that is needed.
pub(super) fn deployed(log: &mut Folded, generation: u32) {
    let generation = Generation(generation);
    log.say(BINDING, BindingEvent::Deployed { generation });
    log.say(BINDING, BindingEvent::ReloadFinished { generation, problem: None });
}

pub(super) fn verified(log: &mut Folded, generation: u32) {
    let event = BindingEvent::ServedVerified {
        generation: Generation(generation),
        address: ADDRESS.to_owned(),
        fingerprint: issue(generation).leaf.fingerprint,
    };
    log.say(BINDING, event);
}

pub(super) fn problem(kind: &str) -> Problem {
    Problem::new(ProblemClass::Local, kind, "")
}

fn at(log: &Folded, session: &Session, now: WallMs) -> Decision {
    certificate(&log.facts, ID, session, &context(now, log.boot))
}

fn decided(log: &Folded) -> Decision {
    at(log, &Session::default(), NOW)
}

fn opens(log: &Folded, now: WallMs) -> Decision {
    listener(&log.facts, socket(), &Session::default(), &context(now, log.boot))
}

/// Nothing to record, nothing to do, and then to look at this moment.
fn sleeps_until(decision: &Decision, wake: Option<WallMs>) -> bool {
    decision.records.is_empty()
        && decision.effects.is_empty()
        && decision.wake.map(|(at, _)| at) == wake
}

#[test]
fn where_there_is_nothing_to_serve_nothing_is_done() {
    let mut log = Folded::ordered(ID);
    log.say(BINDING, BindingEvent::BindingDeclared { certificate: ID, target: files(true) });
    log.created(1, None);
    log.say(order(ID, 1), OrderEvent::ChainDownloaded(issue(1).leaf));
    assert!(sleeps_until(&decided(&log), None), "what is not adopted is not served");
    log.adopt(1);
    assert_eq!(decided(&log).records.len(), 1);
    let other = CertificateId([9; 16]);
    let decision = certificate(&log.facts, other, &Session::default(), &context(NOW, log.boot));
    assert!(sleeps_until(&decision, None));
    log.say(BINDING, BindingEvent::BindingRemoved);
    assert!(sleeps_until(&decided(&log), None), "no longer wanted");
}

#[test]
fn an_issue_is_put_in_place_then_read_again_then_looked_at() {
    let mut log = adopted(files(true));
    let records = decided(&log).records;
    let wanted = [NewEvent {
        stream: BINDING.into(),
        event: BindingEvent::DeploymentRequested(renewd_events::binding::Deployment {
            generation: Generation(1),
            fingerprint: Hash([1; 32]),
        })
        .into(),
        renewal: Some(renewal(ID)),
        cause: None,
    }];
    assert_eq!(records, wanted);
    log.record(records);
    let decision = decided(&log);
    let [Effect::Deploy(BINDING, target, put, _)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!((target, put), (&files(true), &issue(1)));
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    assert_eq!(log.record(decided(&log).records), ["ReloadRequested"]);
    let decision = decided(&log);
    assert!(matches!(decision.effects.as_slice(), [Effect::Reload(BINDING, _)]), "{decision:?}");
    log.say(BINDING, BindingEvent::ReloadFinished { generation: Generation(1), problem: None });
    let decision = decided(&log);
    let [Effect::Handshake(BINDING, target, name, Generation(1))] = decision.effects.as_slice()
    else {
        panic!("{decision:?}");
    };
    assert_eq!((target, name.as_str()), (&files(true), NAME));
    assert!(decision.records.is_empty());
}

#[test]
fn a_newer_issue_supersedes_what_is_under_way_for_an_older_one() {
    let mut log = adopted(files(true));
    log.record(decided(&log).records);
    log.adopt(2);
    assert_eq!(log.record(decided(&log).records), ["DeploymentRequested"]);
    let decision = decided(&log);
    let [Effect::Deploy(_, _, put, intent)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!((put, intent.intent().generation), (&issue(2), Generation(2)));
    // The same of a reload.
    let mut log = adopted(files(true));
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    log.record(decided(&log).records);
    log.adopt(2);
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(2) });
    assert_eq!(log.record(decided(&log).records), ["ReloadRequested"]);
    let decision = decided(&log);
    let [Effect::Reload(_, intent)] = decision.effects.as_slice() else { panic!("{decision:?}") };
    assert_eq!(*intent.intent(), Generation(2));
}

#[test]
fn only_files_that_ask_for_it_are_read_again_and_once_per_issue() {
    let mut log = adopted(files(false));
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    assert!(decided(&log).records.is_empty());
    assert_eq!(decided(&log).effects.len(), 1, "looked at");
    let mut log = adopted(Target::Library);
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    assert!(decided(&log).records.is_empty());
    let mut log = adopted(files(true));
    deployed(&mut log, 1);
    assert!(decided(&log).records.is_empty());
    log.adopt(2);
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(2) });
    assert_eq!(log.record(decided(&log).records), ["ReloadRequested"]);
}

#[test]
fn after_a_setback_the_binding_waits_longer_each_time() {
    let mut log = adopted(files(false));
    log.record(decided(&log).records);
    let mut wait = bounds::READ_RETRY_FIRST;
    for _ in 0..3 {
        let generation = Generation(1);
        log.say(BINDING, BindingEvent::DeploymentFailed { generation, problem: problem("disk") });
        let due = NOW.after(wait);
        assert!(sleeps_until(&at(&log, &Session::default(), due.before(MS)), Some(due)));
        assert!(sleeps_until(&at(&log, &Session::default(), NOW), Some(due)));
        assert_eq!(at(&log, &Session::default(), due).records.len(), 1);
        assert_eq!(at(&log, &Session::default(), due.after(MS)).records.len(), 1);
        wait *= 2;
    }
}

#[test]
fn our_listener_is_wanted_once_in_a_life_and_asked_only_while_it_is_open() {
    let mut log = adopted(builtin());
    assert_eq!(log.record(decided(&log).records), ["ListenerNeeded", "DeploymentRequested"]);
    assert_eq!(decided(&log).effects.len(), 1, "the issue does not wait for the listener");
    assert!(decided(&log).records.is_empty());
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    assert!(sleeps_until(&decided(&log), None), "nobody answers there yet");
    let address = ADDRESS.to_owned();
    log.say(socket(), ListenerEvent::ListenerOpened { address });
    let decision = decided(&log);
    assert!(matches!(decision.effects.as_slice(), [Effect::Handshake(..)]), "{decision:?}");
    log.boot = BootNo(2);
    let decision = decided(&log);
    assert_eq!(log.record(decision.records), ["ListenerNeeded"]);
    assert!(decision.effects.is_empty(), "it was open in another life");
}

#[test]
fn what_serves_is_looked_at_once_a_day_counted_from_the_last_good_look() {
    let mut log = adopted(files(false));
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(1) });
    let every = bounds::VERIFY_EVERY - spread(&[&BINDING.0], bounds::VERIFY_SPREAD);
    let effect = Effect::Handshake(BINDING, files(false), String::new(), Generation(1));
    let looked = |failures, last| {
        let mut session = Session::default();
        let looks = Looks { count: 1, failures, last, ..Looks::default() };
        session.looks.insert(effect.key(), looks);
        session
    };
    assert_eq!(decided(&log).effects.len(), 1, "never seen");
    verified(&mut log, 1);
    let hour = Duration::from_secs(3600);
    for (case, session, from) in [
        ("none", Session::default(), NOW),
        ("good", looked(0, NOW.after(hour)), NOW.after(hour)),
        ("good, before", looked(0, NOW.before(hour)), NOW),
        ("failed", looked(1, NOW.after(hour)), NOW),
    ] {
        let due = from.after(every);
        assert!(sleeps_until(&at(&log, &session, due.before(MS)), Some(due)), "{case}");
        assert_eq!(at(&log, &session, due).effects.len(), 1, "{case}");
        assert_eq!(at(&log, &session, due.after(MS)).effects.len(), 1, "{case}");
    }
    log.adopt(2);
    log.say(BINDING, BindingEvent::Deployed { generation: Generation(2) });
    assert_eq!(decided(&log).effects.len(), 1, "another issue was seen");
}

#[test]
fn what_an_earlier_life_saw_is_looked_at_once_after_the_start() {
    let mut log = adopted(files(false));
    deployed(&mut log, 1);
    verified(&mut log, 1);
    assert!(decided(&log).effects.is_empty());
    log.at = NOW.after(MS);
    log.boot(BootNo(2));
    let soon = log.at.after(Duration::from_millis(10));
    assert_eq!(at(&log, &Session::default(), soon).effects.len(), 1);
    // Ahead of a clock that was set back, it does not wait for the time of the start.
    assert_eq!(at(&log, &Session::default(), NOW.before(MS * 1000)).effects.len(), 1);
    let every = bounds::VERIFY_EVERY - spread(&[&BINDING.0], bounds::VERIFY_SPREAD);
    let effect = Effect::Handshake(BINDING, files(false), String::new(), Generation(1));
    let mut session = Session::default();
    session.looks.insert(effect.key(), Looks { count: 1, last: soon, ..Looks::default() });
    assert!(sleeps_until(&at(&log, &session, soon.after(MS)), Some(soon.after(every))), "seen");
}

#[test]
fn a_new_issue_does_not_wait_for_what_befell_the_one_before() {
    let mut log = adopted(builtin());
    log.say(socket(), ListenerEvent::ListenerNeeded { address: ADDRESS.to_owned() });
    let generation = Generation(1);
    for _ in 0..9 {
        log.say(BINDING, BindingEvent::DeploymentFailed { generation, problem: problem("gone") });
    }
    log.at = NOW.after(MS);
    assert!(at(&log, &Session::default(), log.at).records.is_empty(), "it waits");
    log.adopt(2);
    let records = at(&log, &Session::default(), log.at).records;
    assert!(at(&log, &Session::default(), NOW).records.is_empty(), "adopted ahead of the clock");
    assert_eq!(log.record(records), ["DeploymentRequested"]);
    let generation = Generation(2);
    log.say(BINDING, BindingEvent::DeploymentFailed { generation, problem: problem("gone") });
    assert!(at(&log, &Session::default(), log.at).records.is_empty(), "its own");
}

#[test]
fn a_listener_is_opened_in_each_life_that_needs_it_until_it_is_open() {
    let log = Folded::new();
    assert!(sleeps_until(&opens(&log, NOW), None), "unknown");
    let mut log = Folded::new();
    let needed = || ListenerEvent::ListenerNeeded { address: ADDRESS.to_owned() };
    log.say(socket(), needed());
    let decision = opens(&log, NOW);
    let [Effect::OpenListener(id, address)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!((*id, address.as_str()), (socket(), ADDRESS));
    log.say(socket(), ListenerEvent::ListenerOpened { address: ADDRESS.to_owned() });
    assert!(sleeps_until(&opens(&log, NOW), None), "open");
    log.boot = BootNo(2);
    assert!(sleeps_until(&opens(&log, NOW), None), "not needed in this life");
    log.say(socket(), needed());
    assert_eq!(opens(&log, NOW).effects.len(), 1);
}

#[test]
fn a_listener_waits_for_its_own_restart_of_this_life_until_the_deadline() {
    let deadline = NOW.after(bounds::RESTART_DEADLINE);
    let planned = |listener| {
        let mut log = Folded::new();
        let address = ADDRESS.to_owned();
        log.say(socket(), ListenerEvent::ListenerNeeded { address: address.clone() });
        let restart = RestartId([5; 16]);
        let problem = problem("permission");
        log.say(restart, RestartEvent::RestartPlanned { listener, address, problem });
        let before = ProcessIdentity::default();
        let method = Method::Exec;
        log.say(restart, RestartEvent::RestartRequested { before, method, deadline });
        log
    };
    let mut log = planned(socket());
    assert!(sleeps_until(&opens(&log, NOW), Some(deadline)));
    assert!(sleeps_until(&opens(&log, deadline.before(MS)), Some(deadline)));
    assert_eq!(opens(&log, deadline).effects.len(), 1);
    assert_eq!(opens(&log, deadline.after(MS)).effects.len(), 1);
    assert_eq!(opens(&planned(ListenerId([6; 16])), NOW).effects.len(), 1, "another's restart");
    log.boot = BootNo(2);
    log.say(socket(), ListenerEvent::ListenerNeeded { address: ADDRESS.to_owned() });
    assert_eq!(opens(&log, NOW).effects.len(), 1, "the restart is over: this is the life after it");
}

#[test]
fn a_binding_does_not_wait_for_a_clock_that_was_set_back() {
    let mut log = adopted(files(false));
    log.record(decided(&log).records);
    log.at = NOW.after(Duration::from_secs(30 * 86_400));
    let generation = Generation(1);
    log.say(BINDING, BindingEvent::DeploymentFailed { generation, problem: problem("disk") });
    assert_eq!(at(&log, &Session::default(), NOW).records.len(), 1);
    // Once: the next setback is of the present.
    log.at = NOW;
    log.say(BINDING, BindingEvent::DeploymentFailed { generation, problem: problem("disk") });
    let due = NOW.after(bounds::READ_RETRY_FIRST * 2);
    assert!(sleeps_until(&at(&log, &Session::default(), NOW), Some(due)));
}

#[test]
fn what_serves_is_looked_at_though_it_was_seen_by_a_clock_that_was_set_back() {
    let mut log = adopted(files(false));
    deployed(&mut log, 1);
    log.at = NOW.after(Duration::from_secs(30 * 86_400));
    verified(&mut log, 1);
    let look = at(&log, &Session::default(), NOW);
    assert!(matches!(look.effects.as_slice(), [Effect::Handshake(..)]), "{look:?}");
    // Once: the look of the present is remembered even if its fact could not be written.
    let key = look.effects.first().unwrap().key();
    let mut session = Session::default();
    session.looks.insert(key, Looks { count: 1, last: NOW, ..Looks::default() });
    let every = bounds::VERIFY_EVERY - spread(&[&BINDING.0], bounds::VERIFY_SPREAD);
    assert!(sleeps_until(&at(&log, &session, NOW), Some(NOW.after(every))));
}

#[test]
fn a_listener_does_not_wait_for_a_restart_that_was_asked_for_by_a_clock_set_back() {
    let mut log = adopted(builtin());
    let event = ListenerEvent::ListenerNeeded { address: ADDRESS.to_owned() };
    log.say(socket(), event);
    let restart = RestartId([5; 16]);
    let problem = problem("permission");
    let address = ADDRESS.to_owned();
    log.say(restart, RestartEvent::RestartPlanned { listener: socket(), address, problem });
    log.at = NOW.after(Duration::from_secs(30 * 86_400));
    let deadline = log.at.after(bounds::RESTART_DEADLINE);
    let (before, method) = (ProcessIdentity::default(), Method::Exec);
    log.say(restart, RestartEvent::RestartRequested { before, method, deadline });
    assert!(sleeps_until(&opens(&log, log.at), Some(deadline)));
    assert!(matches!(opens(&log, NOW).effects.as_slice(), [Effect::OpenListener(..)]));
}
