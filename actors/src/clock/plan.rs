//! When a certificate is renewed next and why: one pure function. The first rule that applies wins.

use std::time::Duration;

use renewd_events::WallMs;
use renewd_events::certificate::{Certificate, Declaration, Failure, Issue, LifeLeft};
use renewd_events::id::CertificateId;
use renewd_events::planted::{self, Bug};
use renewd_events::problem::{Problem, ProblemClass};
use renewd_events::schedule::{Cause, Schedule, Window};

use crate::bounds;
use crate::decision::{Context, backoff, spread};
use crate::issuer::{EXPIRED_ON_ARRIVAL, EXPIRED_WHEN_MADE};

/// The one next renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When.
    pub at: WallMs,
    /// Why.
    pub cause: Cause,
    /// Which try since the last success, from 1.
    pub attempt: u32,
}

/// Waits between tries after a failed validation: the CA allows five failures per name and hour
/// (Let's Encrypt), people need minutes to mend DNS, and after a day nobody is looking.
const VALIDATION_WAITS_MIN: [u64; 4] = [10, 30, 60, 6 * 60];
/// Waits between tries after a certificate that was issued and cannot be used, hours: each try buys one,
/// and five of the same names a week are the limit (Let's Encrypt). A person, or a clock that is set
/// right, need not wait for it.
const UNUSABLE_WAITS_H: [u64; 2] = [24, 72];
/// What is wrong with such a certificate: the chain itself, or what it says.
const UNUSABLE: [&str; 6] = [
    "chain",
    "private-key-in-chain",
    "key-mismatch",
    "names-missing",
    "no-lifetime",
    EXPIRED_ON_ARRIVAL,
];
/// Below this lifetime half of it is the rule, since a third leaves too few tries.
const SHORT_LIFE: Duration = Duration::from_secs(10 * 86_400);
/// Seconds of a minute, in milliseconds.
const MINUTE_MS: u64 = 60_000;

/// An issue that is lost this soon after it replaced another one: what loses them goes on doing so.
const LOST_SOON: Duration = Duration::from_secs(7 * 86_400);
/// The least and the most that the next one waits then, for each costs a certificate: five of the same
/// names within a week are the limit (Let's Encrypt).
const LOST_WAIT: [Duration; 2] = [Duration::from_secs(86_400), Duration::from_secs(3 * 86_400)];

/// Plans the next renewal. `None` while nothing can be said. `lost`: the newest issue cannot be served,
/// for its key or its chain is gone.
pub fn plan(
    id: CertificateId,
    certificate: &Certificate,
    lost: bool,
    schedule: &Schedule,
    cx: &Context,
) -> Option<Plan> {
    let declared = certificate.declared.as_ref()?;
    if certificate.orphaned.is_some() {
        return None;
    }
    let attempt = certificate.failures.saturating_add(1);
    if let Some(failure) = &certificate.failure {
        let at = retry_at(id, certificate, failure, cx);
        return Some(Plan { at, cause: Cause::Retry, attempt });
    }
    let Some(issue) = &certificate.current else {
        return Some(Plan { at: cx.now, cause: Cause::FirstIssue, attempt });
    };
    if certificate.ca_changed() {
        return Some(Plan { at: cx.now, cause: Cause::CaChanged, attempt });
    }
    if certificate.names_changed() {
        return Some(Plan { at: cx.now, cause: Cause::NamesChanged, attempt });
    }
    if lost {
        let at = lost_at(certificate, issue, cx);
        return Some(Plan { at, cause: Cause::Lost, attempt });
    }
    let window = schedule
        .window
        .as_ref()
        .filter(|window| declared.ari && Some(&window.ari_id) == issue.leaf.ari_id.as_ref());
    let by_life = not_at_once(by_life(id, declared, issue, attempt), certificate, issue, cx);
    Some(match window {
        Some(window) => by_window(id, certificate, issue, window, by_life, cx),
        None => by_life,
    })
}

/// A clock that is wrong by more than a certificate lives shows a new one as expired: it is not renewed
/// again and again for that; a quarter of six days stays within five a week (Let's Encrypt).
fn not_at_once(plan: Plan, certificate: &Certificate, issue: &Issue, cx: &Context) -> Plan {
    if planted::is(Bug::PolicyUnbounded) {
        return plan;
    }
    let life = issue.leaf.life();
    let renewed = certificate.renewed_at.filter(|at| !cx.is_ahead(*at));
    let floor = renewed.map_or(WallMs(0), |at| at.after(life / 4));
    Plan { at: plan.at.max(floor), ..plan }
}

/// When an issue that cannot be served is replaced: now, unless the one before it was replaced not long
/// before; then after twice that time, within bounds.
fn lost_at(certificate: &Certificate, issue: &Issue, cx: &Context) -> WallMs {
    let life = issue.leaf.life();
    let renewed = certificate.renewed_at.filter(|at| !cx.is_ahead(*at));
    let (Some(renewed), Some(before)) = (renewed, certificate.renewed_before) else {
        return cx.now;
    };
    let between = renewed.since(before);
    if between >= LOST_SOON.min(life / 3) {
        return cx.now;
    }
    let [least, most] = LOST_WAIT;
    let wait = between.saturating_mul(2).clamp(least, most).min(life / 4);
    renewed.after(wait).max(cx.now)
}

