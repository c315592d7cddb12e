//! What goes wrong, and where. A point is a place in a run that is reached in the same order whenever
//! the run is repeated; a fault happens at a point. Either a script names them, or a seed draws them;
//! what was drawn is kept as a script, so that it can be made smaller and repeated.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use renewd_events::WallMs;

use crate::draws::Draws;

/// A process that did nothing for so long, with no call under way, is at rest: what it found at its
/// start is settled. Its own shortest wait for somebody else is a second.
const REST: Duration = Duration::from_millis(500);
/// Faults of one run: more tell nothing new, and a run must end.
pub const FAULTS_MAX: usize = 400;

/// A kind of point.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumIter,
    strum::EnumString,
    strum::Display,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Place {
    /// A batch is about to be committed.
    Commit,
    /// An act that the world can see is about to be done.
    Act,
    /// Any request to the CA.
    Request,
    /// A newOrder, which is the one request that must not be repeated.
    NewOrder,
    /// The CA's validator looks at a challenge.
    Validation,
    /// Something at the place where a certificate is served.
    Serving,
    /// Some hours went by.
    Tick,
    /// A life ended.
    Boot,
}

/// A place, and the how-many-th of its kind, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    /// Its kind.
    pub place: Place,
    /// Its number.
    pub number: u64,
}

/// What happens there.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::EnumIter,
    strum::EnumString,
    strum::Display,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Fault {
    /// The process dies before it: nothing of it is seen.
    CrashBefore,
    /// The process dies after it: it is done, and nobody in the process knows.
    CrashAfter,
    /// The disk is full for a while (`seconds`).
    NoSpace,
    /// The power goes within the write of a batch; some of its octets (`seconds` by their number) are
    /// on the disk.
    Torn,
    /// A sync fails: the batch is on the disk (`seconds` odd) or not, and nobody can tell.
    Unsynced,
    /// A bit turns on the disk (`seconds` says which).
    Rot,
    /// The request does not arrive.
    Cut,
    /// The request arrives, its answer does not.
    Lost,
    /// The CA is down: 503 without anything else.
    Down,
    /// The CA says 503 with a Retry-After (`seconds`).
    Busy,
    /// The CA says rateLimited with a Retry-After (`seconds`).
    RateLimited,
    /// The CA says serverInternal, an ACME problem with status 500, and has not acted.
    Internal,
    /// Something else answers: HTML, status 200.
    Noise,
    /// The CA does not know the account any more.
    AccountLost,
    /// The CA deactivates the account; a person configures another one (`seconds`) later.
    AccountDeactivated,
    /// The account's key is gone from the vault; a person restores it (`seconds`) later.
    AccountKeyGone,
    /// The account's key does not open; a person restores it (`seconds`) later.
    AccountKeyDamaged,
    /// The CA changed its terms and wants a person to agree; a person does so (`seconds`) later.
    Terms,
    /// The port panics.
    Panic,
    /// The request takes this long (`seconds`).
    Slow,
    /// The request arrives (`seconds`) later, and its answer never does.
    Late,
    /// For a while (`seconds`) a page with status 404 is answered in place of every order.
    Missing,
    /// The validator does not reach us.
    Unreachable,
    /// Putting in place, reloading or looking fails.
    Refused,
    /// Somebody puts another certificate in place.
    Overwrite,
    /// The wall clock is set forward (`seconds`).
    Forward,
    /// The wall clock is set back (`seconds`).
    Back,
    /// The CA moves all its renewal windows to now.
    WindowsMove,
    /// A person asks for a renewal.
    Renew,
    /// A person stops the process and starts it again.
    Stop,
    /// The process stays down (`seconds`).
    Downtime,
}

/// A fault with its measure: seconds where its description says so, else 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Harm {
    /// What.
    pub fault: Fault,
    /// How much.
    pub seconds: u64,
}

/// Faults by point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script(pub BTreeMap<Point, Harm>);

/// How often a fault is drawn at a place.
#[derive(Clone, Copy, Debug)]
pub struct Chance {
    /// Where.
    pub place: Place,
    /// What.
    pub fault: Fault,
    /// In so many of a million cases.
    pub per_million: u64,
    /// Its measure is drawn up to this, seconds.
    pub seconds_max: u64,
}

/// Decides what happens at each point.
#[derive(Debug)]
pub struct Fate {
    script: Script,
    menu: Vec<Chance>,
    draws: BTreeMap<Place, Draws>,
    reached: BTreeMap<Place, u64>,
    drawn: Script,
    healed: bool,
    recovery: Recovery,
}

/// The recovery from the first end: from its point until the process is again at rest.
#[derive(Debug, Default)]
struct Recovery {
    active: WallMs,
    /// How often each place was reached when the process ended.
    ended: Option<BTreeMap<Place, u64>>,
    begun: bool,
    /// How often each was reached when the next life came to rest.
    over: Option<BTreeMap<Place, u64>>,
}

impl Fate {
    /// Does what the script says, and nothing else.
    pub fn scripted(script: Script) -> Self {
        Self::new(script, Vec::new(), 0)
    }

    /// Draws from a menu.
    pub fn seeded(menu: Vec<Chance>, seed: u64) -> Self {
        Self::new(Script::default(), menu, seed)
    }

