//! `cargo xtask kill` builds this and runs it: SIGKILL so many times, and the count from the CA's side.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a person")]

use std::process::ExitCode;

use renewd_tests::kill::{self, Order};

/// What it takes.
const USAGE: &str = "renewd-kill --count N [--seed S] [--lanes L]";
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

fn main() -> ExitCode {
    let Some(order) = order() else {
        eprintln!("usage: {USAGE}");
        return ExitCode::from(2);
    };
    match kill::run(order, &|line| println!("{line}")) {
        Ok(totals) => {
            println!("{}\n{totals}", totals.places());
            if totals.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(cause) => {
            eprintln!("{cause}");
            ExitCode::FAILURE
        }
    }
}
