//! Another program holds the port for challenges while a renewal is due or under way: no try is spent,
//! the operator is told who it is, and all goes on by itself when the port is free.

use std::net::TcpListener;
use std::time::Duration;

use renewd_tests::record::Follower;
use renewd_tests::site::{Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;
use crate::lives::{VERY_LATE, When, kill_when, orders_are_explained};
use crate::renew::call_for_renewal;

/// Longer than the first retry of the port, and than an order of a repeatable Pebble takes.
const QUIET_TIME: Duration = Duration::from_secs(3);

fn site() -> (Site, Wanted) {
    let wanted = Wanted::new("web", &["held.test"]).unwrap();
    (Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap(), wanted)
}

/// This test is the other program.
fn hold(site: &Site) -> TcpListener {
    TcpListener::bind(("127.0.0.1", site.plan.pebble.http_port)).unwrap()
}

/// `why` and `status` name the address, the holder and what to do.
fn is_told(site: &Site) {
    let address = format!("127.0.0.1:{}", site.plan.pebble.http_port);
    let holder = format!("pid {}", std::process::id());
    let why = site.host.run(&["why", "web"]).unwrap().stdout;
    for part in ["R0701", &address, &holder, "stop that program", "/.well-known/acme-challenge/"] {
        assert!(why.contains(part), "{part} is missing: {why}");
    }
    let status = site.host.run(&["status", "--json"]).unwrap().stdout;
    assert!(status.contains(&holder), "{status}");
}

#[test]
fn a_renewal_that_falls_due_waits_without_a_try_and_goes_on_when_the_port_is_free() {
    let (site, wanted) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let first = check::is_served(&site, &wanted);
    check::stop(renewd);
    call_for_renewal(&site);

    let other = hold(&site);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ListenerFailed", 1).unwrap();
    site.wait_for(&mut renewd, "AriWindowLearned", 1).unwrap();
    wait::for_a_while(QUIET_TIME);
    assert_eq!(check::is_served(&site, &wanted).leaf_sha256, first.leaf_sha256);
    assert_eq!(site.events_named("RenewalStarted").len(), 1, "a try was begun");
    assert_eq!(site.pebble.orders_made(), 1);
    is_told(&site);

    drop(other);
    site.wait_for(&mut renewd, "RenewalSucceeded", 2).unwrap();
    assert_ne!(check::is_served(&site, &wanted).leaf_sha256, first.leaf_sha256);
    assert_eq!(site.pebble.orders_made(), 2);
    assert!(site.events_named("RenewalFailed").is_empty());
    assert_eq!(site.events_named("RenewalStarted")[1].data["attempt"], 1);
    assert_eq!(site.events_named("EngineBooted").len(), 2, "it went on by itself");
    let why = site.host.run(&["why", "web"]).unwrap().stdout;
    assert!(!why.contains("R0701"), "{why}");
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn an_order_that_was_under_way_is_not_sent_to_a_port_of_somebody_else() {
    let (site, wanted) = site();
    // The challenges are two late answers away from here: time enough for the kill.
    site.passage.answers_late(VERY_LATE);
    let mut follower = Follower::new(&site.log());
    let mut renewd = site.run().unwrap();
    let moment = When::OnDisk("OrderCreated".to_owned());
    assert!(kill_when(&site, &mut renewd, &mut follower, &moment).is_some());
    assert!(site.events_named("ReadinessRequested").is_empty(), "the kill came too late");

    let other = hold(&site);
    site.passage.answers_late(Duration::ZERO);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "ListenerFailed", 1).unwrap();
    wait::for_a_while(QUIET_TIME);
    assert_eq!(site.pebble.count("POST /chalZ/"), 0, "the CA was told to look");
    drop(other);
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    assert_eq!(orders_are_explained(&site, "held in mid-order", 1), 1);
    assert!(site.events_named("RenewalFailed").is_empty());
    check::stop(renewd);
    check::log_is_whole(&site);
}
