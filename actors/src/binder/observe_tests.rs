//! What the outcomes of putting in place, reading again, looking and opening say: only news is a fact.

use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::CertificateEvent;
use renewd_events::event::NewEvent;
use renewd_events::id::{BindingId, BootNo, Fingerprint, Generation, Hash, ListenerId};
use renewd_events::listener::ListenerEvent;
use renewd_events::problem::Problem;
use renewd_events::{Event, WallMs};

use super::decide::{certificate, observe};
use super::decide_tests::{ADDRESS, BINDING, adopted, deployed, files, problem, verified};
use crate::bounds;
use crate::decision::Session;
use crate::effect::{Effect, Outcome};
use crate::folded_tests::{Folded, ID, NAME, NOW, context, issue, renewal};
use crate::ports::ListenerRefused;

/// What is to be done first, after what is decided is recorded.
fn under_way(log: &mut Folded) -> Effect {
    let decide =
        |log: &Folded| certificate(&log.facts, ID, &Session::default(), &context(NOW, log.boot));
    log.record(decide(log).records);
    decide(log).effects.first().cloned().unwrap()
}

fn says(log: &Folded, effect: &Effect, outcome: &Outcome) -> Vec<NewEvent> {
    observe(&log.facts, effect, outcome, &context(NOW, log.boot))
}

fn events(records: Vec<NewEvent>) -> Vec<Event> {
    records.into_iter().map(|new| new.event).collect()
}

fn look(generation: u32) -> Effect {
    Effect::Handshake(BINDING, files(false), NAME.to_owned(), Generation(generation))
}

fn shown(fingerprint: Fingerprint) -> Outcome {
    Outcome::Handshake(Ok((ADDRESS.to_owned(), fingerprint)))
}

fn right() -> Outcome {
    shown(issue(1).leaf.fingerprint)
}

#[test]
fn a_deployment_ends_as_it_ended_and_a_late_answer_says_nothing() {
    let mut log = adopted(files(true));
    let effect = under_way(&mut log);
    let Effect::Deploy(_, _, _, intent) = &effect else { panic!("{effect:?}") };
    let generation = Generation(1);
    let done = says(&log, &effect, &Outcome::Done(Ok(())));
    let wanted = NewEvent {
        stream: BINDING.into(),
        event: BindingEvent::Deployed { generation }.into(),
        renewal: Some(renewal(ID)),
        cause: Some(intent.meta().seq),
    };
    assert_eq!(done, [wanted]);
    let failed = BindingEvent::DeploymentFailed { generation, problem: problem("disk") };
    let outcome = Outcome::Done(Err(problem("disk")));
    assert_eq!(events(says(&log, &effect, &outcome)), [Event::from(failed)]);
    log.record(done);
    assert!(says(&log, &effect, &outcome).is_empty());
    assert!(says(&log, &effect, &right()).is_empty(), "not its answer");
}

#[test]
fn a_reload_ends_as_it_ended_and_a_late_answer_says_nothing() {
    let mut log = adopted(files(true));
    let generation = Generation(1);
    log.say(BINDING, BindingEvent::Deployed { generation });
    let effect = under_way(&mut log);
    let Effect::Reload(_, intent) = &effect else { panic!("{effect:?}") };
    let ended = |problem: Option<Problem>| BindingEvent::ReloadFinished { generation, problem };
    let outcome = Outcome::Done(Err(problem("exit")));
    let failed = says(&log, &effect, &outcome);
    assert_eq!(events(failed), [Event::from(ended(Some(problem("exit"))))]);
    let done = says(&log, &effect, &Outcome::Done(Ok(())));
    let cause = Some(intent.meta().seq);
    let event = ended(None).into();
    let stream = BINDING.into();
    assert_eq!(done, [NewEvent { stream, event, renewal: Some(renewal(ID)), cause }]);
    log.record(done);
    assert!(says(&log, &effect, &outcome).is_empty());
}

