//! The benches: each measures renewd beside a peer or a physical limit in the same run.
//!
//! Read in this order: `figure` (a value, its anchor, its goal), then a bench of your choice:
//! `append`, `replay`, `open` on `history` and `log_file` (a log of realistic renewals); `issue`,
//! `swap`, `start`, `kill` on `rig` (the real binary beside Pebble) and `peer` (other clients). `usage`
//! reads /proc, `table` writes ops/benchmarks.md. `cargo xtask bench NAME` builds all and runs it.

mod append;
mod error;
mod figure;
mod history;
mod issue;
mod kill;
mod log_file;
mod nginx;
mod open;
mod peer;
mod replay;
mod rig;
mod say;
mod start;
mod swap;
mod table;
mod usage;

use std::path::Path;
use std::process::ExitCode;

use crate::error::BenchError;
use crate::figure::{Figure, closing};

/// A bench.
type Run = fn() -> Result<Vec<Figure>, BenchError>;

/// All of them, cheapest first.
const BENCHES: [(&str, Run); 7] = [
    ("append", append::run),
    ("replay", replay::run),
    ("open", open::run),
    ("issue", issue::run),
    ("swap", swap::run),
    ("start", start::run),
    ("kill", kill::run),
];
/// Instead of a name: every bench, and the table into the page that is the next argument.
const ALL: &str = "all";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments.split_first() {
        Some((name, rest)) if name == open::CHILD => return open::child(rest),
        Some((name, [page])) if name == ALL => all(Path::new(page)),
        Some((name, [])) => one(name),
        Some(_) | None => Err(BenchError::Wrong(usage())),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say::progress(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let names = BENCHES.map(|(name, _)| name).join(", ");
    format!("usage: renewd-bench NAME (one of {names}), or: renewd-bench {ALL} PAGE")
}

fn one(name: &str) -> Result<(), BenchError> {
    let bench = BENCHES.iter().find(|(known, _)| *known == name);
    let (name, run) = bench.ok_or_else(|| BenchError::Wrong(usage()))?;
    measure(name, *run).map(drop)
}

/// A bench that fails does not take the others with it, but leaves the page as it is.
fn all(page: &Path) -> Result<(), BenchError> {
    let (mut measured, mut failed) = (Vec::new(), Vec::new());
    for (name, run) in BENCHES {
        match measure(name, run) {
            Ok(figures) => measured.push((name, figures)),
            Err(error) => failed.push(format!("bench {name}: {error}")),
        }
    }
    let table = table::table(&measured);
    say::result(&table);
    if failed.is_empty() {
        return table::write(page, &table);
    }
    Err(BenchError::Wrong(format!(
        "{} is not changed, because not all was measured\n{}",
        page.display(),
        failed.join("\n")
    )))
}

fn measure(name: &str, run: Run) -> Result<Vec<Figure>, BenchError> {
    let figures = run()?;
    for figure in &figures {
        say::progress(&format!("{name}: {}: {}", figure.measure, figure.line()));
    }
    say::result(&closing(name, &figures));
    Ok(figures)
}
