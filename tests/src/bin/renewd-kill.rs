//! `cargo xtask kill` builds this and runs it: SIGKILL so many times, or SIGSTOP for so long, and the count
//! from the CA's side.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person")]

use std::process::ExitCode;
use std::time::Duration;

use renewd_tests::error::HarnessError;
use renewd_tests::kill::{self, Order};

/// What it takes.
const USAGE: &str =
    "renewd-kill --count N [--seed S] [--lanes L], or renewd-kill --suspend SECONDS";
/// Hosts at the same time, two for each of two cores: they wait more than they compute.
const LANES: u32 = 4;

fn order() -> Option<Order> {
    let mut order = Order { kills: 0, seed: 1, lanes: LANES, program: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.as_str() {
            "--count" => order.kills = value.parse().ok()?,
            "--seed" => order.seed = value.parse().ok()?,
            "--lanes" => order.lanes = value.parse().ok()?,
            _ => return None,
        }
    }
    (order.kills > 0).then_some(order)
}

/// How long to suspend, when that is asked for.
fn suspension() -> Option<Duration> {
    let mut arguments = std::env::args().skip(1);
    let is_it = arguments.next()? == "--suspend";
    let seconds = arguments.next()?.parse().ok()?;
    is_it.then_some(Duration::from_secs(seconds))
}

fn main() -> ExitCode {
    if let Some(each) = suspension() {
        let done = kill::suspend(each, &|line| println!("{line}"));
        return ended(done.map(|done| (done.to_string(), done.is_clean())));
    }
    let Some(order) = order() else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    let done = kill::run(order, &|line| println!("{line}"));
    ended(done.map(|totals| (format!("{}\n{totals}", totals.places()), totals.is_clean())))
}

/// Prints the closing lines.
fn ended(done: Result<(String, bool), HarnessError>) -> ExitCode {
    match done {
        Ok((told, clean)) => {
            println!("{told}");
            if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::FAILURE
        }
    }
}
