//! How long something took, by the stamps of its events: our wall clock may have been set in between,
//! and the process may have been down.

use std::time::Duration;

use renewd_events::id::Seq;
use renewd_events::{Envelope, WallMs};

use crate::world::World;

/// Events of one certificate that were stamped before the clock was set and lie on the disk after it:
/// those of the one commit that was under way.
const UNDER_WAY_MAX: u64 = 16;

/// Where in the log an event stands, and what our clock showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    seq: Seq,
    at: WallMs,
}

impl Stamp {
    pub(crate) fn of(envelope: &Envelope) -> Self {
        Self { seq: envelope.seq, at: envelope.at }
    }

    /// What our clock showed.
    pub(crate) fn at(self) -> WallMs {
        self.at
    }
}

/// When our clock was set, and when the process was down, by the last event before it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Spans {
    /// What it showed from then on.
    sets: Vec<(u64, WallMs)>,
    downs: Vec<(u64, Duration)>,
    under_way: u64,
}

impl Spans {
    pub(crate) fn of(certificates: usize) -> Self {
        let certificates = u64::try_from(certificates).unwrap_or(u64::MAX);
        let under_way = certificates.saturating_mul(UNDER_WAY_MAX);
        Self { under_way, ..Self::default() }
    }

    /// By our clock, where nobody set it between the two events: for what must not come too soon.
    pub(crate) fn unbroken(&self, from: Stamp, to: Stamp) -> Option<Duration> {
        let broken = |after: u64| after + self.under_way >= from.seq.0 && after < to.seq.0;
        let whole = !self.sets.iter().any(|(after, _)| broken(*after));
        whole.then(|| to.at.since(from.at))
    }

    /// What the process had at least, up and since its clock was set last: for what must not take too
    /// long. Nothing where the second event may be stamped by the clock before.
    pub(crate) fn at_least(&self, from: Stamp, to: Stamp) -> Duration {
        let mut sets = self.sets.iter().rev();
        match sets.find(|(after, _)| *after < to.seq.0) {
            Some((after, _)) if after + self.under_way >= to.seq.0 => Duration::ZERO,
            set => self.since(from, to.at, set.copied(), to.seq.0),
        }
    }

    /// The same up to the end of the log.
    pub(crate) fn until(&self, from: Stamp, now: WallMs) -> Duration {
        self.since(from, now, self.sets.last().copied(), u64::MAX)
    }

    fn since(&self, from: Stamp, to: WallMs, set: Option<(u64, WallMs)>, end: u64) -> Duration {
        let start = match set {
            Some((after, shown)) if from.seq.0 + self.under_way <= after => shown,
            // Stamped before or after: the later of the two is no later than the truth makes it.
            Some((after, shown)) if from.seq.0 <= after + self.under_way => from.at.max(shown),
            Some(_) | None => from.at,
        };
        let while_open = |after: &u64| after + self.under_way >= from.seq.0 && *after < end;
        let downs = self.downs.iter().filter(|(after, _)| while_open(after));
        let down = downs.fold(Duration::ZERO, |sum, (_, down)| sum.saturating_add(*down));
        to.since(start).saturating_sub(down)
    }
}

impl World {
    /// Our clock was set, and shows something else now.
    pub(crate) fn note_set(&self) {
        let (after, shown) = (self.last_event(), self.wall());
        self.state().spans.sets.push((after, shown));
    }

    /// The process is down for so long.
    pub(crate) fn note_down(&self, time: Duration) {
        let after = self.last_event();
        self.state().spans.downs.push((after, time));
    }

    fn last_event(&self) -> u64 {
        self.platter().frames.last().map_or(0, |frame| frame.seq.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn stamp(seq: u64, hours: u64) -> Stamp {
        Stamp { seq: Seq(seq), at: WallMs(hours * HOUR) }
    }

    fn hours(hours: u64) -> Duration {
        Duration::from_millis(hours * HOUR)
    }

    /// One certificate; after event 100 the clock is set from 50 to `shown` hours.
    fn set_to(shown: u64) -> Spans {
        Spans { sets: vec![(100, WallMs(shown * HOUR))], ..Spans::of(1) }
    }

    #[test]
    fn a_span_without_a_set_clock_is_what_the_clock_says() {
        for spans in [Spans::of(1), set_to(10), set_to(90)] {
            let before = (stamp(20, 5), stamp(90, 40));
            assert_eq!(spans.unbroken(before.0, before.1), Some(hours(35)));
            assert_eq!(spans.at_least(before.0, before.1), hours(35));
            let after = (stamp(120, 100), stamp(190, 140));
            assert_eq!(spans.unbroken(after.0, after.1), Some(hours(40)));
            assert_eq!(spans.at_least(after.0, after.1), hours(40));
            assert_eq!(spans.until(after.0, WallMs(150 * HOUR)), hours(50));
        }
    }

    #[test]
    fn over_a_set_clock_a_span_is_what_came_after_it() {
        for shown in [10, 90] {
            let spans = set_to(shown);
            let (from, to) = (stamp(20, 5), stamp(190, shown + 7));
            assert_eq!(spans.unbroken(from, to), None);
            assert_eq!(spans.at_least(from, to), hours(7));
            assert_eq!(spans.until(from, to.at), hours(7));
        }
    }

    #[test]
    fn what_was_under_way_when_the_clock_was_set_is_given_the_benefit_of_the_doubt() {
        // Event 105 was stamped before and written after.
        let (stamped, late) = (stamp(105, 50), stamp(190, 20));
        assert_eq!(set_to(10).at_least(stamped, late), Duration::ZERO);
        assert_eq!(set_to(10).unbroken(stamped, late), None);
        assert_eq!(set_to(10).at_least(stamp(20, 5), stamped), Duration::ZERO);
        assert_eq!(set_to(90).at_least(stamped, stamp(190, 97)), hours(7));
    }

    #[test]
    fn nothing_takes_long_while_the_process_is_down() {
        let spans = Spans { downs: vec![(100, hours(30))], ..Spans::of(1) };
        assert_eq!(spans.at_least(stamp(20, 5), stamp(190, 45)), hours(10));
        assert_eq!(spans.unbroken(stamp(20, 5), stamp(190, 45)), Some(hours(40)));
        assert_eq!(spans.at_least(stamp(20, 5), stamp(90, 9)), hours(4));
        assert_eq!(spans.until(stamp(150, 40), WallMs(45 * HOUR)), hours(5));
    }
}
