//! `cargo xtask test`: all tests, with everything they need.

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::step::{self, Outcome};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    // With --tests beside --bins cargo resolves the same features as `cargo test` below: nothing is
    // built twice, and the binary that the tests start is never an old one.
    let mut build = step::cargo();
    build.args(["build", "--workspace", "--bins", "--tests", "--examples"]);
    step::run("build renewd and the tests", &mut build, "mend what the compiler says above")?;

    let ready = target_dir()?.join(format!("debug/pebble-ready{EXE_SUFFIX}"));
    step::run(
        "find Pebble",
        &mut Command::new(ready),
        "see above: the tests need a real ACME server",
    )?;

    if arguments.is_empty() {
        crate::planted::proven()?;
    }
    let repeat = "repeat one: cargo xtask test NAME_OF_THE_TEST -- --nocapture";
    let mut tests = step::cargo();
    tests.args(["test", "--workspace"]);
    if arguments.is_empty() {
        // Examples in documentation first, so that the run closes with the real tests' result.
        step::run(
            "examples in documentation",
            step::cargo().args(["test", "--workspace", "--doc"]),
            repeat,
        )?;
        tests.args(["--lib", "--bins", "--tests", "--examples"]);
    }
    step::last("tests", tests.args(arguments), repeat)
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> Result<PathBuf, String> {
    let mut metadata = step::cargo();
    metadata.args(["metadata", "--no-deps", "--format-version", "1"]);
    let output = metadata.output().map_err(|cause| format!("cargo metadata: {cause}"))?;
    let facts: Value = serde_json::from_slice(&output.stdout)
        .map_err(|cause| format!("cargo metadata: {cause}"))?;
    let folder = facts.get("target_directory").and_then(Value::as_str);
    folder.map(PathBuf::from).ok_or_else(|| "cargo metadata names no target folder".to_owned())
}
