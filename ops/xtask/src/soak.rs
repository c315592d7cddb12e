//! `cargo xtask soak`: the long runs, one after the other, each with its own closing line. They take an
//! hour and a half on two cores; ops/reliability.md holds the figures of the last.

use crate::step::Outcome;
use crate::{damage, fuzz, kill, say, sim};

/// One long run: its name, its command, and what follows the command.
type Long = (&'static str, fn(&[String]) -> Outcome, &'static [&'static str]);

const LONG: [Long; 8] = [
    ("crash", sim::crash, &["--recovery", "1"]),
    ("crash", sim::crash, &["--deep", "1"]),
    ("sim", sim::sim, &["--seeds", "10000"]),
    ("sim", sim::sim, &["--years", "1000000"]),
    ("damage", damage::run, &["--count", "10000"]),
    ("kill", kill::run, &["--count", "10000"]),
    ("kill", kill::run, &["--suspend", "600"]),
    ("fuzz", fuzz::run, &["--seconds", "1800"]),
];

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let wanted =
        |(name, _, _): &&Long| arguments.is_empty() || arguments.iter().any(|word| word == name);
    let mut failed = Vec::new();
    for (name, command, rest) in LONG.iter().filter(wanted) {
        let rest: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
        if let Err(failure) = command(&rest) {
            say::problem(&format!("{name}: {failure}"));
            failed.push(*name);
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        failed => Err(format!("failed: {}", failed.join(", ")).into()),
    }
}
