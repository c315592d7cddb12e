//! SIGTERM and SIGSTOP in the middle of an order: a clean stop, and a host that was suspended.

use std::time::Duration;

use renewd_tests::record::Follower;
use renewd_tests::site::{EVENT_TIME_MAX, Plan, Site, Wanted};
use renewd_tests::{process::Process, wait};

use crate::check;
use crate::lives::{VERY_LATE, orders_are_explained};

/// Steps at which it is told: an intent without its outcome each, but for the second.
const STEPS: [&str; 4] =
    ["OrderRequested", "OrderCreated", "ReadinessRequested", "FinalizationRequested"];
/// Longer than every wait of an unhurt order, shorter than the ten seconds that Pebble's validator
/// gives a fetch.
const SUSPENDED: Duration = Duration::from_secs(6);
/// Longer than a connection to the CA may be silent: what was under way is given up.
const SUSPENDED_LONG: Duration = Duration::from_secs(45);

/// A site whose `renewd` has just written this event, with the CA's answer still on its way.
fn at(step: &str) -> (Site, Wanted, Process) {
    let wanted = Wanted::new("web", &["a.signal.test", "b.signal.test"]).unwrap();
    let site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    // The steps that are left last for seconds, should this test be late.
    site.passage.answers_late(VERY_LATE);
    let mut follower = Follower::new(&site.log());
    let renewd = site.run().unwrap();
    let here = wait::until_soon(EVENT_TIME_MAX, || {
        follower.look().iter().any(|event| event.name == step).then_some(())
    });
    assert!(here.is_some(), "{step} never came: {}", renewd.stderr());
    (site, wanted, renewd)
}

/// The order went on to its end, and it was the only one: unless the process was gone while the CA's
/// validator looked, which a slow CA may do at any later time.
fn ends_well(step: &str, site: &Site, wanted: &Wanted, mut renewd: Process) {
    site.passage.answers_late(Duration::ZERO);
    site.wait_for(&mut renewd, "RenewalSucceeded", 1)
        .unwrap_or_else(|cause| panic!("{step}: {cause}"));
    check::is_served(site, wanted);
    let made = orders_are_explained(site, step, 1);
    assert_eq!(site.events_named("OrderRequested").len(), made, "{step}: at the CA and in the log");
    assert_eq!(site.events_named("RenewalFailed").len(), made - 1, "{step}");
    check::stop(renewd);
    check::log_is_whole(site);
}

#[test]
fn sigterm_within_an_order_ends_cleanly_and_the_next_life_goes_on() {
    std::thread::scope(|threads| {
        for step in STEPS {
            threads.spawn(move || {
                let (site, wanted, renewd) = at(step);
                // Nothing arrives any more before the end.
                site.passage.close();
                check::stop(renewd);
                site.passage.reopen();
                let last = site.events().pop().unwrap();
                assert_eq!(last.name, "EngineStopped", "{step}");
                assert!(site.events_named("RenewalSucceeded").is_empty(), "{step}");
                let renewd = site.run().unwrap();
                ends_well(step, &site, &wanted, renewd);
                let booted = site.events_named("EngineBooted");
                assert_eq!(booted[1].text("/previous"), "Clean", "{step}");
            });
        }
    });
}

#[test]
fn suspended_within_an_order_it_answers_the_challenge_and_orders_once() {
    let cases = STEPS.map(|step| (step, SUSPENDED)).into_iter();
    // Nobody is validated in these two: the CA waits for us.
    let long = [("OrderCreated", SUSPENDED_LONG), ("FinalizationRequested", SUSPENDED_LONG)];
    std::thread::scope(|threads| {
        for (step, time) in cases.chain(long) {
            threads.spawn(move || {
                let (site, wanted, mut renewd) = at(step);
                renewd.suspend().unwrap();
                let events = site.events().len();
                wait::for_a_while(time);
                assert_eq!(site.events().len(), events, "{step}: it was not suspended");
                assert!(renewd.ended().is_none(), "{step}");
                renewd.resume().unwrap();
                ends_well(step, &site, &wanted, renewd);
                assert_eq!(site.events_named("EngineBooted").len(), 1, "{step}");
                let valid = site.events_named("AuthorizationBecameValid");
                assert!(valid.len() == 2, "{step}: {valid:?}");
                assert!(valid.iter().all(|e| e.data["visits"].as_u64() > Some(0)), "{step}");
            });
        }
    });
}
