//! A failing history made smaller: faults are left out, halves first, as long as the same invariant
//! breaks.

use std::time::{Duration, Instant};

use super::{Size, one};
use crate::fate::Script;
use crate::invariant::Invariant;

/// Runs spent on one history.
const RUNS_MAX: usize = 400;
/// Time spent on one history: what is left of it then is small enough to read.
const TIME_MAX: Duration = Duration::from_secs(20);

/// The smallest part of a script found that breaks the same invariant under this seed.
pub fn shrink(seed: u64, size: Size, script: &Script, invariant: Invariant) -> Script {
    let began = Instant::now();
    let mut runs = 0;
    let mut fails = |script: &Script| {
        runs += 1;
        let (outcome, _, _) = one(seed, size, Some(script));
        (
            outcome.violations.iter().any(|v| v.invariant == invariant),
            runs >= RUNS_MAX || began.elapsed() > TIME_MAX,
        )
    };
    let mut best = script.clone();
    if !fails(&best).0 {
        return best;
    }
    let mut part = best.0.len().div_ceil(2).max(1);
    loop {
        let points: Vec<_> = best.0.keys().copied().collect();
        let mut smaller = None;
        for leave_out in points.chunks(part) {
            let mut candidate = best.clone();
            candidate.0.retain(|point, _| !leave_out.contains(point));
            let (still, spent) = fails(&candidate);
            if still {
                smaller = Some(candidate);
                break;
            }
            if spent {
                return best;
            }
        }
        match smaller {
            Some(candidate) => best = candidate,
            None if part == 1 => return best,
            None => part = part.div_ceil(2).max(1).min(part - 1),
        }
        part = part.min(best.0.len().max(1));
    }
}
