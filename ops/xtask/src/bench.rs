//! `cargo xtask bench NAME`: builds renewd and the benches as released, and runs one or all of them.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use crate::step::{self, Failure, Outcome};
use crate::test;

/// What `renewd-bench` knows; ops/benchmarks.md says what each is.
pub(crate) const NAMES: &[&str] =
    &["append", "replay", "open", "issue", "swap", "start", "kill", "all"];
/// Where the table of `all` goes.
const PAGE: &str = "ops/benchmarks.md";

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let name = match arguments {
        [name] if NAMES.contains(&name.as_str()) => name.as_str(),
        _ => return Err(Failure::misused(format!("name one bench: {}", NAMES.join(", ")))),
    };
    let mut build = step::cargo();
    build.args(["build", "--release", "-p", "renewd", "-p", "renewd-bench"]);
    step::run(
        "build renewd and the benches, released",
        &mut build,
        "mend what the compiler says above",
    )?;
    let program = test::target_dir()?.join(format!("release/renewd-bench{EXE_SUFFIX}"));
    let mut bench = Command::new(program);
    bench.arg(name).current_dir(step::root());
    if name == "all" {
        bench.arg(PAGE);
    }
    step::last(
        &format!("bench {name}"),
        &mut bench,
        "see above; ops/benchmarks.md says which programs a bench needs beside renewd",
    )
}
