//! What failed and is tried again by itself: when the next try is.

use std::time::Duration;

use renewd_events::binding::{Binding, Setback};
use renewd_events::id::CertificateId;
use renewd_events::restart::Phase;
use renewd_events::{Facts, WallMs};

use super::NextAction;
use super::waiting::{ASKED_AGAIN_FIRST, ASKED_AGAIN_MAX};
use crate::escape;
use crate::sentence;

/// Pauses that are added up: after these, the slowest pace has been reached for half a day.
const PAUSES_MAX: u32 = 64;
/// Slowest retry of an address for challenges.
const CHALLENGE_PORT_MAX: Duration = Duration::from_secs(60);
/// First retry of an account that the CA refused, unless `retry_first` says otherwise.
const REFUSED_FIRST: Duration = Duration::from_secs(60);
/// Slowest retry of such an account.
const REFUSED_MAX: Duration = Duration::from_secs(24 * 3600);

/// The first of these tries that lies ahead: at `first`, then after pauses that double from `pause` up to
/// `max`, never shorter than `floor`. Tries that bring nothing new are no facts, and each begins a little
/// later than counted here.
pub(super) fn ahead(
    first: WallMs,
    (pause, max): (Duration, Duration),
    floor: Duration,
    now: WallMs,
) -> WallMs {
    let (mut at, mut pause) = (first, pause);
    for _ in 0..PAUSES_MAX {
        if at > now {
            return at;
        }
        pause = pause.saturating_mul(2).min(max);
        at = at.after(pause.max(floor));
    }
    now.after(max)
}

/// `first` doubled for each failure after the first, never above `max`, never zero: saturating, since
/// an overflow here once made a server hammer its CA (CVE-2025-55753).
pub fn backoff(first: Duration, max: Duration, failures: u32) -> Duration {
    let doubled = 2u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    first.saturating_mul(doubled).min(max).max(Duration::from_millis(1))
}

/// A question that failed at `since` and is asked again, in a new life of the process from its start on.
pub(super) fn question(facts: &Facts, since: WallMs, asked_ms: Option<u64>, now: WallMs) -> WallMs {
    let floor = Duration::from_millis(asked_ms.unwrap_or(0));
    let first = since.max(facts.engine.booted_at).after(ASKED_AGAIN_FIRST.max(floor));
    ahead(first, (ASKED_AGAIN_FIRST, ASKED_AGAIN_MAX), floor, now)
}

/// An address for challenges that another program holds.
pub(super) fn challenge_port(facts: &Facts, setback: &Setback, now: WallMs) -> WallMs {
    let first = setback.at.max(facts.engine.booted_at).after(ASKED_AGAIN_FIRST);
    ahead(first, (ASKED_AGAIN_FIRST, CHALLENGE_PORT_MAX), Duration::ZERO, now)
}

/// An account that the CA refused at `at` for the `failures`th time.
pub(super) fn refused(at: WallMs, failures: u32, asked_ms: Option<u64>, now: WallMs) -> WallMs {
    let own = backoff(REFUSED_FIRST, REFUSED_MAX, failures);
    at.after(own.max(Duration::from_millis(asked_ms.unwrap_or(0)))).max(now)
}

/// The earliest try to serve the newest issue where it could not be.
pub(super) fn place(facts: &Facts, id: CertificateId, now: WallMs) -> Option<NextAction> {
    let issued = facts.certificates.get(&id)?;
    issued.current.as_ref()?;
    let all = facts.bindings_of(id).filter(|(_, binding)| binding.target.is_some());
    let tries = all.filter_map(|(_, binding)| {
        listener(facts, binding, now).or_else(|| own(issued.renewed_at, binding, now))
    });
    tries.min_by_key(|next| next.at)
}

/// Our listener is not open.
fn listener(facts: &Facts, binding: &Binding, now: WallMs) -> Option<NextAction> {
    let id = binding.listener?;
    let listener = facts.listeners.get(&id)?;
    let setback = listener.setback.as_ref()?;
    let address = escape::field(&listener.address, 64);
    let mut why = sentence::problem(&setback.problem);
    if let Some(holder) = &listener.holder {
        why = format!("{why}; held by {}", escape::field(holder, 60));
    }
    let asked = facts.restarts.values().filter(|restart| restart.listener == id).find(|restart| {
        matches!(&restart.phase, Phase::Requested(intent) if intent.meta().boot == facts.engine.boot)
    });
    if let Some(deadline) = asked.and_then(|restart| restart.deadline).filter(|at| *at > now) {
        let what = format!("open {address} in the restarted process, or try again here");
        return Some(NextAction { at: Some(deadline), what, why });
    }
    let at = Some(question(facts, setback.at, None, now));
    Some(NextAction { at, what: format!("try again to listen on {address}"), why })
}

/// It could not be put in place, or is not shown there. What befell an earlier issue is not waited for.
fn own(adopted: Option<WallMs>, binding: &Binding, now: WallMs) -> Option<NextAction> {
    let setback = binding.setback.as_ref()?;
    let wait = backoff(ASKED_AGAIN_FIRST, ASKED_AGAIN_MAX, setback.count);
    let older = adopted.is_some_and(|adopted| adopted <= now && setback.at < adopted);
    let at = if older { now } else { setback.at.after(wait).max(now) };
    let place = binding.target.as_ref()?.label();
    let what = format!("try again to serve it at {}", escape::field(&place, 120));
    Some(NextAction { at: Some(at), what, why: sentence::problem(&setback.problem) })
}
