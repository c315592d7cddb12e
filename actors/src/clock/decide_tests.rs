//! A plan is written down when it is news; renewal information is read as the CA asks; the daily check
//! is one a day.

use std::time::Duration;

use renewd_events::account::{AccountEvent, Directory};
use renewd_events::certificate::{CertificateEvent, Declaration};
use renewd_events::event::{Event, NewEvent};
use renewd_events::id::{AccountId, BootNo, CertificateId, Generation, StreamId};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::process::ClockEvent;
use renewd_events::schedule::{Cause, ScheduleEvent};
use renewd_events::{Facts, WallMs};

use super::decide::{certificate, daily, observe};
use super::plan::{Plan, plan};
use crate::bounds;
use crate::decision::{Decision, Looks, Session, spread};
use crate::effect::{Effect, Outcome};
use crate::folded_tests::{Folded, ID, LIFE, NOW, context, issue, request};
use crate::ports::RenewalWindow;

/// What is different about one case.
type Change<T> = fn(&mut T);

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// Issued now and served, by a CA with renewal information; the next renewal is not planned yet.
fn served() -> Folded {
    let mut log = Folded::ordered(ID);
    let account = request(ID).account;
    let url = "https://ca.test/account/1".to_owned();
    log.say(account, AccountEvent::AccountRegistered { url, already_existed: false });
    let directory = Directory { renewal_info: true, ..Directory::default() };
    log.say(account, AccountEvent::DirectoryObserved(directory));
    log.adopt(1);
    log.say(ID, CertificateEvent::RenewalSucceeded { generation: Generation(1) });
    log
}

/// As [`served`], and the next renewal is planned.
fn planned() -> Folded {
    let mut log = served();
    let records = decided(&log, NOW).records;
    assert_eq!(log.record(records), ["RenewalScheduled"]);
    log
}

fn at(log: &Folded, session: &Session, now: WallMs) -> Decision {
    certificate(&log.facts, ID, session, &context(now, log.boot))
}

fn decided(log: &Folded, now: WallMs) -> Decision {
    at(log, &Session::default(), now)
}

fn wake(decision: &Decision) -> Option<WallMs> {
    assert!(decision.records.is_empty() && decision.effects.is_empty(), "{decision:?}");
    decision.wake.map(|(at, _)| at)
}

fn says_nothing(decision: &Decision) -> bool {
    decision.records.is_empty() && decision.effects.is_empty() && decision.wake.is_none()
}

fn scheduled(log: &mut Folded, at: WallMs, cause: Cause, attempt: u32) {
    let event = ScheduleEvent::RenewalScheduled { at, cause, attempt };
    log.say(StreamId::schedule(ID), event);
}

fn window(log: &mut Folded, ari_id: &str) {
    let event = ScheduleEvent::AriWindowLearned {
        ari_id: ari_id.to_owned(),
        start: NOW.after(LIFE / 2),
        end: NOW.after(LIFE / 2),
        explanation_url: None,
    };
    log.say(StreamId::schedule(ID), event);
    let records = decided(log, NOW).records;
    log.record(records);
}

fn ari() -> Effect {
    Effect::ReadWindow(ID, AccountId::default(), "aki.0a".to_owned())
}

#[test]
fn nothing_is_planned_during_a_renewal_nor_of_what_is_unknown() {
    let mut log = Folded::ordered(ID);
    assert!(says_nothing(&decided(&log, NOW)));
    log.adopt(1);
    assert!(says_nothing(&decided(&log, NOW)));
    let other = CertificateId([9; 16]);
    let decision = certificate(&log.facts, other, &Session::default(), &context(NOW, log.boot));
    assert!(says_nothing(&decision));
}

#[test]
fn a_plan_is_recorded_when_anything_of_it_is_new() {
    let log = served();
    let plan = plan(
        ID,
        log.facts.certificates.get(&ID).unwrap(),
        false,
        &log.facts.schedules.get(&ID).cloned().unwrap(),
        &context(NOW, log.boot),
    );
    let Plan { at, cause, attempt } = plan.unwrap();
    assert_eq!(cause, Cause::LifeLeft);
    let event = ScheduleEvent::RenewalScheduled { at, cause, attempt }.into();
    let stream = StreamId::schedule(ID);
    let wanted = NewEvent { stream, event, renewal: None, cause: None };
    assert_eq!(decided(&log, NOW).records, std::slice::from_ref(&wanted));
    for (case, before) in [
        ("the same", (at, cause, attempt)),
        ("another moment", (at.after(MS), cause, attempt)),
        ("another cause", (at, Cause::DaysLeft, attempt)),
        ("another try", (at, cause, attempt + 1)),
    ] {
        let mut log = served();
        scheduled(&mut log, before.0, before.1, before.2);
        let news = decided(&log, NOW).records;
        assert_eq!(news.is_empty(), case == "the same", "{case}");
        assert!(news.iter().all(|new| *new == wanted), "{case}");
    }
}

