//! When the CA is told to look, asked what it has seen, and when tokens go.

use renewd_events::WallMs;
use renewd_events::authorization::{AuthorizationEvent, Phase, Probe, UNDECIDED};
use renewd_events::event::NewEvent;
use renewd_events::id::{AuthorizationId, BootNo};
use renewd_events::order::OrderEvent;
use renewd_events::problem::{Problem, ProblemClass};

use super::decide::decide;
use super::observe::observe;
use crate::decision::{Looks, Session};
use crate::effect::{AuthorizationStage, Effect, Outcome};
use crate::folded_tests::{Folded, ID, NAME, NOW, context, order, request};
use crate::ports::{AuthorizationLook, AuthorizationStatus, ChallengeStatus};

fn see(stage: AuthorizationStage) -> Effect {
    let url = "https://ca.test/order/1".to_owned();
    Effect::SeeAuthorizations(order(ID, 1), request(ID).account, url, stage)
}

fn names(events: &[NewEvent]) -> Vec<&'static str> {
    events.iter().map(|new| new.event.name()).collect()
}

fn published(log: &mut Folded, id: AuthorizationId) {
    log.say(id, AuthorizationEvent::Published { probe: Probe::Seen });
}

fn asked(log: &mut Folded, id: AuthorizationId, number: u8) -> Effect {
    let challenge_url = format!("https://ca.test/c/{number}");
    log.say(id, AuthorizationEvent::ReadinessRequested { challenge_url });
    let phase = log.facts.authorizations.get(&id).map(|it| &it.phase);
    let Some(Phase::ReadinessRequested(intent)) = phase else { panic!("{phase:?}") };
    let url = "https://ca.test/order/1".to_owned();
    Effect::MakeReady(id, request(ID).account, url, intent.clone())
}

fn problem(class: ProblemClass, kind: &str, status: u16) -> Problem {
    let mut problem = Problem::new(class, kind, "");
    problem.status = status;
    problem
}

fn shown(status: AuthorizationStatus, challenge: ChallengeStatus) -> AuthorizationLook {
    AuthorizationLook {
        url: "https://ca.test/a/0".to_owned(),
        identifier: NAME.to_owned(),
        status,
        expires: None,
        offers: vec!["http-01".to_owned()],
        http01: None,
        challenge,
        problem: None,
    }
}

fn says(log: &Folded, effect: &Effect, outcome: Outcome) -> Vec<&'static str> {
    names(&observe(&log.facts, effect, &outcome, &Session::default(), &context(NOW, log.boot)))
}

/// One name, of which the CA was told in this life.
fn told() -> (Folded, AuthorizationId, Effect) {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    let id = log.chosen(0);
    published(&mut log, id);
    let effect = asked(&mut log, id, 0);
    (log, id, effect)
}

#[test]
fn the_ca_is_told_of_none_before_all_are_answered() {
    let mut log = Folded::ordered(ID);
    log.created(2, None);
    let at = |log: &Folded| decide(&log.facts, ID, &Session::default(), &context(NOW, log.boot));
    let first = log.chosen(0);
    assert_eq!(
        at(&log).effects.first().map(Effect::key),
        Some(see(AuthorizationStage::Learning).key())
    );
    let second = log.chosen(1);
    assert_eq!(at(&log).effects.len(), 2, "both are probed");
    published(&mut log, first);
    assert!(at(&log).records.is_empty(), "the second is not probed yet");
    published(&mut log, second);
    assert_eq!(names(&at(&log).records), ["ReadinessRequested", "ReadinessRequested"]);
}

#[test]
fn after_an_end_the_ca_is_asked_before_it_is_told_again() {
    let (log, _, make_ready) = told();
    let effect = |session: &Session, boot| {
        let decision =
            decide(&log.facts, ID, session, &context(NOW.after(crate::bounds::DAILY), boot));
        decision.effects.first().map(Effect::key)
    };
    let settle = see(AuthorizationStage::Settling);
    assert_eq!(effect(&Session::default(), BootNo(1)), Some(make_ready.key()));
    assert_eq!(effect(&Session::default(), BootNo(2)), Some(settle.key()));
    let looks = |count, last| Looks { count, last: WallMs(last), ..Looks::default() };
    for (told, seen, untouched) in [
        (looks(0, 0), looks(1, 5), true),
        (looks(1, 5), looks(1, 5), false),
        (looks(1, 5), looks(1, 4), false),
        (looks(1, 5), looks(1, 6), true),
        (looks(1, 5), Looks { failures: 1, ..looks(1, 6) }, false),
    ] {
        let mut session = Session::default();
        session.looks.insert(make_ready.key(), told.clone());
        session.looks.insert(settle.key(), seen.clone());
        let wanted = if untouched { make_ready.key() } else { settle.key() };
        assert_eq!(effect(&session, BootNo(2)), Some(wanted), "{told:?} {seen:?}");
    }
}

#[test]
fn tokens_of_an_order_that_is_not_the_renewals_are_withdrawn() {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    log.chosen(0);
    let at = |log: &Folded| decide(&log.facts, ID, &Session::default(), &context(NOW, log.boot));
    assert!(at(&log).records.is_empty());
    log.say(order(ID, 2), OrderEvent::OrderRequested(request(ID)));
    assert_eq!(names(&at(&log).records), ["ChallengeWithdrawn"]);
}

