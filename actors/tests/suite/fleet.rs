//! Ten thousand certificates through the six actors: each issued once, never more at a time than
//! allowed, with work that does not grow with their number. A look at all certificates for each event
//! would show here.
//!
//! What is compared is the CPU time of a process that runs nothing else, not the time of day: how fast
//! the machine is, and what else it does meanwhile, is no matter.

use std::process::Command;
use std::time::{Duration, Instant};

use renewd_actors::bounds::MAILBOX_MAX;
use renewd_events::id::CertificateName;
use renewd_events::process::StopReason;

use crate::world::World;

/// Certificates of the fleet.
const FLEET: usize = 10_000;
/// Those of a small one, for comparison.
const SMALL: usize = 1_000;
/// Renewals under way at once.
const PARALLEL: usize = 256;
/// So long without a new event, and it hangs.
const STALL_TIME_MAX: Duration = Duration::from_secs(120);
/// One of many may take so many times the work that one of few takes. A part of each step that grows
/// with the fleet would make it ten.
const GROWTH_MAX: u32 = 4;
/// CPU time of questions for the next wake of every certificate, as a status page asks them: all in far
/// less than a second, if each looks at its own certificate only.
const WAKES_TIME_MAX: Duration = Duration::from_secs(3);
/// The kernel counts CPU time in so many ticks a second (`USER_HZ`, the same on every Linux).
const TICKS_PER_SECOND: u64 = 100;
/// Set in the process that runs this test alone.
const ALONE_VAR: &str = "RENEWD_TEST_FLEET_ALONE";

/// The memory that this process holds now, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
}

/// The CPU time that this process has used.
fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // proc_pid_stat(5): after the name in brackets utime and stime are the 12th and the 13th.
    let (_, rest) = stat.rsplit_once(") ").unwrap();
    let fields = rest.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.map(|ticks| ticks.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND)
}

/// The most renewals that were under way at the CA at once.
fn most_at_once(names: &[&'static str]) -> usize {
    let (mut under_way, mut most) = (0usize, 0usize);
    for name in names {
        match *name {
            "RenewalStarted" => under_way += 1,
            "GenerationAdopted" => under_way -= 1,
            _ => {}
        }
        most = most.max(under_way);
    }
    most
}

/// Issues so many, checks each, and gives the CPU time of one.
async fn issue(fleet: usize) -> Duration {
    let world = World::new();
    let names: Vec<String> = (0..fleet).map(|n| format!("n{n}.fleet.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (before, began) = (resident_mib(), spent());
    let engine = world.start(&names, PARALLEL, usize::MAX).await.unwrap();
    *world.visits.lock().unwrap() = Some(engine.handle());
    let facts = engine.facts();
    let done = || {
        let facts = facts.read().unwrap();
        let planned = facts.schedules.values().filter(|schedule| schedule.planned.is_some());
        planned.count() == fleet && facts.certificates.values().all(|it| it.run.is_none())
    };
    let (mut events, mut moved) = (0, Instant::now());
    while world.state().served.len() < fleet || !done() {
        let now = world.disk.lock().unwrap().len();
        if now > events {
            (events, moved) = (now, Instant::now());
        }
        assert!(
            moved.elapsed() < STALL_TIME_MAX,
            "it hangs at {} orders",
            world.state().new_orders
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = spent().saturating_sub(began);
    let held = resident_mib().saturating_sub(before);
    let (handle, asked) = (engine.handle(), spent());
    for name in &names {
        let _wake = handle.next_wake(CertificateName::parse(name).unwrap().id());
    }
    let asked = spent().saturating_sub(asked);
    assert!(asked < WAKES_TIME_MAX, "{asked:?} for {fleet} wakes");
    for queued in handle.queued() {
        println!("{}: at most {} messages waited", queued.actor, queued.messages_most);
        assert!(queued.messages_most <= MAILBOX_MAX, "{queued:?}");
    }
    *world.visits.lock().unwrap() = None;
    drop(handle);
    engine.stop(StopReason::Asked).await.unwrap();
    let events = world.names();
    let count = events.len();
    println!(
        "{fleet} certificates, {PARALLEL} at once: {took:.1?} of CPU, {count} events, {held} MiB with them"
    );
    assert_eq!(usize::try_from(world.state().new_orders).unwrap(), fleet, "one order each");
    assert_eq!(events.iter().filter(|name| **name == "RenewalSucceeded").count(), fleet);
    assert!(!events.contains(&"RenewalFailed"));
    assert_eq!(most_at_once(&events), PARALLEL, "as many as allowed, and no more");
    took / u32::try_from(fleet).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_certificates_are_issued_once_each_and_none_costs_more_than_one_of_few() {
    if std::env::var_os(ALONE_VAR).is_none() {
        return alone(
            "fleet::ten_thousand_certificates_are_issued_once_each_and_none_costs_more_than_one_of_few",
        );
    }
    let before = issue(SMALL).await;
    let many = issue(FLEET).await;
    // A machine that became slower meanwhile shows here too.
    let few = issue(SMALL).await.max(before);
    println!("each of {SMALL}: {few:?}; each of {FLEET}: {many:?}");
    assert!(many < few * GROWTH_MAX, "each of {SMALL} took {few:?}, each of {FLEET} {many:?}");
}

/// Runs this test in a process of its own.
fn alone(name: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let ran = command.args([name, "--exact", "--nocapture"]).env(ALONE_VAR, "1").output().unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    println!("{said}");
    assert!(ran.status.success() && said.contains("1 passed"), "see above");
}
