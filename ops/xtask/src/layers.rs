//! `cargo xtask layers`: who may depend on whom. deny.toml guards direct users of single crates;
//! this guards whole graphs, and the one direction between our own.

use crate::say;
use crate::step::{self, Outcome};

/// Package, a crate that must not be below it by normal edges, and why.
const ABSENT: [(&str, &str, &str); 6] = [
    ("renewd-events", "tokio", "facts know no runtime"),
    ("renewd-replay", "tokio", "folds know no runtime"),
    ("renewd-replay", "ractor", "folds know no actors"),
    ("renewd-actors", "hyper", "I/O lives in engine"),
    ("renewd-actors", "rustls", "I/O lives in engine"),
    ("renewd-actors", "instant-acme", "the CA is behind a port"),
];

/// Package and the renewd packages it may know, directly or not.
const OURS: [(&str, &[&str]); 3] = [
    ("renewd-events", &[]),
    ("renewd-replay", &["renewd-events"]),
    ("renewd-actors", &["renewd-events", "renewd-replay"]),
];

pub(crate) fn run(_: &[String]) -> Outcome {
    let mut wrong = Vec::new();
    for (package, _) in OURS {
        let below = tree(&["--package", package, "--edges", "normal"])?;
        wrong.extend(wrong_in(package, &below));
    }
    let all = tree(&["--workspace", "--edges", "normal,build,dev"])?;
    if names(&all).any(|name| name == "aws-lc-rs") {
        wrong.push("aws-lc-rs is linked: two crypto providers in one process panic; cut the default features of who pulls it in (cargo tree -i aws-lc-rs)".to_owned());
    }
    for packages in [&["--package", "renewd"][..], &["--workspace"]] {
        let features = tree(&[packages, &["--edges", "normal,build,dev,features"]].concat())?;
        wrong.extend(planted_in(&packages.join(" "), &features));
    }
    if wrong.is_empty() {
        say::progress("layers: good");
        return Ok(());
    }
    Err(format!("an arrow points the wrong way\n  {}", wrong.join("\n  ")).into())
}

fn wrong_in(package: &str, tree: &str) -> Vec<String> {
    let absent =
        ABSENT.iter().filter(|(of, name, _)| *of == package && names(tree).any(|n| n == *name));
    let mut wrong: Vec<String> = absent
        .map(|(_, name, why)| format!("{package} must not reach {name}: {why} (cargo tree -p {package} -e normal -i {name})"))
        .collect();
    let known = OURS.iter().find(|(of, _)| *of == package).map_or(&[][..], |(_, known)| known);
    for name in names(tree).filter(|name| name.starts_with("renewd")) {
        if name != package && !known.contains(&name) {
            wrong.push(format!(
                "{package} must not know {name}: events <- replay, actors <- engine <- tests"
            ));
        }
    }
    wrong
}

/// Bugs are planted on purpose, by `cargo xtask planted`, and nowhere else.
fn planted_in(packages: &str, features: &str) -> Option<String> {
    let planted = features.lines().find(|line| line.contains("feature \"planted\""))?;
    let line = planted.trim();
    Some(format!(
        "a build of {packages} has planted bugs in it: {line}; only renewd-sim's feature may ask for them, and nothing may ask for that"
    ))
}

/// Crate names of a `cargo tree --prefix none` output: the first word of each line.
fn names(tree: &str) -> impl Iterator<Item = &str> {
    tree.lines().filter_map(|line| line.split_whitespace().next())
}

fn tree(arguments: &[&str]) -> Result<String, String> {
    let mut command = step::cargo();
    command.args(["tree", "--prefix", "none"]).args(arguments);
    match step::output(&mut command)? {
        (true, text) => Ok(text),
        (false, text) => Err(format!("cargo tree {}: {text}", arguments.join(" "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_bug_in_a_build_is_found() {
        let good = "renewd-events feature \"default\" (command-line)";
        assert!(planted_in("--workspace", good).is_none());
        let bad = format!("{good}\nrenewd-events feature \"planted\"");
        assert!(planted_in("--workspace", &bad).is_some());
    }

    #[test]
    fn an_arrow_that_points_up_and_a_runtime_below_are_found() {
        let good = "renewd-replay v0.1.0\nrenewd-events v0.1.0\nserde v1.0.229";
        assert!(wrong_in("renewd-replay", good).is_empty());
        let bad = format!("{good}\ntokio v1.54.1\nrenewd-actors v0.1.0");
        let wrong = wrong_in("renewd-replay", &bad).join("\n");
        assert!(
            wrong.contains("must not reach tokio") && wrong.contains("must not know renewd-actors")
        );
    }
}
