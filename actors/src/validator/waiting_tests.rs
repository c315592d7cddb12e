//! What the log says while the CA does not answer about names, and that it is never told of one and
//! asked about another at a time.

use std::time::Duration;

use renewd_events::authorization::{AuthorizationEvent, Phase, Probe};
use renewd_events::event::Event;
use renewd_events::id::{AuthorizationId, BootNo};
use renewd_events::order::{Asked, OrderEvent};
use renewd_events::problem::{Problem, ProblemClass};

use super::decide::decide;
use crate::decision::{Decision, Looks, Session};
use crate::effect::{AuthorizationStage, Effect, EffectKey, Outcome};
use crate::folded_tests::{Folded, ID, NOW, context, order, request};

fn see(stage: AuthorizationStage) -> EffectKey {
    let url = "https://ca.test/order/1".to_owned();
    Effect::SeeAuthorizations(order(ID, 1), request(ID).account, url, stage).key()
}

fn asked(log: &mut Folded, number: u8) -> (AuthorizationId, EffectKey) {
    let id = log.chosen(number);
    log.say(id, AuthorizationEvent::Published { probe: Probe::Seen });
    let challenge_url = format!("https://ca.test/c/{number}");
    log.say(id, AuthorizationEvent::ReadinessRequested { challenge_url });
    let phase = log.facts.authorizations.get(&id).map(|it| &it.phase);
    let Some(Phase::ReadinessRequested(intent)) = phase else { panic!("{phase:?}") };
    let url = "https://ca.test/order/1".to_owned();
    (id, Effect::MakeReady(id, request(ID).account, url, intent.clone()).key())
}

fn created(names: u8) -> Folded {
    let mut log = Folded::ordered(ID);
    log.created(names, None);
    log
}

fn at(log: &Folded, session: &Session, boot: u32) -> Decision {
    decide(&log.facts, ID, session, &context(NOW, BootNo(boot)))
}

/// What is told when this question failed a moment ago.
fn told(log: &Folded, key: EffectKey) -> Option<Asked> {
    let problem = Some(Problem::new(ProblemClass::Transport, "timeout", ""));
    let looks = Looks { count: 1, failures: 1, last: NOW, problem, ..Looks::default() };
    let mut session = Session::default();
    session.looks.insert(key, looks);
    match at(log, &session, 1).records.first().map(|new| &new.event) {
        Some(Event::Order(OrderEvent::AnswerMissing { asked, .. })) => Some(*asked),
        _ => None,
    }
}

#[test]
fn a_missing_answer_is_told_of_what_is_asked_in_this_phase() {
    use AuthorizationStage::{Learning, Settling, Verdict};
    let mut log = created(2);
    log.chosen(0);
    assert_eq!(told(&log, see(Learning)), Some(Asked::Authorizations));
    assert_eq!(told(&log, see(Verdict)), None);
    let mut log = created(1);
    let (_, tell) = asked(&mut log, 0);
    assert_eq!(told(&log, see(Learning)), None, "all are known");
    assert_eq!(told(&log, tell), Some(Asked::Challenge));
    assert_eq!(told(&log, see(Settling)), Some(Asked::Authorizations));
    let problem = Problem::new(ProblemClass::Acme, "x", "");
    log.say(order(ID, 1), OrderEvent::OrderBecameInvalid { problem });
    assert_eq!(told(&log, see(Verdict)), Some(Asked::Authorizations));
    assert_eq!(told(&log, see(Settling)), None);
}

fn kinds(decision: &Decision) -> Vec<EffectKey> {
    decision.effects.iter().map(Effect::key).collect()
}

