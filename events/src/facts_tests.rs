//! What several streams say together: a forgotten account, a person who is wanted, tokens and orders.

use crate::account::AccountEvent;
use crate::authorization::{AuthorizationEvent, Challenge};
use crate::certificate::{CertificateEvent, Declaration, LifeLeft};
use crate::event::Envelope;
use crate::id::{
    AccountId, AuthorizationId, BootNo, CertificateId, DnsName, Hash, OrderId, RenewalId,
};
use crate::id::{Seq, StreamId};
use crate::order::{NewOrder, OrderEvent};
use crate::problem::{Problem, ProblemClass};
use crate::schedule::Cause;
use crate::{ActorName, Event, Facts, Subject, WallMs};

pub(crate) const ACCOUNT: AccountId = AccountId([1; 16]);
pub(crate) const ID: CertificateId = CertificateId([2; 16]);
pub(crate) const NOW: u64 = 1_800_000_000_000;

pub(crate) fn say(
    facts: &mut Facts,
    at: u64,
    stream: impl Into<StreamId>,
    event: impl Into<Event>,
) {
    let stream = stream.into();
    let envelope = Envelope {
        seq: Seq(facts.seq.0 + 1),
        stream,
        version: facts.version(stream) + 1,
        batch_index: 0,
        batch_len: 1,
        at: WallMs(at),
        boot: BootNo(1),
        actor: ActorName::Issuer,
        incarnation: 1,
        renewal: Some(RenewalId::default()),
        cause: None,
        trace: None,
        previous: Hash::default(),
        event: event.into(),
    };
    facts.apply(&envelope);
}

fn registered(at: u64) -> Facts {
    let mut facts = Facts::default();
    let url = "https://ca.test/account/1".to_owned();
    say(&mut facts, at, ACCOUNT, AccountEvent::AccountRegistered { url, already_existed: false });
    facts
}

pub(crate) fn declared(facts: &mut Facts, id: CertificateId, account: AccountId) {
    let declaration = Declaration {
        name: "a".to_owned(),
        account,
        identifiers: Vec::new(),
        profile: None,
        ari: false,
        life_left: LifeLeft::Share(1, 3),
    };
    say(facts, NOW, id, CertificateEvent::CertificateDeclared(declaration));
}

pub(crate) fn started(facts: &mut Facts, id: CertificateId, at: u64) {
    let event = CertificateEvent::RenewalStarted {
        number: 1,
        cause: Cause::FirstIssue,
        attempt: 1,
        replaces: None,
    };
    say(facts, at, id, event);
}

pub(crate) fn failed(facts: &mut Facts, id: CertificateId, at: u64, kind: &str) {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    let problem = Problem::new(ProblemClass::Acme, &kind, "");
    started(facts, id, at);
    say(facts, at, id, CertificateEvent::RenewalFailed { code: "R0000".to_owned(), problem });
}

#[test]
fn an_account_is_forgotten_when_the_ca_says_so_after_it_registered_it() {
    for (at, kind, account, forgotten) in [
        (NOW, "accountDoesNotExist", ACCOUNT, false),
        (NOW + 1, "accountDoesNotExist", ACCOUNT, true),
        (NOW - 1, "accountDoesNotExist", ACCOUNT, false),
        (NOW + 1, "rateLimited", ACCOUNT, false),
        (NOW + 1, "accountDoesNotExist", AccountId([9; 16]), false),
    ] {
        let mut facts = registered(NOW);
        declared(&mut facts, ID, account);
        assert!(!facts.is_forgotten(ACCOUNT));
        failed(&mut facts, ID, at, kind);
        assert_eq!(facts.is_forgotten(ACCOUNT), forgotten, "{at} {kind}");
    }
    assert!(!Facts::default().is_forgotten(ACCOUNT));
}

#[test]
fn a_person_is_wanted_until_somebody_accepts() {
    let accepted = |facts: &mut Facts| {
        let terms = AccountEvent::TermsAccepted { terms_url: None, by: "test".to_owned() };
        say(facts, NOW, ACCOUNT, terms);
    };
    for (at, kind, wanted) in [
        (NOW, "userActionRequired", false),
        (NOW + 1, "userActionRequired", true),
        (NOW - 1, "userActionRequired", false),
        (NOW + 1, "rateLimited", false),
    ] {
        let mut facts = registered(NOW);
        declared(&mut facts, ID, ACCOUNT);
        accepted(&mut facts);
        failed(&mut facts, ID, at, kind);
        assert_eq!(facts.wants_person(ACCOUNT).is_some(), wanted, "{at} {kind}");
        assert!(facts.wants_person(AccountId([9; 16])).is_none());
    }
    // The oldest of two is the one that is told.
    let mut facts = registered(NOW);
    let other = CertificateId([1; 16]);
    accepted(&mut facts);
    for (id, at) in [(ID, NOW + 1), (other, NOW + 2)] {
        declared(&mut facts, id, ACCOUNT);
        failed(&mut facts, id, at, "userActionRequired");
    }
    assert_eq!(facts.wants_person(ACCOUNT).map(|failure| failure.at), Some(WallMs(NOW + 1)));
}

