//! `cargo xtask planted [BUG]`: bugs planted in a build of their own, each of which the simulation
//! must find.

use crate::step::{self, Outcome};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut hunt = step::cargo();
    hunt.args(["run", "--quiet", "--package", "renewd-sim", "--features", "planted"]);
    hunt.args(["--", "planted"]).args(arguments);
    step::last(
        "planted bugs",
        &mut hunt,
        "a bug that is not found is a hole in the invariants or in the scenarios of tests/sim",
    )
}

/// The same as a test, for `cargo xtask test`: a build of four packages beside the usual one.
pub(crate) fn proven() -> Outcome {
    let mut test = step::cargo();
    test.args(["test", "--package", "renewd-sim", "--features", "planted", "--test", "planted"]);
    step::run("planted bugs are found", &mut test, "repeat: cargo xtask planted")
}
