//! Two hundred logs damaged by chance; `cargo xtask damage --count N` runs more.
#![expect(clippy::print_stdout, reason = "the counts are worth a line")]

use renewd_tests::damage;
use renewd_tests::damage::case::{Verdict, verdict};
use renewd_tests::damage::stock::{Stock, copy};

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

/// The judge can say no: a whole directory of an earlier day is a whole log, and shorter.
#[test]
fn a_log_that_opens_shorter_is_seen() {
    let stock = Stock::make().unwrap();
    for base in &stock.bases {
        let log = stock.folder().join(format!("{:?}-earlier-copy", base.left));
        copy(&base.earlier, &log).unwrap();
        let seen = verdict(&log, base).unwrap();
        assert!(matches!(seen, Verdict::Shorter(_)), "{:?}: {seen:?}", base.left);
    }
}
