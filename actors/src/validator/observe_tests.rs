//! What is learnt of an order's names, and what a probe and a verdict say.

use renewd_events::WallMs;
use renewd_events::authorization::{AuthorizationEvent, Challenge, Probe};
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::AuthorizationId;
use renewd_events::problem::{Problem, ProblemClass};

use super::observe::observe;
use crate::bounds;
use crate::decision::Session;
use crate::effect::{AuthorizationStage, Effect, Outcome};
use crate::folded_tests::{Folded, ID, NAME, NOW, context, order, renewal, request};
use crate::ports::{AuthorizationLook, AuthorizationStatus, ChallengeStatus};

fn challenge(number: usize) -> Challenge {
    Challenge {
        url: format!("https://ca.test/c/{number}"),
        token: format!("token{number}"),
        thumbprint: "thumb".to_owned(),
    }
}

fn look(number: usize, status: AuthorizationStatus) -> AuthorizationLook {
    AuthorizationLook {
        url: format!("https://ca.test/a/{number}"),
        identifier: NAME.to_owned(),
        status,
        expires: None,
        offers: vec!["http-01".to_owned()],
        http01: Some(challenge(number)),
        challenge: ChallengeStatus::Pending,
        problem: None,
    }
}

fn learn(log: &Folded, looks: Vec<AuthorizationLook>) -> Vec<NewEvent> {
    let url = "https://ca.test/order/1".to_owned();
    let stage = AuthorizationStage::Learning;
    let effect = Effect::SeeAuthorizations(order(ID, 1), request(ID).account, url, stage);
    says(log, &effect, Outcome::Authorizations(Ok(looks)))
}

fn says(log: &Folded, effect: &Effect, outcome: Outcome) -> Vec<NewEvent> {
    observe(&log.facts, effect, &outcome, &Session::default(), &context(NOW, log.boot))
}

fn created() -> Folded {
    let mut log = Folded::ordered(ID);
    log.created(3, None);
    log
}

fn names(records: &[NewEvent]) -> Vec<&'static str> {
    records.iter().map(|new| new.event.name()).collect()
}

/// Why a name ended at once.
fn invalid(look: AuthorizationLook) -> Option<String> {
    let records = learn(&created(), vec![look]);
    let Event::Authorization(AuthorizationEvent::AuthorizationBecameInvalid { problem, .. }) =
        &records.last()?.event
    else {
        return None;
    };
    assert_eq!(names(&records), ["AuthorizationSeen", "AuthorizationBecameInvalid"]);
    Some(problem.kind.clone())
}

#[test]
fn a_name_is_learnt_once_with_its_challenge_as_part_of_the_renewal() {
    use AuthorizationStatus::{Pending, Valid};
    let mut log = created();
    let records = learn(&log, vec![look(0, Pending), look(1, Valid)]);
    let expected = ["AuthorizationSeen", "ChallengeChosen", "AuthorizationSeen"];
    assert_eq!(names(&records), expected);
    assert!(records.iter().all(|new| new.renewal == Some(renewal(ID)) && new.cause.is_none()));
    let id = |number: usize| {
        AuthorizationId::derive(&[&order(ID, 1).0, look(number, Valid).url.as_bytes()])
    };
    let streams: Vec<_> = records.iter().map(|new| new.stream).collect();
    assert_eq!(streams, [id(0).into(), id(0).into(), id(1).into()]);
    let mut valid = Vec::new();
    for new in &records {
        if let Event::Authorization(AuthorizationEvent::AuthorizationSeen { valid: it, .. }) =
            &new.event
        {
            valid.push(*it);
        }
    }
    assert_eq!(valid, [false, true]);
    log.record(records);
    let more = learn(&log, vec![look(0, Pending), look(1, Valid), look(2, Pending)]);
    assert_eq!(names(&more), ["AuthorizationSeen", "ChallengeChosen"]);
}

#[test]
fn what_does_not_fit_into_one_batch_is_learnt_by_the_next_look_and_no_name_by_halves() {
    use AuthorizationStatus::{Pending, Valid};
    let full = bounds::EVENTS_PER_BATCH_MAX;
    let many = (0..full).map(|number| look(number, Pending)).collect();
    assert_eq!(learn(&created(), many).len(), full);
    // One that needs no challenge makes the count odd: the last name would lose its challenge.
    let mut log = created();
    let odd = || {
        let pending = (1..=full / 2).map(|number| look(number, Pending));
        [look(0, Valid)].into_iter().chain(pending).collect()
    };
    let first = learn(&log, odd());
    assert_eq!(first.len(), full - 1);
    assert_eq!(names(&first).last(), Some(&"ChallengeChosen"));
    log.record(first);
    assert_eq!(names(&learn(&log, odd())), ["AuthorizationSeen", "ChallengeChosen"]);
}

#[test]
fn a_name_that_is_lost_already_says_why() {
    use AuthorizationStatus::{Invalid, Pending};
    let alone = AuthorizationLook { http01: None, ..look(0, Pending) };
    assert_eq!(invalid(alone).as_deref(), Some("no-http-01"));
    assert_eq!(invalid(look(0, Pending)), None);
    let named = Some(Problem::new(ProblemClass::Acme, "connection", ""));
    for (problem, expires, kind) in [
        (None, None, "invalid"),
        (None, Some(WallMs(NOW.0 + 1)), "invalid"),
        (None, Some(NOW), "expired"),
        (None, Some(WallMs(NOW.0 - 1)), "expired"),
        (named.clone(), Some(NOW), "connection"),
        (named, None, "connection"),
    ] {
        let look = AuthorizationLook { problem, expires, ..look(0, Invalid) };
        assert_eq!(invalid(look.clone()).as_deref(), Some(kind), "{look:?}");
    }
}

#[test]
fn a_probe_is_a_fact_until_the_token_is_published() {
    let mut log = created();
    let id = log.chosen(0);
    let effect = Effect::ProbeChallenge(id, NAME.to_owned(), challenge(0));
    let text = "x".repeat(1000);
    let seen = says(&log, &effect, Outcome::Probed(Probe::NotSeen(text)));
    let probe = Probe::NotSeen("x".repeat(256));
    let event = AuthorizationEvent::Published { probe }.into();
    let (stream, renewal) = (id.into(), Some(renewal(ID)));
    assert_eq!(seen, [NewEvent { stream, event, renewal, cause: None }]);
    log.record(seen);
    assert!(says(&log, &effect, Outcome::Probed(Probe::Seen)).is_empty(), "it came late");
}
