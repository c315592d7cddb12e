//! Questions to the CA that get no answer that can be used, and when they are asked again.

use std::time::Duration;

use renewd_events::id::CertificateId;
use renewd_events::order::{Asked, Missing};
use renewd_events::{Facts, WallMs};

use super::{NextAction, retry};
use crate::sentence;

/// First pause before a read is repeated, doubled up to [`ASKED_AGAIN_MAX`]: most outages are a second
/// of restarting.
pub const ASKED_AGAIN_FIRST: Duration = Duration::from_secs(2);
/// Longest pause: a CA that is back is noticed within it.
pub const ASKED_AGAIN_MAX: Duration = Duration::from_secs(15 * 60);
/// The same in words.
pub(crate) const PACE: &str =
    "it is asked again by itself, after 2 s first, then more slowly, every 15 minutes in the end";

/// The outage of this certificate's renewal that lasts longest.
pub(crate) fn longest(facts: &Facts, id: CertificateId) -> Option<(Asked, &Missing)> {
    let run = facts.certificates.get(&id)?.run.as_ref()?;
    let (_, order) = facts.order_of(id).filter(|_| run.adopted.is_none())?;
    let missing = order.missing.iter().map(|(asked, missing)| (*asked, missing));
    // What was given up ends the renewal, so it is the cause.
    missing.min_by_key(|(_, missing)| (missing.again.is_some(), missing.since))
}

/// The other outages of its order.
pub(crate) fn others(
    facts: &Facts,
    id: CertificateId,
    but: Asked,
) -> impl Iterator<Item = (Asked, &Missing)> {
    let order = facts.order_of(id).map(|(_, order)| order);
    let all = order.into_iter().flat_map(|order| &order.missing);
    all.filter(move |(asked, _)| **asked != but).map(|(asked, missing)| (*asked, missing))
}

/// When it is asked again.
pub(super) fn next(facts: &Facts, id: CertificateId, now: WallMs) -> Option<NextAction> {
    let (asked, missing) = longest(facts, id)?;
    let what = match missing.again {
        Some(_) => format!("ask again: {}", sentence::asked(asked)),
        None => "end this renewal; a later one begins anew".to_owned(),
    };
    let why = format!("in place of an answer came {}", sentence::problem(&missing.problem));
    Some(NextAction { at: next_try(missing, now), what, why })
}

/// The next try, counted from the one that is in the log.
fn next_try(missing: &Missing, now: WallMs) -> Option<WallMs> {
    let floor = Duration::from_millis(missing.problem.retry_after_ms.unwrap_or(0));
    Some(retry::ahead(missing.again?, (ASKED_AGAIN_FIRST, ASKED_AGAIN_MAX), floor, now))
}

#[cfg(test)]
mod tests {
    use renewd_events::id::Seq;
    use renewd_events::problem::{Problem, ProblemClass};

    use super::*;

    fn missing(again: Option<u64>, retry_after_ms: Option<u64>) -> Missing {
        let mut problem = Problem::new(ProblemClass::Http, "no-problem-document", "");
        problem.retry_after_ms = retry_after_ms;
        let at = WallMs(10_000);
        Missing { problem, since: at, at, again: again.map(WallMs), seq: Seq(1) }
    }

    #[test]
    fn the_next_try_is_ahead_and_never_further_than_the_slowest_pace() {
        let plain = missing(Some(12_000), None);
        let next = |now| next_try(&plain, WallMs(now)).unwrap().0;
        assert_eq!((next(10_500), next(12_000), next(16_500)), (12_000, 16_000, 24_000));
        for minutes in [1, 10, 60, 600, 6_000_000] {
            let now = minutes * 60_000;
            let ahead = next(now) - now;
            assert!(ahead > 0 && ahead <= 900_000, "{minutes} min: {ahead} ms");
        }
        let asked = missing(Some(70_000), Some(60_000));
        assert_eq!(next_try(&asked, WallMs(70_001)).unwrap().0, 130_000);
        assert_eq!(next_try(&missing(None, None), WallMs(0)), None);
    }
}
