//! Two hundred logs damaged by chance; `cargo xtask damage --count N` runs more.

use renewd_tests::damage;

/// The same in every run: a case that fails is repeated by its number.
const SEED: u64 = 20_261_124;
/// Some seconds.
const CASES: u64 = 200;

#[test]
fn a_damaged_log_is_opened_whole_or_refused_with_a_cure_and_repaired_truly() {
    let mut bad = Vec::new();
    let counts = damage::run(SEED, 0, CASES, &mut |_, what| bad.extend(what.map(str::to_owned)));
    let counts = counts.unwrap();
    println!("{}\n{}", counts.details(), counts.line());
    assert!(counts.is_good(), "{}\n{}", counts.details(), bad.join("\n"));
    assert_eq!(counts.whole + counts.refused, CASES);
    let seldom = counts.whole.min(counts.repaired_whole).min(counts.repaired_shorter);
    assert!(seldom > 0, "a kind of end is never reached: {}", counts.details());
}
