//! What a renewal does about its key and its order once both are asked for, in this life and the next.

use std::time::Duration;

use renewd_events::account::AccountEvent;
use renewd_events::certificate::{CertificateEvent, KeyRequest, KeyStep};
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::{BootNo, CertificateId, Fingerprint, Hash, KeyRef, StreamId};
use renewd_events::order::{Asked, OrderEvent, OrderStatus, Phase};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::{Cause, ScheduleEvent};

use super::decide::decide;
use super::observe::{observe, refuses_for_good};
use super::pace::outlasts_order;
use crate::bounds;
use crate::decision::{Ahead, Decision, Looks, Session};
use crate::effect::{Effect, EffectKey, OrderStage, Outcome};
use crate::folded_tests::{Folded, ID, NOW, context, order, renewal, request};
use crate::ports::{KeyFacts, OrderLook};

const URL: &str = "https://ca.test/order/1";

fn at(log: &Folded, session: &Session, boot: u32) -> Decision {
    decide(&log.facts, ID, session, &context(NOW, BootNo(boot)))
}

fn look_at(stage: OrderStage) -> Effect {
    Effect::LookAtOrder(order(ID, 1), request(ID).account, URL.to_owned(), stage)
}

fn looked(key: EffectKey, looks: Looks) -> Session {
    let mut session = Session::default();
    session.looks.insert(key, looks);
    session
}

fn finalizing() -> Folded {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    log.say(order(ID, 1), OrderEvent::OrderBecameReady { looks: 1 });
    log.say(order(ID, 1), OrderEvent::FinalizationRequested { csr: Hash::default() });
    log
}

fn processing() -> Folded {
    let mut log = finalizing();
    let status = OrderStatus::Processing;
    log.say(order(ID, 1), OrderEvent::FinalizationAccepted { status });
    log
}

fn sends(decision: &Decision) -> Option<Vec<u8>> {
    match decision.effects.as_slice() {
        [Effect::Finalize(_, _, _, _, csr)] => Some(csr.clone()),
        _ => None,
    }
}

#[test]
fn the_stored_csr_is_sent_and_in_another_life_only_after_the_ca_was_asked() {
    let log = finalizing();
    let settle = look_at(OrderStage::Settling).key();
    let answered = looked(settle, Looks { count: 1, last: NOW, ..Looks::default() });
    assert_eq!(sends(&at(&log, &Session::default(), 1)), Some(vec![1]));
    let next = at(&log, &Session::default(), 2);
    assert_eq!(next.effects.first().map(Effect::key), Some(settle));
    assert_eq!(sends(&at(&log, &answered, 2)), Some(vec![1]), "the very same one");
    let problem = Some(Problem::new(ProblemClass::Transport, "timeout", ""));
    let silent = Looks { count: 1, failures: 1, problem, ..Looks::default() };
    assert_eq!(sends(&at(&log, &looked(settle, silent), 2)), None);
}

#[test]
fn an_order_that_the_ca_works_at_is_looked_at_after_a_moment() {
    let log = processing();
    let due = NOW.after(bounds::LOOK_AFTER_FINALIZE);
    let early = at(&log, &Session::default(), 1);
    assert!(early.effects.is_empty());
    assert_eq!(early.wake.map(|(at, _)| at), Some(due));
    let then = decide(&log.facts, ID, &Session::default(), &context(due, BootNo(1)));
    let wanted = look_at(OrderStage::Processing).key();
    assert_eq!(then.effects.first().map(Effect::key), Some(wanted));
}

#[test]
fn an_answer_that_is_missing_is_told_in_every_phase() {
    let told = |log: &Folded, key: EffectKey| {
        let problem = Some(Problem::new(ProblemClass::Transport, "timeout", ""));
        let looks = Looks { count: 1, failures: 1, last: NOW, problem, ..Looks::default() };
        let decision = at(log, &looked(key, looks), 1);
        match decision.records.first().map(|new| &new.event) {
            Some(Event::Order(OrderEvent::AnswerMissing { asked, .. })) => Some(*asked),
            _ => None,
        }
    };
    let log = processing();
    assert_eq!(told(&log, look_at(OrderStage::Processing).key()), Some(Asked::Order));
    assert_eq!(told(&log, look_at(OrderStage::Pending).key()), None, "that is over");
    let log = finalizing();
    assert_eq!(told(&log, look_at(OrderStage::Settling).key()), Some(Asked::Order));
    let phase = log.facts.orders.get(&order(ID, 1)).map(|order| &order.phase);
    let Some(Phase::Finalizing(intent)) = phase else { panic!("{phase:?}") };
    let account = request(ID).account;
    let send = Effect::Finalize(order(ID, 1), account, URL.to_owned(), intent.clone(), Vec::new());
    assert_eq!(told(&log, send.key()), Some(Asked::Finalize));
}

