//! `cargo xtask damage --count N [--seed S]`: logs damaged by chance, opened, judged, repaired.

use crate::step::{self, Outcome};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut damage = step::cargo();
    damage.args(["run", "--quiet", "-p", "renewd-tests", "--bin", "renewd-damage", "--"]);
    step::last(
        "damage",
        damage.args(arguments),
        "each bad case above ends with what repeats it: cargo xtask damage --seed S --only CASE",
    )
}
