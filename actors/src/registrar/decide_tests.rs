//! An account is made once, by a CA whose terms are accepted, and asked for again ever more slowly.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::account::{Account, AccountEvent, AccountRequest, Directory, Registration};
use renewd_events::event::Event;
use renewd_events::id::{AccountId, Hash, KeyRef};
use renewd_events::problem::{Problem, ProblemClass};

use super::agreement::Heard;
use super::decide::{account_key_ref, decide};
use crate::bounds;
use crate::decision::{Decision, Looks, Session};
use crate::effect::Effect;
use crate::folded_tests::{Folded, NOW, context};

pub(super) const ID: AccountId = AccountId([3; 16]);
const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

pub(super) fn acme(kind: &str, status: u16) -> Problem {
    let kind = format!("urn:ietf:params:acme:error:{kind}");
    Problem { status, ..Problem::new(ProblemClass::Acme, &kind, "") }
}

pub(super) fn directory(external_account_required: bool) -> Directory {
    Directory { external_account_required, ..Directory::default() }
}

pub(super) fn request() -> AccountRequest {
    AccountRequest {
        key_ref: account_key_ref(ID),
        thumbprint: "t".to_owned(),
        contacts_hash: Hash([8; 32]),
    }
}

/// An account that is wanted, whose directory is read, whose key is made.
pub(super) fn wanted() -> Folded {
    let mut log = Folded::new();
    let directory_url = "https://ca.test/directory".to_owned();
    let contacts_hash = request().contacts_hash;
    log.say(ID, AccountEvent::AccountDeclared { directory_url, contacts_hash, contacts: 1 });
    log.say(ID, AccountEvent::DirectoryObserved(directory(false)));
    let (key_ref, thumbprint) = (request().key_ref, request().thumbprint);
    log.say(ID, AccountEvent::AccountKeyCreated { key_ref, thumbprint });
    log
}

pub(super) fn accept(log: &mut Folded) {
    let terms = AccountEvent::TermsAccepted { terms_url: None, by: "configuration".to_owned() };
    log.say(ID, terms);
}

/// As [`wanted`]: its terms are accepted, and it is asked for.
pub(super) fn asked() -> Folded {
    let mut log = wanted();
    accept(&mut log);
    let records = at(&log, &Session::default(), NOW).records;
    assert_eq!(log.record(records), ["AccountRequested"]);
    log
}

pub(super) fn registered() -> Folded {
    let mut log = asked();
    let url = "https://ca.test/account/1".to_owned();
    log.say(ID, AccountEvent::AccountRegistered { url, already_existed: false });
    log
}

pub(super) fn account(log: &Folded) -> &Account {
    log.facts.accounts.get(&ID).unwrap()
}

fn hears(log: &Folded, heard: Heard<'_>, session: &Session, now: WallMs) -> Decision {
    decide(ID, account(log), heard, session, &context(now, log.boot))
}

fn at(log: &Folded, session: &Session, now: WallMs) -> Decision {
    hears(log, Heard::default(), session, now)
}

/// The directory was read now: what is left to do is about the account.
fn read() -> Session {
    looked(&Effect::ReadDirectory(ID), Looks { count: 1, last: NOW, ..Looks::default() })
}

fn looked(effect: &Effect, looks: Looks) -> Session {
    let mut session = Session::default();
    session.looks.insert(effect.key(), looks);
    session
}

fn wake(decision: &Decision) -> Option<WallMs> {
    assert!(decision.records.is_empty() && decision.effects.is_empty(), "{decision:?}");
    decision.wake.map(|(at, _)| at)
}

fn asks(decision: &Decision) -> bool {
    let wanted: Event = AccountEvent::AccountRequested(request()).into();
    let asked = decision.records.iter().map(|new| &new.event).collect::<Vec<_>>();
    assert!(asked.is_empty() || asked == [&wanted], "{asked:?}");
    !asked.is_empty()
}

