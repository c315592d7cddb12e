//! Seeded simulation: a seed draws the world, what can go wrong in it, and when it does. Each seed
//! switches on a random part of the menu (swarm testing), so that rare combinations are not drowned.

mod draw;
mod shrink;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use draw::{Size, drawn};
pub use shrink::shrink;

use renewd_events::id::Seq;

use crate::fate::{Fate, Script};
use crate::invariant::{Invariant, Violation};
use crate::life::{self, Outcome};
use crate::world::World;

/// One of so many seeds is run twice: the same log must come out.
const REPEATED: u64 = 20;
/// Failing seeds kept for the report.
const FAILURES_MAX: usize = 5;
/// Between two lines of progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// A seed that broke something.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What went wrong in it.
    pub script: Script,
    /// What is broken.
    pub violations: Vec<Violation>,
}

/// What came of many seeds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Seeds.
    pub seeds: u64,
    /// Certificates times virtual years.
    pub years: f64,
    /// Renewals that ended with a certificate.
    pub renewals: usize,
    /// Events.
    pub events: usize,
    /// Lives of the process.
    pub lives: u64,
    /// Faults that happened.
    pub faults: usize,
    /// Broken invariants.
    pub violations: usize,
    /// The first failures.
    pub failures: Vec<Failure>,
}

/// The world of a seed, with the script's faults or those that the seed draws.
fn world(seed: u64, size: Size, script: Option<&Script>) -> Arc<World> {
    let (plan, menu) = drawn(seed, size);
    let fate = match script {
        Some(script) => Fate::scripted(script.clone()),
        None => Fate::seeded(menu, seed),
    };
    World::new(plan, fate)
}

/// Runs one seed; with a script, the script's faults instead of drawn ones.
pub fn one(seed: u64, size: Size, script: Option<&Script>) -> (Outcome, Script, f64) {
    let world = world(seed, size, script);
    let certificates = u32::try_from(world.plan.certificates.len()).unwrap_or(u32::MAX);
    let outcome = life::run(&world);
    let script = world.fates().drawn().clone();
    let years = f64::from(certificates) * outcome.elapsed.as_secs_f64() / (365.25 * 86_400.0);
    (outcome, script, years)
}

/// Runs one seed and shows its faults, its log and what is broken.
pub fn show(seed: u64, size: Size, script: Option<&Script>) -> (Vec<String>, Vec<Violation>) {
    let world = world(seed, size, script);
    let outcome = life::run(&world);
    let mut lines = vec![format!("{:?}", world.plan), world.fates().drawn().to_string()];
    lines.extend(crate::crash::lines(&world));
    (lines, outcome.violations)
}

/// Runs so many seeds, or as many as it takes for so many years.
pub fn run(first: u64, seeds: u64, years: f64, size: Size, workers: usize) -> Report {
    let next = AtomicU64::new(first);
    let began = Instant::now();
    let shared = Mutex::new((Report::default(), began));
    std::thread::scope(|scope| {
        for _ in 0..workers.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    let enough = {
                        let shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                        shared.0.years >= years
                    };
                    if seed >= first.saturating_add(seeds) || enough {
                        return;
                    }
                    let part = judged(seed, size);
                    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    add(&mut shared.0, part);
                    progress(&mut shared, began);
                }
            });
        }
    });
    shared.into_inner().unwrap_or_else(PoisonError::into_inner).0
}

fn judged(seed: u64, size: Size) -> Report {
    let (outcome, script, years) = one(seed, size, None);
    let mut violations = outcome.violations;
    if seed.is_multiple_of(REPEATED) {
        let (again, _, _) = one(seed, size, None);
        if again.head != outcome.head {
            let what = format!("two runs of seed {seed} ended with different logs");
            violations.push(Violation { invariant: Invariant::Repeatable, what, after: Seq(0) });
        }
    }
    let (count, faults) = (violations.len(), script.0.len());
    if let Some(first) = violations.first() {
        tell(seed, first);
    }
    let failure = (count > 0).then_some(Failure { seed, script, violations });
    Report {
        seeds: 1,
        years,
        renewals: outcome.renewals,
        events: outcome.events,
        lives: u64::from(outcome.lives),
        faults,
        violations: count,
        failures: failure.into_iter().collect(),
    }
}

fn add(all: &mut Report, part: Report) {
    all.seeds += part.seeds;
    all.years += part.years;
    all.renewals += part.renewals;
    all.events += part.events;
    all.lives += part.lives;
    all.faults += part.faults;
    all.violations += part.violations;
    all.failures.extend(part.failures);
    all.failures.sort_by_key(|failure| failure.script.0.len());
    all.failures.truncate(FAILURES_MAX);
}

/// A long run that is stopped before its end has said what it found.
#[expect(clippy::print_stderr, reason = "progress of a long run")]
fn tell(seed: u64, violation: &Violation) {
    eprintln!("  seed {seed} breaks {violation}");
}

#[expect(clippy::print_stderr, reason = "progress of a long run")]
fn progress((report, told): &mut (Report, Instant), began: Instant) {
    if told.elapsed() < PROGRESS {
        return;
    }
    *told = Instant::now();
    eprintln!(
        "  {} s: {} seeds, {:.0} renewal-years, {} lives, {} faults, {} violations",
        began.elapsed().as_secs(),
        report.seeds,
        report.years,
        report.lives,
        report.faults,
        report.violations
    );
}
