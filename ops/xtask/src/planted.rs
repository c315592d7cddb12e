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
