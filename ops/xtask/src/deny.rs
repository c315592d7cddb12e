//! `cargo xtask deny`: cargo-deny with deny.toml, built once per machine.

use std::process::Command;

use crate::say;
use crate::step::{self, Outcome};

/// The release that deny.toml was tried with.
const VERSION: &str = "0.20.2";

/// Puts a copy of the advisory database in its place, where the machine has one beside the project
/// (or further up, for a worktree).
const PLACE_SCRIPT: &str = "shared/advisories/place.sh";

pub(crate) fn run(_: &[String]) -> Outcome {
    if !step::output(step::cargo().args(["deny", "--version"]))?.0 {
        let mut install = step::cargo();
        install.args(["install", "cargo-deny", "--locked", "--version", VERSION]);
        let cure = "install cargo-deny by hand (its releases have binaries), then run this again";
        step::run("install cargo-deny (once per machine, minutes)", &mut install, cure)?;
    }
    let mut check = step::cargo();
    check.arg("deny");
    if !step::output(step::cargo().args(["deny", "fetch", "db"]))?.0 {
        say::progress("the advisory database cannot be fetched: using the copy on this machine");
        let root = step::root();
        let mut scripts = root.ancestors().skip(1).map(|folder| folder.join(PLACE_SCRIPT));
        if let Some(script) = scripts.find(|script| script.is_file()) {
            step::run(
                "place the copy",
                &mut Command::new(script),
                "run it by hand and read its error",
            )?;
        }
        check.arg("--offline");
    }
    // The graph's duplicates are warnings by choice; their pages of output are not for every run.
    check.args(["--log-level", "error", "check"]);
    step::run("deny", &mut check, "see the first error above; deny.toml gives each rule's reason")
}
