//! A log that lost its end is refused, repaired and goes on; an export becomes a log that goes on. What
//! was bought in lost events is found at the CA, and not bought again.

use std::fs;
use std::path::Path;

use renewd_events::codec::Frame;
use renewd_events::id::Seq;
use renewd_events::log::MirrorReader;
use renewd_tests::record::Follower;
use renewd_tests::site::Site;

use crate::check;
use crate::damage::contents;
use crate::lives::{VERY_LATE, When, kill_when, next_life, site, went_well};

fn frames(log: &Path) -> Vec<Frame> {
    MirrorReader::open(log).unwrap().scan(Seq(1)).unwrap().map(Result::unwrap).collect()
}

/// Cuts the mirror before the first event of this name, and takes the index away.
fn lose_from(site: &Site, name: &str) -> u64 {
    let first = site.events_named(name)[0].seq;
    let kept = frames(&site.log()).into_iter().take_while(|frame| frame.seq.0 < first);
    let octets: usize = kept.map(|frame| frame.bytes.len()).sum();
    let segment = site.log().join("mirror/events-00000001.rlog");
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..octets]).unwrap();
    fs::remove_dir_all(site.log().join("sled")).unwrap();
    first
}

/// Refused, looked at, repaired; each step as the runbook has it.
fn repair(site: &Site, lost_from: u64) {
    let before = contents(&site.log());
    let refused = site.host.run(&["run"]).unwrap();
    assert_eq!(refused.code, Some(7), "{}", refused.stderr);
    assert!(refused.stderr.contains("R0601"), "{}", refused.stderr);
    let verified = site.host.run(&["log", "verify"]).unwrap();
    assert_eq!(verified.code, Some(7));
    assert!(verified.stdout.contains("`renewd log repair`"), "{}", verified.stdout);
    let shown = site.host.run(&["log", "repair"]).unwrap();
    assert_eq!(shown.code, Some(10), "{}{}", shown.stdout, shown.stderr);
    assert!(shown.stdout.contains(&format!("LOST: events {lost_from} to ")), "{}", shown.stdout);
    assert!(shown.stdout.contains("the CA is asked"), "{}", shown.stdout);
    assert_eq!(contents(&site.log()), before, "showing changed something");
    let done = site.host.run(&["log", "repair", "--yes", "--json"]).unwrap();
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    let told: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(told["data"]["lost"]["from"], lost_from);
    assert_eq!(told["data"]["done"], true);
    let aside = told["data"]["aside"].as_str().unwrap();
    let mut kept = contents(Path::new(aside)).into_values().collect::<Vec<_>>();
    let mut all = before.into_values().collect::<Vec<_>>();
    kept.sort();
    all.sort();
    assert_eq!(kept, all, "the damaged log was changed");
    check::log_is_whole(site);
    let again = site.host.run(&["log", "repair", "--yes"]).unwrap();
    assert_eq!(again.code, Some(0));
    assert!(again.stdout.contains("nothing to repair"), "{}", again.stdout);
}

#[test]
fn an_order_of_a_lost_event_is_found_at_the_ca_and_not_bought_again() {
    let (site, wanted) = site();
    site.passage.answers_late(VERY_LATE);
    let mut follower = Follower::new(&site.log());
    let mut renewd = site.run().unwrap();
    let moment = When::OnDisk("OrderCreated".to_owned());
    assert!(kill_when(&site, &mut renewd, &mut follower, &moment).is_some());
    assert_eq!(site.pebble.orders_made(), 1);
    let key = site.events_named("CertificateKeyRequested")[0].text("/key_ref").to_owned();
    let lost_from = lose_from(&site, "RenewalStarted");
    repair(&site, lost_from);
    assert_eq!(site.events().pop().unwrap().name, "LogMended");
    let held = {
        let renewd = next_life(&site);
        let held = site.host.run(&["log", "repair"]).unwrap();
        assert_eq!(went_well(&site, &wanted, renewd, "its end was lost"), 1);
        held
    };
    assert_eq!(held.code, Some(8), "an engine that runs is left alone: {}", held.stderr);
    let created = site.events_named("OrderCreated");
    assert_eq!((created.len(), created[0].text("/found")), (1, "List"));
    assert_eq!(site.events_named("CertificateKeyCreated")[0].text("/key_ref"), key);
}

