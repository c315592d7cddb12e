//! `cargo xtask ci`: what must be good before a merge, cheapest first.

use crate::step::Outcome;
use crate::{deny, lint, test};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    lint::run(&[])?;
    deny::run(&[])?;
    test::run(arguments)
}