#[test]
fn the_directory_is_read_at_once_then_daily_and_as_the_back_off_allows_when_that_failed() {
    let daily = NOW.after(bounds::DIRECTORY_AGE_MAX);
    let soon = NOW.after(MINUTE);
    let looks = |count, failures, last, not_before| Looks {
        count,
        failures,
        last,
        not_before,
        ..Looks::default()
    };
    for (case, looks, person, due) in [
        ("not yet, as the log could not be written", looks(0, 0, WallMs(0), soon), false, soon),
        ("read", looks(1, 0, NOW, NOW), false, daily),
        ("read twice", looks(2, 0, NOW, NOW), false, daily),
        ("failed", looks(1, 1, NOW, soon), false, soon),
        ("failed twice", looks(2, 2, NOW, soon), false, soon),
        ("a person is wanted since", looks(1, 0, NOW.before(MS), soon), true, soon),
        ("read as a person was wanted", looks(1, 0, NOW, soon), true, daily),
        ("read after a person was wanted", looks(1, 0, NOW.after(MS), soon), true, daily.after(MS)),
    ] {
        let mut log = wanted();
        if person {
            let problem = acme("userActionRequired", 403);
            log.say(ID, AccountEvent::PersonRequired { problem, failed_at: NOW });
        }
        let session = looked(&Effect::ReadDirectory(ID), looks);
        assert_eq!(wake(&at(&log, &session, NOW)), Some(due), "{case}");
        assert_eq!(wake(&at(&log, &session, due.before(MS))), Some(due), "{case}");
        let effects = at(&log, &session, due).effects;
        assert!(matches!(effects.as_slice(), [Effect::ReadDirectory(ID)]), "{case}");
    }
    let effects = at(&wanted(), &Session::default(), NOW).effects;
    assert!(matches!(effects.as_slice(), [Effect::ReadDirectory(ID)]), "at once");
}

