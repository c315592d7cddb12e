//! A disk that is full at any commit: with many renewals side by side and nothing that takes time, a
//! commit fails between the decision for an act and its beginning.

use renewd_sim::fate::{Fate, Fault, Harm, Place, Point, Script};
use renewd_sim::life;
use renewd_sim::plan::{Plan, Wanted};
use renewd_sim::world::World;

/// Renewals side by side: with few, the commit that fails is never between the two.
const CERTIFICATES: usize = 20;
/// How long the disk is full, seconds; even: what failed is not on the disk.
const FULL_S: u64 = 60;

fn plan() -> Plan {
    let mut plan = Plan::first_issue(1);
    plan.certificates =
        (0..CERTIFICATES).map(|number| Wanted::builtin(&format!("c{number}.test"))).collect();
    plan.parallel = CERTIFICATES;
    (plan.network_ms, plan.disk_ms, plan.look_ms) = (0, 0, 0);
    (plan.ca.validation_ms, plan.ca.processing_ms) = (0, 0);
    plan
}

#[test]
fn no_act_begins_once_the_disk_is_full_whichever_commit_it_refuses() {
    let clean = World::new(plan(), Fate::scripted(Script::default()));
    assert_eq!(life::run(&clean).violations, []);
    let commits = clean.fates().reached().get(&Place::Commit).copied().unwrap_or(0);
    assert!(commits > 100, "{commits} commits");
    for number in 1..=commits {
        let point = Point { place: Place::Commit, number };
        let full = Harm { fault: Fault::NoSpace, seconds: FULL_S };
        let world = World::new(plan(), Fate::scripted(Script([(point, full)].into())));
        assert_eq!(life::run(&world).violations, [], "full at commit {number}");
    }
}
