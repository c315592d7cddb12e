//! Terms that changed, decision by decision.

use std::time::Duration;

use renewd_events::account::{
    Account, AccountEvent, AccountRequest, Agreement, Directory, Registration,
};
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::{AccountId, BootNo, Hash, KeyRef, Seq, StreamId};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::ProcessIdentity;
use renewd_events::{Meta, WallMs};

use super::agreement::{AGREEMENT_TRIES_MAX, Heard, observe, wants_person};
use super::decide;
use crate::decision::{Context, Decision, Rules, Session};
use crate::effect::Effect;
use crate::ports::RegisteredAccount;

const ID: AccountId = AccountId([3; 16]);
const NOW: WallMs = WallMs(1_800_000_000_000);
const SECOND: Duration = Duration::from_secs(1);

fn context() -> Context {
    Context {
        now: NOW,
        boot: BootNo(1),
        incarnation: 1,
        rules: Rules {
            parallel_max: 8,
            retry_first: Duration::from_secs(60),
            retry_max: Duration::from_secs(86_400),
            restart: None,
            identity: ProcessIdentity::default(),
        },
    }
}

fn meta(seq: u64) -> Meta {
    Meta {
        seq: Seq(seq),
        stream: StreamId::from(ID),
        version: u32::try_from(seq).unwrap(),
        at: NOW,
        boot: BootNo(1),
        incarnation: 1,
        renewal: None,
    }
}

fn request() -> AccountRequest {
    AccountRequest {
        key_ref: KeyRef("k".to_owned()),
        thumbprint: "t".to_owned(),
        contacts_hash: Hash::default(),
    }
}

/// What was recorded, in order.
struct Log {
    account: Account,
    seq: u64,
}

impl Log {
    fn registered() -> Self {
        let mut log = Self { account: Account::default(), seq: 0 };
        log.add(AccountEvent::TermsAccepted { terms_url: None, by: "configuration".to_owned() });
        let directory = Directory { terms_url: Some("terms/1".to_owned()), ..Directory::default() };
        log.add(AccountEvent::DirectoryObserved(directory));
        let (key_ref, thumbprint) = (request().key_ref, request().thumbprint);
        log.add(AccountEvent::AccountKeyCreated { key_ref, thumbprint });
        log.add(AccountEvent::AccountRequested(request()));
        log.add(AccountEvent::AccountRegistered { url: "a".to_owned(), already_existed: false });
        log
    }

    fn add(&mut self, event: AccountEvent) {
        self.seq += 1;
        self.account.evolve(&meta(self.seq), &event);
    }

    fn decide(&self, heard: Heard<'_>) -> Decision {
        decide(ID, &self.account, heard, &Session::default(), &context())
    }

    /// Records what is decided until nothing more is; the names.
    fn settle(&mut self, heard: Heard<'_>) -> Vec<&'static str> {
        let mut names = Vec::new();
        for _ in 0..8 {
            let decided = self.decide(heard);
            for event in decided.records {
                names.push(event.event.name());
                self.add(account_event(event));
            }
        }
        names
    }
}

fn account_event(event: NewEvent) -> AccountEvent {
    let Event::Account(event) = event.event else {
        panic!("not an account's: {event:?}");
    };
    event
}

fn action_required() -> Problem {
    let kind = "urn:ietf:params:acme:error:userActionRequired";
    let mut problem = Problem::new(ProblemClass::Acme, kind, "visit there");
    problem.status = 403;
    problem
}

#[test]
fn a_refusal_is_heard_once_and_nothing_is_ordered_until_a_person_accepts() {
    let mut log = Log::registered();
    assert!(log.account.may_order());
    let problem = action_required();
    let heard = Heard { forgotten: false, wants_person: Some((&problem, NOW.after(SECOND))) };
    assert_eq!(log.settle(heard), ["PersonRequired"]);
    assert!(!log.account.may_order());
    // Facts would not say it again: the refusal is heard.
    assert_eq!(log.account.person_heard, NOW.after(SECOND));
    assert!(log.settle(Heard::default()).is_empty());
    log.add(AccountEvent::TermsAccepted {
        terms_url: Some("terms/1".to_owned()),
        by: "uid 0".to_owned(),
    });
    assert!(!log.account.may_order(), "the CA does not know it yet");
    assert_eq!(log.settle(Heard::default()), ["AgreementRequested"]);
    let decided = log.decide(Heard::default());
    let tells = |effect: &Effect| matches!(effect, Effect::Agree(ID, _));
    assert_eq!(decided.effects.iter().filter(|effect| tells(effect)).count(), 1);
    log.add(AccountEvent::AgreementTaken { url: "a".to_owned() });
    assert!(log.account.may_order());
    assert!(log.settle(Heard::default()).is_empty(), "told once");
}

fn told(result: &Result<RegisteredAccount, Problem>, tries: u32) -> Vec<&'static str> {
    let mut log = Log::registered();
    log.add(AccountEvent::AgreementRequested(request()));
    let Agreement::Requested(intent) = &log.account.agreement else {
        panic!("{:?}", log.account.agreement);
    };
    let events = observe(ID, intent, result, tries, &context());
    events.iter().map(|event| event.event.name()).collect()
}