#[test]
fn a_plan_for_now_stays_where_it_is() {
    let cases: [(Cause, Change<Facts>); 3] = [
        (Cause::FirstIssue, |facts| facts.certificates.get_mut(&ID).unwrap().current = None),
        (Cause::NamesChanged, |facts| declaration(facts).identifiers.clear()),
        (Cause::CaChanged, |facts| declaration(facts).account = AccountId([9; 16])),
    ];
    for (cause, change) in cases {
        let mut log = served();
        change(&mut log.facts);
        scheduled(&mut log, NOW.before(HOUR), cause, 1);
        assert!(decided(&log, NOW).records.is_empty(), "{cause}");
        scheduled(&mut log, NOW.before(HOUR), cause, 2);
        assert_eq!(decided(&log, NOW).records.len(), 1, "{cause}");
    }
}

#[test]
fn a_plan_for_now_that_a_clock_set_back_has_put_off_is_made_again() {
    let mut log = planned();
    log.facts.certificates.get_mut(&ID).unwrap().current = None;
    scheduled(&mut log, NOW, Cause::FirstIssue, 1);
    let back = NOW.before(30 * 24 * HOUR);
    let records = decided(&log, back).records;
    let [new] = records.as_slice() else { panic!("{records:?}") };
    let again = ScheduleEvent::RenewalScheduled { at: back, cause: Cause::FirstIssue, attempt: 1 };
    assert_eq!(new.event, Event::from(again));
    // What a clock is corrected by all day is no news.
    assert!(decided(&log, NOW.before(bounds::JUMP_MIN)).records.is_empty());
}

fn declaration(facts: &mut Facts) -> &mut Declaration {
    facts.certificates.get_mut(&ID).unwrap().declared.as_mut().unwrap()
}

#[test]
fn renewal_information_is_read_only_where_there_is_some_of_a_certificate_that_lives() {
    let late = NOW.after(HOUR);
    assert!(matches!(decided(&planned(), late).effects.as_slice(), [Effect::ReadWindow(ID, ..)]));
    let cases: [(&str, Change<Folded>); 6] = [
        ("not wanted", |log| declaration(&mut log.facts).ari = false),
        ("no name for it", |log| {
            let certificate = log.facts.certificates.get_mut(&ID).unwrap();
            certificate.current.as_mut().unwrap().leaf.ari_id = None;
        }),
        ("no account", |log| log.facts.accounts.clear()),
        ("no registered account", |log| {
            let problem = Problem::new(ProblemClass::Acme, "x", "");
            log.say(AccountId::default(), AccountEvent::AccountRefused { problem });
        }),
        ("not offered", |log| {
            let directory = Directory::default();
            log.say(AccountId::default(), AccountEvent::DirectoryObserved(directory));
        }),
        ("no issue", |log| {
            log.facts.certificates.get_mut(&ID).unwrap().current = None;
            scheduled(log, NOW, Cause::FirstIssue, 1);
        }),
    ];
    for (case, change) in cases {
        let mut log = planned();
        change(&mut log);
        assert!(says_nothing(&decided(&log, late)), "{case}");
    }
    let over = issue(1).leaf.not_after;
    assert_eq!(decided(&planned(), over.before(MS)).effects.len(), 1);
    assert!(says_nothing(&decided(&planned(), over)), "over");
    assert!(says_nothing(&decided(&planned(), over.after(MS))), "over");
}

/// When renewal information is read for the first time in this life.
fn first_look(log: &Folded) -> WallMs {
    let early = decided(log, log.at.before(MS));
    let at = wake(&early).unwrap();
    assert_eq!(wake(&decided(log, at.before(MS))), Some(at));
    assert_eq!(decided(log, at).effects.len(), 1, "{at}");
    at
}

