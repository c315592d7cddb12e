//! A restart of the real process by exec, for a listener that the running one may not open: planned,
//! done once, recognised by the next life.
//!
//! The daemon runs without privileges and wants a port below 1024. While it runs, the operator gives the
//! program file the capability: only a new process has it (capabilities(7)). All of it is in a network of
//! its own, where no machine and no container has opened such ports to everybody.

use std::fs;
use std::process::Command;
use std::time::Duration;

use renewd_tests::process::Process;
use renewd_tests::record::{Follower, Record};
use renewd_tests::site::{EVENT_TIME_MAX, Place, Plan, Site, Wanted};
use renewd_tests::wait;

use crate::check;
use crate::namespace::Namespace;

/// Only root opens it, and nobody else is in this network.
const PORT: u16 = 443;
/// Starts a program without any privilege, and root has none by itself: what it may do is what its file
/// may (capabilities(7), SECBIT_NOROOT). In a namespace there is no other user to run it as.
const UNPRIVILEGED: [&str; 7] =
    ["setpriv", "--securebits", "+noroot", "--inh-caps", "-all", "--ambient-caps", "-all"];
/// As long as the slowest step between two lives needs, and longer than the first retry of a listener.
const QUIET_TIME: Duration = Duration::from_secs(4);
/// So late that a kill comes soon after its event.
const LATE: Duration = Duration::from_millis(100);

/// Runs `test` where [`PORT`] is closed to a process without privileges.
fn where_ports_are_privileged(name: &str, test: impl FnOnce()) {
    Namespace::Network.run(&format!("restart::{name}"), || {
        let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
        assert!(first.trim().parse::<u16>().unwrap() > PORT, "a new network begins with 1024");
        test();
    });
}

/// A site whose `renewd` has no privileges, with its certificate on a privileged port.
fn site() -> (Site, Wanted, String) {
    let wanted = Wanted::new("web", &["restart.test"]).unwrap().at(Place::Port(PORT));
    let mut site = Site::start(Plan::repeatable(vec![wanted.clone()]).unwrap()).unwrap();
    let binary = site.host.own_binary().unwrap();
    site.host.start_through(&UNPRIVILEGED);
    (site, wanted, binary.display().to_string())
}

/// The operator's part: the program may open every port from its next start on.
fn permit(binary: &str) {
    let mut setcap = Command::new("setcap");
    setcap.args(["cap_net_bind_service=ep", binary]);
    let given = setcap.status().expect("setcap is needed: apt-get install libcap2-bin");
    assert!(given.success());
}

/// Starts the first life and permits the port while it runs, before it can have a certificate.
fn first_life(site: &Site, binary: &str) -> Process {
    site.passage.answers_late(LATE);
    site.passage.close();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 1).unwrap();
    permit(binary);
    site.passage.reopen();
    renewd
}

/// The restart's own story, in order.
fn story(site: &Site) -> Vec<Record> {
    let mut events = site.events();
    events.retain(|event| event.stream.starts_with("restart"));
    events
}