#[test]
fn the_key_comes_first_and_after_an_anomaly_nothing_does() {
    let mut log = Folded::new();
    let (directory_url, contacts_hash) = (String::new(), request().contacts_hash);
    log.say(ID, AccountEvent::AccountDeclared { directory_url, contacts_hash, contacts: 0 });
    accept(&mut log);
    let decision = at(&log, &read(), NOW);
    let [effect @ Effect::EnsureAccountKey(ID, key)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(*key, KeyRef(format!("account-{ID}")));
    let later = NOW.after(MINUTE);
    let mut session = read();
    session.looks.insert(effect.key(), Looks { not_before: later, ..Looks::default() });
    assert_eq!(wake(&at(&log, &session, NOW)), Some(later));
    // Never asked for, and registered all the same.
    let mut log = wanted();
    accept(&mut log);
    log.say(ID, AccountEvent::AccountRegistered { url: String::new(), already_existed: false });
    assert!(account(&log).anomaly.is_some());
    let daily = NOW.after(bounds::DIRECTORY_AGE_MAX);
    assert_eq!(wake(&at(&log, &read(), NOW)), Some(daily), "only the directory");
}

#[test]
fn an_account_is_asked_for_when_the_terms_are_accepted_and_the_ca_gives_one_to_everybody() {
    let mut log = wanted();
    assert!(!asks(&at(&log, &read(), NOW)), "nobody has accepted");
    accept(&mut log);
    assert!(asks(&at(&log, &read(), NOW)));
    log.say(ID, AccountEvent::DirectoryObserved(directory(true)));
    assert!(!asks(&at(&log, &read(), NOW)), "it wants an external account");
    let mut log = Folded::new();
    let (key_ref, thumbprint) = (request().key_ref, request().thumbprint);
    log.say(ID, AccountEvent::AccountKeyCreated { key_ref, thumbprint });
    accept(&mut log);
    assert!(!asks(&at(&log, &read(), NOW)), "nobody knows what it wants");
}

#[test]
fn an_account_that_was_asked_for_is_asked_for_again_until_there_is_an_answer() {
    let log = asked();
    let decision = at(&log, &read(), NOW);
    let [effect @ Effect::Register(ID, intent)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(*intent.intent(), request());
    let later = NOW.after(MINUTE);
    let mut session = read();
    session.looks.insert(effect.key(), Looks { count: 1, not_before: later, ..Looks::default() });
    assert_eq!(wake(&at(&log, &session, NOW)), Some(later));
    assert_eq!(at(&log, &session, later).effects.len(), 1);
}

fn refused(retry_after: Option<Duration>, times: u32) -> Folded {
    let mut log = asked();
    let retry_after_ms = retry_after.map(|wait| u64::try_from(wait.as_millis()).unwrap());
    let problem = Problem { retry_after_ms, ..acme("malformed", 400) };
    for _ in 0..times {
        log.say(ID, AccountEvent::AccountRefused { problem: problem.clone() });
    }
    log
}

#[test]
fn a_refusal_waits_its_time_or_what_the_ca_asked_if_that_is_longer() {
    for (case, log, wait) in [
        ("first", refused(None, 1), MINUTE),
        ("third", refused(None, 3), 4 * MINUTE),
        ("asked for less", refused(Some(MS), 1), MINUTE),
        ("asked for more", refused(Some(60 * MINUTE), 1), 60 * MINUTE),
    ] {
        let due = NOW.after(wait);
        assert_eq!(wake(&at(&log, &read(), NOW)), Some(due), "{case}");
        assert_eq!(wake(&at(&log, &read(), due.before(MS))), Some(due), "{case}");
        assert!(asks(&at(&log, &read(), due)), "{case}");
        assert!(asks(&at(&log, &read(), due.after(MS))), "{case}");
    }
}

#[test]
fn after_a_refusal_a_person_who_accepts_is_believed_at_once() {
    let mut log = refused(None, 1);
    accept(&mut log);
    assert!(!asks(&at(&log, &read(), NOW)), "at the moment of the refusal, so not because of it");
    log.at = NOW.after(MS);
    accept(&mut log);
    assert!(asks(&at(&log, &read(), log.at)));
    // Without the terms it is not asked for, however long it waits.
    let mut log = refused(None, 1);
    let new = Directory { terms_url: Some("terms/2".to_owned()), ..directory(false) };
    let old = AccountEvent::TermsAccepted {
        terms_url: Some("terms/1".to_owned()),
        by: "configuration".to_owned(),
    };
    log.say(ID, old);
    log.say(ID, AccountEvent::DirectoryObserved(new));
    let due = NOW.after(MINUTE);
    assert_eq!(wake(&at(&log, &read(), due)), Some(due));
    assert_eq!(wake(&at(&log, &read(), due.after(MS))), Some(due.after(MS)));
}

#[test]
fn an_account_that_the_ca_forgot_is_asked_for_again_under_the_same_conditions() {
    let forgotten = Heard { forgotten: true, wants_person: None };
    let mut log = registered();
    assert!(!asks(&at(&log, &read(), NOW)));
    assert!(asks(&hears(&log, forgotten, &read(), NOW)));
    log.say(ID, AccountEvent::DirectoryObserved(directory(true)));
    assert!(!asks(&hears(&log, forgotten, &read(), NOW)));
    assert!(matches!(account(&log).registration, Registration::Registered { .. }));
}

#[test]
fn other_contacts_are_told_once() {
    let mut log = registered();
    let says = |log: &Folded| at(log, &read(), NOW);
    assert!(says(&log).records.is_empty(), "the registration told them");
    let (directory_url, contacts_hash) = (String::new(), Hash([9; 32]));
    log.say(ID, AccountEvent::AccountDeclared { directory_url, contacts_hash, contacts: 2 });
    let records = says(&log).records;
    assert_eq!(log.record(records), ["ContactsChangeRequested"]);
    let decision = says(&log);
    let [effect @ Effect::UpdateContacts(ID, change)] = decision.effects.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(*change.intent(), contacts_hash);
    assert!(decision.records.is_empty());
    let later = NOW.after(MINUTE);
    let mut session = read();
    session.looks.insert(effect.key(), Looks { not_before: later, ..Looks::default() });
    assert_eq!(wake(&at(&log, &session, NOW)), Some(later));
    log.say(ID, AccountEvent::ContactsChanged { contacts_hash });
    assert_eq!(wake(&says(&log)), Some(NOW.after(bounds::DIRECTORY_AGE_MAX)));
}

#[test]
fn nothing_waits_for_a_clock_that_was_set_back_and_nothing_spins_until_it_catches_up() {
    let ahead = NOW.after(30 * 24 * 60 * MINUTE);
    let refuse = |log: &mut Folded, at| {
        log.at = at;
        log.say(ID, AccountEvent::AccountRefused { problem: acme("malformed", 400) });
    };
    let mut log = refused(None, 1);
    refuse(&mut log, ahead);
    assert!(asks(&at(&log, &read(), NOW)), "it is not waited for");
    // An acceptance that lies ahead is later than every refusal; it is believed no more than once.
    accept(&mut log);
    refuse(&mut log, NOW);
    assert!(!asks(&at(&log, &read(), NOW)));
    assert_eq!(wake(&at(&log, &read(), NOW)), Some(NOW.after(4 * MINUTE)));
    // A person who was wanted then: the directory is not read again and again.
    let mut log = wanted();
    log.at = ahead;
    let problem = acme("userActionRequired", 403);
    log.say(ID, AccountEvent::PersonRequired { problem, failed_at: ahead });
    let once = Looks { count: 1, last: NOW, not_before: NOW, ..Looks::default() };
    let session = looked(&Effect::ReadDirectory(ID), once);
    assert_eq!(wake(&at(&log, &session, NOW)), Some(NOW.after(bounds::DIRECTORY_AGE_MAX)));
}
