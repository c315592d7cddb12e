//! Makes a failing input small: pieces are taken out while it fails at the same place.

use std::time::{Duration, Instant};

use super::watch::{self, Failed};
use crate::targets::Target;

/// Runs spent on one failure.
const RUNS_MAX: u32 = 3000;
/// And time: a person waits for the test's end.
const TIME_MAX: Duration = Duration::from_secs(8);

/// The smallest input found, and what the target says about it.
pub(super) fn shrink(target: Target, mut input: Vec<u8>, mut failed: Failed) -> (Vec<u8>, Failed) {
    let from = Instant::now();
    let mut runs = 0;
    let mut still = |input: &[u8]| {
        runs += 1;
        let spent = runs > RUNS_MAX || from.elapsed() > TIME_MAX;
        if spent {
            return None;
        }
        watch::run(target, input).err().filter(|now| now.place == failed.place)
    };
    let mut words = None;
    let mut piece = input.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < input.len() {
            let end = at.saturating_add(piece).min(input.len());
            let shorter = [&input[..at], &input[end..]].concat();
            match still(&shorter) {
                Some(now) => {
                    input = shorter;
                    words = Some(now.words);
                }
                None => at = end,
            }
        }
        piece /= 2;
    }
    if let Some(words) = words {
        failed.words = words;
    }
    (input, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_taken_out() {
        let run = |input: &[u8]| assert!(!(input.contains(&b'a') && input.contains(&b'z')));
        let target = Target { name: "test", run, seeds: &[], words: &[], inputs: 0 };
        let input = b"0123a456789zbcdefgh".to_vec();
        let failed = watch::run(target, &input).unwrap_err();
        assert_eq!(shrink(target, input, failed).0, b"az");
    }
}