fn names(events: &[Record]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// Another life plans nothing: what it needs is open.
fn is_not_repeated(site: &Site, wanted: &Wanted) {
    let (lives, restarts) = (site.events_named("EngineBooted").len(), story(site).len());
    let opened = site.events_named("ListenerOpened").len();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", lives + 1).unwrap();
    site.wait_for(&mut renewd, "ListenerOpened", opened + 1).unwrap();
    check::is_served(site, wanted);
    check::stop(renewd);
    assert_eq!(story(site).len(), restarts);
    assert_eq!(site.pebble.orders_made(), 1);
    check::log_is_whole(site);
}

#[test]
fn a_port_that_only_a_new_process_may_open_costs_one_exec_and_is_then_served() {
    let name = "a_port_that_only_a_new_process_may_open_costs_one_exec_and_is_then_served";
    where_ports_are_privileged(name, one_exec);
}

fn one_exec() {
    let (site, wanted, binary) = site();
    let mut renewd = first_life(&site, &binary);
    site.wait_for(&mut renewd, "RestartFinished", 1).unwrap();
    site.passage.answers_late(Duration::ZERO);
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    let told = story(&site);
    let expected = ["RestartPlanned", "RestartRequested", "RestartObserved", "RestartFinished"];
    assert_eq!(names(&told), expected);
    assert_eq!(told[0].text("/address"), wanted.address().unwrap().to_string());
    assert_eq!(told[1].text("/method"), "Exec");
    // It is the same process (exec keeps the pid), in its next life, and that life knows why.
    let pid = u64::from(renewd.id());
    assert_eq!(told[1].data["before"]["pid"].as_u64(), Some(pid));
    assert_eq!(told[2].data["after"]["pid"].as_u64(), Some(pid));
    assert_eq!(told[2].data["attributed"], true);
    assert_eq!(told[3].data["verified"], true);
    assert_eq!((told[1].boot, told[2].boot), (1, 2));
    let booted = site.events_named("EngineBooted");
    assert_eq!(booted.len(), 2);
    assert_eq!(booted[1].text("/previous"), "Clean");
    check::stop(renewd);
    is_not_repeated(&site, &wanted);
}

#[test]
fn killed_in_place_of_the_restart_the_next_life_reaches_its_goal_without_another() {
    let name = "killed_in_place_of_the_restart_the_next_life_reaches_its_goal_without_another";
    where_ports_are_privileged(name, killed_in_place);
}

fn killed_in_place() {
    let (site, wanted, binary) = site();
    let mut renewd = first_life(&site, &binary);
    let mut follower = Follower::new(&site.log());
    let asked = wait::until_soon(EVENT_TIME_MAX, || {
        follower.look().iter().any(|event| event.name == "RestartRequested").then_some(())
    });
    renewd.sigkill().unwrap();
    assert!(asked.is_some(), "no restart was asked for");
    site.passage.answers_late(Duration::ZERO);
    // It may have been a moment too late: then a clean end is in the log, and says so.
    let meant = site.events().iter().any(|event| event.name == "EngineStopping");
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RestartFinished", 1).unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    let told = story(&site);
    assert_eq!(names(&told).iter().filter(|name| **name == "RestartRequested").count(), 1);
    assert_eq!(told[2].data["attributed"], meant, "{:?}", told[2]);
    check::stop(renewd);
    is_not_repeated(&site, &wanted);
}

#[test]
fn restarts_in_vain_come_to_an_end_and_why_says_so() {
    let name = "restarts_in_vain_come_to_an_end_and_why_says_so";
    where_ports_are_privileged(name, in_vain);
}

fn in_vain() {
    let (site, wanted, _) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RestartFinished", 2).unwrap();
    wait::for_a_while(QUIET_TIME);
    assert!(renewd.ended().is_none());
    let told = story(&site);
    let asked = told.iter().filter(|event| event.name == "RestartRequested").count();
    assert_eq!(asked, 2, "no third restart within a day: {:?}", names(&told));
    let finished = told.iter().filter(|event| event.name == "RestartFinished");
    assert!(finished.clone().all(|event| event.data["verified"] == false));
    assert_eq!(site.events_named("EngineBooted").len(), 3);
    assert_eq!(site.events_named("ListenerFailed").len(), 3, "told once in each life");
    assert_eq!(site.events_named("GenerationAdopted").len(), 1, "the certificate is there");
    let why = site.host.run(&["why", "web"]).unwrap();
    let address = wanted.address().unwrap().to_string();
    assert!(why.stdout.contains("R0804") || why.stdout.contains("R0702"), "{}", why.stdout);
    assert!(why.stdout.contains(&address), "{}", why.stdout);
    check::stop(renewd);
    assert_eq!(site.pebble.orders_made(), 1);
    check::log_is_whole(&site);
}
