//! Proof that the simulation can fail: each planted bug is hunted through the scenarios as they are,
//! then ended at each of their boundaries, then through seeds, until an invariant breaks that names
//! it. Breaking another one does not count: a bug that is seen by luck is not known.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use renewd_events::planted::{self, Bug};
use strum::IntoEnumIterator;

use crate::crash::{self, Scenario};
use crate::fate::Script;
use crate::invariant::{Invariant, Violation};
use crate::seeds::{self, Size};

/// Seeds tried for a bug that no scenario shows.
const SEEDS_MAX: u64 = 500;

/// The invariants that name a bug.
pub fn named_by(bug: Bug) -> &'static [Invariant] {
    match bug {
        Bug::NoOp => &[Invariant::Ends, Invariant::Healed],
        Bug::AckBeforeCommit => &[Invariant::IntentFirst],
        Bug::MissingSync => &[Invariant::NothingLost],
        Bug::TornBatchTaken => &[Invariant::BatchWhole],
        Bug::SyncRetried => &[Invariant::SyncFinal],
        Bug::SumIgnored => &[Invariant::RotRefused],
        Bug::BatchEndNotReplayed => &[Invariant::ReplayEqualsLive],
        Bug::VersionIgnored => &[Invariant::LogInvariants, Invariant::NoAnomaly],
        Bug::OrderForgotten => &[Invariant::Ends],
        Bug::GroupForgetsHead => &[Invariant::LogWhole],
        Bug::BootNotCounted => &[Invariant::LivesInOrder],
        Bug::OutcomeBeforeAct | Bug::UnknownIsRefused => &[Invariant::SettledTruly],
        Bug::TokenWithdrawnEarly | Bug::TokensLostAtStart => &[Invariant::TokenAnswered],
        Bug::TokenKept => &[Invariant::TokenWithdrawn],
        Bug::KeyNotSynced => &[Invariant::KeyFirst],
        Bug::KeyInCsr => &[Invariant::NoSecret],
        Bug::DoInsteadOfSettle => &[Invariant::OneOrderPerIntent],
        Bug::RenewalBegunAnew => &[Invariant::NoUnexplainedOrder, Invariant::OpenOrderUsed],
        Bug::AccountBegunAnew => &[Invariant::OneAccount],
        Bug::AnothersIssueDeployed => &[Invariant::DeployedFits],
        Bug::SaidUnserved => &[Invariant::EndsAsItIs],
        Bug::NeverSettled => &[Invariant::IntentSettled],
        Bug::WishForgotten => &[Invariant::WishHeard],
        Bug::LooksUnbounded => &[Invariant::RequestsBounded],
        Bug::PolicyUnbounded => &[Invariant::BudgetKept],
        Bug::NeverUnserved => &[Invariant::NothingOpenForEver],
        Bug::FreshCsr => &[Invariant::OneCsr],
        Bug::ParallelIgnored => &[Invariant::ParallelKept],
        Bug::DeployBeforeAdopted => &[Invariant::LogInvariants],
        Bug::FailureRemovesCurrent => &[Invariant::FailureKeepsServing],
        Bug::MismatchTaken => &[Invariant::NeverOlder],
        Bug::BackoffForgottenAtStart | Bug::NoBackoff | Bug::ClockBackIgnored => {
            &[Invariant::BackoffBounds]
        }
        Bug::RetryAfterIgnored | Bug::AriRetryAfterIgnored => &[Invariant::RetryAfterKept],
        Bug::WakesLostAtStart => &[Invariant::OneNextAction],
        Bug::RestartRepeated | Bug::RestartCountInMemory => &[Invariant::RestartOnce],
    }
}

/// The invariants that no planted bug is named by, each with the reason.
pub const UNPLANTED: [(Invariant, &str); 4] = [
    (
        Invariant::EventSize,
        "no event that the simulated world can cause comes near 32 KiB; the codec refuses what is \
         larger, and its own tests show that",
    ),
    (
        Invariant::NoLogNoAct,
        "open: a shell that decides while the log is broken was not found within five minutes of \
         hunting; no scenario is known in which an act falls due just then",
    ),
    (
        Invariant::NoActorFailed,
        "it breaks when an actor says of itself that it failed: actors/tests make them panic and \
         see it said, and a panic planted here would prove no more",
    ),
    (
        Invariant::Repeatable,
        "it takes two runs of one seed that differ; a hunt runs each once, and a bug that differs \
         from run to run could not be hunted by a script",
    ),
];