#[test]
fn an_answer_settles_the_agreement_or_is_waited_for_within_a_bound() {
    let acme = |kind: &str, status: u16| {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let mut problem = Problem::new(ProblemClass::Acme, &kind, "");
        problem.status = status;
        Err(problem)
    };
    let own = |class, kind: &str| Err(Problem::new(class, kind, ""));
    let taken = Ok(RegisteredAccount { url: "a".to_owned(), already_existed: true });
    let last = AGREEMENT_TRIES_MAX;
    let refused = "AgreementRefused";
    let table: [(Result<RegisteredAccount, Problem>, u32, &[&str]); 9] = [
        (taken, 1, &["AgreementTaken"]),
        (acme("malformed", 400), 1, &[refused]),
        (acme("userActionRequired", 403), 1, &[refused, "PersonRequired"]),
        (acme("rateLimited", 429), 1, &[]),
        (acme("rateLimited", 429), last, &[]),
        (acme("serverInternal", 500), last - 1, &[]),
        (acme("serverInternal", 500), last, &[refused]),
        (own(ProblemClass::Transport, "timeout"), last, &[]),
        (own(ProblemClass::Protocol, "json"), last, &[refused]),
    ];
    for (result, tries, expected) in table {
        assert_eq!(told(&result, tries), expected, "{result:?} at try {tries}");
    }
}

#[test]
fn an_agreement_that_was_not_announced_is_an_anomaly() {
    let mut log = Log::registered();
    log.add(AccountEvent::AgreementTaken { url: "a".to_owned() });
    assert!(log.account.anomaly.is_some());
}

#[test]
fn a_registration_that_is_refused_until_a_person_acts_is_heard_once() {
    let wants = |kind: &str, accepted: Option<WallMs>, heard: Option<WallMs>| {
        let kind = format!("urn:ietf:params:acme:error:{kind}");
        let problem = Problem::new(ProblemClass::Acme, &kind, "");
        let account = Account {
            registration: Registration::Refused { problem, at: NOW },
            accepted_at: accepted.unwrap_or_default(),
            person_heard: heard.unwrap_or_default(),
            ..Account::default()
        };
        wants_person(&account, Heard::default()).map(|(_, at)| at)
    };
    let action = "userActionRequired";
    let (before, after) = (Some(WallMs(NOW.0 - 1)), Some(WallMs(NOW.0 + 1)));
    for (case, found, wanted) in [
        ("new", wants(action, None, None), Some(NOW)),
        ("accepted before", wants(action, before, None), Some(NOW)),
        ("accepted then", wants(action, Some(NOW), None), None),
        ("accepted since", wants(action, after, None), None),
        ("heard", wants(action, before, Some(NOW)), None),
        ("another refusal", wants("malformed", None, None), None),
    ] {
        assert_eq!(found, wanted, "{case}");
    }
}

#[test]
fn an_agreement_is_not_told_while_the_terms_are_new_again() {
    let mut log = Log::registered();
    let accept = |url: &str| AccountEvent::TermsAccepted {
        terms_url: Some(url.to_owned()),
        by: "uid 0".to_owned(),
    };
    log.add(accept("terms/1"));
    let directory = Directory { terms_url: Some("terms/2".to_owned()), ..Directory::default() };
    log.add(AccountEvent::DirectoryObserved(directory));
    assert!(log.settle(Heard::default()).is_empty());
    log.add(accept("terms/2"));
    assert_eq!(log.settle(Heard::default()), ["AgreementRequested"]);
}
