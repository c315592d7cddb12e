//! When a renewal begins, what it asks for, and when it ends.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::account::{AccountEvent, Directory};
use renewd_events::binding::{BindingEvent, Target};
use renewd_events::certificate::{CertificateEvent, Issue, Leaf};
use renewd_events::id::{BindingId, Fingerprint, Generation, Hash, KeyRef, StreamId};
use renewd_events::order::OrderEvent;
use renewd_events::process::ClockEvent;
use renewd_events::schedule::{Cause, ScheduleEvent};

use super::decide::decide;
use crate::bounds;
use crate::decision::{Ahead, Decision, Session};
use crate::folded_tests::{Folded, ID, NAME, NOW, context, order};

fn at(log: &Folded, now: WallMs) -> Decision {
    decide(&log.facts, ID, &Session::default(), &context(now, log.boot))
}

fn names(decision: &Decision) -> Vec<&'static str> {
    decision.records.iter().map(|new| new.event.name()).collect()
}

fn leaf(names: &[&str], from: WallMs, to: WallMs, spki: Fingerprint) -> Leaf {
    Leaf {
        chain: Hash::default(),
        fingerprint: Fingerprint::default(),
        spki,
        serial: "0a".to_owned(),
        ari_id: Some("aki.0a".to_owned()),
        not_before: from,
        not_after: to,
        issuer: "CN=test".to_owned(),
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        certificates: 2,
    }
}

/// What comes of a chain that was downloaded.
fn adopted(leaf: Leaf) -> String {
    let mut log = Folded::ordered(ID);
    log.created(1, None);
    log.say(order(ID, 1), OrderEvent::ChainDownloaded(leaf));
    let session = Session { ahead: Some(Ahead::default()), ..Session::default() };
    let decision = decide(&log.facts, ID, &session, &context(NOW, log.boot));
    let event = &decision.records.first().unwrap().event;
    if let renewd_events::Event::Order(OrderEvent::ChainRejected { problem }) = event {
        return problem.kind.clone();
    }
    event.name().to_owned()
}

#[test]
fn a_chain_is_adopted_only_when_it_is_what_was_asked_for() {
    let (key, end) = (Fingerprint::default(), WallMs(NOW.0 + 1));
    assert_eq!(adopted(leaf(&[NAME], NOW, end, key)), "GenerationAdopted");
    assert_eq!(adopted(leaf(&["b.test", NAME], NOW, end, key)), "GenerationAdopted");
    assert_eq!(adopted(leaf(&["b.test"], NOW, end, key)), "names-missing");
    assert_eq!(adopted(leaf(&[NAME], NOW, end, Hash::of(b"other"))), "key-mismatch");
    assert_eq!(adopted(leaf(&[NAME], end, end, key)), "no-lifetime");
    assert_eq!(adopted(leaf(&[NAME], WallMs(NOW.0 - 9), NOW, key)), "expired");
}

fn issue(names: &[&str], life: Duration) -> Issue {
    Issue {
        generation: Generation(1),
        order: order(ID, 1),
        key_ref: KeyRef("k".to_owned()),
        spki: Fingerprint::default(),
        leaf: leaf(names, NOW, NOW.after(life), Fingerprint::default()),
    }
}

/// An issue of this life, adopted at [`NOW`], with one place to be served.
fn to_be_served(life: Duration) -> Folded {
    let mut log = Folded::ordered(ID);
    let declared = BindingEvent::BindingDeclared {
        certificate: ID,
        target: Target::Builtin { address: "0.0.0.0:443".to_owned() },
    };
    log.say(BindingId([1; 16]), declared);
    log.say(ID, CertificateEvent::GenerationAdopted(issue(&[NAME], life)));
    log
}

#[test]
fn a_renewal_waits_to_be_served_for_an_hour_or_a_quarter_of_the_life() {
    let day = Duration::from_secs(86_400);
    for (life, wait) in [(90 * day, bounds::SERVED_WAIT_MAX), (day / 24, day / 96)] {
        let log = to_be_served(life);
        let end = NOW.after(wait);
        let early = at(&log, WallMs(end.0 - 1));
        assert!(early.records.is_empty(), "{life:?}");
        assert_eq!(early.wake.map(|(at, _)| at), Some(end));
        assert_eq!(names(&at(&log, end)), ["RenewalEndedUnserved"], "{life:?}");
    }
}

#[test]
fn after_the_clock_was_set_back_a_renewal_waits_to_be_served_from_the_start_of_the_life() {
    let mut log = to_be_served(Duration::from_secs(90 * 86_400));
    let now = NOW.before(Duration::from_secs(30 * 86_400));
    log.at = now;
    log.boot(log.boot);
    let end = now.after(bounds::SERVED_WAIT_MAX);
    assert_eq!(at(&log, now).wake.map(|(at, _)| at), Some(end));
    assert_eq!(names(&at(&log, end)), ["RenewalEndedUnserved"]);
    // The life is older than the clock says: from the jump, which is in the log a moment later.
    log.at = NOW;
    log.boot(log.boot);
    assert_eq!(at(&log, now).records, []);
    log.at = now;
    log.say(StreamId::CLOCK, ClockEvent::WallClockJumped { delta_ms: -1 });
    assert_eq!(at(&log, now).wake.map(|(at, _)| at), Some(end));
    assert_eq!(names(&at(&log, end)), ["RenewalEndedUnserved"]);
}