    fn new(script: Script, menu: Vec<Chance>, seed: u64) -> Self {
        use strum::IntoEnumIterator;
        let draws = Place::iter().map(|place| (place, Draws::new(seed, &place.to_string())));
        Self {
            script,
            menu,
            draws: draws.collect(),
            reached: BTreeMap::new(),
            drawn: Script::default(),
            healed: false,
            recovery: Recovery::default(),
        }
    }

    /// The next point of this place is reached: what happens?
    pub fn at(&mut self, place: Place) -> Option<Harm> {
        let number = self.reached.entry(place).or_default();
        *number += 1;
        let point = Point { place, number: *number };
        if self.healed {
            return None;
        }
        let scripted = self.script.0.get(&point).copied();
        let harm = scripted.or_else(|| self.draw(place))?;
        if self.drawn.0.len() >= FAULTS_MAX {
            return None;
        }
        self.drawn.0.insert(point, harm);
        if matches!(harm.fault, Fault::CrashBefore | Fault::CrashAfter) {
            self.recovery.ended.get_or_insert_with(|| self.reached.clone());
        }
        Some(harm)
    }

    /// A life begins.
    pub(crate) fn life_begins(&mut self, now: WallMs) {
        self.recovery.active = now;
        if self.recovery.begun {
            self.recovery.over.get_or_insert_with(|| self.reached.clone());
        }
        self.recovery.begun = self.recovery.ended.is_some();
    }

    /// The process does something, or something that it did has ended.
    pub(crate) fn active(&mut self, now: WallMs) {
        let rested = now.since(self.recovery.active) >= REST;
        if rested && self.recovery.begun {
            self.recovery.over.get_or_insert_with(|| self.reached.clone());
        }
        self.recovery.active = now;
    }

    /// How often these places were reached when the process first ended, and when the life after that
    /// came to rest; where it did not, as often as at all.
    pub(crate) fn recovery<const N: usize>(&self, places: [Place; N]) -> [[u64; N]; 2] {
        let at = |counts: &BTreeMap<Place, u64>| {
            places.map(|place| counts.get(&place).copied().unwrap_or(0))
        };
        let ended = self.recovery.ended.as_ref().map_or([0; N], at);
        [ended, at(self.recovery.over.as_ref().unwrap_or(&self.reached))]
    }

    fn draw(&mut self, place: Place) -> Option<Harm> {
        let draws = self.draws.get_mut(&place)?;
        for chance in self.menu.iter().filter(|chance| chance.place == place) {
            if draws.happens(chance.per_million) {
                let seconds = draws.below(chance.seconds_max.saturating_add(1));
                return Some(Harm { fault: chance.fault, seconds });
            }
        }
        None
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&mut self) {
        self.healed = true;
    }

    /// How often each place was reached.
    pub fn reached(&self) -> &BTreeMap<Place, u64> {
        &self.reached
    }

    /// What happened, as a script.
    pub fn drawn(&self) -> &Script {
        &self.drawn
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (point, harm)) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { " " };
            write!(f, "{gap}{}:{}={}", point.place, point.number, harm.fault)?;
            if harm.seconds > 0 {
                write!(f, ":{}", harm.seconds)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Script {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |word: &str| {
            let (point, harm) = word.split_once('=')?;
            let (place, number) = point.split_once(':')?;
            let (fault, seconds) = harm.split_once(':').unwrap_or((harm, "0"));
            let point = Point { place: place.parse().ok()?, number: number.parse().ok()? };
            Some((point, Harm { fault: fault.parse().ok()?, seconds: seconds.parse().ok()? }))
        };
        let words = text.split_whitespace();
        words
            .map(|word| {
                parse(word).ok_or_else(|| format!("`{word}` is not PLACE:NUMBER=FAULT[:SECONDS]"))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_comes_back_from_its_own_text() {
        let text = "commit:12=crash-after act:3=crash-before request:40=busy:90";
        let script: Script = text.parse().unwrap();
        assert_eq!(script.to_string(), text);
        assert!("commit:x=lost".parse::<Script>().is_err());
        assert!("commit:1=nothing".parse::<Script>().is_err());
    }

    #[test]
    fn a_recovery_lasts_from_an_end_to_the_first_rest() {
        let mut fate = Fate::scripted("commit:2=crash-after".parse().unwrap());
        let places = [Place::Commit, Place::Act];
        let begin = WallMs(1_000_000);
        let go = |fate: &mut Fate, ms: u64, place| {
            fate.active(begin.after(Duration::from_millis(ms)));
            fate.at(place);
        };
        fate.life_begins(begin);
        go(&mut fate, 1, Place::Act);
        go(&mut fate, 9_000, Place::Commit);
        assert_eq!(
            fate.recovery(places),
            [[0, 0], [1, 1]],
            "a rest before the end counts for nothing"
        );
        go(&mut fate, 9_001, Place::Commit);
        fate.life_begins(begin.after(Duration::from_secs(60)));
        go(&mut fate, 60_100, Place::Act);
        go(&mut fate, 60_200, Place::Commit);
        go(&mut fate, 60_300, Place::Commit);
        go(&mut fate, 63_000, Place::Act);
        go(&mut fate, 66_000, Place::Act);
        assert_eq!(fate.recovery(places), [[2, 1], [4, 2]]);
    }
}