#[test]
fn the_first_look_is_soon_and_not_of_a_whole_fleet_at_once() {
    let share = |span| spread(&[&ID.0, b"ari"], span);
    // Just issued.
    assert_eq!(first_look(&planned()), NOW.after(share(10 * MINUTE)));
    let mut log = served();
    let life = 5 * HOUR;
    let leaf = &mut log.facts.certificates.get_mut(&ID).unwrap().current.as_mut().unwrap().leaf;
    leaf.not_after = NOW.after(life);
    let records = decided(&log, NOW).records;
    log.record(records);
    assert_ne!(share(life / 100), share(10 * MINUTE));
    assert_eq!(first_look(&log), NOW.after(share(life / 100)), "one that lives shortly");
    // In the life after: of a fleet, as it has not been read yet.
    let boot = |at: WallMs, fleet: u8| {
        let mut log = planned();
        for number in 1..fleet {
            log.begin(CertificateId([number; 16]));
        }
        log.at = at;
        log.boot(BootNo(2));
        log
    };
    assert_eq!(first_look(&boot(NOW.after(HOUR), 1)), NOW.after(HOUR), "the only one at once");
    let fleet = share(Duration::from_millis(100) * 5);
    assert_eq!(first_look(&boot(NOW.after(HOUR), 6)), NOW.after(HOUR + fleet));
    assert_eq!(first_look(&boot(NOW, 1)), NOW.after(share(10 * MINUTE)), "booted as it was issued");
    // What is known already is read within the hour.
    let mut log = boot(NOW.after(HOUR), 6);
    window(&mut log, "aki.0a");
    assert_eq!(first_look(&log), NOW.after(HOUR + share(HOUR)));
    let mut log = boot(NOW.after(HOUR), 6);
    window(&mut log, "aki.of-another");
    assert_eq!(first_look(&log), NOW.after(HOUR + fleet));
}

#[test]
fn renewal_information_is_read_again_as_the_ca_asks_within_bounds_and_seldom_when_it_fails() {
    let log = planned();
    let later = NOW.after(2 * HOUR);
    let good = |asked| Looks { count: 1, last: later, asked, ..Looks::default() };
    let bad = |failures, not_before| Looks { failures, not_before, ..good(None) };
    let soon = later.after(MS);
    let hopeless = bounds::HOPELESS_AFTER;
    for (case, looks, wait) in [
        ("nothing asked", good(None), bounds::ARI_LOOK_DEFAULT),
        ("too soon", good(Some(MS)), bounds::ARI_LOOK_MIN),
        ("as asked", good(Some(2 * HOUR)), 2 * HOUR),
        ("too late", good(Some(100 * HOUR)), bounds::ARI_LOOK_MAX),
        ("failed once", bad(1, soon), bounds::ARI_LOOK_MIN),
        ("failed, asked to wait", bad(1, later.after(3 * HOUR)), 3 * HOUR),
        ("failed twice", bad(hopeless - 1, soon), bounds::ARI_LOOK_MIN),
        ("hopeless", bad(hopeless, soon), bounds::ARI_FAILING),
        ("more than hopeless", bad(hopeless + 1, soon), bounds::ARI_FAILING),
    ] {
        let mut session = Session::default();
        session.looks.insert(ari().key(), looks);
        let due = later.after(wait);
        assert_eq!(wake(&at(&log, &session, later)), Some(due), "{case}");
        assert_eq!(at(&log, &session, due).effects.len(), 1, "{case}");
    }
}

#[test]
fn every_certificate_is_counted_once_a_day() {
    let mut log = Folded::ordered(ID);
    for (number, failed) in [(1, true), (2, true), (3, false)] {
        let id = CertificateId([number; 16]);
        log.begin(id);
        let problem = Problem::new(ProblemClass::Acme, "x", "");
        let code = "R0000".to_owned();
        if failed {
            log.say(id, CertificateEvent::RenewalFailed { code, problem });
        }
    }
    let at = |log: &Folded, now| daily(&log.facts, &context(now, log.boot));
    let first = at(&log, NOW);
    let event = ClockEvent::DailyCheckRan { certificates: 4, renewing: 2, failing: 2 }.into();
    let stream = StreamId::CLOCK;
    assert_eq!(first.records, [NewEvent { stream, event, renewal: None, cause: None }]);
    log.record(first.records);
    let next = NOW.after(bounds::DAILY);
    assert_eq!(wake(&at(&log, NOW)), Some(next));
    assert_eq!(wake(&at(&log, next.before(MS))), Some(next));
    assert_eq!(at(&log, next).records.len(), 1);
    assert_eq!(at(&log, next.after(MS)).records.len(), 1);
}

