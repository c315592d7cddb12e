//! `renewd-sim crash|sim|planted`: the commands behind `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::process::ExitCode;

use renewd_sim::crash::Second;
use renewd_sim::fate::Script;
use renewd_sim::invariant::{Invariant, Violation};
use renewd_sim::seeds::Size;
use renewd_sim::{crash, seeds, timeline};
use strum::EnumCount;

/// What a port's planned panic says.
const PLANNED: &str = "because fate says so";

fn main() -> ExitCode {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload().downcast_ref::<&str>();
        let planned = text.is_some_and(|text| text.contains(PLANNED));
        if !planned {
            usual(info);
        }
    }));
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["sim", rest @ ..] => sim_command(rest),
        ["crash", rest @ ..] => crash_command(rest),
        #[cfg(feature = "planted")]
        ["planted", rest @ ..] => planted_command(rest),
        _ => {
            eprintln!("renewd-sim crash [--deep N | --recovery N] [SCENARIO]");
            eprintln!(
                "renewd-sim sim --seeds N [--from S] | --years Y | --seed S [--script SCRIPT]"
            );
            eprintln!("renewd-sim planted [BUG] (with --features planted)");
            ExitCode::from(2)
        }
    }
}

/// Every planted bug, or those named, must be found.
#[cfg(feature = "planted")]
fn planted_command(words: &[&str]) -> ExitCode {
    use strum::IntoEnumIterator;
    let known: Vec<String> =
        renewd_events::planted::Bug::iter().map(|bug| bug.to_string()).collect();
    if let Some(code) = unknown("bug", words, &known) {
        return code;
    }
    let hunts = renewd_sim::planted::hunt(words);
    hunts.iter().for_each(|hunt| println!("{hunt}"));
    let found = hunts.iter().filter(|hunt| hunt.found.is_some()).count();
    println!("planted: planted {}, found {found}", hunts.len());
    if found == hunts.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What to say to a word that names nothing: 2, with all the words there are.
fn unknown(kind: &str, words: &[&str], known: &[impl AsRef<str>]) -> Option<ExitCode> {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    let wrong = words.iter().find(|word| !known.contains(word))?;
    Some(misused(&format!("there is no {kind} `{wrong}`; there is:\n  {}", known.join("\n  "))))
}

fn misused(text: &str) -> ExitCode {
    eprintln!("{text}");
    ExitCode::from(2)
}

/// One run of a scenario, with its log.
fn show_command(script: &str, scenario: &crash::Scenario) -> ExitCode {
    let script = match script.parse::<Script>() {
        Ok(script) => script,
        Err(cause) => return misused(&cause),
    };
    let (lines, violations) = crash::show(scenario, &script);
    lines.iter().for_each(|line| println!("{line}"));
    violations.iter().for_each(|violation| println!("{violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sim_command(words: &[&str]) -> ExitCode {
    let value = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    let number = |name: &str| value(name).and_then(|text| text.parse::<u64>().ok());
    if value("--script").is_some() && number("--seed").is_none() {
        return misused("--script needs --seed: a script is of one world");
    }
    if words.contains(&"--seeds") && words.contains(&"--years") {
        return misused("either --seeds or --years: each says when to end");
    }
    let large = words.contains(&"--years") || words.contains(&"--large");
    let size = if large { Size::Large } else { Size::Small };
    if let Some(seed) = number("--seed") {
        let script = value("--script").map(str::parse::<Script>);
        return match script {
            Some(Err(cause)) => misused(&cause),
            Some(Ok(script)) => one_seed(seed, size, Some(&script)),
            None => one_seed(seed, size, None),
        };
    }
    let years = value("--years").and_then(|text| text.parse::<f64>().ok());
    let seeds = number("--seeds").unwrap_or(if years.is_some() { u64::MAX / 2 } else { 300 });
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let first = number("--from").unwrap_or(1);
    let report = seeds::run(first, seeds, years.unwrap_or(f64::MAX), size, workers);
    for failure in &report.failures {
        show_failure(failure, size);
    }
    println!(
        "{} renewals, {} events, {} lives, {} faults",
        report.renewals, report.events, report.lives, report.faults
    );
    println!(
        "sim: seeds {}, simulated renewal-years {:.0}, invariants {}, violations {}",
        report.seeds,
        report.years,
        Invariant::COUNT,
        report.violations
    );
    if report.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes a failing history smaller, says in one command how to repeat it, and shows what led to it.
fn show_failure(failure: &seeds::Failure, size: Size) {
    let Some(first) = failure.violations.first() else {
        return;
    };
    println!("seed {} breaks {first}", failure.seed);
    let large = if size == Size::Large { " --large" } else { "" };
    if first.invariant == Invariant::Repeatable {
        // One run alone shows nothing; that a seed is run twice is told by its number.
        println!("  to repeat it: cargo xtask sim --seeds 1 --from {}{large}", failure.seed);
        return;
    }
    let small = seeds::shrink(failure.seed, size, &failure.script, first.invariant);
    let (lines, violations) = seeds::show(failure.seed, size, Some(&small));
    let again = violations.iter().find(|violation| violation.invariant == first.invariant);
    let Some(again) = again else {
        println!("  its faults alone do not break it; to repeat it:");
        println!("  cargo xtask sim --seed {}{large}", failure.seed);
        return;
    };
    println!("  {} faults, {} are enough; to repeat it:", failure.script.0.len(), small.0.len());
    println!("  cargo xtask sim --seed {}{large} --script \"{small}\"", failure.seed);
    show_timeline(&lines, again);
}

/// What led to it, and what it is.
fn show_timeline(lines: &[String], violation: &Violation) {
    let part = timeline::timeline(lines, violation);
    println!("  {} of {} lines:", part.len(), lines.len());
    part.iter().for_each(|line| println!("    {line}"));
    println!("    {violation}");
}

/// Says how to repeat what an end at a boundary broke; the history of the first, which is short.
fn show_crash_failures(scenario: &crash::Scenario, failures: &[crash::Failure]) {
    for (index, failure) in failures.iter().enumerate() {
        println!("  cargo xtask crash --script \"{}\" {}", failure.script, failure.scenario);
        failure.violations.iter().for_each(|violation| println!("    {violation}"));
        if let Some(first) = failure.violations.first().filter(|_| index == 0) {
            let (lines, _) = crash::show(scenario, &failure.script);
            show_timeline(&lines, first);
        }
    }
}

fn one_seed(seed: u64, size: Size, script: Option<&Script>) -> ExitCode {
    let (lines, violations) = seeds::show(seed, size, script);
    lines.iter().for_each(|line| println!("{line}"));
    violations.iter().for_each(|violation| println!("{violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn crash_command(words: &[&str]) -> ExitCode {
    let (mut second, mut script, mut names) = (None, None, Vec::new());
    let mut rest = words.iter().copied();
    while let Some(word) = rest.next() {
        let (deep, recovery) = (word == "--deep", word == "--recovery");
        if (deep || recovery) && second.is_some() {
            return misused("either --deep or --recovery: one says where the second end can be");
        }
        if deep || recovery {
            let Some(stride) = rest.next().and_then(|text| text.parse().ok()) else {
                return misused(&format!(
                    "after {word} comes a number: every how-many-th second end"
                ));
            };
            second = Some(if deep { Second::Anywhere(stride) } else { Second::Recovering(stride) });
        } else if word == "--script" {
            script = Some(rest.next().unwrap_or_default());
        } else {
            names.push(word);
        }
    }
    let scenarios = crash::all();
    let known: Vec<&str> = scenarios.iter().map(|scenario| scenario.name).collect();
    if let Some(code) = unknown("scenario", &names, &known) {
        return code;
    }
    let mut wanted = scenarios.iter().filter(|s| names.is_empty() || names.contains(&s.name));
    if let Some(script) = script {
        return match (names.len(), second, wanted.next()) {
            (1, None, Some(scenario)) => show_command(script, scenario),
            _ => misused("--script goes with the name of one scenario, and nothing else"),
        };
    }
    let second = second.unwrap_or(Second::Never);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut all, mut count) = (crash::Report::default(), 0);
    for scenario in wanted {
        let report = crash::run(scenario, second, workers);
        println!(
            "{:<28} {:>5} boundaries {:>7} runs {:>4} violations",
            scenario.name, report.boundaries, report.runs, report.violations
        );
        show_crash_failures(scenario, &report.failures);
        count += 1;
        all.add(report);
    }
    println!(
        "crash: scenarios {count}, boundaries {}, runs {}, violations {}",
        all.boundaries, all.runs, all.violations
    );
    if all.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
