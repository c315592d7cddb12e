//! An order that the CA took the certificate request of and does not finish (RFC 8555 §7.1.6,
//! `processing`): when that is told, and how long it is waited for.

use std::time::Duration;

use renewd_events::id::CertificateId;
use renewd_events::order::{Order, Phase};
use renewd_events::{Facts, WallMs};

use crate::when;

/// From then on it is told: CAs issue within minutes.
pub const ISSUING_LONG: Duration = Duration::from_secs(3600);
/// The CA may take hours (a queue after an outage, a person who approves), and another order would wait
/// in the same queue. Let's Encrypt gives back one certificate of the same names each 34 hours: an order
/// that is given up sooner and bought anew, again and again, would use them all up.
pub const ISSUING_MAX: Duration = Duration::from_secs(36 * 3600);
/// Waited for at least, whatever is served: a CA that always takes hours must be able to issue at all.
pub const ISSUING_MIN: Duration = Duration::from_secs(6 * 3600);

/// How long the CA may take to issue: half of what is left of the certificate that is served, so that
/// there is time for another order, within [`ISSUING_MIN`] and [`ISSUING_MAX`].
pub fn issuing_max(since: WallMs, served_until: Option<WallMs>) -> Duration {
    let half = served_until.map_or(ISSUING_MAX, |until| until.since(since) / 2);
    half.clamp(ISSUING_MIN, ISSUING_MAX)
}

/// An order of this certificate that is issued for longer than usual, and until when it is waited for.
pub(crate) fn issuing(facts: &Facts, id: CertificateId, now: WallMs) -> Option<(&Order, WallMs)> {
    let served_until = facts.certificates.get(&id)?.expires();
    let (_, order) = facts.order_of(id)?;
    let long = order.phase == Phase::Processing && now.since(order.since) >= ISSUING_LONG;
    long.then(|| (order, order.since.after(issuing_max(order.since, served_until))))
}

/// What is said of it.
pub(crate) fn said((order, until): (&Order, WallMs)) -> String {
    format!(
        "since {} the order stands in processing; it is looked at every few minutes and waited for until {}",
        when::minute(order.since),
        when::minute(until)
    )
}

#[cfg(test)]
mod tests {
    use renewd_events::order::{Found, OrderEvent, OrderStatus};
    use renewd_events::schedule::Cause;

    use super::*;
    use crate::codes;
    use crate::status::{State, status};
    use crate::testlog::{Log, certificate};

    const NOW: WallMs = WallMs(1_769_860_800_000);

    #[test]
    fn the_wait_leaves_time_for_another_order_and_has_both_bounds() {
        let hours = |hours: u32| Duration::from_secs(3600) * hours;
        let max = |left: u32| issuing_max(NOW, Some(NOW.after(hours(left))));
        assert_eq!(issuing_max(NOW, None), ISSUING_MAX, "nothing is served yet");
        assert_eq!(max(30 * 24), ISSUING_MAX);
        assert_eq!(max(72), hours(36));
        assert_eq!(max(48), hours(24), "of six days a third is left");
        assert_eq!(max(12), hours(6));
        assert_eq!(max(11), ISSUING_MIN);
        assert_eq!(issuing_max(NOW, Some(NOW.before(hours(1)))), ISSUING_MIN, "it has expired");
    }

    #[test]
    fn a_ca_that_does_not_issue_is_told_after_an_hour_with_how_long_it_is_waited_for() {
        let mut log = Log::registered();
        log.started(200, Cause::FirstIssue, 1).keyed().created(1, Found::Answer);
        log.add(log.order(1), OrderEvent::FinalizationAccepted { status: OrderStatus::Processing });
        let since = log.now();
        let at = |log: &Log, now: WallMs| {
            let (facts, witnesses) = (log.facts(), log.witnesses());
            let why = crate::why::why(&facts, &witnesses, certificate(), now).unwrap();
            (status(&facts, &witnesses, now).remove(0), why)
        };
        let (row, why) =
            at(&log, since.after(ISSUING_LONG.saturating_sub(Duration::from_millis(1))));
        assert_eq!((row.state, row.trouble, why.code), (State::Renewing, None, None));
        let (row, why) = at(&log, since.after(ISSUING_LONG));
        let trouble = row.trouble.unwrap();
        let until = crate::when::minute(since.after(ISSUING_MAX));
        assert_eq!((trouble.code.as_str(), trouble.at), ("R0319", since));
        assert!(
            trouble.sentence.ends_with(&format!("waited for until {until}")),
            "{}",
            trouble.sentence
        );
        assert_eq!((why.code, why.since), (Some(codes::STUCK), Some(since)));
        assert!(
            why.do_this.ends_with(&format!("if it is not issued by {until}")),
            "{}",
            why.do_this
        );
        log.issued();
        let (row, why) = at(&log, since.after(ISSUING_LONG));
        assert_eq!((row.trouble, why.code), (None, None), "it is issued");
    }
}