/// The CA's window (RFC 9773 §4.2), within reason.
fn by_window(
    id: CertificateId,
    certificate: &Certificate,
    issue: &Issue,
    window: &Window,
    by_life: Plan,
    cx: &Context,
) -> Plan {
    let leaf = &issue.leaf;
    let life = leaf.life();
    let mut at = in_window(id, window);
    // A window so late that nothing could go wrong any more is not followed.
    if at > leaf.not_after.before(life / 10) {
        return by_life;
    }
    // A CA that names the past for one issue after the other, or a clock that runs ahead of it, would
    // mean renewals without end: the first follows at once, the next ones take their time.
    let renewed = certificate.renewed_at.unwrap_or(leaf.not_before);
    let again = certificate.asked.as_ref().is_some_and(|asked| asked.cause == Cause::AriWindow);
    let soon = certificate.renewed_before.is_some_and(|before| renewed.since(before) < life / 4);
    let floor = (again && window.end <= renewed) || (soon && window.start <= renewed);
    if floor && !cx.is_ahead(renewed) {
        at = at.max(renewed.after(bounds::PAST_WINDOW_PAUSE.min(life / 4)));
    }
    Plan { at, cause: Cause::AriWindow, attempt: by_life.attempt }
}

/// A uniformly random instant of the window (RFC 9773 §4.2), drawn from what names the window: the
/// same after every restart, so that a crash loop cannot roll the dice again.
fn in_window(id: CertificateId, window: &Window) -> WallMs {
    let parts: [&[u8]; 3] = [&id.0, window.ari_id.as_bytes(), &window.start.0.to_le_bytes()];
    window.start.after(spread(&parts, window.end.since(window.start)))
}

fn by_life(id: CertificateId, declared: &Declaration, issue: &Issue, attempt: u32) -> Plan {
    let leaf = &issue.leaf;
    let life = leaf.life();
    match declared.life_left {
        LifeLeft::Share(part, whole) => {
            let left = if life < SHORT_LIFE {
                life / 2
            } else {
                life * u32::from(part) / u32::from(whole).max(1)
            };
            // Up to 2 % of the life earlier: certificates of one day stay spread.
            let early = spread(&[&id.0, leaf.serial.as_bytes()], life / 50);
            let at = leaf.not_after.before(left + early);
            Plan { at, cause: Cause::LifeLeft, attempt }
        }
        LifeLeft::Time { left_ms, check_every_ms } => {
            // The first check, at the certificate's own moment of the period, with too little left.
            // A policy longer than the certificate lives would renew without end.
            let mut left = Duration::from_millis(left_ms).min(life / 2);
            if planted::is(Bug::PolicyUnbounded) {
                left = Duration::from_millis(left_ms);
            }
            let due = leaf.not_after.before(left).0;
            let period = check_every_ms.max(MINUTE_MS);
            let own = u64::try_from(spread(&[&id.0], Duration::from_millis(period)).as_millis())
                .unwrap_or(0);
            let checks = due.saturating_sub(own).div_ceil(period);
            let at = WallMs(own.saturating_add(checks.saturating_mul(period)));
            Plan { at, cause: Cause::DaysLeft, attempt }
        }
    }
}

fn retry_at(
    id: CertificateId,
    certificate: &Certificate,
    failure: &Failure,
    cx: &Context,
) -> WallMs {
    if planted::is(Bug::NoBackoff) {
        return failure.at;
    }
    let failures = certificate.failures.max(1);
    let problem = &failure.problem;
    let validation = ["unauthorized", "connection", "dns", "tls", "caa", "incorrectResponse"]
        .iter()
        .any(|kind| problem.is_acme(kind));
    let unusable =
        problem.class == ProblemClass::Protocol && UNUSABLE.contains(&problem.kind.as_str());
    let nth = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
    let own = if unusable && cx.rules.retry_first >= Duration::from_secs(60) {
        let hours = UNUSABLE_WAITS_H.get(nth).copied().unwrap_or(72);
        Duration::from_secs(hours * 3600)
    } else if validation && cx.rules.retry_first >= Duration::from_secs(60) {
        let minutes = VALIDATION_WAITS_MIN.get(nth).copied().unwrap_or(24 * 60);
        Duration::from_secs(minutes * 60)
    } else {
        let outage = match problem.class {
            ProblemClass::Transport | ProblemClass::Http => bounds::OUTAGE_RETRY_MAX,
            ProblemClass::Acme | ProblemClass::Protocol | ProblemClass::Local => cx.rules.retry_max,
        };
        backoff(cx.rules.retry_first, cx.rules.retry_max.min(outage), failures)
    };
    // Never more than a quarter of the life that is left.
    let left = certificate
        .current
        .as_ref()
        .map(|issue| issue.leaf.not_after.since(failure.at) / 4)
        .filter(|quarter| !quarter.is_zero() && !unusable);
    let mut wait = left.map_or(own, |quarter| own.min(quarter)).max(cx.rules.retry_first);
    if is_wrong_clock(problem) {
        // What is left by a clock that is wrong says nothing.
        wait = wait.max(bounds::WRONG_CLOCK_RETRY);
    }
    let named = problem.retry_after_ms.filter(|_| !planted::is(Bug::RetryAfterIgnored));
    if let Some(asked) = named.map(Duration::from_millis) {
        // The CA named a time (RFC 8555 §6.6): a floor, with up to 3 % on top.
        let jitter = spread(&[&id.0, &failures.to_le_bytes()], asked * 3 / 100);
        wait = wait.max(asked + jitter);
    } else if problem.class != ProblemClass::Local {
        wait += spread(&[&id.0, &failures.to_le_bytes()], wait / 10);
    }
    cx.due(failure.at, wait)
}

/// What the CA gave was over, by our clock, before it came.
fn is_wrong_clock(problem: &Problem) -> bool {
    let order = problem.class == ProblemClass::Acme && problem.kind == EXPIRED_WHEN_MADE;
    let chain = problem.class == ProblemClass::Protocol && problem.kind == EXPIRED_ON_ARRIVAL;
    order || chain
}
