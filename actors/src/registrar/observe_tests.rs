//! What outcomes say about an account: verdicts of the CA are facts, an outage is told once.

use renewd_events::account::{AccountEvent, Agreement, Registration};
use renewd_events::event::Event;
use renewd_events::id::{AccountId, Hash};
use renewd_events::problem::{Problem, ProblemClass};

use super::decide::{account_key_ref, is_verdict, observe};
use super::decide_tests::{
    ID, accept, account, acme, asked, directory, registered, request, wanted,
};
use crate::decision::{Looks, Session};
use crate::effect::{Effect, Outcome};
use crate::folded_tests::{Folded, NOW, context};
use crate::ports::RegisteredAccount;
use crate::registrar::agreement::AGREEMENT_TRIES_MAX;

fn http() -> Problem {
    Problem { status: 400, ..Problem::new(ProblemClass::Http, "x", "") }
}

fn says(log: &Folded, effect: &Effect, outcome: Outcome) -> Vec<Event> {
    let records =
        observe(&log.facts, effect, &outcome, &Session::default(), &context(NOW, log.boot));
    assert!(records.iter().all(|new| new.stream == ID.into() && new.renewal.is_none()));
    records.into_iter().map(|new| new.event).collect()
}

fn register(log: &Folded) -> Effect {
    let Registration::Requested(intent) = &account(log).registration else {
        panic!("{:?}", account(log).registration);
    };
    Effect::Register(ID, intent.clone())
}

fn answer() -> Outcome {
    Outcome::Registered(Ok(RegisteredAccount { url: "a".to_owned(), already_existed: true }))
}

#[test]
fn a_verdict_is_an_answer_of_the_ca_that_blames_the_request() {
    for (problem, verdict) in [
        (acme("malformed", 400), true),
        (acme("malformed", 499), true),
        (acme("serverInternal", 500), false),
        (acme("serverInternal", 503), false),
        (http(), false),
    ] {
        assert_eq!(is_verdict(&problem), verdict, "{problem:?}");
    }
}

#[test]
fn a_directory_is_news_when_it_changed_or_was_out_of_reach() {
    let effect = Effect::ReadDirectory(ID);
    let mut log = wanted();
    let same = || Outcome::Directory(Ok(directory(false)));
    let failed = || Outcome::Directory(Err(http()));
    assert!(says(&log, &effect, same()).is_empty());
    let other = AccountEvent::DirectoryObserved(directory(true));
    let outcome = Outcome::Directory(Ok(directory(true)));
    assert_eq!(says(&log, &effect, outcome), [Event::from(other)]);
    let down = AccountEvent::DirectoryUnreachable { problem: http() };
    assert_eq!(says(&log, &effect, failed()), [Event::from(down.clone())]);
    log.say(ID, down);
    assert!(says(&log, &effect, failed()).is_empty(), "told once");
    let back = AccountEvent::DirectoryObserved(directory(false));
    assert_eq!(says(&log, &effect, same()), [Event::from(back)], "and its end");
    let unknown = Effect::ReadDirectory(AccountId([9; 16]));
    assert!(
        observe(&log.facts, &unknown, &failed(), &Session::default(), &context(NOW, log.boot))
            .is_empty()
    );
}

#[test]
fn a_key_is_there_when_the_vault_says_so() {
    let effect = Effect::EnsureAccountKey(ID, account_key_ref(ID));
    let log = wanted();
    let (key_ref, thumbprint) = (account_key_ref(ID), "t".to_owned());
    let made = AccountEvent::AccountKeyCreated { key_ref, thumbprint: thumbprint.clone() };
    assert_eq!(says(&log, &effect, Outcome::AccountKey(Ok(thumbprint))), [Event::from(made)]);
    assert!(says(&log, &effect, Outcome::AccountKey(Err(http()))).is_empty());
    assert!(says(&log, &effect, answer()).is_empty(), "not its answer");
}

#[test]
fn a_registration_is_a_fact_a_refusal_too_and_silence_once() {
    let log = asked();
    let effect = register(&log);
    let made = AccountEvent::AccountRegistered { url: "a".to_owned(), already_existed: true };
    assert_eq!(says(&log, &effect, answer()), [Event::from(made)]);
    let refused = || Outcome::Registered(Err(acme("malformed", 400)));
    let event = AccountEvent::AccountRefused { problem: acme("malformed", 400) };
    assert_eq!(says(&log, &effect, refused()), [Event::from(event)]);
    let mut silent = asked();
    let silence = || Outcome::Registered(Err(http()));
    let event = AccountEvent::RegistrationUnanswered { problem: http() };
    assert_eq!(says(&silent, &effect, silence()), [Event::from(event.clone())]);
    silent.say(ID, event);
    assert!(says(&silent, &effect, silence()).is_empty(), "told once");
    assert_eq!(says(&silent, &effect, refused()).len(), 1, "a verdict is news all the same");
    // An answer to a request that is no longer open.
    assert!(says(&registered(), &effect, answer()).is_empty());
    let mut again = asked();
    again.say(ID, AccountEvent::AccountRequested(request()));
    assert!(says(&again, &effect, answer()).is_empty(), "another request is open");
    assert_eq!(says(&again, &register(&again), answer()).len(), 1);
}

#[test]
fn an_agreement_is_settled_by_the_answer_to_the_open_one_only() {
    let mut log = registered();
    accept(&mut log);
    log.say(ID, AccountEvent::AgreementRequested(request()));
    let open = |log: &Folded| {
        let Agreement::Requested(intent) = &account(log).agreement else {
            panic!("{:?}", account(log).agreement);
        };
        Effect::Agree(ID, intent.clone())
    };
    let effect = open(&log);
    let taken = AccountEvent::AgreementTaken { url: "a".to_owned() };
    assert_eq!(says(&log, &effect, answer()), [Event::from(taken)]);
    // Silence counts, this answer included.
    let tried = |failures| {
        let mut session = Session::default();
        session.looks.insert(effect.key(), Looks { failures, ..Looks::default() });
        let outcome = Outcome::Registered(Err(acme("serverInternal", 500)));
        observe(&log.facts, &effect, &outcome, &session, &context(NOW, log.boot)).len()
    };
    assert_eq!((tried(AGREEMENT_TRIES_MAX - 2), tried(AGREEMENT_TRIES_MAX - 1)), (0, 1));
    log.say(ID, AccountEvent::AgreementRequested(request()));
    assert!(says(&log, &effect, answer()).is_empty(), "another is open");
    assert_eq!(says(&log, &open(&log), answer()).len(), 1);
}

#[test]
fn contacts_are_taken_or_refused_and_silence_says_nothing() {
    let mut log = registered();
    let contacts_hash = Hash([9; 32]);
    log.say(ID, AccountEvent::ContactsChangeRequested { contacts_hash });
    let intent = account(&log).contacts_change.clone().unwrap();
    let effect = Effect::UpdateContacts(ID, intent);
    let taken = AccountEvent::ContactsChanged { contacts_hash };
    assert_eq!(says(&log, &effect, Outcome::Done(Ok(()))), [Event::from(taken)]);
    let problem = acme("invalidContact", 400);
    let refused = AccountEvent::ContactsChangeFailed { contacts_hash, problem: problem.clone() };
    assert_eq!(says(&log, &effect, Outcome::Done(Err(problem))), [Event::from(refused)]);
    assert!(says(&log, &effect, Outcome::Done(Err(http()))).is_empty());
}
