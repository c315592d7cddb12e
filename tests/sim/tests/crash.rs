//! Every scenario ended at every boundary, and a few seeds: the short form of `renewd-sim crash` and
//! `renewd-sim sim`, which run longer.

#![expect(clippy::print_stdout, reason = "how much was tried is worth a line")]

use std::thread::available_parallelism;

use renewd_sim::crash::Second;
use renewd_sim::{crash, seeds};

/// Seeds of a run of the tests: some seconds; the commands run thousands.
const SEEDS: u64 = 24;
/// Of the second ends in a recovery every so-many-th: some seconds; the command tries all.
const RECOVERY_STRIDE: usize = 61;

fn workers() -> usize {
    available_parallelism().map_or(1, usize::from)
}

#[test]
fn every_scenario_survives_an_end_at_every_boundary() {
    let mut all = crash::Report::default();
    for scenario in crash::all() {
        let report = crash::run(&scenario, Second::Never, workers());
        let name = scenario.name;
        assert!(report.boundaries > 0, "{name}: a clean run fails: {:#?}", report.failures);
        assert_eq!(report.violations, 0, "{name}: {:#?}", report.failures);
        all.add(report);
    }
    println!("crash: boundaries {}, runs {}", all.boundaries, all.runs);
}

/// An end while the process recovers from an end.
#[test]
fn every_scenario_survives_an_end_in_a_recovery() {
    let mut all = crash::Report::default();
    for scenario in crash::all() {
        let report = crash::run(&scenario, Second::Recovering(RECOVERY_STRIDE), workers());
        let name = scenario.name;
        assert!(report.runs > report.boundaries + 1, "{name}: no second end was tried");
        assert_eq!(report.violations, 0, "{name}: {:#?}", report.failures);
        all.add(report);
    }
    println!("crash --recovery: boundaries {}, runs {}", all.boundaries, all.runs);
}

#[test]
fn what_seeds_draw_breaks_nothing() {
    let report = seeds::run(1, SEEDS, f64::MAX, seeds::Size::Small, workers());
    assert_eq!(report.seeds, SEEDS);
    assert!(report.faults > 0, "nothing went wrong, so nothing was tried");
    assert_eq!(report.violations, 0, "{:#?}", report.failures);
    println!("sim: seeds {}, faults {}, lives {}", report.seeds, report.faults, report.lives);
}