#[test]
fn only_a_window_that_is_news_is_a_fact() {
    let answer = |start: WallMs, end: WallMs| {
        let explanation_url = Some("https://ca.test/why".to_owned());
        Outcome::Window(Ok(RenewalWindow { start, end, explanation_url, retry_after_ms: None }))
    };
    let (start, end) = (NOW.after(HOUR), NOW.after(2 * HOUR));
    let mut log = served();
    let said = |log: &Folded, effect: &Effect, outcome: &Outcome| {
        observe(&log.facts, effect, outcome).into_iter().map(|new| new.event).collect::<Vec<_>>()
    };
    let learned = Event::from(ScheduleEvent::AriWindowLearned {
        ari_id: "aki.0a".to_owned(),
        start,
        end,
        explanation_url: Some("https://ca.test/why".to_owned()),
    });
    let first = said(&log, &ari(), &answer(start, end));
    assert_eq!(first, std::slice::from_ref(&learned));
    log.record(observe(&log.facts, &ari(), &answer(start, end)));
    assert!(said(&log, &ari(), &answer(start, end)).is_empty(), "known");
    assert_eq!(said(&log, &ari(), &answer(start.after(MS), end)).len(), 1);
    assert_eq!(said(&log, &ari(), &answer(start, end.after(MS))).len(), 1);
    let next = Effect::ReadWindow(ID, AccountId::default(), "aki.0b".to_owned());
    assert_eq!(said(&log, &next, &answer(start, end)).len(), 1, "of the next certificate");
    assert!(said(&log, &ari(), &Outcome::Done(Ok(()))).is_empty(), "not its answer");
    // A failure is told once, and its end too.
    let problem = Problem::new(ProblemClass::Http, "x", "");
    let failed = Outcome::Window(Err(problem.clone()));
    let ari_id = "aki.0a".to_owned();
    let event = Event::from(ScheduleEvent::AriLookFailed { ari_id, problem });
    assert_eq!(said(&log, &ari(), &failed), [event]);
    log.record(observe(&log.facts, &ari(), &failed));
    assert!(said(&log, &ari(), &failed).is_empty());
    assert_eq!(said(&log, &ari(), &answer(start, end)), [learned]);
}

#[test]
fn a_retry_that_a_clock_set_back_has_put_off_is_planned_for_now_and_once() {
    let mut log = planned();
    let problem = Problem::new(ProblemClass::Local, "vault", "");
    let failed = CertificateEvent::RenewalFailed { code: "R0000".to_owned(), problem };
    log.at = NOW.after(LIFE);
    log.say(ID, failed);
    let decision = decided(&log, log.at);
    log.record(decision.records);
    let put_off = log.facts.schedules[&ID].planned.unwrap();
    assert!(put_off.at > log.at && put_off.cause == Cause::Retry, "{put_off:?}");
    log.at = NOW;
    let again = decided(&log, NOW);
    assert_eq!(log.record(again.records), ["RenewalScheduled"]);
    let planned = log.facts.schedules[&ID].planned.unwrap();
    assert_eq!((planned.at, planned.cause), (NOW, Cause::Retry));
    for later in [NOW, NOW.after(HOUR)] {
        assert!(decided(&log, later).records.is_empty(), "{later:?}");
    }
}

#[test]
fn renewal_information_and_the_daily_check_do_not_wait_for_a_clock_that_was_set_back() {
    let mut log = planned();
    log.at = NOW.after(30 * 24 * HOUR);
    log.boot(BootNo(2));
    let decision = daily(&log.facts, &context(log.at, log.boot));
    log.record(decision.records);
    log.facts.certificates.get_mut(&ID).unwrap().renewed_at = Some(log.at);
    let cx = context(NOW, log.boot);
    let looks = at(&log, &Session::default(), NOW);
    assert!(matches!(looks.effects.as_slice(), [Effect::ReadWindow(..)]), "{looks:?}");
    log.at = NOW;
    let check = daily(&log.facts, &cx);
    assert_eq!(log.record(check.records), ["DailyCheckRan"]);
    let next = daily(&log.facts, &cx);
    assert!(next.records.is_empty() && wake(&next) == Some(NOW.after(bounds::DAILY)), "{next:?}");
}
