//! First issue: one name, many names, many certificates.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use renewd_tests::pebble::PROFILE_SHORTLIVED;
use renewd_tests::site::{Plan, Site, Wanted};

use crate::check;

/// `n` names below one.
fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("n{i}.many.test")).collect()
}

/// Issues one certificate for these names and checks everything about it.
fn issue(names: &[String]) {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let wanted = Wanted::new("web", &names).unwrap();
    let site = Site::start(Plan::new(vec![wanted.clone()]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let served = check::is_served(&site, &wanted);
    assert!(served.chain.len() >= 2, "the intermediate is sent too");
    for name in &names {
        let again = site.handshake(&wanted, name).unwrap();
        assert_eq!(again.leaf_sha256, served.leaf_sha256, "{name}");
    }
    assert!(site.handshake(&wanted, "other.test").is_err());
    assert_eq!(site.pebble.orders_made(), 1);
    let seen = site.events_named("AuthorizationSeen");
    assert_eq!(check::all_differ(seen.iter().map(|e| e.text("/identifier"))), names.len());
    check::stop(renewd);
    check::log_is_whole(&site);
    modes_are_strict(&site.host.state_dir());
}

/// Nothing of the state is readable for others: each file is closed, or a folder above it is.
fn modes_are_strict(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        if mode & 0o077 == 0 {
            continue;
        }
        assert!(path.is_dir(), "{}: {mode:o}", path.display());
        modes_are_strict(&path);
    }
}

#[test]
fn one_name() {
    issue(&names(1));
}

#[test]
fn twenty_names_in_one_certificate() {
    issue(&names(20));
}

#[test]
fn a_hundred_names_in_one_certificate() {
    issue(&names(100));
}

#[test]
fn twenty_certificates_on_two_ports_with_one_order_each() {
    let mut certificates = Vec::new();
    let first = Wanted::new("c0", &["c0.test"]).unwrap();
    let second = Wanted::new("c1", &["c1.test"]).unwrap();
    for number in 0..20 {
        let (name, domain) = (format!("c{number}"), format!("c{number}.test"));
        let place = if number % 2 == 0 { &first.place } else { &second.place };
        let wanted = Wanted::new(&name, &[&domain]).unwrap();
        certificates.push(wanted.at(place.clone()).with_profile(PROFILE_SHORTLIVED));
    }
    let site = Site::start(Plan::new(certificates).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 20).unwrap();
    let served: Vec<_> =
        site.plan.certificates.iter().map(|wanted| check::is_served(&site, wanted)).collect();
    check::all_differ(served.iter().map(|s| s.leaf_sha256.as_str()));
    assert_eq!(site.pebble.orders_made(), 20);
    assert_eq!(site.events_named("AccountRegistered").len(), 1);
    check::stop(renewd);
    check::log_is_whole(&site);
}

#[test]
fn the_log_is_printed_as_json_while_the_daemon_runs() {
    let wanted = Wanted::new("web", &["json.test"]).unwrap();
    let site = Site::start(Plan::new(vec![wanted]).unwrap()).unwrap();
    let mut renewd = site.run().unwrap();
    site.wait_for(&mut renewd, "RenewalSucceeded", 1).unwrap();
    let ran = site.host.run(&["log", "cat", "--json"]).unwrap();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let lines: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events = site.events();
    for (line, event) in lines.iter().zip(&events) {
        assert_eq!(line["seq"], event.seq);
        assert_eq!(line["stream"], *event.stream);
        let named = line["event"].get(&event.name).is_some() || line["event"] == *event.name;
        assert!(named, "{line} is not {}", event.name);
    }
    assert!(lines.iter().any(|line| line["event"]["RenewalSucceeded"].is_object()));
    let key = fs::read_to_string(site.host.folder().join("vault.key")).unwrap();
    assert!(!ran.stdout.contains("PRIVATE KEY") && !ran.stdout.contains(key.trim()));
}