#[test]
fn a_renewal_of_an_earlier_life_goes_on() {
    let mut log = processing();
    log.at = NOW.after(Duration::from_secs(1));
    log.boot(BootNo(2));
    assert!(at(&log, &Session::default(), 2).records.is_empty());
}

#[test]
fn one_more_than_allowed_at_once_waits_for_its_turn() {
    let mut log = Folded::ordered(CertificateId([8; 16]));
    log.begin(ID);
    let problem = Problem::new(ProblemClass::Transport, "timeout", "");
    log.say(ID, CertificateEvent::RenewalFailed { code: "R0000".to_owned(), problem });
    let account = request(ID).account;
    let url = "https://ca.test/account/1".to_owned();
    log.say(account, AccountEvent::TermsAccepted { terms_url: None, by: "test".to_owned() });
    log.say(account, AccountEvent::AccountRegistered { url, already_existed: false });
    let planned = ScheduleEvent::RenewalScheduled { at: NOW, cause: Cause::Retry, attempt: 2 };
    log.say(StreamId::schedule(ID), planned);
    let begins = |parallel_max| {
        let mut cx = context(NOW, log.boot);
        cx.rules.parallel_max = parallel_max;
        let decision = decide(&log.facts, ID, &Session::default(), &cx);
        assert_eq!(decision.records.is_empty(), decision.waits_for_turn);
        !decision.waits_for_turn
    };
    assert!(!begins(1));
    assert!(begins(2));
}

/// A renewal that waits for its key.
fn unkeyed() -> (Folded, Effect) {
    let mut log = Folded::ordered(ID);
    let key_ref = KeyRef("k2".to_owned());
    let identifiers = request(ID).identifiers;
    log.say(ID, CertificateEvent::CertificateKeyRequested(KeyRequest { key_ref, identifiers }));
    let run = log.facts.certificates.get(&ID).and_then(|certificate| certificate.run.as_ref());
    let Some(KeyStep::Requested(intent)) = run.map(|run| &run.key) else { panic!("{run:?}") };
    let effect = Effect::EnsureKey(intent.clone());
    (log, effect)
}

#[test]
fn a_key_is_there_or_it_is_not_and_a_late_one_says_nothing() {
    let (mut log, effect) = unkeyed();
    let says = |log: &Folded, outcome: Outcome| {
        observe(&log.facts, &effect, &outcome, &Session::default(), &context(NOW, log.boot))
    };
    let spki = Fingerprint::default();
    let made = || Outcome::Key(Ok(KeyFacts { spki, csr: vec![2] }));
    let problem = Problem::new(ProblemClass::Local, "disk", "");
    let failed = says(&log, Outcome::Key(Err(problem.clone())));
    let event = Event::from(CertificateEvent::CertificateKeyFailed { problem });
    assert_eq!(failed.into_iter().map(|new| new.event).collect::<Vec<_>>(), [event]);
    let records = says(&log, made());
    let (key_ref, csr) = (KeyRef("k2".to_owned()), vec![2]);
    let event = CertificateEvent::CertificateKeyCreated { key_ref, spki, csr }.into();
    let Effect::EnsureKey(intent) = &effect else { panic!("{effect:?}") };
    let cause = Some(intent.meta().seq);
    let (stream, renewal) = (ID.into(), Some(renewal(ID)));
    assert_eq!(records, [NewEvent { stream, event, renewal, cause }]);
    log.record(records);
    assert!(says(&log, made()).is_empty());
}

#[test]
fn come_back_later_is_no_refusal_however_it_is_said() {
    for (class, kind, status, refuses) in [
        (ProblemClass::Acme, "malformed", 400, true),
        (ProblemClass::Acme, "malformed", 429, false),
        (ProblemClass::Acme, "urn:ietf:params:acme:error:rateLimited", 403, false),
        (ProblemClass::Acme, "urn:ietf:params:acme:error:rateLimited", 429, false),
        (ProblemClass::Acme, "serverInternal", 500, false),
        (ProblemClass::Http, "x", 400, false),
    ] {
        let problem = Problem { status, ..Problem::new(class, kind, "") };
        assert_eq!(refuses_for_good(&problem), refuses, "{problem:?}");
    }
}

