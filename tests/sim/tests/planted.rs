//! Each planted bug is found by an invariant that names it; without a bug nothing is found.
//! `cargo test -p renewd-sim --features planted --test planted`

use renewd_events::planted::{Bug, set};
use renewd_sim::fate::{Fate, Script};
use renewd_sim::invariant::Invariant;
use renewd_sim::seeds::{self, Size};
use renewd_sim::world::World;
use renewd_sim::{crash, life, planted};
use strum::IntoEnumIterator;

#[test]
fn every_planted_bug_is_found_by_the_invariant_that_names_it() {
    let hunts = planted::hunt(&[]);
    assert!(hunts.len() >= 14, "only {} bugs are planted", hunts.len());
    let missed: Vec<String> =
        hunts.iter().filter(|hunt| hunt.found.is_none()).map(ToString::to_string).collect();
    assert!(missed.is_empty(), "not found:\n{}", missed.join("\n"));
}

#[test]
fn every_invariant_is_named_by_a_planted_bug_or_a_reason_says_why_not() {
    let named = |it: Invariant| Bug::iter().any(|bug| planted::named_by(bug).contains(&it));
    for invariant in Invariant::iter() {
        let reasons = planted::UNPLANTED.iter().filter(|(other, _)| *other == invariant).count();
        match (named(invariant), reasons) {
            (true, 0) | (false, 1) => {}
            (true, _) => panic!("{invariant} is planted: take it out of UNPLANTED"),
            (false, _) => panic!("nothing shows that {invariant} can break: plant a bug"),
        }
    }
}

/// Seeds looked through for one whose many faults break something.
const SEEDS: u64 = 400;

#[test]
fn a_failing_history_is_shrunk_to_one_that_breaks_the_same() {
    let (bug, broken) = (Bug::BackoffForgottenAtStart, Invariant::BackoffBounds);
    set(Some(bug));
    let breaks = |seed, script: Option<&Script>| {
        let (outcome, script, _) = seeds::one(seed, Size::Small, script);
        outcome.violations.iter().any(|it| it.invariant == broken).then_some(script)
    };
    let found = (1..=SEEDS).find_map(|seed| {
        let script = breaks(seed, None)?;
        (script.0.len() > 4).then_some((seed, script))
    });
    let (seed, script) = found.expect("the bug is found by a seed with many faults");
    let small = seeds::shrink(seed, Size::Small, &script, broken);
    assert!(small.0.len() < script.0.len(), "seed {seed}: nothing was left out of {script}");
    assert!(!small.0.is_empty(), "seed {seed}: the bug needs a start after a failure");
    assert!(small.0.keys().all(|point| script.0.contains_key(point)), "{small} is new");
    assert!(breaks(seed, Some(&small)).is_some(), "seed {seed}: {small} breaks nothing");
    set(None);
    assert!(breaks(seed, Some(&small)).is_none(), "seed {seed}: it breaks without the bug");
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