#[test]
fn only_an_error_of_the_ca_refuses_a_challenge() {
    let (mut log, id, effect) = told();
    let answer = |class, status| Outcome::Done(Err(problem(class, "x", status)));
    assert_eq!(says(&log, &effect, answer(ProblemClass::Acme, 499)), ["ReadinessRefused"]);
    assert!(says(&log, &effect, answer(ProblemClass::Acme, 500)).is_empty());
    assert!(says(&log, &effect, answer(ProblemClass::Http, 400)).is_empty());
    assert_eq!(says(&log, &effect, Outcome::Done(Ok(()))), ["ReadinessAccepted"]);
    log.say(id, AuthorizationEvent::ReadinessAccepted { inferred: true });
    assert!(says(&log, &effect, Outcome::Done(Ok(()))).is_empty(), "it came late");
}

#[test]
fn a_challenge_that_the_ca_may_have_taken_is_looked_at_before_its_refusal_counts() {
    let (log, _, effect) = told();
    let kind = "urn:ietf:params:acme:error:malformed";
    let outcome = Outcome::Done(Err(problem(ProblemClass::Acme, kind, 400)));
    let mut session = Session::default();
    for said in [&[][..], &[], &["ReadinessRefused"]] {
        let cx = context(NOW, log.boot);
        assert_eq!(names(&observe(&log.facts, &effect, &outcome, &session, &cx)), said);
        session.ended(effect.key(), Some(&outcome), false, NOW);
    }
}

#[test]
fn a_settling_look_says_what_the_ca_has_taken() {
    use AuthorizationStatus::{Invalid, Pending, Valid};
    let (log, ..) = told();
    let settle = see(AuthorizationStage::Settling);
    for (status, challenge, said) in [
        (Pending, ChallengeStatus::Pending, vec![]),
        (Pending, ChallengeStatus::Taken, vec!["ReadinessAccepted"]),
        (Valid, ChallengeStatus::Taken, vec!["ReadinessAccepted"]),
        (Invalid, ChallengeStatus::Taken, vec!["AuthorizationBecameInvalid"]),
    ] {
        let outcome = Outcome::Authorizations(Ok(vec![shown(status, challenge)]));
        assert_eq!(says(&log, &settle, outcome), said, "{status:?} {challenge:?}");
    }
    let other = AuthorizationLook { url: String::new(), ..shown(Valid, ChallengeStatus::Taken) };
    assert!(says(&log, &settle, Outcome::Authorizations(Ok(vec![other]))).is_empty());
}

#[test]
fn a_dead_order_gives_every_name_its_end() {
    use AuthorizationStatus::{Invalid, Pending, Valid};
    let (log, ..) = told();
    let verdict = see(AuthorizationStage::Verdict);
    let kind = |outcome| {
        let events =
            observe(&log.facts, &verdict, &outcome, &Session::default(), &context(NOW, log.boot));
        let first = &events.first()?.event;
        let renewd_events::Event::Authorization(event) = first else { return None };
        let AuthorizationEvent::AuthorizationBecameInvalid { problem, .. } = event else {
            return Some(first.name().to_owned());
        };
        Some(problem.kind.clone())
    };
    let look = |status| Outcome::Authorizations(Ok(vec![shown(status, ChallengeStatus::Taken)]));
    assert_eq!(kind(look(Valid)).as_deref(), Some("AuthorizationBecameValid"));
    assert_eq!(kind(look(Invalid)).as_deref(), Some("invalid"));
    assert_eq!(kind(look(Pending)).as_deref(), Some(UNDECIDED));
    let failed = |class, status| Outcome::Authorizations(Err(problem(class, "gone", status)));
    assert_eq!(kind(failed(ProblemClass::Http, 404)).as_deref(), Some("gone"));
    assert_eq!(kind(failed(ProblemClass::Acme, 400)).as_deref(), Some("gone"));
    assert_eq!(kind(failed(ProblemClass::Http, 502)), None, "it is asked again");
    let said = says(&log, &verdict, look(Valid));
    assert_eq!(said, ["AuthorizationBecameValid", "ChallengeWithdrawn"]);
}

#[test]
fn when_the_order_went_on_its_names_are_valid_and_the_tokens_go() {
    let (mut log, id, _) = told();
    log.say(order(ID, 1), OrderEvent::OrderBecameReady { looks: 1 });
    let at = |log: &Folded| decide(&log.facts, ID, &Session::default(), &context(NOW, log.boot));
    let first = at(&log);
    assert_eq!(names(&first.records), ["AuthorizationBecameValid", "ChallengeWithdrawn"]);
    assert!(first.records.iter().all(|new| new.stream == id.into()));
    first.records.into_iter().for_each(|new| log.add(new));
    assert!(at(&log).records.is_empty());
}

#[test]
fn of_a_dead_order_the_verdict_on_open_names_is_asked_for() {
    let (mut log, id, _) = told();
    let problem = problem(ProblemClass::Acme, "malformed", 400);
    log.say(order(ID, 1), OrderEvent::OrderBecameInvalid { problem: problem.clone() });
    let asks = |log: &Folded| {
        let decision = decide(&log.facts, ID, &Session::default(), &context(NOW, log.boot));
        decision.effects.first().map(Effect::key)
    };
    assert_eq!(asks(&log), Some(see(AuthorizationStage::Verdict).key()));
    log.say(id, AuthorizationEvent::AuthorizationBecameInvalid { problem, visits: 0 });
    assert_eq!(asks(&log), None);
}
