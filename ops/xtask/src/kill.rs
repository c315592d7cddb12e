//! `cargo xtask kill --count N [--seed S]`: SIGKILL the real renewd so many times, counted from the CA's
//! side. Exit code 1 when an order was bought twice, a key lost or a challenge not answered.
//! `cargo xtask kill --suspend SECONDS`: the same count after SIGSTOP for so long, at each step of an order.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use crate::step::{self, Outcome};
use crate::test;

pub(crate) fn run(arguments: &[String]) -> Outcome {
    let mut build = step::cargo();
    build.args(["build", "-p", "renewd", "-p", "renewd-tests", "--bins"]);
    step::run("build renewd and what kills it", &mut build, "mend what the compiler says above")?;
    let folder = test::target_dir()?.join("debug");
    let mut ready = Command::new(folder.join(format!("pebble-ready{EXE_SUFFIX}")));
    step::run("find Pebble", &mut ready, "see above: the kills need a real ACME server")?;
    let mut kill = Command::new(folder.join(format!("renewd-kill{EXE_SUFFIX}")));
    step::last(
        "kill",
        kill.args(arguments),
        "see the lines with `!` above: each names the seed that does it again and the files it left",
    )
}
