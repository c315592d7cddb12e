//! `cargo xtask fuzz [--seconds N] [--seed N] [TARGET [FILE]]`: the fuzz targets on stable, longer than
//! the tests run them; a minute each unless told. With a file it repeats one input.

use crate::step::{self, Outcome};

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut fuzz = step::cargo();
    fuzz.args(["run", "--quiet", "--package", "renewd-fuzz", "--"]).args(arguments);
    step::last(
        "fuzz",
        &mut fuzz,
        "repeat the input with the command above and mend what it shows; its file under \
         tests/fuzz/regressions stays, so that every later run begins with it",
    )
}
