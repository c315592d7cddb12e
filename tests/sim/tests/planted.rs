//! Each planted bug is found by an invariant that names it; without a bug nothing is found.
//! `cargo test -p renewd-sim --features planted --test planted`

use renewd_sim::fate::{Fate, Script};
use renewd_sim::world::World;
use renewd_sim::{crash, life, planted};

#[test]
fn every_planted_bug_is_found_by_the_invariant_that_names_it() {
    let hunts = planted::hunt(&[]);
    assert!(hunts.len() >= 14, "only {} bugs are planted", hunts.len());
    let missed: Vec<String> =
        hunts.iter().filter(|hunt| hunt.found.is_none()).map(ToString::to_string).collect();
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));
}

#[test]
fn without_a_bug_the_same_build_breaks_nothing() {
    for scenario in crash::all() {
        let mut script = Script::default();
        script.0.extend(scenario.script.0.iter().map(|(point, harm)| (*point, *harm)));
        let outcome = life::run(&World::new(scenario.plan.clone(), Fate::scripted(script)));
        assert!(outcome.violations.is_empty(), "{}: {:?}", scenario.name, outcome.violations);
    }
}
