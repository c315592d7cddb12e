//! `renewd-damage --count N [--seed S] [--only CASE]`: damages logs by chance and counts what comes of it.
//! `cargo xtask damage` builds and runs it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person")]

use std::process::ExitCode;

use renewd_tests::damage;

/// Cases between two lines of progress.
const PROGRESS_EVERY: u64 = 500;
/// Bad cases that are shown; more of them say nothing new.
const SHOWN_MAX: u64 = 20;

/// What the arguments say: seed, first case, number of cases.
fn wanted() -> Result<(u64, u64, u64), String> {
    let (mut seed, mut first, mut count) = (1, 0, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next().and_then(|value| value.parse::<u64>().ok());
        let value = value.ok_or_else(|| format!("{name} needs a number"))?;
        match name.as_str() {
            "--count" => count = Some(value),
            "--seed" => seed = value,
            "--only" => (first, count) = (value, Some(1)),
            other => return Err(format!("what is {other}?")),
        }
    }
    let count = count.ok_or("usage: damage --count N [--seed S], or --only CASE --seed S")?;
    Ok((seed, first, count))
}

fn main() -> ExitCode {
    let (seed, first, count) = match wanted() {
        Ok(wanted) => wanted,
        Err(usage) => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    // sled answers damage with panics, which the log catches; a case that panics is counted.
    std::panic::set_hook(Box::new(|_| ()));
    let mut shown = 0_u64;
    let counts = damage::run(seed, first, count, &mut |done, bad| {
        if let Some(what) = bad {
            shown = shown.saturating_add(1);
            if shown <= SHOWN_MAX {
                eprintln!("{what}");
            }
        }
        if done.is_multiple_of(PROGRESS_EVERY) && done < count {
            eprintln!("{done} of {count}");
        }
    });
    match counts {
        Ok(counts) => {
            println!("{}\n{}", counts.details(), counts.line());
            if counts.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(cause) => {
            eprintln!("the logs cannot be made: {cause}");
            ExitCode::FAILURE
        }
    }
}
