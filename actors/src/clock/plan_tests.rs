//! When a certificate is renewed, as a table of cases.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::certificate::{Asked, Certificate, Declaration, Failure, Issue, Leaf, LifeLeft};
use renewd_events::id::{
    AccountId, BootNo, CertificateId, DnsName, Fingerprint, Generation, Hash, KeyRef, OrderId,
};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::restart::ProcessIdentity;
use renewd_events::schedule::{Cause, Schedule, Window};

use super::plan::plan;
use crate::decision::{Context, Rules, backoff};

pub(super) const DAY: Duration = Duration::from_secs(86_400);
pub(super) const NOW: WallMs = WallMs(1_800_000_000_000);
pub(super) const ID: CertificateId = CertificateId([7; 16]);

pub(super) fn context() -> Context {
    Context {
        now: NOW,
        boot: BootNo(1),
        incarnation: 1,
        rules: Rules {
            parallel_max: 8,
            retry_first: Duration::from_secs(60),
            retry_max: DAY,
            restart: None,
            identity: ProcessIdentity::default(),
        },
    }
}

pub(super) fn certificate(life: Duration, life_left: LifeLeft) -> Certificate {
    let leaf = Leaf {
        chain: Hash::default(),
        fingerprint: Fingerprint::default(),
        spki: Hash::default(),
        serial: "0a".to_owned(),
        ari_id: Some("aki.0a".to_owned()),
        not_before: NOW,
        not_after: NOW.after(life),
        issuer: "CN=test".to_owned(),
        names: vec!["a.test".to_owned()],
        certificates: 2,
    };
    Certificate {
        declared: Some(Declaration {
            name: "a".to_owned(),
            account: AccountId::default(),
            identifiers: vec![DnsName::parse("a.test").unwrap()],
            profile: None,
            ari: true,
            life_left,
        }),
        current: Some(Issue {
            generation: Generation(1),
            order: OrderId::default(),
            key_ref: KeyRef("k".to_owned()),
            spki: Hash::default(),
            leaf,
        }),
        ..Certificate::default()
    }
}

pub(super) fn failed(
    class: ProblemClass,
    kind: &str,
    retry_after: Option<Duration>,
    times: u32,
) -> Certificate {
    let mut it = certificate(90 * DAY, LifeLeft::Share(1, 3));
    let mut problem = Problem::new(class, kind, "");
    problem.retry_after_ms = retry_after.map(|time| u64::try_from(time.as_millis()).unwrap());
    it.current = None;
    it.failures = times;
    it.failure =
        Some(Failure { code: "R0000".to_owned(), problem, at: NOW, renewal: None, attempt: times });
    it
}

pub(super) fn asked(it: &Certificate, cause: Cause) -> Asked {
    let declared = it.declared.as_ref().unwrap();
    Asked {
        account: declared.account,
        identifiers: declared.identifiers.clone(),
        profile: declared.profile.clone(),
        cause,
    }
}

fn wait(it: &Certificate) -> Duration {
    let planned = plan(ID, it, false, &Schedule::default(), &context()).unwrap();
    assert_eq!(planned.cause, Cause::Retry);
    planned.at.since(NOW)
}

#[test]
fn nothing_issued_is_due_now() {
    let mut it = certificate(DAY, LifeLeft::Share(1, 3));
    it.current = None;
    let planned = plan(ID, &it, false, &Schedule::default(), &context()).unwrap();
    assert_eq!((planned.at, planned.cause, planned.attempt), (NOW, Cause::FirstIssue, 1));
}

#[test]
fn other_names_are_due_now_and_an_orphan_never() {
    let mut it = certificate(90 * DAY, LifeLeft::Share(1, 3));
    it.asked = Some(asked(&it, Cause::FirstIssue));
    it.declared.as_mut().unwrap().identifiers.push(DnsName::parse("b.test").unwrap());
    let planned = plan(ID, &it, false, &Schedule::default(), &context()).unwrap();
    assert_eq!((planned.at, planned.cause), (NOW, Cause::NamesChanged));
    it.orphaned = Some(NOW);
    assert_eq!(plan(ID, &it, false, &Schedule::default(), &context()), None);
}

#[test]
fn a_share_of_the_life_or_half_of_a_short_one_less_two_percent_at_most() {
    let hour = Duration::from_secs(3600);
    let table = [
        ("90 d", 90 * DAY, 60 * DAY),
        ("45 d", 45 * DAY, 30 * DAY),
        ("160 h", 160 * hour, 80 * hour),
        ("10 min", Duration::from_secs(600), Duration::from_secs(300)),
    ];
    for (case, life, at) in table {
        let it = certificate(life, LifeLeft::Share(1, 3));
        let planned = plan(ID, &it, false, &Schedule::default(), &context()).unwrap();
        let after = planned.at.since(NOW);
        assert!(after <= at && after >= at - life / 50, "{case}: {after:?}");
        assert_eq!(planned.cause, Cause::LifeLeft);
    }
}

#[test]
fn the_classic_policy_renews_at_the_first_check_with_too_little_left() {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let policy = LifeLeft::Time { left_ms: ms(21 * DAY), check_every_ms: ms(DAY) };
    let it = certificate(90 * DAY, policy);
    let planned = plan(ID, &it, false, &Schedule::default(), &context()).unwrap();
    let after = planned.at.since(NOW);
    assert!(after >= 69 * DAY && after < 70 * DAY, "{after:?}");
    assert_eq!(planned.cause, Cause::DaysLeft);
}

