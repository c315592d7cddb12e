//! The one next action of a certificate: what, when, and why then.

use renewd_events::account::{Account, Registration};
use renewd_events::certificate::Certificate;
use renewd_events::id::CertificateId;
use renewd_events::problem::Problem;
use renewd_events::schedule::{Cause, Schedule};
use renewd_events::{Facts, WallMs};

use super::{NextAction, retry};
use crate::escape;
use crate::sentence;
use crate::when;
use crate::why::aside;

/// What a CA asks a person for: two URLs and its words.
const SAID_MAX: usize = 700;

fn action(at: Option<WallMs>, what: &str, why: String) -> NextAction {
    NextAction { at, what: what.to_owned(), why }
}

fn account<'a>(facts: &'a Facts, it: &Certificate) -> Option<&'a Account> {
    facts.accounts.get(&it.declared.as_ref()?.account)
}

/// Whether a person must accept terms first.
pub(super) fn waits_for_terms(facts: &Facts, it: &Certificate) -> bool {
    account(facts, it).is_some_and(|account| !account.terms_are_accepted())
}

/// Whether the CA makes accounts only for those whom it knows beforehand (RFC 8555 §7.3.4). Only a person
/// can change that: renewd has no external account binding.
pub(super) fn waits_for_another_ca(facts: &Facts, it: &Certificate) -> bool {
    account(facts, it).is_some_and(|account| {
        let directory = account.directory.as_ref();
        account.registration == Registration::Absent
            && directory.is_some_and(|directory| directory.external_account_required)
    })
}

/// Whether the renewal's time has come.
pub(crate) fn is_due(facts: &Facts, id: CertificateId, now: WallMs) -> bool {
    facts.schedules.get(&id).is_some_and(|schedule| {
        schedule.requested.is_some() || schedule.planned.is_some_and(|planned| planned.at <= now)
    })
}

/// The one next action. Exactly one of these cases holds; the first that does.
pub(super) fn next(facts: &Facts, id: CertificateId, it: &Certificate, now: WallMs) -> NextAction {
    if let Some(anomaly) = &it.anomaly {
        let why = format!("event {} ({}) cannot follow; see R0608", anomaly.seq, anomaly.event);
        return action(None, "nothing: a person must look", why);
    }
    if !facts.engine.set_aside.is_empty()
        && let Some((actor, _)) = aside::of(facts, id, it)
    {
        let why = format!("{actor} failed over it and leaves it alone until then; see R0805");
        return action(None, "nothing before renewd is started again", why);
    }
    if let Some(again) = super::waiting::next(facts, id, now) {
        return again;
    }
    // What is said of an engine that has ended is what it will do when it runs again.
    if super::place::is_shut(facts, id) && it.current.is_some() && it.orphaned.is_none() {
        let why = "the engine is not running: a person must start it".to_owned();
        return action(None, "serve it again, as soon as the engine runs", why);
    }
    if let Some(again) = retry::place(facts, id, now).filter(|_| it.orphaned.is_none()) {
        return again;
    }
    if let Some((order, until)) = super::slow::issuing(facts, id, now) {
        let what = "give this order up, unless the CA issues before";
        return action(Some(until), what, super::slow::said((order, until)));
    }
    if let Some(doing) = super::doing(facts, id) {
        let why = format!("this renewal began because {}", sentence::cause(run_cause(it)));
        return action(None, &doing.what, why);
    }
    if it.orphaned.is_some() {
        return action(None, "nothing", "the configuration no longer names it".to_owned());
    }
    if let Some(waits) = account_action(facts, it, now) {
        return waits;
    }
    if let Some((_, setback)) = super::challenge_port_held(facts).filter(|_| is_due(facts, id, now))
    {
        let at = retry::challenge_port(facts, setback, now);
        let what = "try the port for challenges again, and renew when it is free";
        return action(Some(at), what, escape::field(&setback.problem.detail, 300));
    }
    match facts.schedules.get(&id) {
        Some(schedule) => planned(schedule, it, now),
        None => action(None, "plan the renewal", "the clock has not planned it yet".to_owned()),
    }
}

