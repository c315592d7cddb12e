//! `cargo xtask NAME`: everything that is done to this workspace, without shell and without tools
//! that must be known by heart. One file per command; this one only knows their names.

mod bench;
mod ci;
mod damage;
mod deny;
mod fuzz;
mod kill;
mod layers;
mod lint;
mod mutants;
mod planted;
mod say;
mod sim;
mod soak;
mod step;
mod takes;
mod test;
mod tidy;

use std::process::ExitCode;

use crate::step::Outcome;

/// A command; the strings are what follows its name.
type Run = fn(&[String]) -> Outcome;

/// Name, what it does, and the function.
const COMMANDS: [(&str, &str, Run); 15] = [
    (
        "test",
        "builds renewd, finds or installs Pebble, runs all tests (arguments go on)",
        test::run,
    ),
    ("lint", "format, clippy, layers, tidy, documentation", lint::run),
    ("layers", "who may depend on whom", layers::run),
    (
        "tidy",
        "file sizes, forbidden words, equal clippy files, a page for every error code",
        tidy::run,
    ),
    ("deny", "advisories, licences, bans, sources (cargo-deny)", deny::run),
    (
        "bench",
        "builds as released and measures: append, replay, open, issue, swap, start, kill, all",
        bench::run,
    ),
    (
        "crash",
        "ends a simulated renewd at every boundary of every scenario: --deep N, SCENARIO",
        sim::crash,
    ),
    ("sim", "simulates by seed: --seeds N, --years Y, --seed S [--script SCRIPT]", sim::sim),
    ("soak", "the long runs of crash, sim, damage, kill and fuzz, or of those named", soak::run),
    ("damage", "--count N [--seed S]: logs damaged by chance, opened, repaired", damage::run),
    ("fuzz", "runs the fuzz targets, or one of them: --seconds N, TARGET", fuzz::run),
    (
        "kill",
        "SIGKILLs renewd --count N times, or --suspend SECONDS, and counts at the CA",
        kill::run,
    ),
    ("planted", "plants bugs, or BUG, each of which the simulation must find", planted::run),
    ("mutants", "mutants that no test finds: --file GLOB, --shard K/N", mutants::run),
    ("ci", "lint, deny, test", ci::run),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some((_, about, command)) = COMMANDS.iter().find(|(known, _, _)| *known == name) else {
        say::problem(&format!("there is no `cargo xtask {name}`; there is:"));
        for (name, about, _) in COMMANDS {
            say::problem(&format!("  cargo xtask {name:<8} {about}"));
        }
        return ExitCode::from(2);
    };
    if takes::asks_for_help(&name, &rest) {
        say::help(&format!("{about}{}", takes::usage(&name)));
        return ExitCode::SUCCESS;
    }
    if let Err(mistake) = takes::check(&name, &rest) {
        say::problem(&format!("cargo xtask {name}: {mistake}{}", takes::usage(&name)));
        return ExitCode::from(2);
    }
    match command(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            say::problem(&format!("cargo xtask {name}: {failure}"));
            if failure.misused { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