#[test]
fn the_cas_window_wins_and_the_same_window_gives_the_same_instant() {
    let it = certificate(90 * DAY, LifeLeft::Share(1, 3));
    let window = |ari_id: &str, from: u32| Schedule {
        window: Some(Window {
            ari_id: ari_id.to_owned(),
            start: NOW.after(from * DAY),
            end: NOW.after((from + 2) * DAY),
            explanation_url: None,
        }),
        ..Schedule::default()
    };
    let first = plan(ID, &it, false, &window("aki.0a", 10), &context()).unwrap();
    assert_eq!(first.cause, Cause::AriWindow);
    assert!(first.at >= NOW.after(10 * DAY) && first.at < NOW.after(12 * DAY));
    assert_eq!(plan(ID, &it, false, &window("aki.0a", 10), &context()).unwrap(), first);
    assert_ne!(plan(ID, &it, false, &window("aki.0a", 11), &context()).unwrap().at, first.at);
    let other = plan(ID, &it, false, &window("another.ff", 10), &context()).unwrap();
    assert_eq!(other.cause, Cause::LifeLeft, "a window of an older certificate says nothing");
}

#[test]
fn retries_obey_retry_after_and_grow_and_stay_within_a_quarter_of_the_life_left() {
    let hour = Duration::from_secs(3600);
    let minute = Duration::from_secs(60);
    let limited = "urn:ietf:params:acme:error:rateLimited";
    let refused = "urn:ietf:params:acme:error:connection";
    let near = |found: Duration, wanted: Duration| found >= wanted && found <= wanted * 11 / 10;
    let table = [
        ("first transport error", failed(ProblemClass::Transport, "timeout", None, 1), minute),
        ("fourth transport error", failed(ProblemClass::Transport, "timeout", None, 4), 8 * minute),
        ("an outage", failed(ProblemClass::Transport, "timeout", None, 100), 6 * hour),
        ("a hundred refusals", failed(ProblemClass::Acme, "malformed", None, 100), DAY),
        ("limited for 3 h", failed(ProblemClass::Acme, limited, Some(3 * hour), 1), 3 * hour),
        ("limited for 1 s", failed(ProblemClass::Acme, limited, Some(hour / 3600), 1), minute),
        ("first failed challenge", failed(ProblemClass::Acme, refused, None, 1), 10 * minute),
        ("third failed challenge", failed(ProblemClass::Acme, refused, None, 3), 60 * minute),
        ("ninth failed challenge", failed(ProblemClass::Acme, refused, None, 9), DAY),
    ];
    for (case, it, wanted) in table {
        assert!(near(wait(&it), wanted), "{case}: {:?}", wait(&it));
    }
    let mut short = failed(ProblemClass::Transport, "timeout", None, 100);
    short.current = certificate(4 * hour, LifeLeft::Share(1, 3)).current;
    assert!(near(wait(&short), hour), "{:?}", wait(&short));
}

#[test]
fn back_off_is_never_zero_never_shrinks_and_never_passes_its_cap() {
    let mut before = Duration::ZERO;
    for failures in 0..10_000 {
        let wait = backoff(Duration::from_secs(1), DAY, failures);
        assert!(wait >= before && wait > Duration::ZERO && wait <= DAY, "{failures}");
        before = wait;
    }
    assert_eq!(backoff(Duration::ZERO, DAY, u32::MAX), Duration::from_millis(1));
}

#[test]
fn a_policy_longer_than_the_life_does_not_renew_without_end() {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap();
    let policy = LifeLeft::Time { left_ms: ms(21 * DAY), check_every_ms: ms(DAY) };
    let it = certificate(6 * DAY, policy);
    let planned = plan(ID, &it, false, &Schedule::default(), &context()).unwrap();
    assert!(planned.at >= NOW.after(3 * DAY), "{:?}", planned.at.since(NOW));
}

#[test]
fn a_ca_that_names_the_past_again_and_again_is_obeyed_once_and_then_with_a_pause() {
    let mut it = certificate(90 * DAY, LifeLeft::Share(1, 3));
    it.renewed_at = Some(NOW);
    let past = Schedule {
        window: Some(Window {
            ari_id: "aki.0a".to_owned(),
            start: NOW.before(3 * DAY),
            end: NOW.before(2 * DAY),
            explanation_url: None,
        }),
        ..Schedule::default()
    };
    it.asked = Some(asked(&it, Cause::FirstIssue));
    let first = plan(ID, &it, false, &past, &context()).unwrap();
    assert!(first.at < NOW, "the first time at once");
    it.asked = Some(asked(&it, Cause::AriWindow));
    let again = plan(ID, &it, false, &past, &context()).unwrap();
    assert_eq!(again.at, NOW.after(DAY));
}

#[test]
fn another_ca_is_asked_at_once_and_a_window_near_the_end_is_not_followed() {
    let mut it = certificate(90 * DAY, LifeLeft::Share(1, 3));
    it.asked = Some(asked(&it, Cause::FirstIssue));
    let late = Schedule {
        window: Some(Window {
            ari_id: "aki.0a".to_owned(),
            start: NOW.after(89 * DAY),
            end: NOW.after(95 * DAY),
            explanation_url: None,
        }),
        ..Schedule::default()
    };
    let planned = plan(ID, &it, false, &late, &context()).unwrap();
    assert_eq!(planned.cause, Cause::LifeLeft);
    it.declared.as_mut().unwrap().account = AccountId([9; 16]);
    let planned = plan(ID, &it, false, &Schedule::default(), &context()).unwrap();
    assert_eq!((planned.at, planned.cause), (NOW, Cause::CaChanged));
}