#[test]
fn what_a_look_says_belongs_to_the_renewal() {
    let look = OrderLook {
        url: URL.to_owned(),
        status: OrderStatus::Valid,
        authorizations: Vec::new(),
        expires: None,
        certificate: None,
        problem: None,
        retry_after_ms: None,
    };
    let log = processing();
    let effect = look_at(OrderStage::Processing);
    let outcome = Outcome::Order(Ok(look));
    let cx = context(NOW, log.boot);
    let records = observe(&log.facts, &effect, &outcome, &Session::default(), &cx);
    assert_eq!(records.iter().map(|new| new.renewal).collect::<Vec<_>>(), [Some(renewal(ID))]);
}

/// The finalize was answered "come back later", and the CA shows the order as it was.
fn put_off(log: &Folded, wait: Option<Duration>) -> Decision {
    let Some(Phase::Finalizing(intent)) = log.facts.order_of(ID).map(|(_, it)| it.phase.clone())
    else {
        panic!("no finalize is under way");
    };
    let csr = vec![1];
    let finalize = Effect::Finalize(order(ID, 1), request(ID).account, URL.to_owned(), intent, csr);
    let mut problem = Problem::new(ProblemClass::Http, "unavailable", "maintenance");
    problem.status = 503;
    problem.retry_after_ms = wait.map(|wait| u64::try_from(wait.as_millis()).unwrap());
    let mut session = Session::default();
    session.ended(finalize.key(), Some(&Outcome::Order(Err(problem))), false, NOW);
    let again = at(log, &session, 2);
    let look = look_at(OrderStage::Settling).key();
    assert_eq!(again.effects.first().map(Effect::key), Some(look), "the CA is asked first");
    session.looks.insert(look, Looks { count: 1, last: NOW, ..Looks::default() });
    at(log, &session, 2)
}

#[test]
fn a_wait_that_the_order_does_not_live_to_see_ends_the_renewal_and_any_other_is_kept() {
    let day = Duration::from_secs(86_400);
    let decided = |expires, wait| {
        let mut log = Folded::ordered(ID);
        log.created(1, expires);
        log.say(order(ID, 1), OrderEvent::OrderBecameReady { looks: 1 });
        log.say(order(ID, 1), OrderEvent::FinalizationRequested { csr: Hash::of(&[1]) });
        put_off(&log, wait)
    };
    let ends = Some(NOW.after(3 * day));
    for (expires, wait) in [(ends, 3 * day), (ends, 5 * day), (None, bounds::ORDER_LIFE_UNSAID)] {
        let decision = decided(expires, Some(wait));
        let event = decision.records.first().map(|new| &new.event);
        let Some(Event::Certificate(CertificateEvent::RenewalFailed { problem, .. })) = event
        else {
            panic!("{wait:?}: {decision:?}");
        };
        // What the CA asked for holds for the next order too.
        let asked = problem.retry_after_ms.map(Duration::from_millis);
        assert_eq!((problem.status, asked), (503, Some(wait)));
        assert!(problem.detail.contains("the order ends at"), "{}", problem.detail);
        assert!(problem.detail.contains("maintenance"), "{}", problem.detail);
    }
    for (expires, wait) in [(ends, 2 * day), (None, 6 * day)] {
        let decision = decided(expires, Some(wait));
        let waits =
            decision.effects.is_empty() && decision.wake.map(|(at, _)| at) == Some(NOW.after(wait));
        let told = decision.records.iter().all(|new| new.event.name() == "AnswerMissing");
        assert!(told && waits, "{wait:?}: {decision:?}");
    }
    let mut ahead =
        Session { ahead: Some(Ahead { by: 30 * day, seen_for: day }), ..Session::default() };
    let mut log = Folded::ordered(ID);
    log.created(1, Some(NOW.before(27 * day)));
    let (_, made) = log.facts.order_of(ID).unwrap();
    let look = look_at(OrderStage::Settling);
    for (wait, over) in [(2 * day, false), (3 * day, true)] {
        let looks = Looks { not_before: NOW.after(wait), asked: Some(wait), ..Looks::default() };
        let problem = Some(Problem::new(ProblemClass::Http, "unavailable", ""));
        ahead.looks.insert(look.key(), Looks { problem, ..looks });
        assert_eq!(
            outlasts_order(made, &look, &ahead).is_some(),
            over,
            "by the CA's clock: {wait:?}"
        );
    }
    // Our own pause is minutes, and says nothing about the CA.
    let own = decided(Some(NOW.after(Duration::from_millis(1))), None);
    assert!(own.records.iter().all(|new| new.event.name() == "AnswerMissing"), "{own:?}");
}