#[test]
fn a_renewal_that_is_served_has_succeeded() {
    let mut log = to_be_served(Duration::from_secs(90 * 86_400));
    let seen = |generation| BindingEvent::ServedVerified {
        generation: Generation(generation),
        address: String::new(),
        fingerprint: Fingerprint::default(),
    };
    log.say(BindingId([1; 16]), seen(0));
    assert!(at(&log, NOW).records.is_empty(), "the issue before is served");
    for generation in [1, 2] {
        log.say(BindingId([1; 16]), seen(generation));
        assert_eq!(names(&at(&log, NOW)), ["RenewalSucceeded"], "{generation}");
    }
}

#[test]
fn a_certificate_that_is_not_wanted_any_more_is_not_renewed() {
    let mut log = due(&[NAME]);
    assert!(!at(&log, NOW).records.is_empty());
    log.say(ID, CertificateEvent::CertificateOrphaned);
    assert!(at(&log, NOW).records.is_empty());
}

/// A certificate of these names whose renewal is due, at a CA that gives renewal information.
pub(super) fn due(names: &[&str]) -> Folded {
    let mut log = Folded::ordered(ID);
    let account = crate::folded_tests::request(ID).account;
    let declared = AccountEvent::AccountDeclared {
        directory_url: "https://ca.test/directory".to_owned(),
        contacts_hash: Hash::default(),
        contacts: 0,
    };
    let url = "https://ca.test/account/1".to_owned();
    let directory = Directory { renewal_info: true, ..Directory::default() };
    log.say(account, declared);
    log.say(account, AccountEvent::DirectoryObserved(directory));
    log.say(account, AccountEvent::TermsAccepted { terms_url: None, by: "test".to_owned() });
    log.say(account, AccountEvent::AccountRegistered { url, already_existed: false });
    let issue = issue(names, Duration::from_secs(90 * 86_400));
    log.say(ID, CertificateEvent::GenerationAdopted(issue));
    log.say(ID, CertificateEvent::RenewalSucceeded { generation: Generation(1) });
    plan(&mut log, NOW, Cause::LifeLeft);
    log
}

fn plan(log: &mut Folded, at: WallMs, cause: Cause) {
    let event = ScheduleEvent::RenewalScheduled { at, cause, attempt: 1 };
    log.say(StreamId::schedule(ID), event);
}

#[test]
fn a_renewal_begins_when_it_is_due_and_not_before() {
    let log = due(&[NAME]);
    assert_eq!(names(&at(&log, NOW)), ["RenewalStarted", "CertificateKeyRequested"]);
    let early = at(&log, WallMs(NOW.0 - 1));
    assert!(early.records.is_empty());
    assert_eq!(early.wake.map(|(at, _)| at), Some(NOW));
}

#[test]
fn a_renewal_that_a_person_asks_for_begins_at_once() {
    let mut log = due(&[NAME]);
    plan(&mut log, WallMs(NOW.0 + 1), Cause::LifeLeft);
    assert!(at(&log, NOW).records.is_empty());
    let wish = ScheduleEvent::RenewalRequested { by: "uid 0".to_owned() };
    log.say(StreamId::schedule(ID), wish);
    let decision = at(&log, NOW);
    assert_eq!(names(&decision), ["RenewalStarted", "CertificateKeyRequested"]);
    let event = &decision.records.first().unwrap().event;
    let renewd_events::Event::Certificate(CertificateEvent::RenewalStarted { cause, .. }) = event
    else {
        panic!("{event:?}");
    };
    assert_eq!(*cause, Cause::Operator);
}

#[test]
fn a_retry_planned_under_a_clock_that_was_set_back_is_not_waited_for() {
    let begins = |cause, decided: WallMs| {
        let mut log = due(&[NAME]);
        log.at = decided;
        plan(&mut log, decided.after(Duration::from_secs(60)), cause);
        !at(&log, NOW).records.is_empty()
    };
    let horizon = NOW.after(bounds::JUMP_MIN);
    assert!(!begins(Cause::Retry, horizon));
    assert!(begins(Cause::Retry, WallMs(horizon.0 + 1)));
    assert!(!begins(Cause::LifeLeft, WallMs(horizon.0 + 1)));
}

#[test]
fn only_a_certificate_with_a_name_in_common_is_replaced() {
    let replaces = |names: &[&str], renewal_info| {
        let mut log = due(names);
        let directory = Directory { renewal_info, ..Directory::default() };
        let account = crate::folded_tests::request(ID).account;
        log.say(account, AccountEvent::DirectoryObserved(directory));
        let decision = at(&log, NOW);
        let event = &decision.records.first().unwrap().event;
        let renewd_events::Event::Certificate(CertificateEvent::RenewalStarted {
            replaces, ..
        }) = event
        else {
            panic!("{event:?}");
        };
        replaces.clone()
    };
    assert_eq!(replaces(&[NAME, "b.test"], true).as_deref(), Some("aki.0a"));
    assert_eq!(replaces(&["b.test"], true), None);
    assert_eq!(replaces(&[NAME], false), None, "a CA without renewal information");
}