/// Where a bug was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// A scenario with its ends, or a seed.
    pub place: String,
    /// What it broke.
    pub violation: Violation,
}

/// What came of a bug.
#[derive(Clone, Debug)]
pub struct Hunt {
    /// The bug.
    pub bug: Bug,
    /// Runs it took.
    pub runs: usize,
    /// Where it was found.
    pub found: Option<Found>,
    /// Another invariant that it broke before.
    pub instead: Option<Violation>,
}

impl fmt::Display for Hunt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bug, runs) = (self.bug.to_string(), self.runs);
        match (&self.found, &self.instead) {
            (Some(found), _) => {
                let invariant = found.violation.invariant.to_string();
                write!(f, "{bug:<27} {runs:>5} runs  {invariant:<22} {}", found.place)
            }
            (None, Some(other)) => write!(f, "{bug:<27} {runs:>5} runs  NOT FOUND, but {other}"),
            (None, None) => write!(f, "{bug:<27} {runs:>5} runs  NOT FOUND"),
        }
    }
}

/// Hunts all bugs, or those with these names.
pub fn hunt(names: &[&str]) -> Vec<Hunt> {
    let wanted = |bug: &Bug| names.is_empty() || names.contains(&bug.to_string().as_str());
    let bugs: Vec<Bug> = Bug::iter().filter(wanted).collect();
    let scenarios = crash::all();
    let began = Instant::now();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(bug) = bugs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    planted::set(Some(*bug));
                    let hunt = one(*bug, &scenarios);
                    planted::set(None);
                    progress(&hunt, began);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push(hunt);
                }
            });
        }
    });
    let mut hunts = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    hunts.sort_by_key(|hunt| hunt.bug);
    hunts
}

#[expect(clippy::print_stderr, reason = "progress of a long run")]
fn progress(hunt: &Hunt, began: Instant) {
    eprintln!("  {} s: {hunt}", began.elapsed().as_secs());
}

fn one(bug: Bug, scenarios: &[Scenario]) -> Hunt {
    let mut hunt = Hunt { bug, runs: 0, found: None, instead: None };
    let mut clean = Vec::new();
    for scenario in scenarios {
        let ran = crash::once(scenario, &Script::default());
        if hunt.look(&ran.outcome.violations, || scenario.name.to_owned()) {
            return hunt;
        }
        clean.push((scenario, ran.orders, ran.reached));
    }
    for scenario in crash::long() {
        let ran = crash::once(&scenario, &Script::default());
        if hunt.look(&ran.outcome.violations, || scenario.name.to_owned()) {
            return hunt;
        }
    }
    // What has troubles of its own first, then the short ones: that is where most mistakes show.
    clean.sort_by_key(|(scenario, _, reached)| {
        (scenario.script.0.is_empty(), reached.iter().sum::<u64>())
    });
    for (scenario, orders, reached) in clean {
        for end in crash::boundaries([0, 0], reached) {
            let script = crash::with(&Script::default(), end);
            let ran = crash::once(scenario, &script);
            let violations = crash::judged(scenario, &ran, orders);
            if hunt.look(&violations, || format!("{} {script}", scenario.name)) {
                return hunt;
            }
        }
    }
    for seed in 1..=SEEDS_MAX {
        let (outcome, _, _) = seeds::one(seed, Size::Small, None);
        if hunt.look(&outcome.violations, || format!("seed {seed}")) {
            return hunt;
        }
    }
    hunt
}

impl Hunt {
    /// Notes what a run broke. True when that names the bug.
    fn look(&mut self, violations: &[Violation], place: impl FnOnce() -> String) -> bool {
        self.runs += 1;
        let named = |violation: &&Violation| named_by(self.bug).contains(&violation.invariant);
        self.found = violations.iter().find(named).map(|violation| {
            let violation = violation.clone();
            Found { place: place(), violation }
        });
        self.instead = self.instead.take().or_else(|| violations.first().cloned());
        self.found.is_some()
    }
}