fn run_cause(it: &Certificate) -> Cause {
    it.run.as_ref().map_or(Cause::FirstIssue, |run| run.cause)
}

fn account_action(facts: &Facts, it: &Certificate, now: WallMs) -> Option<NextAction> {
    let Some(account) = account(facts, it) else {
        return Some(action(
            None,
            "declare the account",
            "its account is not known yet".to_owned(),
        ));
    };
    if !account.terms_are_accepted() {
        let terms = account.directory.as_ref().and_then(|directory| directory.terms_url.as_deref());
        let at = terms.map_or_else(String::new, |url| format!(" at {}", escape::field(url, 200)));
        let Some(person) = &account.person else {
            let why = format!("the CA's terms{at} are not accepted (`renewd accept-terms`)");
            return Some(action(None, "wait for a person to accept the terms", why));
        };
        let said = escape::field(&person.problem.detail, SAID_MAX);
        let why = format!(
            "the CA orders nothing before a person does what it asks, then `renewd accept-terms`: {said}"
        );
        return Some(action(None, "wait for a person to act at the CA", why));
    }
    if waits_for_another_ca(facts, it) {
        let why = "the CA takes only accounts that it knows beforehand (external account binding), \
                   and renewd makes none";
        return Some(action(None, "wait for a person to choose another CA", why.to_owned()));
    }
    match &account.registration {
        Registration::Registered { .. } => (!account.may_order()).then(|| {
            let why = "a person accepted its terms, and orders come after that".to_owned();
            action(None, "tell the CA of the agreement", why)
        }),
        Registration::Requested(_) => Some(match &account.unreachable {
            Some((problem, since)) => action(
                Some(retry::question(facts, *since, problem.retry_after_ms, now)),
                "register the account again",
                format!("the CA has not answered it: {}", sentence::problem(problem)),
            ),
            None => action(
                None,
                "wait for the CA's answer to the registration",
                "certificates are ordered by an account".to_owned(),
            ),
        }),
        Registration::Refused { problem, at } => Some(refused(account, problem, *at, now)),
        Registration::Absent => Some(match &account.unreachable {
            Some((problem, since)) => action(
                Some(retry::question(facts, *since, problem.retry_after_ms, now)),
                "read the CA's directory again",
                format!("it could not be read: {}", sentence::problem(problem)),
            ),
            None => action(
                None,
                "register the account",
                "certificates are ordered by an account".to_owned(),
            ),
        }),
    }
}

/// An acceptance by a person since then may change the CA's answer, so it is asked at once.
fn refused(account: &Account, problem: &Problem, at: WallMs, now: WallMs) -> NextAction {
    let next = if account.accepted_at > at {
        now
    } else {
        retry::refused(at, account.failures, problem.retry_after_ms, now)
    };
    let said = sentence::problem(problem);
    // The log does not hold the configured rules.
    let why = format!("the CA refused it: {said} (another retry_first than 1m changes the time)");
    action(Some(next), "register the account again", why)
}

fn planned(schedule: &Schedule, it: &Certificate, now: WallMs) -> NextAction {
    if let Some((by, _)) = &schedule.requested {
        let why = format!("asked for by {}", escape::field(by, 40));
        return action(Some(now), "renew", why);
    }
    let Some(planned) = schedule.planned else {
        return action(None, "plan the renewal", "the last one has just ended".to_owned());
    };
    let what = match (planned.cause, it.current.is_some()) {
        (Cause::Retry, _) => format!("try {}", planned.attempt),
        (Cause::FirstIssue, _) => "order the first certificate".to_owned(),
        (_, true) => "renew".to_owned(),
        (_, false) => "order".to_owned(),
    };
    let mut why = sentence::cause(planned.cause).to_owned();
    if planned.cause == Cause::AriWindow
        && let Some(window) = &schedule.window
    {
        why = format!(
            "within the CA's window {} to {}",
            when::minute(window.start),
            when::minute(window.end)
        );
    }
    if planned.at <= now {
        why = format!("{why}; it waits for its turn");
    }
    action(Some(planned.at), &what, why)
}
