//! The library of scenarios: what an engine goes through in its life, each short enough to be ended
//! at every boundary.

use std::time::Duration;

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

/// Every second of the first commits is torn, behind its first event where it has several.
fn torn_writes() -> String {
    let torn = |number: u32| format!("commit:{}=torn:450", number * 2);
    (1..=12).map(torn).collect::<Vec<_>>().join(" ")
}

/// Longer than the CA may leave an order as it is: in an outage it does not.
fn hours_of_silence() -> String {
    let down = |number: u32| format!("request:{number}=down");
    (6..=60).map(down).collect::<Vec<_>>().join(" ")
}

/// All of them.
pub fn all() -> Vec<Scenario> {
    let mut all = at_the_ca();
    all.extend(at_home());
    all.extend(in_mid_order());
    all.extend(at_a_renewal());
    all.extend(of_the_account());
    all
}

/// Too long to be ended at every boundary: for planted bugs, once.
pub fn long() -> Vec<Scenario> {
    vec![scenario("unserved-for-days", "", |plan| {
        plan.listener_needs_restart = true;
        plan.restart_helps = false;
        // Longer than a renewal may stay open.
        plan.goal = Goal::Days(9);
    })]
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
        scenario("one-name-in-two", "", |plan| {
            let named = |name: &str| Wanted {
                names: vec![name.to_owned(), "shared.test".to_owned()],
                ..Wanted::builtin(name)
            };
            plan.certificates = vec![named("a.test"), named("b.test")];
            plan.ca.share = true;
        }),
        scenario("files-and-reload", "", |plan| plan.certificates = vec![Wanted::files("a.test")]),
        scenario("failed-challenge-and-retry", "validation:1=unreachable", |_| {}),
        scenario("rate-limit", "new-order:1=rate-limited:7200", |_| {}),
        scenario("busy-ca", "new-order:1=busy:300 request:4=down", |_| {}),
        scenario("finalize-later", "request:7=busy:30", |_| {}),
        // Fourteen days, and the order lives for seven.
        scenario("finalize-outlasts-the-order", "request:7=busy:1209600", |_| {}),
        scenario("challenge-outlasts-the-order", "request:5=rate-limited:1209600", |_| {}),
        scenario("challenge-later", "request:5=rate-limited:30", |_| {}),
        scenario("lost-answers", "request:3=lost request:5=lost request:7=lost", |_| {}),
        scenario("lost-order-without-list", "new-order:1=lost", |plan| plan.ca.list = false),
        scenario("late-requests", "request:3=late:90 request:8=late:61 request:12=late:75", |_| {}),
        scenario("late-order-without-list", "new-order:1=late:66", |plan| plan.ca.list = false),
        scenario("orders-not-found", "request:6=missing:20", |_| {}),
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
            plan.tick = Duration::from_secs(3600);
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
        scenario("a-person-asks", "tick:1=renew", |plan| plan.goal = Goal::Days(5)),
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
        scenario("sync-fails", "commit:14=unsynced", |_| {}),
        scenario("sync-fails-yet-written", "commit:17=unsynced:1", |_| {}),
        scenario("torn-writes", &torn_writes(), |_| {}),
        scenario("a-bit-turns", "commit:14=crash-after boot:1=rot:100001", |_| {}),
        scenario("slow-ca", "", |plan| {
            plan.ca.processing_ms = 120_000;
            plan.ca.validation_ms = 60_000;
            plan.network_ms = 20_000;
        }),
    ]
}

/// An order that takes most of an hour, looked at every minute, and what comes in between.
fn in_mid_order() -> Vec<Scenario> {
    let slow = |plan: &mut Plan| {
        // As in slow-issuing: its first order is processed for more than ten minutes.
        plan.seed = 13;
        plan.ca.processing_ms = 3_000_000;
        plan.network_ms = 5;
        plan.tick = Duration::from_secs(60);
    };
    // An order of an hour, and twice the longest pause between two looks.
    let soon = |plan: &mut Plan| {
        slow(plan);
        plan.within = Some(Duration::from_secs(3 * 3600));
    };
    vec![
        // The moment that the next look counts from lies ahead: in the middle of the looks, when the
        // CA has accepted the challenge, and when it has accepted to finalize.
        scenario("clock-set-back-in-mid-order", "tick:3=back:864000", soon),
        scenario("clock-set-back-before-a-look", "commit:16=back:2592000", soon),
        scenario("clock-set-back-at-issuing", "commit:20=back:2592000", soon),
        scenario("clock-set-back-at-an-act", "act:4=back:2592000", soon),
        scenario("clock-set-forward-in-mid-order", "tick:3=forward:1800", slow),
        scenario("stopped-in-mid-order", "tick:3=stop", slow),
        scenario("out-of-order-for-hours", &hours_of_silence(), |_| {}),
        scenario("account-lost-in-mid-order", "request:6=account-lost", |_| {}),
        scenario("one-name-of-two-fails", "validation:1=unreachable", |plan| {
            plan.certificates = vec![Wanted {
                names: vec!["a.test".to_owned(), "b.test".to_owned()],
                ..Wanted::builtin("a.test")
            }];
        }),
    ]
}

/// Something is served already.
fn at_a_renewal() -> Vec<Scenario> {
    let again = |plan: &mut Plan| plan.goal = Goal::Generation(2);
    vec![
        scenario("renewal-asked-for", "tick:2=renew", again),
        scenario("renewal-challenge-fails", "validation:2=unreachable", again),
        // By our clock it is nearly over, by the CA's it is new.
        scenario("clock-set-far-ahead", "tick:1=forward:3456000", again),
        scenario("renewal-of-files", "", |plan| {
            plan.certificates = vec![Wanted::files("a.test")];
            plan.goal = Goal::Generation(2);
        }),
        // What a CA that revokes says to renewal information (RFC 9773 section 4.1): now.
        scenario("revoked", "tick:2=windows-move", |plan| {
            plan.goal = Goal::Generation(2);
            plan.ca.renewal_info = true;
        }),
    ]
}

/// The CA has no account of ours any more, or we have no key for it.
fn of_the_account() -> Vec<Scenario> {
    let again = |plan: &mut Plan| plan.goal = Goal::Generation(2);
    vec![
        scenario("account-lost-at-a-renewal", "new-order:2=account-lost", again),
        scenario("account-deactivated", "new-order:1=account-deactivated:3600", |_| {}),
        scenario("account-deactivated-in-mid-order", "request:6=account-deactivated:3600", |_| {}),
        scenario(
            "account-deactivated-at-a-renewal",
            "new-order:2=account-deactivated:86400",
            again,
        ),
        // Wherever the process ends first, it finds no key at its next start: still one order.
        scenario("account-key-gone-at-a-start", "boot:1=account-key-gone:7200", |_| {}),
        scenario("account-key-damaged-at-a-start", "boot:1=account-key-damaged:7200", |_| {}),
        scenario("account-key-gone-in-mid-order", "request:6=account-key-gone:7200", |_| {}),
        scenario("account-key-damaged-in-mid-order", "request:5=account-key-damaged:7200", |_| {}),
        scenario("account-key-gone-at-a-renewal", "tick:236=account-key-gone:172800", again),
    ]
}