#[test]
fn a_certificate_of_a_lost_event_costs_one_more_order_and_no_more() {
    let (site, wanted) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);
    let lost_from = lose_from(&site, "RenewalStarted");
    repair(&site, lost_from);
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::is_served(&site, &wanted);
    check::stop(renewd);
    check::log_is_whole(&site);
    let asked = site.events_named("OrderRequestUnresolved");
    assert_eq!(asked.len(), 1, "the CA was asked first");
    assert_eq!(site.pebble.orders_made(), 2);
}

#[test]
fn an_export_becomes_a_log_that_goes_on_without_an_order() {
    let (site, wanted) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);
    let (one, two) = (site.host.folder().join("one.rlog"), site.host.folder().join("two.rlog"));
    let log = site.log();
    let [one_text, two_text, log_text] = [&one, &two, &log].map(|path| path.to_str().unwrap());
    let restore = ["log", "restore", one_text, "--into", log_text];
    assert_eq!(site.host.run(&["log", "export", one_text]).unwrap().code, Some(0));
    let taken = site.host.run(&restore).unwrap();
    assert_eq!(taken.code, Some(1), "{}", taken.stdout);
    assert!(taken.stderr.contains("not empty"), "{}", taken.stderr);
    fs::remove_dir_all(&log).unwrap();
    let restored = site.host.run(&restore).unwrap();
    assert_eq!(restored.code, Some(0), "{}", restored.stderr);
    assert!(restored.stdout.contains("one engine only"), "{}", restored.stdout);
    assert_eq!(site.host.run(&["log", "export", two_text]).unwrap().code, Some(0));
    let (old, new) = (fs::read(&one).unwrap(), fs::read(&two).unwrap());
    assert!(new.starts_with(&old), "what was exported is what it was");
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    check::is_served(&site, &wanted);
    check::stop(renewd);
    check::log_is_whole(&site);
    assert_eq!(site.pebble.orders_made(), 1);
}

#[test]
fn a_repair_that_was_killed_between_its_renames_is_ended_by_the_next_start() {
    let (site, wanted) = site();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    check::stop(renewd);
    let lost_from = lose_from(&site, "EngineStopping");
    repair(&site, lost_from);
    let repaired = frames(&site.log());
    // Where two names cannot be exchanged there is no log for a moment.
    let beside = site.host.state_dir().join("log.repairing");
    fs::rename(site.log(), &beside).unwrap();
    for (command, code) in [(["log", "repair"], 10), (["log", "verify"], 5)] {
        let told = site.host.run(&command).unwrap();
        assert_eq!(told.code, Some(code), "{}{}", told.stdout, told.stderr);
        let said = told.stdout + &told.stderr;
        assert!(said.contains("log.repairing is the repaired log, whole"), "{said}");
    }
    assert!(beside.exists() && !site.log().exists(), "showing changed something");
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 2).unwrap();
    site.wait_for(&mut renewd, "ListenerOpened", 2).unwrap();
    check::is_served(&site, &wanted);
    check::stop(renewd);
    assert_eq!(frames(&site.log())[..repaired.len()], repaired);
    assert!(!beside.exists());
    check::log_is_whole(&site);
    assert_eq!(site.pebble.orders_made(), 1);
}

#[test]
fn half_a_restored_log_is_not_opened_and_no_other_is_begun_in_its_place() {
    let (site, _) = site();
    let state = site.host.state_dir();
    let half = state.join("log.restoring/mirror");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("events-00000001.rlog"), b"RNW1 and no more").unwrap();
    let refused = site.host.run(&["run"]).unwrap();
    assert_eq!(refused.code, Some(7), "{}", refused.stderr);
    let said = ["R0605", "log.restoring is what `renewd log restore` had written"];
    assert!(said.iter().all(|words| refused.stderr.contains(words)), "{}", refused.stderr);
    assert!(!site.log().exists());
    fs::remove_dir_all(state.join("log.restoring")).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "EngineBooted", 1).unwrap();
    check::stop(renewd);
}
