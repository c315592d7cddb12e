//! Ten thousand certificates through the six actors: each issued once, never more at a time than
//! allowed, in bounded time. A look at all certificates for each event would show here.

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
/// For the whole fleet: a build without optimisation on an idle machine of two cores needs a fifth of
/// it, and other tests run beside it.
const TIME_MAX: Duration = Duration::from_secs(100);
/// One of many may take so many times what one of few takes. A part of each step that grows with the
/// fleet would make it ten.
const GROWTH_MAX: u32 = 4;
/// Questions for the next wake of a certificate, as a status page asks them: all in far less than a
/// second, if each looks at its own certificate only.
const WAKES_TIME_MAX: Duration = Duration::from_secs(2);

/// The memory that this process holds now, in MiB.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
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

/// Issues so many, checks each, and gives the time that it took.
async fn issue(fleet: usize) -> Duration {
    let world = World::new();
    let names: Vec<String> = (0..fleet).map(|n| format!("n{n}.fleet.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (before, began) = (resident_mib(), Instant::now());
    let engine = world.start(&names, PARALLEL, usize::MAX).await.unwrap();
    *world.visits.lock().unwrap() = Some(engine.handle());
    let facts = engine.facts();
    let done = || {
        let facts = facts.read().unwrap();
        let planned = facts.schedules.values().filter(|schedule| schedule.planned.is_some());
        planned.count() == fleet && facts.certificates.values().all(|it| it.run.is_none())
    };
    while world.state().served.len() < fleet || !done() {
        assert!(began.elapsed() < TIME_MAX, "{} orders in {TIME_MAX:?}", world.state().new_orders);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let took = began.elapsed();
    let held = resident_mib().saturating_sub(before);
    let (handle, asked) = (engine.handle(), Instant::now());
    for name in &names {
        let _wake = handle.next_wake(CertificateName::parse(name).unwrap().id());
    }
    assert!(asked.elapsed() < WAKES_TIME_MAX, "{:?} for {fleet} wakes", asked.elapsed());
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
        "{fleet} certificates, {PARALLEL} at once: {took:.1?}, {count} events, {held} MiB with them"
    );
    assert_eq!(usize::try_from(world.state().new_orders).unwrap(), fleet, "one order each");
    assert_eq!(events.iter().filter(|name| **name == "RenewalSucceeded").count(), fleet);
    assert!(!events.contains(&"RenewalFailed"));
    assert_eq!(most_at_once(&events), PARALLEL, "as many as allowed, and no more");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_certificates_are_issued_once_each_and_none_costs_more_than_one_of_few() {
    let few = issue(SMALL).await / u32::try_from(SMALL).unwrap();
    let many = issue(FLEET).await / u32::try_from(FLEET).unwrap();
    println!("each of {SMALL}: {few:?}; each of {FLEET}: {many:?}");
    assert!(many < few * GROWTH_MAX, "each of {SMALL} took {few:?}, each of {FLEET} {many:?}");
}