#[test]
fn a_change_of_an_account_concerns_its_certificates_and_no_others() {
    let mut facts = registered(NOW);
    let other = CertificateId([3; 16]);
    declared(&mut facts, ID, ACCOUNT);
    declared(&mut facts, other, AccountId([9; 16]));
    assert_eq!(facts.related(Subject::Account(ACCOUNT)), [Subject::Certificate(ID)]);
    assert!(facts.related(Subject::Certificate(ID)).is_empty());
    for (kind, concerns) in
        [("accountDoesNotExist", true), ("userActionRequired", true), ("rateLimited", false)]
    {
        failed(&mut facts, ID, NOW + 1, kind);
        let wanted: &[Subject] = if concerns { &[Subject::Account(ACCOUNT)] } else { &[] };
        assert_eq!(facts.related(Subject::Certificate(ID)), wanted, "{kind}");
    }
}

#[test]
fn a_token_is_answered_from_its_choice_until_it_is_withdrawn() {
    let mut facts = Facts::default();
    let id = AuthorizationId([5; 16]);
    let seen = AuthorizationEvent::AuthorizationSeen {
        order: OrderId([6; 16]),
        certificate: ID,
        url: "https://ca.test/a/1".to_owned(),
        identifier: "a.test".to_owned(),
        expires: None,
        offers: Vec::new(),
        valid: false,
    };
    let challenge = Challenge {
        url: "https://ca.test/c/1".to_owned(),
        token: "token".to_owned(),
        thumbprint: "thumb".to_owned(),
    };
    say(&mut facts, NOW, id, seen);
    assert_eq!((facts.answers(), facts.answer("token")), (0, None));
    say(&mut facts, NOW, id, AuthorizationEvent::ChallengeChosen(challenge));
    assert_eq!(facts.answers(), 1);
    assert_eq!(facts.answer("token"), Some((id, "token.thumb".to_owned())));
    assert_eq!(facts.answer("other"), None);
    assert_eq!(facts.version(id.into()), 2);
    say(&mut facts, NOW, id, AuthorizationEvent::ChallengeWithdrawn);
    assert_eq!((facts.answers(), facts.answer("token")), (0, None));
}

/// A log that says it twice, by a defect or a change from outside, once made the Issuer ask for the
/// first order for ever: the second request took the order away from its renewal.
#[test]
fn an_order_that_is_requested_twice_stays_and_a_person_must_look() {
    let mut facts = registered(NOW);
    declared(&mut facts, ID, ACCOUNT);
    let number_one = OrderId([7; 16]);
    let request = || NewOrder {
        certificate: ID,
        account: ACCOUNT,
        identifiers: Vec::new(),
        profile: None,
        replaces: None,
    };
    let started = CertificateEvent::RenewalStarted {
        number: 1,
        cause: Cause::FirstIssue,
        attempt: 1,
        replaces: None,
    };
    say(&mut facts, NOW, ID, started);
    say(&mut facts, NOW, number_one, OrderEvent::OrderRequested(request()));
    assert_eq!(facts.certificates[&ID].anomaly, None);
    let intent = facts.orders[&number_one].phase.clone();

    say(&mut facts, NOW + 1, number_one, OrderEvent::OrderRequested(request()));
    assert_eq!(facts.orders[&number_one].phase, intent, "the first intent is the one that is done");
    assert_eq!(facts.order_of(ID).map(|(id, _)| id), Some(number_one));
    let certificate = &facts.certificates[&ID];
    assert_eq!(certificate.run.as_ref().map(|run| run.orders), Some(1));
    let anomaly = certificate.anomaly.as_ref().map(|anomaly| (anomaly.event, anomaly.seq));
    assert_eq!(anomaly, Some(("OrderRequested", facts.seq)));
}

#[test]
fn only_another_request_makes_the_last_failure_forgotten() {
    let edited = |edit: fn(&mut Declaration)| {
        let mut facts = registered(NOW);
        declared(&mut facts, ID, ACCOUNT);
        failed(&mut facts, ID, NOW, "rateLimited");
        let known = facts.certificates.get(&ID).unwrap();
        let mut declaration = known.declared.clone().unwrap();
        assert_eq!((known.failures, known.failure.is_some()), (1, true));
        edit(&mut declaration);
        say(&mut facts, NOW + 2, ID, CertificateEvent::CertificateDeclared(declaration));
        facts.certificates.get(&ID).unwrap().failures
    };
    assert_eq!(edited(|it| it.life_left = LifeLeft::Share(1, 4)), 1, "the CA's limit holds");
    assert_eq!(edited(|it| it.ari = true), 1);
    assert_eq!(edited(|it| it.identifiers = vec![DnsName::parse("b.test").unwrap()]), 0);
    assert_eq!(edited(|it| it.profile = Some("short".to_owned())), 0);
    assert_eq!(edited(|it| it.account = AccountId([9; 16])), 0);
}

#[test]
fn a_certificate_that_is_put_back_into_the_configuration_is_ordered_at_once() {
    let put_back = |kind: &str| {
        let mut facts = registered(NOW);
        declared(&mut facts, ID, ACCOUNT);
        say(&mut facts, NOW + 1, ID, CertificateEvent::CertificateOrphaned);
        let problem = Problem::new(ProblemClass::Local, kind, "");
        started(&mut facts, ID, NOW + 2);
        let code = "R0333".to_owned();
        say(&mut facts, NOW + 3, ID, CertificateEvent::RenewalFailed { code, problem });
        assert_eq!(facts.certificates.get(&ID).unwrap().orphaned, Some(WallMs(NOW + 1)));
        declared(&mut facts, ID, ACCOUNT);
        let certificate = facts.certificates.get(&ID).unwrap();
        (certificate.orphaned.is_some(), certificate.failures)
    };
    assert_eq!(put_back(crate::certificate::NOT_CONFIGURED), (false, 0));
    assert_eq!(put_back("rateLimited"), (false, 1));
}
