//! `renewd-sim crash|sim|planted`: the commands behind `cargo xtask`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program")]

use std::process::ExitCode;

use renewd_sim::crash;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["crash", "--script", script, name] => show_command(script, name),
        ["crash", rest @ ..] => crash_command(rest),
        _ => {
            eprintln!("renewd-sim crash [--deep N] [SCENARIO]");
            ExitCode::from(2)
        }
    }
}

fn show_command(script: &str, name: &str) -> ExitCode {
    let scenario = crash::all().into_iter().find(|scenario| scenario.name == name);
    let (Some(scenario), Ok(script)) = (scenario, script.parse()) else {
        eprintln!(
            "there is no scenario `{name}`, or the script is not PLACE:NUMBER=FAULT[:SECONDS]"
        );
        return ExitCode::from(2);
    };
    let (lines, violations) = crash::show(&scenario, &script);
    lines.iter().for_each(|line| println!("{line}"));
    violations.iter().for_each(|violation| println!("{violation}"));
    if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn crash_command(words: &[&str]) -> ExitCode {
    let (deep, words) = match words {
        ["--deep", stride, rest @ ..] => (stride.parse().ok(), rest),
        rest => (None, rest),
    };
    let scenarios = crash::all();
    let wanted = scenarios.iter().filter(|s| words.is_empty() || words.contains(&s.name));
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut all, mut count) = (crash::Report::default(), 0);
    for scenario in wanted {
        let report = crash::run(scenario, deep, workers);
        println!(
            "{:<28} {:>5} boundaries {:>7} runs {:>4} violations",
            scenario.name, report.boundaries, report.runs, report.violations
        );
        for failure in &report.failures {
            println!("  {}", failure.script);
            for violation in &failure.violations {
                println!("    {violation}");
            }
        }
        count += 1;
        all.add(report);
    }
    println!(
        "crash: scenarios {count}, boundaries {}, runs {}, violations {}",
        all.boundaries, all.runs, all.violations
    );
    if all.violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