#[test]
fn the_ca_is_not_asked_what_it_has_seen_while_it_is_being_told() {
    let mut log = created(2);
    let (first, tell_first) = asked(&mut log, 0);
    let (_, tell_second) = asked(&mut log, 1);
    let settle = see(AuthorizationStage::Settling);
    let running = |keys: &[EffectKey]| Session {
        running: keys.iter().copied().collect(),
        ..Session::default()
    };
    // Another life: it is asked about both, with one look, unless something is on its way.
    assert_eq!(kinds(&at(&log, &Session::default(), 2)), [settle]);
    assert_eq!(kinds(&at(&log, &running(&[tell_first]), 2)), []);
    assert_eq!(kinds(&at(&log, &running(&[settle]), 2)), []);
    let other = see(AuthorizationStage::Learning);
    assert_eq!(kinds(&at(&log, &running(&[other]), 2)), [settle]);
    // One ended without a verdict: the other is told first, and then it is asked.
    let phase = log.facts.authorizations.get(&first).map(|it| &it.phase);
    let Some(Phase::ReadinessRequested(intent)) = phase else { panic!("{phase:?}") };
    let mut unsure = Session::default();
    unsure.unsure.insert(intent.effect_id());
    assert_eq!(kinds(&at(&log, &unsure, 1)), [tell_second]);
    // While one is being told, the other is neither told again nor asked about.
    let mut one = created(1);
    let (_, tell) = asked(&mut one, 0);
    assert_eq!(kinds(&at(&one, &Session::default(), 1)), [tell]);
    assert_eq!(kinds(&at(&one, &running(&[tell]), 1)), []);
    assert_eq!(kinds(&at(&one, &running(&[settle]), 1)), []);
}

#[test]
fn a_challenge_that_the_ca_puts_off_until_the_order_is_over_is_given_up_and_any_other_waits() {
    let day = Duration::from_secs(86_400);
    let decided = |wait: Duration, looked: bool| {
        let mut log = Folded::ordered(ID);
        log.created(1, Some(NOW.after(3 * day)));
        let (_, tell) = asked(&mut log, 0);
        let mut problem = Problem::new(ProblemClass::Acme, "rateLimited", "too many");
        problem.kind = "urn:ietf:params:acme:error:rateLimited".to_owned();
        problem.status = 429;
        problem.retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap());
        let mut session = Session::default();
        session.ended(tell, Some(&Outcome::Done(Err(problem))), false, NOW);
        let seen =
            Looks { count: 1, last: NOW.after(Duration::from_millis(1)), ..Looks::default() };
        if looked {
            session.looks.insert(see(AuthorizationStage::Settling), seen);
        }
        at(&log, &session, 2)
    };
    let told = |decision: &Decision| match decision.records.first().map(|new| &new.event) {
        Some(Event::Order(OrderEvent::AnswerMissing { asked, problem, again })) => {
            Some((*asked, problem.detail.contains("the order ends at"), *again))
        }
        _ => None,
    };
    let asks_first = decided(5 * day, false);
    assert_eq!(kinds(&asks_first), [see(AuthorizationStage::Settling)], "{asks_first:?}");
    for wait in [3 * day, 5 * day] {
        assert_eq!(told(&decided(wait, true)), Some((Asked::Challenge, true, None)), "{wait:?}");
    }
    // In the next life, which remembers no wait, the CA is not told of it all the same.
    let mut log = Folded::ordered(ID);
    log.created(1, Some(NOW.after(3 * day)));
    let (_, tell) = asked(&mut log, 0);
    let problem = Problem::new(ProblemClass::Acme, "rateLimited", "");
    let given_up = OrderEvent::AnswerMissing { asked: Asked::Challenge, problem, again: None };
    let mut session = Session::default();
    session.looks.insert(
        see(AuthorizationStage::Settling),
        Looks { count: 1, last: NOW, ..Looks::default() },
    );
    assert_eq!(kinds(&at(&log, &session, 2)), [tell]);
    log.say(order(ID, 1), given_up);
    assert!(kinds(&at(&log, &session, 2)).is_empty());
    let kept = decided(2 * day, true);
    assert_eq!(told(&kept), Some((Asked::Challenge, false, Some(NOW.after(2 * day)))));
}