#[test]
fn a_look_says_what_is_served_and_only_of_the_newest_issue() {
    let mut log = adopted(files(false));
    deployed(&mut log, 1);
    let fingerprint = issue(1).leaf.fingerprint;
    let (generation, address) = (Generation(1), ADDRESS.to_owned());
    let good = BindingEvent::ServedVerified { generation, address: address.clone(), fingerprint };
    let new = says(&log, &look(1), &right());
    let stream = BINDING.into();
    let (event, renewal) = (good.into(), Some(renewal(ID)));
    assert_eq!(new, [NewEvent { stream, event, renewal, cause: None }]);
    let other = events(says(&log, &look(1), &shown(Hash([9; 32]))));
    let [Event::Binding(BindingEvent::ServedMismatch { generation, problem: seen, .. })] =
        other.as_slice()
    else {
        panic!("{other:?}");
    };
    assert_eq!((*generation, seen.kind.as_str()), (Generation(1), "served-mismatch"));
    let none = events(says(&log, &look(1), &Outcome::Handshake(Err(problem("refused")))));
    let (address, problem) = (files(false).label(), problem("refused"));
    let failed = BindingEvent::ServedMismatch { generation: *generation, address, problem };
    assert_eq!(none, [Event::from(failed)]);
    assert!(says(&log, &look(2), &right()).is_empty(), "of another issue");
    let unknown = BindingId([8; 16]);
    let effect = Effect::Handshake(unknown, Target::Library, NAME.to_owned(), Generation(1));
    assert!(says(&log, &effect, &right()).is_empty());
    log.say(ID, CertificateEvent::RenewalSucceeded { generation: Generation(1) });
    let new = says(&log, &look(1), &right());
    assert_eq!(new.first().map(|new| new.renewal), Some(None), "the renewal is over");
}

/// Whether a right handshake is news.
fn is_news(log: &Folded, now: WallMs) -> bool {
    !observe(&log.facts, &look(1), &right(), &context(now, log.boot)).is_empty()
}

#[test]
fn what_was_seen_in_this_life_lately_and_undisturbed_is_no_news() {
    let seen = || {
        let mut log = adopted(files(false));
        deployed(&mut log, 1);
        verified(&mut log, 1);
        log
    };
    let generation = Generation(1);
    assert!(!is_news(&seen(), NOW));
    let week = NOW.after(bounds::VERIFIED_RECORD);
    assert!(!is_news(&seen(), WallMs(week.0 - 1)));
    assert!(is_news(&seen(), week));
    assert!(is_news(&seen(), WallMs(week.0 + 1)));
    assert!(!is_news(&seen(), NOW.before(bounds::JUMP_MIN)));
    assert!(is_news(&seen(), NOW.before(2 * bounds::JUMP_MIN)), "the clock was set back since");
    let mut log = seen();
    log.boot = BootNo(2);
    assert!(is_news(&log, NOW), "another life");
    let mut log = seen();
    log.say(BINDING, BindingEvent::DeploymentFailed { generation, problem: problem("disk") });
    assert!(is_news(&log, NOW), "a setback");
    let mut log = seen();
    let address = ADDRESS.to_owned();
    let problem = problem("served-mismatch");
    log.say(BINDING, BindingEvent::ServedMismatch { generation, address, problem });
    log.say(BINDING, BindingEvent::Deployed { generation });
    assert!(is_news(&log, NOW), "it was mended, and nobody has seen that");
    let mut log = adopted(files(false));
    verified(&mut log, 2);
    assert!(is_news(&log, NOW), "another issue was seen");
    assert!(!says(&seen(), &look(1), &shown(Hash([9; 32]))).is_empty(), "something else");
}

#[test]
fn a_listener_that_stays_shut_is_told_once_and_once_a_life_that_a_restart_is_needed() {
    let id = ListenerId([5; 16]);
    let effect = Effect::OpenListener(id, ADDRESS.to_owned());
    let mut log = Folded::new();
    log.boot(BootNo(1));
    let refused = |kind: &str, needs_restart| {
        let (problem, holder) = (problem(kind), Some("nginx".to_owned()));
        Outcome::Listener(Err(ListenerRefused { problem, holder, needs_restart }))
    };
    let told = |log: &mut Folded, outcome: &Outcome| {
        let records = says(log, &effect, outcome);
        log.record(records)
    };
    let failed = ["ListenerFailed"];
    let nothing: [&str; 0] = [];
    assert_eq!(told(&mut log, &refused("in use", false)), failed);
    let listener = log.facts.listeners.get(&id).unwrap();
    assert_eq!((listener.address.as_str(), listener.needs_restart), (ADDRESS, None));
    assert_eq!(listener.holder.as_deref(), Some("nginx"));
    assert_eq!(told(&mut log, &refused("in use", false)), nothing);
    assert_eq!(told(&mut log, &refused("permission", false)), failed, "another reason");
    assert_eq!(told(&mut log, &refused("permission", true)), failed, "a restart is needed");
    assert_eq!(told(&mut log, &refused("permission", true)), nothing);
    assert_eq!(told(&mut log, &refused("in use", true)), failed);
    log.boot(BootNo(2));
    assert_eq!(told(&mut log, &refused("in use", true)), failed, "in the next life too");
    assert_eq!(told(&mut log, &refused("in use", true)), nothing);
    assert_eq!(told(&mut log, &refused("in use", false)), nothing);
    let opened = ListenerEvent::ListenerOpened { address: ADDRESS.to_owned() };
    assert_eq!(events(says(&log, &effect, &Outcome::Listener(Ok(())))), [Event::from(opened)]);
}
