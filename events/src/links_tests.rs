//! What one stream says about another: an order that may be a lost one, tokens that two orders share,
//! answers that came, wishes that are met; and what a start leaves as it is.

use std::time::Duration;

use crate::authorization::{AuthorizationEvent, Challenge};
use crate::binding::{BindingEvent, Target};
use crate::certificate::CertificateEvent;
use crate::facts_tests::{ACCOUNT, ID, NOW, declared, failed, say, started};
use crate::id::{AuthorizationId, BindingId, Generation, ListenerId, OrderId, Seq, StreamId};
use crate::order::{Asked, NewOrder, OrderEvent, Phase};
use crate::problem::{Problem, ProblemClass};
use crate::process::{EngineEvent, LOST_ORDERS_MATTER, Mending, Previous};
use crate::restart::ProcessIdentity;
use crate::schedule::ScheduleEvent;
use crate::{Facts, Subject, WallMs};

const ORDER: OrderId = OrderId([6; 16]);

fn booted(facts: &mut Facts, at: u64) {
    let event = EngineEvent::EngineBooted {
        identity: ProcessIdentity::default(),
        version: String::new(),
        previous: Previous::default(),
        tail: Seq(0),
    };
    say(facts, at, StreamId::ENGINE, event);
}

fn mended(facts: &mut Facts, at: u64, lost: u64, end_known: bool) {
    let event = EngineEvent::LogMended {
        by: Mending::Repair,
        kept: Seq(10),
        lost_to: Seq(10 + lost),
        end_known,
        evidence: String::new(),
    };
    say(facts, at, StreamId::ENGINE, event);
}

fn ordered(facts: &mut Facts, at: u64, order: OrderId) {
    let request = NewOrder {
        certificate: ID,
        account: ACCOUNT,
        identifiers: Vec::new(),
        profile: None,
        replaces: None,
    };
    say(facts, at, order, OrderEvent::OrderRequested(request));
}

/// Whether the order that was asked for counts as an earlier life's, so that the CA is asked first.
fn is_asked_about(facts: &mut Facts, at: u64, order: OrderId) -> bool {
    ordered(facts, at, order);
    let phase = facts.orders.get(&order).map(|order| &order.phase);
    let Some(Phase::Requested(intent)) = phase else { panic!("{phase:?}") };
    intent.meta().incarnation == 0
}

fn seen(facts: &mut Facts, id: AuthorizationId, order: OrderId, token: Option<&str>) {
    let event = AuthorizationEvent::AuthorizationSeen {
        order,
        certificate: ID,
        url: "https://ca.test/a/1".to_owned(),
        identifier: "a.test".to_owned(),
        expires: None,
        offers: Vec::new(),
        valid: token.is_none(),
    };
    say(facts, NOW, id, event);
    if let Some(token) = token {
        let (url, thumbprint) = ("https://ca.test/c/1".to_owned(), "thumb".to_owned());
        let challenge = Challenge { url, token: token.to_owned(), thumbprint };
        say(facts, NOW, id, AuthorizationEvent::ChallengeChosen(challenge));
    }
}

#[test]
fn events_are_lost_when_some_are_missing_or_nobody_knows() {
    for (lost, end_known, wanted) in
        [(0, true, false), (1, true, true), (0, false, true), (1, false, true)]
    {
        let mut facts = Facts::default();
        mended(&mut facts, NOW, lost, end_known);
        assert_eq!(facts.engine.lost_at.is_some(), wanted, "{lost} {end_known}");
    }
    let mut facts = Facts::default();
    assert!(!facts.engine.may_have_forgotten_orders(WallMs(NOW)));
    mended(&mut facts, NOW, 1, true);
    let last = WallMs(NOW).after(LOST_ORDERS_MATTER);
    assert_eq!(LOST_ORDERS_MATTER, Duration::from_secs(2_592_000), "a month");
    assert!(facts.engine.may_have_forgotten_orders(WallMs(NOW)));
    assert!(facts.engine.may_have_forgotten_orders(last));
    assert!(!facts.engine.may_have_forgotten_orders(WallMs(last.0 + 1)));
}

#[test]
fn after_a_loss_the_ca_is_asked_once_about_each_certificates_order() {
    let mut facts = Facts::default();
    let order = |number| OrderId([number; 16]);
    assert!(!is_asked_about(&mut facts, NOW, order(1)), "nothing is lost");
    mended(&mut facts, NOW, 1, true);
    assert!(is_asked_about(&mut facts, NOW, order(2)));
    assert!(!is_asked_about(&mut facts, NOW, order(3)), "once");
    booted(&mut facts, NOW);
    assert!(!is_asked_about(&mut facts, NOW, order(4)), "a start loses nothing");
    mended(&mut facts, NOW + 1, 1, true);
    assert!(is_asked_about(&mut facts, NOW + 1, order(5)), "lost again");
}

#[test]
fn a_start_leaves_tokens_and_failures_as_they_are() {
    let mut facts = Facts::default();
    declared(&mut facts, ID, ACCOUNT);
    failed(&mut facts, ID, NOW, "rateLimited");
    seen(&mut facts, AuthorizationId([5; 16]), ORDER, Some("token"));
    booted(&mut facts, NOW + 1);
    assert!(facts.answer("token").is_some());
    assert_eq!(facts.certificates.get(&ID).map(|certificate| certificate.failures), Some(1));
}

