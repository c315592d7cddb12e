//! A run without end is a violation, not a run that somebody has to kill: points have a bound.

use std::time::Duration;

use renewd_events::WallMs;

/// Points of one day beside those of its certificates: starts, checks, an account.
const POINTS: usize = 20_000;
/// Points of one certificate in one day: a renewal has some forty, and a day of failures a dozen tries.
const CERTIFICATE_POINTS: usize = 2_000;
/// The day.
const SPAN: Duration = Duration::from_secs(86_400);

/// How many points a life has reached since when.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    since: WallMs,
    points: usize,
    ran_away: bool,
}

impl Pace {
    /// One point more. True when that is too many for the time that went by.
    pub(crate) fn too_many(&mut self, now: WallMs, certificates: usize) -> bool {
        if now.since(self.since) >= SPAN {
            (self.since, self.points) = (now, 0);
        }
        self.points += 1;
        self.ran_away |= self.points > POINTS + CERTIFICATE_POINTS * certificates;
        self.ran_away
    }

    /// What is said of a life that does not come to rest.
    pub(crate) fn ran_away(&self) -> Option<String> {
        let points = self.points;
        self.ran_away.then(|| format!("{points} commits, acts and requests within a day"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_points_in_a_day_end_a_run_and_in_two_days_do_not() {
        let bound = POINTS + CERTIFICATE_POINTS;
        let (mut fast, mut slow) = (Pace::default(), Pace::default());
        let begin = WallMs(1_767_225_600_000);
        let mut later = begin;
        for _ in 0..bound {
            assert!(!fast.too_many(begin, 1));
            later = later.after(SPAN * 2 / u32::try_from(bound).unwrap());
            assert!(!slow.too_many(later, 1));
        }
        assert_eq!(fast.ran_away(), None);
        assert!(fast.too_many(begin, 1) && !slow.too_many(later, 1));
        assert!(fast.ran_away().unwrap().contains("within a day") && slow.ran_away().is_none());
    }
}
