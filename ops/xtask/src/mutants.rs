//! `cargo xtask mutants [--file GLOB] [--shard K/N]`: cargo-mutants over what decides and what folds.
//! A mutant that no test finds must be named, with a reason, in ops/mutants.md.

use std::path::Path;

use crate::say;
use crate::step::{self, Outcome};

/// What decides, and what folds.
const FILES: [&str; 3] = [
    "actors/src/decision.rs",
    "actors/src/*/{decide,order,observe,pace,plan,agreement,questions,request}.rs",
    "events/src/{account,authorization,binding,certificate,facts,listener,order,process,restart,schedule}.rs",
];
/// Unit tests, the bytes of every event, and every scenario ended at every boundary. Not the suite of
/// the actors: it lives in real time, and a minute for each mutant makes half a day.
const TESTS: [&str; 3] = ["--lib", "--test=golden", "--test=crash"];
/// Seconds for the tests of one mutant: ten times what they need on an idle machine. A mutant that
/// makes the virtual time stand still never ends.
const TESTS_MAX: &str = "--timeout=120";
/// Seconds for the build of one mutant.
const BUILD_MAX: &str = "--build-timeout=600";
/// Where the result goes, within the target folder.
const RESULT: &str = "target/mutants";
/// The page of those that nothing finds.
const PAGE: &str = "ops/mutants.md";

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let root = step::root();
    std::fs::create_dir_all(root.join(RESULT)).map_err(|cause| format!("{RESULT}: {cause}"))?;
    let mut command = step::cargo();
    // The tests simulate years: unoptimised they take four times as long.
    command.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    command.args(["mutants", "--no-config", "--cap-lints=false", TESTS_MAX, BUILD_MAX]);
    command.args(["--package=renewd-events", "--package=renewd-actors"]);
    command.arg("--test-package=renewd-actors,renewd-events,renewd-replay,renewd-sim");
    command.args(TESTS.map(|test| format!("--cargo-arg={test}"))).args(["--output", RESULT]);
    if !arguments.iter().any(|argument| argument.starts_with("--file")) {
        command.args(FILES.map(|glob| format!("--file={glob}")));
    }
    say::progress("mutants");
    let status = command.args(arguments).status();
    let status = status.map_err(|cause| format!("cannot start cargo mutants: {cause}"))?;
    // 2 and 3: some were missed, some took too long; that is what is counted below.
    if !status.success() && ![Some(2), Some(3)].contains(&status.code()) {
        return Err(format!(
            "cargo mutants: {status}\n  do: cargo install --locked cargo-mutants; if the tests fail \
             without a mutant, mend them first"
        )
        .into());
    }
    count(&root)
}

/// Counts, and names what was missed without a reason.
fn count(root: &Path) -> Outcome {
    let lines = |kind: &str| -> Vec<String> {
        let file = root.join(RESULT).join(format!("mutants.out/{kind}.txt"));
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    let [caught, missed, unviable, timeout] =
        ["caught", "missed", "unviable", "timeout"].map(lines);
    let page = std::fs::read_to_string(root.join(PAGE)).unwrap_or_default();
    let unexplained: Vec<&String> =
        missed.iter().filter(|line| !page.contains(&format!("`{}`", name(line)))).collect();
    for line in &unexplained {
        say::progress(&format!("missed: {line}"));
    }
    say::progress(&format!(
        "mutants: mutants {}, caught {}, missed {}, unviable {}, timeout {}",
        caught.len() + missed.len() + unviable.len() + timeout.len(),
        caught.len(),
        missed.len(),
        unviable.len(),
        timeout.len()
    ));
    match unexplained.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{} missed without a reason\n  do: write the test that finds it, or its name and why it \
             changes nothing into {PAGE}",
            unexplained.len()
        )
        .into()),
    }
}

/// A mutant without its line and column, which every edit moves.
fn name(line: &str) -> String {
    let mut parts = line.splitn(4, ':');
    let file = parts.next().unwrap_or_default();
    let what = parts.nth(2).unwrap_or_default();
    format!("{file}:{what}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_mutant_is_known_without_its_place() {
        let line = "actors/src/issuer/order.rs:41:74: replace > with >= in decide -> A::B";
        assert_eq!(
            super::name(line),
            "actors/src/issuer/order.rs: replace > with >= in decide -> A::B"
        );
    }
}
