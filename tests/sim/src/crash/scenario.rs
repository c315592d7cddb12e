//! The library of scenarios: what an engine goes through in its life, each short enough to be ended
//! at every boundary.

use renewd_events::certificate::LifeLeft;

use crate::fate::Script;
use crate::plan::{Goal, Plan, Wanted};

/// A run that is ended at each of its boundaries.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub plan: Plan,
    /// What goes wrong in it besides the ends.
    pub script: Script,
}

fn scenario(name: &'static str, script: &str, change: impl FnOnce(&mut Plan)) -> Scenario {
    let mut plan = Plan::first_issue(1);
    change(&mut plan);
    Scenario { name, plan, script: script.parse().unwrap_or_default() }
}

fn refused_thrice() -> String {
    let refused = |number| format!("new-order:{number}=rate-limited");
    [1, 2, 3].map(refused).join(" ")
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let mut all = at_the_ca();
    all.extend(at_home());
    all
}

/// What happens between renewd and the CA.
fn at_the_ca() -> Vec<Scenario> {
    vec![
        scenario("first-issue", "", |_| {}),
        scenario("renewal", "", |plan| plan.goal = Goal::Generation(2)),
        scenario("renewal-by-window", "", |plan| {
            plan.goal = Goal::Generation(2);
            plan.ca.renewal_info = true;
        }),
        scenario("two-names", "", |plan| {
            plan.certificates = vec![Wanted {
                names: vec!["a.test".to_owned(), "b.test".to_owned()],
                ..Wanted::builtin("a.test")
            }];
        }),
        scenario("two-certificates", "", |plan| {
            plan.certificates = vec![Wanted::builtin("a.test"), Wanted::files("b.test")];
        }),
        scenario("files-and-reload", "", |plan| plan.certificates = vec![Wanted::files("a.test")]),
        scenario("failed-challenge-and-retry", "validation:1=unreachable", |_| {}),
        scenario("rate-limit", "new-order:1=rate-limited:7200", |_| {}),
        scenario("busy-ca", "new-order:1=busy:300 request:4=down", |_| {}),
        scenario("finalize-later", "request:7=busy:30", |_| {}),
        scenario("challenge-later", "request:5=rate-limited:30", |_| {}),
        scenario("lost-answers", "request:3=lost request:5=lost request:7=lost", |_| {}),
        scenario("lost-order-without-list", "new-order:1=lost", |plan| plan.ca.list = false),
        scenario(
            "silent-ca",
            "request:5=down request:6=down request:8=down request:9=lost request:11=down",
            |_| {},
        ),
    ]
}

/// What happens on this host, and what takes long.
fn at_home() -> Vec<Scenario> {
    vec![
        scenario("restart-needed", "", |plan| plan.listener_needs_restart = true),
        scenario("restart-in-vain", "", |plan| {
            plan.listener_needs_restart = true;
            plan.restart_helps = false;
            // Two windows of two restarts each.
            plan.goal = Goal::Days(3);
        }),
        scenario("one-at-a-time", "", |plan| {
            plan.certificates = vec![Wanted::builtin("a.test"), Wanted::builtin("b.test")];
            plan.parallel = 1;
        }),
        scenario("refused-thrice", &refused_thrice(), |_| {}),
        scenario("renewal-refused", "new-order:2=rate-limited:60", |plan| {
            plan.goal = Goal::Generation(2);
        }),
        scenario("clock-set-back", "new-order:1=rate-limited:7200 tick:1=back:864000", |plan| {
            plan.tick = std::time::Duration::from_secs(3600);
        }),
        scenario("slow-issuing", "", |plan| {
            // The first seed that draws more than ten minutes.
            plan.seed = 13;
            plan.ca.processing_ms = 3_000_000;
            plan.network_ms = 5;
        }),
        scenario("policy-above-lifetime", "", |plan| {
            plan.life_left = LifeLeft::Time { left_ms: 17_280_000_000, check_every_ms: 86_400_000 };
            plan.goal = Goal::Days(9);
        }),
        scenario("terms-changed", "new-order:1=terms:3600", |_| {}),
        scenario("account-lost", "new-order:1=account-lost", |_| {}),
        scenario("overwritten", "serving:1=overwrite", |plan| {
            plan.certificates = vec![Wanted::files("a.test")];
        }),
        scenario("reload-fails", "serving:2=refused", |plan| {
            plan.certificates = vec![Wanted::files("a.test")];
        }),
        scenario("validated-before", "", |plan| {
            plan.goal = Goal::Generation(2);
            plan.ca.reuse = true;
            plan.ca.validity = 20 * crate::plan::DAY;
        }),
        scenario("disk-full", "commit:14=no-space:120", |_| {}),
        scenario("disk-full-yet-written", "commit:17=no-space:121", |_| {}),
        scenario("slow-ca", "", |plan| {
            plan.ca.processing_ms = 120_000;
            plan.ca.validation_ms = 60_000;
            plan.network_ms = 20_000;
        }),
    ]
}
