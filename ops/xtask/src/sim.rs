//! `cargo xtask crash` and `cargo xtask sim`: build the simulation as released and run it.

use std::env::consts::EXE_SUFFIX;
use std::process::Command;

use crate::step::{self, Outcome};
use crate::test;

pub(crate) fn crash(arguments: &[String]) -> Outcome {
    run("crash", arguments)
}

pub(crate) fn sim(arguments: &[String]) -> Outcome {
    run("sim", arguments)
}

fn run(name: &str, arguments: &[String]) -> Outcome {
    let mut build = step::cargo();
    build.args(["build", "--release", "-p", "renewd-sim"]);
    step::run("build the simulation, released", &mut build, "mend what the compiler says above")?;
    let program = test::target_dir()?.join(format!("release/renewd-sim{EXE_SUFFIX}"));
    let mut simulation = Command::new(program);
    simulation.arg(name).args(arguments).current_dir(step::root());
    step::last(name, &mut simulation, "each failure above names the command that repeats it")
}
