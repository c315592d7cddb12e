//! When a life ends: drawn, with the weight on the instants at which something happens.

use std::time::Duration;

use super::random::Random;

/// The longest ordinary life: twice an unhurt order.
pub(super) const LIFE_MAX: Duration = Duration::from_millis(600);
/// A life in which everything comes to rest before the kill. A lost answer to newOrder is asked for
/// after two seconds, a failed validation is retried after one; an order that never reached the CA is
/// waited for longer, by the lives that follow.
pub(super) const REST_TIME_MAX: Duration = Duration::from_secs(4);

/// From here a kill can come at any instant; a first answer of the log takes about so long.
const START_MS: u64 = 60;
/// An unhurt order makes about so many commits; what comes after them is waiting.
const COMMITS_MAX: u64 = 20;
/// After a commit the act that it announces follows within this time.
const AFTER_COMMIT_US: u64 = 4_000;
/// How late each piece of an answer of the CA may come, in milliseconds: the windows in which an answer
/// can be lost are then wide in some lives and natural in others.
const LATE_MS: [u64; 6] = [0, 0, 0, 3, 10, 25];

/// When a life ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// So long after its start.
    After(Duration),
    /// So many commits after its start, and a little later.
    Commits(u64, Duration),
    /// First everything comes to rest; then people ask for these certificates, and it ends so many
    /// commits later.
    Asked(Vec<usize>, u64, Duration),
}

/// A life to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draw {
    pub(super) moment: Moment,
    /// How late each piece of an answer of the CA comes.
    pub(super) late: Duration,
}

impl Draw {
    /// While renewals are under way most lives end near a commit; on a host at rest most lives get a
    /// renewal to do first. Of both, one in eight ends right after its start, often twice in a row.
    pub(super) fn from(random: &mut Random, certificates: usize, at_rest: bool) -> Self {
        let ms = Duration::from_millis;
        let longest = u64::try_from(LIFE_MAX.as_millis()).unwrap_or(u64::MAX);
        // Of a hundred lives: near a commit, asked; the others end at any time.
        let (near, asked) = if at_rest { (0, 75) } else { (50, 7) };
        let commits = random.between(1, COMMITS_MAX);
        let later = Duration::from_micros(random.below(AFTER_COMMIT_US));
        let choice = random.below(100);
        let moment = if choice < 13 {
            Moment::After(ms(random.below(START_MS)))
        } else if choice < 13 + near {
            Moment::Commits(commits, later)
        } else if choice < 13 + near + asked {
            let mut asked: Vec<usize> = (0..certificates).collect();
            let spared = usize::try_from(random.below(3)).unwrap_or(0);
            asked.truncate(certificates.saturating_sub(spared).max(1));
            Moment::Asked(asked, commits, later)
        } else {
            Moment::After(ms(random.between(START_MS, longest)))
        };
        let late = random.pick(&LATE_MS).map(ms).unwrap_or_default();
        Self { moment, late }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_draws_the_same_lives_and_every_kind_of_them() {
        let draw = |at_rest| {
            let mut random = Random::new(7);
            (0..100).map(|_| Draw::from(&mut random, 3, at_rest)).collect::<Vec<Draw>>()
        };
        assert_eq!(draw(false), draw(false));
        for (at_rest, near, asked) in [(false, 35..65, 1..20), (true, 0..1, 60..90)] {
            let lives = draw(at_rest);
            let count =
                |kind: fn(&Moment) -> bool| lives.iter().filter(|l| kind(&l.moment)).count();
            assert!(count(|moment| matches!(moment, Moment::After(_))) > 10);
            assert!(near.contains(&count(|moment| matches!(moment, Moment::Commits(..)))));
            assert!(asked.contains(&count(|moment| matches!(moment, Moment::Asked(..)))));
        }
    }
}