#[test]
fn a_listener_concerns_the_certificates_that_are_bound_to_it() {
    let mut facts = Facts::default();
    let address = "127.0.0.1:443".to_owned();
    let ours = ListenerId::derive(&[address.as_bytes()]);
    let target = Target::Builtin { address };
    say(
        &mut facts,
        NOW,
        BindingId([7; 16]),
        BindingEvent::BindingDeclared { certificate: ID, target },
    );
    assert_eq!(facts.related(Subject::Listener(ours)), [Subject::Certificate(ID)]);
    assert!(facts.related(Subject::Listener(ListenerId([1; 16]))).is_empty());
}

#[test]
fn a_token_that_two_orders_need_stays_until_both_are_done() {
    let (first, second) = (AuthorizationId([5; 16]), AuthorizationId([4; 16]));
    let (third, withdrawn) = (AuthorizationId([3; 16]), AuthorizationEvent::ChallengeWithdrawn);
    let mut facts = Facts::default();
    seen(&mut facts, second, OrderId([8; 16]), Some("shared"));
    seen(&mut facts, first, ORDER, Some("shared"));
    seen(&mut facts, third, ORDER, Some("own"));
    assert_eq!(facts.answer("shared").map(|(id, _)| id), Some(first));
    say(&mut facts, NOW, first, withdrawn.clone());
    assert_eq!(facts.answer("shared").map(|(id, _)| id), Some(second));
    say(&mut facts, NOW, second, withdrawn.clone());
    assert_eq!((facts.answer("shared"), facts.answers()), (None, 1));
    say(&mut facts, NOW, third, withdrawn);
    assert_eq!(facts.answers(), 0);
}

#[test]
fn authorizations_of_a_renewal_that_ended_go_once_their_token_does() {
    let mut facts = Facts::default();
    declared(&mut facts, ID, ACCOUNT);
    started(&mut facts, ID, NOW);
    let (valid, answered) = (AuthorizationId([5; 16]), AuthorizationId([4; 16]));
    seen(&mut facts, valid, ORDER, None);
    seen(&mut facts, answered, ORDER, Some("token"));
    let ids = |facts: &Facts| facts.authorizations_of(ID).map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(ids(&facts), [answered, valid]);
    let problem = Problem::new(ProblemClass::Local, "x", "");
    say(&mut facts, NOW, ID, CertificateEvent::RenewalFailed { code: String::new(), problem });
    assert_eq!(ids(&facts), [answered]);
    assert_eq!(facts.authorizations.len(), 1);
    say(&mut facts, NOW, answered, AuthorizationEvent::ChallengeWithdrawn);
    assert!(facts.authorizations.is_empty());
}

#[test]
fn an_answer_about_a_name_ends_that_it_is_missing_and_what_we_do_does_not() {
    let mut facts = Facts::default();
    started(&mut facts, ID, NOW);
    ordered(&mut facts, NOW, ORDER);
    let name = AuthorizationId([5; 16]);
    let missing = |facts: &Facts| {
        let order = facts.orders.get(&ORDER).unwrap();
        order.missing.keys().copied().collect::<Vec<_>>()
    };
    let all = [Asked::Order, Asked::Authorizations, Asked::Challenge];
    let tell = |facts: &mut Facts| {
        for asked in all {
            let problem = Problem::new(ProblemClass::Transport, "timeout", "");
            say(facts, NOW, ORDER, OrderEvent::AnswerMissing { asked, problem, again: None });
        }
    };
    tell(&mut facts);
    assert_eq!(missing(&facts).len(), all.len());
    seen(&mut facts, name, ORDER, None);
    assert_eq!(missing(&facts), [Asked::Order]);
    tell(&mut facts);
    let challenge_url = String::new();
    say(&mut facts, NOW, name, AuthorizationEvent::ReadinessRequested { challenge_url });
    assert_eq!(missing(&facts).len(), all.len());
    say(&mut facts, NOW, name, AuthorizationEvent::ReadinessAccepted { inferred: false });
    assert_eq!(missing(&facts), [Asked::Order]);
}

#[test]
fn a_wish_is_met_by_the_renewal_that_succeeds_meanwhile_and_not_by_one_that_fails() {
    let wished = |end: CertificateEvent| {
        let mut facts = Facts::default();
        declared(&mut facts, ID, ACCOUNT);
        started(&mut facts, ID, NOW);
        let by = "uid 0".to_owned();
        say(&mut facts, NOW, StreamId::schedule(ID), ScheduleEvent::RenewalRequested { by });
        say(&mut facts, NOW, ID, end);
        facts.schedules.get(&ID).is_some_and(|schedule| schedule.requested.is_some())
    };
    let generation = Generation(1);
    assert!(!wished(CertificateEvent::RenewalSucceeded { generation }));
    let problem = Problem::new(ProblemClass::Local, "x", "");
    assert!(wished(CertificateEvent::RenewalFailed { code: String::new(), problem }));
}
