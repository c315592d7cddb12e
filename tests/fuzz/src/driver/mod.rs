//! The run on stable: regressions, then the corpus, then seeded mutations of it. Without coverage; it
//! finds what a change broke, and libFuzzer (`libfuzzer/`) finds what nobody thought of.
//!
//! Read in this order: this file (a run), `mutate` (from inputs to inputs), `watch` and `hang` (how a
//! failure is seen), `shrink` (making it small), `files` (where inputs are).

pub mod files;
mod hang;
mod mutate;
mod random;
mod shrink;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::targets::Target;
use mutate::Mutator;
pub use watch::Failed;

/// A longer input says nothing that a shorter one does not: the readers' own bounds are reached by
/// the corpus.
const INPUT_OCTETS_MAX: usize = 64 * 1024;
/// Different failures kept in one run: one bug fails in many ways, and each is shrunk.
const FAILURES_MAX: usize = 5;
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// So many mutated inputs.
    Inputs(u32),
    /// So long.
    Time(Duration),
}

/// A failure, small and kept.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the target said.
    pub failed: Failed,
    /// Where its input is.
    pub file: PathBuf,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Inputs that were run.
    pub inputs: u64,
    /// How long that took.
    pub took: Duration,
    /// What failed.
    pub failures: Vec<Failure>,
}

/// Runs a target: regressions and corpus whole, then mutations drawn from `seed` up to the bound. A
/// failing input is shrunk and written beside the regressions.
///
/// # Errors
/// When the corpus cannot be read or an input cannot be written.
pub fn run(
    target: Target,
    bound: Bound,
    seed: u64,
    tell: &dyn Fn(&str),
) -> Result<Tally, std::io::Error> {
    let corpus = files::corpus(&target)?;
    let (tally, places) = (Tally::default(), BTreeSet::new());
    let mut run = Run { target, tally, places, hang: hang::Hang::new(target) };
    let from = Instant::now();
    for input in files::regressions(&target)?.iter().chain(&corpus) {
        run.one(input)?;
    }
    let mut mutator = Mutator::new(corpus, target.words, seed);
    let mut told = from;
    let mut mutated = 0_u32;
    while run.tally.failures.len() < FAILURES_MAX {
        let over = match bound {
            Bound::Inputs(inputs) => mutated >= inputs,
            Bound::Time(time) => from.elapsed() >= time,
        };
        if over {
            break;
        }
        let mut input = mutator.next_input();
        input.truncate(INPUT_OCTETS_MAX);
        run.one(&input)?;
        mutated = mutated.saturating_add(1);
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            tell(&format!("{}: {} inputs", target.name, run.tally.inputs));
        }
    }
    run.tally.took = from.elapsed();
    Ok(run.tally)
}

/// Runs one input.
///
/// # Errors
/// What the target said about it.
pub fn once(target: Target, input: &[u8]) -> Result<(), Failed> {
    watch::run(target, input)
}

struct Run {
    target: Target,
    tally: Tally,
    /// Places that have failed: one failure of each is enough.
    places: BTreeSet<String>,
    hang: hang::Hang,
}

impl Run {
    fn one(&mut self, input: &[u8]) -> Result<(), std::io::Error> {
        self.tally.inputs = self.tally.inputs.saturating_add(1);
        self.hang.begin(input);
        let outcome = watch::run(self.target, input);
        self.hang.end();
        let Err(failed) = outcome else {
            return Ok(());
        };
        if self.places.insert(failed.place.clone()) {
            let (input, failed) = shrink::shrink(self.target, input.to_vec(), failed);
            let file = files::keep(&self.target, &input)?;
            self.tally.failures.push(Failure { failed, file });
        }
        Ok(())
    }
}

/// One line for a person: what failed, with which input, and how to see it again.
pub fn sentence(target: &Target, failure: &Failure) -> String {
    let Failure { failed, file } = failure;
    format!(
        "{}: {}\n  at {}\n  again: cargo xtask fuzz {} {}",
        target.name,
        failed.words,
        failed.place,
        target.name,
        file.display()
    )
}
