//! The bounded run of every target: regressions, corpus, and so many mutations of it that each takes a
//! few seconds. The seed is fixed, so that a failure here is the change's; `RENEWD_FUZZ_SEED=N` takes
//! another, `cargo xtask fuzz` a new one each time.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "the seed is said, also by a good run"
)]

use renewd_fuzz::driver::{Bound, files, run, sentence};
use renewd_fuzz::targets::find;

/// The slowest target (a log on the disk for each input) has so many mutations; fewer find nothing.
const MUTATED_MIN: u32 = 500;
/// Any number will do.
const SEED: u64 = 8555;

fn bounded(name: &str) {
    let written = std::env::var("RENEWD_FUZZ_SEED").ok();
    let seed = written.map_or(SEED, |seed| seed.parse().unwrap());
    let target = find(name).unwrap();
    let tally = run(target, Bound::Inputs(target.inputs), seed, &|_| {}).unwrap();
    let took = tally.took.as_secs_f64();
    let said: Vec<String> = tally.failures.iter().map(|one| sentence(&target, one)).collect();
    eprintln!("{name}: seed {seed}, {} inputs in {took:.1} s", tally.inputs);
    assert!(said.is_empty(), "seed {seed}\n{}", said.join("\n"));
    // A run that was given nothing finds nothing: all that is kept, and as many more as the target says.
    let corpus = files::corpus(&target).unwrap().len();
    let kept = corpus + files::regressions(&target).unwrap().len();
    assert!(corpus > 0, "{name}: there is no seed to begin with");
    assert!(target.inputs >= MUTATED_MIN, "{name}: {} mutations say little", target.inputs);
    assert_eq!(tally.inputs, u64::try_from(kept).unwrap() + u64::from(target.inputs), "{name}");
}

#[test]
fn events_are_read_as_they_were_written_or_refused() {
    bounded("event_codec");
}

#[test]
fn a_mirror_gives_what_is_whole_and_nothing_else() {
    bounded("mirror_segment");
}

#[test]
fn a_configuration_loads_or_says_what_is_wrong_and_where() {
    bounded("configuration");
}

#[test]
fn a_ca_may_answer_anything() {
    bounded("ca_answers");
}

#[test]
fn only_published_tokens_are_answered() {
    bounded("challenge_request");
}

#[test]
fn the_admin_server_shows_to_this_machine_and_obeys_its_user() {
    bounded("admin_request");
}
